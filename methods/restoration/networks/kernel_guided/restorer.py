"""A U-Net that is told the kernel: non-blind restoration (section 3.3)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.restoration.networks.kernel_guided.initial import he
from methods.restoration.padding import to_multiple

CONVOLUTIONS = 2  # of a block, as in the U-Net of Ronneberger et al. (2015); KF has 3
FIRST_CHANGE = 0.1  # of the output's weights, so that a residual one begins near the photograph


class Guidance(nn.Module):
    """x(k) and b(k) of Eq. 6 for the convolutions of one block: three dense layers on the flattened kernel.

    The two hidden ones, of `width` units, serve all convolutions of the block, as in KF.
    """

    def __init__(self, kernel_size: int, width: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.hidden = nn.Sequential(nn.Linear(kernel_size**2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.out = nn.Linear(width, CONVOLUTIONS * 2 * width)

    def forward(
        self,
        kernel: Tensor,  # [B, m, m]
    ) -> Tensor:  # [CONVOLUTIONS, 2, B, width, 1, 1]
        # A kernel's values are of the order 1 / m^2, too small beside the biases; times m, a flat one has length 1.
        out = self.out(self.hidden(self.kernel_size * kernel.flatten(1)))
        return out.unflatten(1, (CONVOLUTIONS, 2, -1, 1, 1)).movedim(0, 2)


class Block(nn.Module):
    """Convolutions 3 x 3 to `width` channels, each followed by r (1 + x(k)) + b(k) (Eq. 6) and ReLU."""

    def __init__(self, channels: int, width: int, kernel_size: int, guidance: bool) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels if i == 0 else width, width, 3, padding=1) for i in range(CONVOLUTIONS)
        )
        self.guidance = Guidance(kernel_size, width) if guidance else None

    def forward(
        self,
        r: Tensor,  # [B, channels, H, W]
        kernel: Tensor,  # [B, m, m]
    ) -> Tensor:  # [B, width, H, W]
        guided = None if self.guidance is None else self.guidance(kernel)
        for i, convolution in enumerate(self.convolutions):
            r = convolution(r)
            if guided is not None:
                x, b = guided[i]
                r = r * (1 + x) + b
            r = F.relu(r)
        return r


class Restorer(nn.Module):
    """U-Net of `levels` levels, all of `width` channels (Fig. 8).

    Down by max-pooling. Up by repetition and a 3 x 3; what skips to there passes a 3 x 3 too, and both are joined to
    2 `width` channels. Blocks are guided by the kernel, these single convolutions are not.

    guidance: False makes it a plain U-Net. residual: the output is a change to the input. folded: that many px a side
    become channels of one, before the first level, and are unfolded after the last.
    """

    def __init__(
        self, kernel_size: int, width: int, levels: int, guidance: bool, residual: bool, folded: int = 1
    ) -> None:
        super().__init__()
        self.residual, self.folded = residual, folded
        colours = 3 * folded**2
        self.encoder = nn.ModuleList(
            Block(colours if i == 0 else width, width, kernel_size, guidance) for i in range(levels)
        )
        self.up = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(levels - 1))
        self.skip = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(levels - 1))
        self.decoder = nn.ModuleList(Block(2 * width, width, kernel_size, guidance) for _ in range(levels - 1))
        self.out = nn.Conv2d(width, colours, 3, padding=1)
        he(self)
        if residual:
            with torch.no_grad():
                self.out.weight *= FIRST_CHANGE
        self.to(memory_format=torch.channels_last)  # a fifth faster on CPU

    def forward(
        self,
        image: Tensor,  # [B, 3, H, W] sRGB 0..1
        kernel: Tensor,  # [B, m, m]
    ) -> Tensor:  # [B, 3, H, W], not clamped
        height, width = image.shape[-2:]
        r = F.pixel_unshuffle(to_multiple(image, self.folded * 2 ** len(self.up)), self.folded)
        kernel = kernel.to(image.dtype)
        skipped = []
        for i, block in enumerate(self.encoder):
            r = block(r if i == 0 else F.max_pool2d(r, 2), kernel)
            skipped.append(r)
        skipped.pop()
        for up, skip, block in zip(self.up, self.skip, self.decoder, strict=True):
            larger = F.relu(up(F.interpolate(r, scale_factor=2, mode="nearest")))
            r = block(torch.cat([larger, F.relu(skip(skipped.pop()))], dim=1), kernel)
        r = F.pixel_shuffle(self.out(r), self.folded)[..., :height, :width]
        return (image + r if self.residual else r).to(image.dtype)
