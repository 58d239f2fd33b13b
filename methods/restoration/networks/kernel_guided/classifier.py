"""How much a patch is defocused, as one of five classes (section 3.1).

The paper's classes are signed distances from the focal plane. Which side of it a point lies on cannot be told from a
symmetric blur, so here they are ranges of the radius of the circle of confusion.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RADII = (1.0, 2.5, 5.0, 9.0)  # px, where one class ends and the next begins
CLASSES = len(RADII) + 1
CHANNELS = (16, 32, 64, 128)  # only the last is printed
SQUEEZE = 4  # channels per unit inside the attention; not printed
UNKNOWN = -100  # no class: what `class_loss` leaves out
COVERED = 0.125  # share of a patch that must show something for it to have a class


class Attention(nn.Module):
    """Squeeze and excitation (Fig. 6): every channel times a weight in 0..1 that two dense layers find from the means
    of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // SQUEEZE)
        self.excite = nn.Linear(channels // SQUEEZE, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same."""
        weights = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=(-2, -1))))))
        return x * weights[..., None, None]


class Classifier(nn.Module):
    """Four times convolution 5 x 5, ReLU, attention and max-pooling (Fig. 3), a 1 x 1 to 32 channels, dense layers.

    Four poolings do not bring 224 px to the 7 that are printed; with the first convolution at stride 2 they do. The
    32 channels are averaged over the patch before the dense layers, so that it may have any size.
    """

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for i, (channels_in, channels) in enumerate(zip((3, *CHANNELS), CHANNELS, strict=False)):
            convolution = nn.Conv2d(channels_in, channels, 5, stride=2 if i == 0 else 1, padding=2)
            blocks += [convolution, nn.ReLU(), Attention(channels), nn.MaxPool2d(2, ceil_mode=True)]
        self.blocks = nn.Sequential(*blocks)
        self.fuse = nn.Conv2d(CHANNELS[-1], 32, 1)
        self.dense = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, CLASSES))

    def forward(
        self,
        image: Tensor,  # [B, 3, H, W] sRGB 0..1
    ) -> Tensor:  # [B, 5] logits
        features = F.relu(self.fuse(self.blocks(standardised(image))))
        logits: Tensor = self.dense(features.mean(dim=(-2, -1)))
        return logits


def standardised(x: Tensor) -> Tensor:
    """Every channel of every image [B, C, H, W] with mean 0 and standard deviation 1 (0 where it is flat)."""
    wide = at_least_single(x)
    variance, mean = torch.var_mean(wide, dim=(-2, -1), correction=0, keepdim=True)
    return ((wide - mean) / (variance + 1e-6).sqrt()).to(x.dtype)


def at_least_single(x: Tensor) -> Tensor:
    """In single precision, or as precise as it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def levels_of(
    coc: Tensor,  # [B, H, W] px, signed or not
    mask: Tensor,  # [B, H, W] coverage 0..1
) -> Tensor:  # [B] int64
    """The class of each patch: that of the median |coc| over the pixels that are more than half covered.

    UNKNOWN where these are fewer than an eighth of the patch: such a patch shows no blur that could be told.
    """
    covered = mask > 0.5
    radii = torch.where(covered, coc.abs().float(), torch.nan)
    levels = torch.bucketize(radii.flatten(1).nanmedian(dim=1).values, radii.new_tensor(RADII))
    enough = covered.flatten(1).float().mean(dim=1) >= COVERED
    return torch.where(enough, levels, UNKNOWN)


def class_loss(
    logits: Tensor,  # [B, 5]
    levels: Tensor,  # [B] of `levels_of`
) -> Tensor:
    """Mean cross entropy over the patches that have a class; 0 if none has."""
    total = F.cross_entropy(logits, levels, ignore_index=UNKNOWN, reduction="sum")
    return total / (levels != UNKNOWN).sum().clamp_min(1)
