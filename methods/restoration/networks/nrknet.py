"""NRKNet: the blur of every pixel, predicted as a mixture of recursive kernels, and undone by a Neumann series.

Y. Quan, Z. Wu and H. Ji, "Neumann Network with Recursive Kernels for Single Image Defocus Deblurring" (CVPR 2023).

    K y = sum_k w_k (a_k * y),    a_0 = delta,    a_k = a_(k-1) * (t_k t_k^T)            recursive kernels
    y^ = sum_(n <= N) (I - K)^n y                                                       truncated Neumann series

t_k are three positive taps of sum 1, learned, one set for each colour: the atoms a_k are separable, positive, and of
1, 3, 5, ... px. The mixing weights w_k differ from pixel to pixel and are the network's output. K models the
*blur*: what the network estimates can be put on a sharp image (`NRKNet.blur`), which the paper's reblurring loss does.

It works at a quarter, half and full size with 3, 2 and 1 further terms of the series; the last term of each scale,
enlarged, is added to the photograph. Facts that the paper leaves open are as in the authors' code: scales are made by
leaving out pixels, without a filter; the sum over atoms mixes colours, too, by one learned matrix per atom, and has an
offset; weights are of any sign and sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.restoration.networks.multiscale import (
    convolution,
    convolved,
    enlarged,
    lstm,
    pad,
    renamed,
    residual_blocks,
    resize,
    restoration_loss,
)

RELEASED: dict[str, Any] = {}
"""Settings under which the authors' checkpoints run: the defaults."""

ITERATIONS = (3, 2, 1)  # of the Neumann series at a quarter, half and full size
LOSS_WEIGHTS = (0.25, 0.5, 0.75, 1.0)  # of the three scales and of their fusion, in the authors' training code


@dataclass(frozen=True)
class NRKNetConfig:
    """Sizes of the network; the defaults are the authors'."""

    width: int = 64
    """Channels of the U-Net at full resolution; twice and four times as many below."""
    blocks: int = 1
    """Residual blocks on each level."""
    atoms: int = 21
    """Recursive kernels beside the identity; the last is of 2 `atoms` + 1 px."""
    symmetric: bool = True
    """Whether the outer taps are held equal. The authors' repository has both versions of this line; the parameters
    of a checkpoint have the same names and shapes under either."""


@dataclass(frozen=True, eq=False)
class DefocusBlur:
    """The operator K: gathers the surroundings of each pixel by that pixel's own kernel, in sRGB.

    weights: [B, A + 1, H, W], w_k, the identity's first. taps: [A, 3, 3] by atom, colour and place, sum 1 over places.
    mixing: [3, A + 1, 3] by colour out, atom, colour in. offset: [3].
    """

    weights: Tensor
    taps: Tensor
    mixing: Tensor
    offset: Tensor

    def __call__(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] blurred, continued by reflection beyond its borders; under autocast in its own precision."""
        mode = "reflect" if min(image.shape[-2:]) > 1 else "replicate"
        weights, taps, mixing = (part.to(image.dtype) for part in (self.weights, self.taps, self.mixing))
        with torch.autocast(image.device.type, enabled=False):
            # Atom by atom, so that nothing holds all copies of the image at once.
            copy = image
            blurred = self.offset.to(image.dtype)[:, None, None] + mixed(copy * weights[:, :1], mixing[:, 0])
            for k, taps_k in enumerate(taps, start=1):
                copy = filtered(F.pad(copy, (1, 1, 1, 1), mode=mode), taps_k)
                blurred = blurred + mixed(copy * weights[:, k : k + 1], mixing[:, k])
        return blurred

    def sigma(self) -> Tensor:
        """[B, H, W], px: standard deviation along an axis of each pixel's kernel, averaged over colours; 0 where the
        weights have no positive sum, or no positive variance (they may be negative)."""
        before, _, after = self.taps.unbind(-1)
        mean = F.pad((after - before).cumsum(0), (0, 0, 1, 0))  # [A + 1, 3], px, of each atom
        variance = F.pad((before + after - (after - before) ** 2).cumsum(0), (0, 0, 1, 0))
        share = self.mixing.mean(dim=0)  # [A + 1, 3]: of each atom and colour in a mean over colours
        moments = torch.stack([share.sum(1), (share * mean).sum(1), (share * (variance + mean**2)).sum(1)])
        mass, first, second = torch.einsum("mk,bkhw->mbhw", moments, self.weights)
        scale = torch.where(mass > 0, 1 / mass, 0)
        return (second * scale - (first * scale) ** 2).clamp(min=0).sqrt()


def filtered(
    image: Tensor,  # [B, 3, H + 2, W + 2]
    taps: Tensor,  # [3, 3] by colour and place
) -> Tensor:  # [B, 3, H, W]
    """One step of the recursion: three taps along rows, the same along columns."""
    before, centre, after = taps[:, :, None, None].unbind(1)
    rows = before * image[..., :-2] + centre * image[..., 1:-1] + after * image[..., 2:]
    return before * rows[..., :-2, :] + centre * rows[..., 1:-1, :] + after * rows[..., 2:, :]


def mixed(
    image: Tensor,  # [B, 3, H, W]
    colours: Tensor,  # [3, 3] by colour out, colour in
) -> Tensor:  # [B, 3, H, W]
    return F.conv2d(image, colours[:, :, None, None])


def neumann(image: Tensor, blur: DefocusBlur, iterations: int) -> tuple[Tensor, Tensor]:
    """(the series sum_(n <= N) (I - K)^n y, its last term) for N `iterations`; [B, 3, H, W] all."""
    series = term = image
    for _ in range(iterations):
        term = term - blur(term)
        series = series + term
    return series, term


class NRKNet(nn.Module):
    """Photographs in, sharper photographs out, by way of a model of their blur."""

    def __init__(self, config: NRKNetConfig) -> None:
        super().__init__()
        self.symmetric = config.symmetric
        self.features = Features(config.width, config.blocks)
        self.weights = MixingWeights(config.width, config.atoms + 1)
        self.logits = nn.Parameter(torch.rand(config.atoms, 3, 3))
        self.mixing = nn.Conv2d(3 * (config.atoms + 1), 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] sRGB, 0..1, of any size, to the same, not clamped."""
        height, width = image.shape[-2:]
        padded = pad(image)
        return self._restored(padded, self._blurs(padded))[-1][..., :height, :width]

    def scales(self, image: Tensor) -> list[Tensor]:
        """What training compares: the series at a quarter, half and full size, then the result, [B, 3, h, w] each.

        image: [B, 3, H, W], H and W multiples of 16 from 32 on.
        """
        return self._restored(image, self._blurs(image))

    def blur(self, image: Tensor) -> DefocusBlur:
        """The blur of photographs [B, 3, H, W] of any size, for images of that size."""
        height, width = image.shape[-2:]
        finest = self._blurs(pad(image))[-1]
        return replace(finest, weights=finest.weights[..., :height, :width])

    def _blurs(self, image: Tensor) -> list[DefocusBlur]:
        """K at a quarter, half and full size."""
        logits = (self.logits + self.logits.flip(-1)) / 2 if self.symmetric else self.logits
        taps, mixing = logits.softmax(dim=-1), self.mixing.weight.view(3, -1, 3)
        assert self.mixing.bias is not None
        blurs: list[DefocusBlur] = []
        state: list[Tensor] | None = None
        for scaled in pyramid(image):
            weights, *state = self.weights(self.features(scaled), state and [resize(part, 2.0) for part in state])
            blurs.append(DefocusBlur(weights, taps, mixing, self.mixing.bias))
        return blurs

    def _restored(self, image: Tensor, blurs: list[DefocusBlur]) -> list[Tensor]:
        restored, fused = [], image
        for scaled, blur, iterations in zip(pyramid(image), blurs, ITERATIONS, strict=True):
            series, last = neumann(scaled, blur, iterations)
            restored.append(series)
            fused = fused + resize(last, image.shape[-1] / scaled.shape[-1])
        return [*restored, fused]


class Features(nn.Module):
    """U-Net of three levels whose skips are added: [B, 3, H, W] to [B, C, H, W]."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = convolved(3, width)
        self.down1 = convolved(width, 2 * width, stride=2)
        self.down2 = convolved(2 * width, 4 * width, stride=2)
        self.bottom = nn.Sequential(convolved(4 * width, 4 * width), residual_blocks(4 * width, blocks))
        self.up2 = enlarged(4 * width, 2 * width)
        self.up1 = enlarged(2 * width, width)
        self.encoder = nn.ModuleList(residual_blocks(factor * width, blocks) for factor in (1, 2, 4))
        self.decoder = nn.ModuleList(residual_blocks(factor * width, blocks) for factor in (4, 2, 1))

    def forward(self, image: Tensor) -> Tensor:
        level1 = self.encoder[0](self.enter(image))
        level2 = self.encoder[1](self.down1(level1))
        level3 = self.encoder[2](self.down2(level2))
        x = self.decoder[0](self.bottom(level3) + level3)
        x = self.decoder[1](self.up2(x) + level2)
        return self.decoder[2](self.up1(x) + level1)


class MixingWeights(nn.Module):
    """w_k of every pixel from its features: signed by a convolutional LSTM at half the size, which remembers the
    coarser scales, and amplified by what the features themselves say."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.gain = nn.Sequential(convolution(width, outputs), nn.BatchNorm2d(outputs), nn.ReLU())
        self.gates = nn.Conv2d(width + outputs, 4 * outputs, 5, padding=2)

    def forward(
        self,
        features: Tensor,  # [B, C, H, W]
        state: list[Tensor] | None,  # hidden and cell [B, A + 1, H / 2, W / 2]; None at the coarsest scale
    ) -> tuple[Tensor, Tensor, Tensor]:  # weights [B, A + 1, H, W], hidden, cell
        halved = F.avg_pool2d(features, 2)
        if state is None:
            batch, _, height, width = halved.shape
            state = [halved.new_zeros(batch, self.outputs, height, width)] * 2
        hidden, cell = lstm(self.gates(torch.cat([halved, state[0]], dim=1)), state[1])
        signed = F.interpolate(hidden, scale_factor=2.0)
        return signed * self.gain(features) + signed, hidden, cell


def pyramid(image: Tensor) -> list[Tensor]:
    """[B, 3, H, W] at a quarter, half and full size, every fourth, second and single pixel."""
    return [image[..., ::step, ::step] for step in (4, 2, 1)]


def objective(network: NRKNet, photograph: Tensor, sharp: Tensor) -> Tensor:
    """The training loss of a batch: `restoration_loss` over the scales and their fusion, and the reblurring loss.

    photograph, sharp: [B, 3, H, W] sRGB, 0..1, of any size; smaller or odd ones are padded first.

    The reblurring loss is the mean square of K x - y at each scale, x and y sampled alike, weighted like the scales.
    The paper has it; the authors' code computes it, but does not add it. Left out: late in training they replace
    mean square and spectrum by 1 - SSIM for half of the time.
    """
    photograph, sharp = pad(photograph), pad(sharp)
    blurs = network._blurs(photograph)
    loss = restoration_loss(network._restored(photograph, blurs), sharp, LOSS_WEIGHTS)
    for x, y, blur, weight in zip(pyramid(sharp), pyramid(photograph), blurs, LOSS_WEIGHTS[:3], strict=True):
        loss = loss + weight * F.mse_loss(blur(x), y)
    return loss


def released(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's state of what a checkpoint of the authors holds. Raises InputError for another network's."""
    result = renamed(state, AUTHORS_NAMES)
    result["logits"] = result["logits"].reshape(-1, 3, 3)
    return result


AUTHORS_NAMES = {
    r"GCM\.kernels": "logits",
    r"SummationLayer\.conv\.(weight|bias)": r"mixing.\1",
    r"APU\.conv\.main\.([01])\.(\w+)": r"weights.gain.\1.\2",
    r"APU\.conv_atten\.conv\.(weight|bias)": r"weights.gates.\1",
    r"feat_extract\.0\.main\.0\.weight": "features.enter.0.weight",
    r"feat_extract\.1\.main\.0\.weight": "features.down1.0.weight",
    r"feat_extract\.2\.main\.0\.weight": "features.down2.0.weight",
    r"feat_extract\.3\.main\.0\.weight": "features.up2.0.weight",
    r"feat_extract\.4\.main\.0\.weight": "features.up1.0.weight",
    r"bottleneck\.0\.main\.0\.weight": "features.bottom.0.0.weight",
    r"bottleneck\.1\.layers\.(\d+)\.main\.([01])\.main\.0\.weight": r"features.bottom.1.\1.convolutions.\2.weight",
    r"Encoder\.(\d)\.layers\.(\d+)\.main\.([01])\.main\.0\.weight": r"features.encoder.\1.\2.convolutions.\3.weight",
    r"Decoder\.(\d)\.layers\.(\d+)\.main\.([01])\.main\.0\.weight": r"features.decoder.\1.\2.convolutions.\3.weight",
}
