"""The "cpu" back end of `methods.defocus.gauss`: contiguous float32 tensors to the compiled kernels and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from methods.defocus import gauss_cpu_kernels as kernels
from methods.splatting.parallel import FEWEST_ROWS, bounds, run
from methods.splatting.planes import image_of, planes, whole

_NOTHING = np.empty((0, 0, 0), np.float32)


def gather(image: Tensor, sigma: Tensor, k: int) -> Tensor:
    """[H, W, C] of [H, W, C], with the kernels of the pixels that gather."""
    out = _like(image)
    run(kernels.gather, bounds(len(image), FEWEST_ROWS), (planes(image, k), _rows(sigma), k, out))
    return image_of(out, image.shape[1])


def scatter(image: Tensor, sigma: Tensor, k: int) -> Tensor:
    """[H, W, C] of [H, W, C], with the kernels of the pixels that spread."""
    out = _like(image, np.zeros)
    run(kernels.scatter, bounds(len(image), FEWEST_ROWS), (planes(image, k), _rows(sigma), k, out))
    return image_of(out, image.shape[1])


def gather_slope(image: Tensor, sigma: Tensor, k: int, other: Tensor) -> Tensor:
    """[H, W] derivative in sigma of <other, gathered image>."""
    return _slope(image, sigma, k, other, _NOTHING)


def gather_with_slope(image: Tensor, sigma: Tensor, k: int, other: Tensor) -> tuple[Tensor, Tensor]:
    """The gathered image, and the derivative in sigma of <other, gathered image>."""
    out = _like(image)
    slope = _slope(image, sigma, k, other, out)
    return image_of(out, image.shape[1]), slope


def _slope(image: Tensor, sigma: Tensor, k: int, other: Tensor, out: np.ndarray) -> Tensor:
    widths = _rows(sigma)
    slope = np.empty_like(widths)
    run(
        kernels.gather_with_slope,
        bounds(len(image), FEWEST_ROWS),
        (planes(image, k), widths, k, planes(other, 0), out, slope),
    )
    return torch.from_numpy(slope[:, : sigma.shape[1]]).contiguous()


def _rows(sigma: Tensor) -> np.ndarray:
    """[H, W rounded up to whole vectors], zeros beyond the image."""
    height, width = sigma.shape
    rows = np.zeros((height, whole(width)), np.float32)
    rows[:, :width] = sigma.detach().numpy()
    return rows


def _like(image: Tensor, make: Any = np.empty) -> np.ndarray:
    height, width, channels = image.shape
    array: np.ndarray = make((channels, height, whole(width)), np.float32)
    return array


def warmup() -> None:
    """Compile the kernels, or load them from the disk cache."""
    image, sigma = torch.zeros(1, 1, 1), torch.zeros(1, 1)
    gather(image, sigma, 1)
    scatter(image, sigma, 1)
    gather_with_slope(image, sigma, 1, image)
