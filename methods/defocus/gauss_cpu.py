"""The "cpu" back end of `methods.defocus.gauss`: contiguous float32 tensors to the compiled kernels and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from methods.defocus import gauss_cpu_kernels as kernels
from methods.splatting.parallel import FEWEST_ROWS, bounds, run

_LANES = kernels.LANES
_NOTHING = np.empty((0, 0, 0), np.float32)


def gather(image: Tensor, sigma: Tensor, k: int) -> Tensor:
    """[H, W, C] of [H, W, C], with the kernels of the pixels that gather."""
    out = _like(image)
    run(kernels.gather, bounds(len(image), FEWEST_ROWS), (_planes(image, k), _rows(sigma), k, out))
    return _image(out, image)


def scatter(image: Tensor, sigma: Tensor, k: int) -> Tensor:
    """[H, W, C] of [H, W, C], with the kernels of the pixels that spread."""
    out = _like(image, np.zeros)
    run(kernels.scatter, bounds(len(image), FEWEST_ROWS), (_planes(image, k), _rows(sigma), k, out))
    return _image(out, image)


def gather_slope(image: Tensor, sigma: Tensor, k: int, other: Tensor) -> Tensor:
    """[H, W] derivative in sigma of <other, gathered image>."""
    return _slope(image, sigma, k, other, _NOTHING)


def gather_with_slope(image: Tensor, sigma: Tensor, k: int, other: Tensor) -> tuple[Tensor, Tensor]:
    """The gathered image, and the derivative in sigma of <other, gathered image>."""
    out = _like(image)
    slope = _slope(image, sigma, k, other, out)
    return _image(out, image), slope


def _slope(image: Tensor, sigma: Tensor, k: int, other: Tensor, out: np.ndarray) -> Tensor:
    widths = _rows(sigma)
    slope = np.empty_like(widths)
    run(
        kernels.gather_with_slope,
        bounds(len(image), FEWEST_ROWS),
        (_planes(image, k), widths, k, _planes(other, 0), out, slope),
    )
    return torch.from_numpy(slope[:, : sigma.shape[1]]).contiguous()


def _planes(image: Tensor, k: int) -> np.ndarray:
    """[C, H, K + W rounded up to whole vectors + K], zeros around the image."""
    height, width, channels = image.shape
    planes = np.zeros((channels, height, _whole(width) + 2 * k), np.float32)
    torch.from_numpy(planes)[:, :, k : k + width] = image.detach().permute(2, 0, 1)
    return planes


def _rows(sigma: Tensor) -> np.ndarray:
    """[H, W rounded up to whole vectors], zeros beyond the image."""
    height, width = sigma.shape
    rows = np.zeros((height, _whole(width)), np.float32)
    rows[:, :width] = sigma.detach().numpy()
    return rows


def _like(image: Tensor, make: Any = np.empty) -> np.ndarray:
    height, width, channels = image.shape
    array: np.ndarray = make((channels, height, _whole(width)), np.float32)
    return array


def _image(planes: np.ndarray, image: Tensor) -> Tensor:
    return torch.from_numpy(planes[:, :, : image.shape[1]]).permute(1, 2, 0).contiguous()


def _whole(width: int) -> int:
    return -(-width // _LANES) * _LANES


def warmup() -> None:
    """Compile the kernels, or load them from the disk cache."""
    image, sigma = torch.zeros(1, 1, 1), torch.zeros(1, 1)
    gather(image, sigma, 1)
    scatter(image, sigma, 1)
    gather_with_slope(image, sigma, 1, image)
