"""The photometric loss of 3D Gaussian Splatting: (1 - lambda) L1 + lambda (1 - SSIM)."""

from functools import lru_cache

import torch
from torch import Tensor

WINDOW = 11
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2


@lru_cache(maxsize=16)
def _band(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[size, size] banded matrix that filters a line with the 11-tap Gaussian, zeros beyond its ends.

    A separable filter of an image X is then B X B^T: on CPU twenty times faster than a depthwise
    convolution of the same window.
    """
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    taps = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    taps /= taps.sum()
    band = torch.zeros(size, size, dtype=torch.float64)
    for offset, tap in zip(offsets.int().tolist(), taps.tolist(), strict=True):
        band += torch.diag(torch.full((size - abs(offset),), tap, dtype=torch.float64), offset)
    return band.to(device=device, dtype=dtype)


def ssim(image: Tensor, target: Tensor) -> Tensor:
    """Mean structural similarity of `image` and `target` [H, W, C] in 0..1: 11 x 11 Gaussian window of
    sigma 1.5, zeros beyond the border, as the 3DGS training loss takes it (Wang et al. 2004)."""
    x, y = image.permute(2, 0, 1), target.permute(2, 0, 1)
    rows = _band(x.shape[1], x.device, x.dtype)
    columns = _band(x.shape[2], x.device, x.dtype)
    mean_x, mean_y, xx, yy, xy = (rows @ torch.cat([x, y, x * x, y * y, x * y]) @ columns).chunk(5)
    var_x, var_y, covariance = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    denominator = (mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2)
    return (numerator / denominator).mean()


def photometric(image: Tensor, target: Tensor, dssim_weight: float) -> Tensor:
    """(1 - w) mean |image - target| + w (1 - SSIM), Kerbl et al. 2023, Eq. 7; [H, W, 3] in sRGB."""
    l1 = (image - target).abs().mean()
    return (1 - dssim_weight) * l1 + dssim_weight * (1 - ssim(image, target))
