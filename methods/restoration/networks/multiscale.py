"""What networks share that look at a photograph at full, half and quarter size, the coarsest first.

NRKNet and INIKNet, by overlapping authors, are built of these parts and trained on the same sum over scales. None of
their convolutions inside the U-Nets has a bias, and those of stride 1 or 2 continue the image by reflection.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from datasets.errors import InputError
from methods.restoration.learning.frequency import fft_l1
from methods.restoration.padding import to_multiple

MULTIPLE = 16  # px; a quarter for the coarsest scale, and two halvings inside a U-Net
LEAST = 32  # px; below, the lowest level of the coarsest scale is one pixel, which has nothing to reflect
SPECTRUM = 0.1  # weight of `fft_l1` against the mean square, in both papers' training code


def pad(
    image: Tensor,  # [B, 3, H, W]
) -> Tensor:  # [B, 3, H', W'], multiples of 16 from 32 on
    return to_multiple(image, MULTIPLE, LEAST)


def resize(maps: Tensor, factor: float) -> Tensor:
    """[B, C, H, W] scaled by `factor`, bilinear. Made smaller, it interpolates at the new pixels' centres: nothing is
    filtered beforehand."""
    return F.interpolate(maps, scale_factor=factor, mode="bilinear")


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False, padding_mode="reflect")


def convolved(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution and ReLU."""
    return nn.Sequential(convolution(inputs, outputs, stride), nn.ReLU())


def enlarged(inputs: int, outputs: int) -> nn.Sequential:
    """4 x 4 transposed convolution to twice the size, and ReLU."""
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1, bias=False), nn.ReLU())


class ResidualBlock(nn.Module):
    """x + conv(ReLU(conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolution(channels, channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.convolutions
        return x + second(F.relu(first(x)))


def residual_blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


def lstm(
    gates: Tensor,  # [B, 4 C, H, W]: what lets in, what keeps, what lets out, and the new content, before activation
    cell: Tensor,  # [B, C, H, W]
) -> tuple[Tensor, Tensor]:
    """(hidden state, cell) after one step of a long short-term memory, both [B, C, H, W]; the recurrence runs over
    scales instead of over time (Shi et al. 2015, without peepholes)."""
    enter, keep, leave, content = gates.chunk(4, dim=1)
    cell = keep.sigmoid() * cell + enter.sigmoid() * content.tanh()
    return leave.sigmoid() * cell.tanh(), cell


def restoration_loss(results: Sequence[Tensor], sharp: Tensor, weights: Sequence[float]) -> Tensor:
    """Sum over scales of w (mean square error + 0.1 `fft_l1`).

    results: [B, 3, h, w] each, of any scales. sharp: [B, 3, H, W]; resized to each of them.
    """
    total = sharp.new_zeros(())
    for result, weight in zip(results, weights, strict=True):
        factor = result.shape[-1] / sharp.shape[-1]
        target = sharp if factor == 1 else resize(sharp, factor)
        total = total + weight * (F.mse_loss(result, target) + SPECTRUM * fft_l1(result, target))
    return total


def renamed(state: Mapping[str, Any], rules: Mapping[str, str]) -> dict[str, Tensor]:
    """A checkpoint's tensors under new names.

    rules: by pattern of the whole old name, the new name, in which \\1 is the pattern's first group.

    Raises InputError for a name that no rule knows, and for a rule that no name follows.
    """
    result, unused = {}, set(rules)
    for name, value in state.items():
        for pattern, new in rules.items():
            if found := re.fullmatch(pattern, name):
                result[found.expand(new)] = value
                unused.discard(pattern)
                break
        else:
            raise InputError(f"The checkpoint is of another network: it has a tensor {name}.")
    if unused:
        raise InputError(f"The checkpoint is of another network: nothing in it is named like {min(unused)}.")
    return result
