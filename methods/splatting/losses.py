"""The photometric loss of 3D Gaussian Splatting: (1 - lambda) L1 + lambda (1 - SSIM).

SSIM is here in plain PyTorch, for CUDA and for any precision; in float32 on a CPU `ssim_cpu` takes over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from methods.splatting.ssim_cpu import Planes

REACH, SIGMA = 5, 1.5  # px of the window, to either side, and of its standard deviation
_WEIGHTS = [exp(-(i**2) / (2 * SIGMA**2)) for i in range(-REACH, REACH + 1)]
TAPS = [weight / sum(_WEIGHTS) for weight in _WEIGHTS]
C1, C2 = 0.01**2, 0.03**2


@lru_cache(maxsize=16)
def _band(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[size, size] banded matrix that filters a line with the 11-tap Gaussian, zeros beyond its ends.

    A separable filter of an image X is then B X B^T.
    """
    band = torch.zeros(size, size, dtype=torch.float64)
    for offset, tap in enumerate(TAPS, start=-REACH):
        if abs(offset) < size:
            band += torch.diag(torch.full((size - abs(offset),), tap, dtype=torch.float64), offset)
    return band.to(device=device, dtype=dtype)


def _filtered(maps: Tensor) -> Tensor:
    """[C, H, W] after the Gaussian window."""
    _, height, width = maps.shape
    return _band(height, maps.device, maps.dtype) @ maps @ _band(width, maps.device, maps.dtype)


@dataclass(frozen=True, eq=False)
class Reference:
    """A photograph to compare with, and what SSIM needs of it again and again.

    image: [H, W, C] in 0..1. mean, variance: [C, H, W] under the window.
    """

    image: Tensor
    mean: Tensor
    variance: Tensor

    @staticmethod
    def of(image: Tensor) -> Reference:
        planes = image.permute(2, 0, 1)
        mean, square = _filtered(torch.cat([planes, planes * planes])).chunk(2)
        return Reference(image, mean, square - mean**2)

    @cached_property
    def planes(self) -> Planes:
        """All of it, as the kernels on a CPU take it."""
        from methods.splatting.planes import planes
        from methods.splatting.ssim_cpu import Planes

        maps = (self.image, self.mean.permute(1, 2, 0), self.variance.permute(1, 2, 0))
        return Planes(*(planes(each) for each in maps))


def ssim(image: Tensor, reference: Reference) -> Tensor:
    """Mean structural similarity of `image` [H, W, C] in 0..1 to the reference: 11 x 11 Gaussian window of
    sigma 1.5, zeros beyond the border, as the 3DGS training loss takes it (Wang et al. 2004)."""
    if image.device.type == "cpu" and image.dtype == torch.float32:
        from methods.splatting import ssim_cpu

        return ssim_cpu.ssim(image, reference.planes)
    return ssim_in_torch(image, reference)


def ssim_in_torch(image: Tensor, reference: Reference) -> Tensor:
    """The same by PyTorch's own operations, on any device and in any precision."""
    x, y = image.permute(2, 0, 1), reference.image.permute(2, 0, 1)
    mean, square, product = _filtered(torch.cat([x, x * x, x * y])).chunk(3)
    variance, covariance = square - mean**2, product - mean * reference.mean
    numerator = (2 * mean * reference.mean + C1) * (2 * covariance + C2)
    denominator = (mean**2 + reference.mean**2 + C1) * (variance + reference.variance + C2)
    return (numerator / denominator).mean()


def photometric(image: Tensor, reference: Reference, dssim_weight: float, weight: Tensor | None = None) -> Tensor:
    """(1 - w) mean |image - reference| + w (1 - SSIM), Kerbl et al. 2023, Eq. 7; [H, W, 3] in sRGB.

    weight: [H, W] of each pixel in the first part; None weighs all alike.
    """
    error = (image - reference.image).abs()
    l1 = (error if weight is None else error * weight[..., None]).mean()
    return (1 - dssim_weight) * l1 + dssim_weight * (1 - ssim(image, reference))
