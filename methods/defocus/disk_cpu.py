"""The "cpu" back end of `methods.defocus.disk`: tensors to the compiled kernels and back."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from methods.defocus import disk_cpu_kernels as kernels
from methods.splatting.parallel import FEWEST_ROWS, bounds, run

_FEWEST_PIXELS = 256  # worth a thread


def spread(values: Tensor, rim: Tensor, index: Tensor, height: int, width: int) -> Tensor:
    """`methods.defocus.reference.spread_disk`."""
    out = np.empty((height, width, values.shape[1]), np.float32)
    run(
        kernels.spread,
        bounds(height, FEWEST_ROWS),
        (_array(values), _array(rim), index.numpy(), _reach(rim), out),
    )
    return torch.from_numpy(out)


def collect(upstream: Tensor, values: Tensor, rim: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of `spread` for values [M, C] and rim [M], from that for its result."""
    height, width, channels = upstream.shape
    sums = np.empty((height, width + 1, channels), np.float64)
    kernels.sum_rows(_array(upstream), sums)
    # Sums over many pixels: kept in float64 until the end.
    d_values = np.empty(values.shape, np.float64)
    d_rim = np.empty(len(rim), np.float64)
    run(
        kernels.collect,
        bounds(len(rim), _FEWEST_PIXELS),
        (sums, _array(values), _array(rim), index.numpy(), _reach(rim), d_values, d_rim),
    )
    return torch.from_numpy(d_values).float(), torch.from_numpy(d_rim).float()


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().contiguous().numpy()
    return array


def _reach(rim: Tensor) -> int:
    return math.ceil(float(rim.detach().max())) if len(rim) else 0


def warmup() -> None:
    """Compile the kernels, or load them from the disk cache."""
    values, rim, index = torch.zeros(1, 4), torch.full((1,), 0.5), torch.zeros(1, dtype=torch.int64)
    collect(spread(values, rim, index, 1, 1), values, rim, index)
