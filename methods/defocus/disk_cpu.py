"""The "cpu" back end of `methods.defocus.disk`: tensors to the compiled kernels and back."""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from torch import Tensor

from methods.defocus import disk_cpu_kernels as kernels
from methods.splatting.parallel import run

# Parts per thread, so that one slow part does not keep the others waiting; and the least work worth a part.
_PARTS, _FEWEST_ROWS, _FEWEST_PIXELS = 4, 32, 256


def spread(values: Tensor, rim: Tensor, index: Tensor, height: int, width: int) -> Tensor:
    """`methods.defocus.reference.spread_disk`."""
    out = np.empty((height, width, values.shape[1]), np.float32)
    run(
        kernels.spread,
        _parts(height, _FEWEST_ROWS),
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
        _parts(len(rim), _FEWEST_PIXELS),
        (sums, _array(values), _array(rim), index.numpy(), _reach(rim), d_values, d_rim),
    )
    return torch.from_numpy(d_values).float(), torch.from_numpy(d_rim).float()


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().contiguous().numpy()
    return array


def _reach(rim: Tensor) -> int:
    return math.ceil(float(rim.detach().max())) if len(rim) else 0


def _parts(count: int, fewest: int) -> np.ndarray:
    """Boundaries of the parts into which `count` rows or pixels are divided."""
    threads = numba.get_num_threads()
    parts = max(1, min(threads * _PARTS, count // fewest)) if threads > 1 else 1
    return np.arange(parts + 1) * count // parts


def warmup() -> None:
    """Compile the kernels, or load them from the disk cache."""
    values, rim, index = torch.zeros(1, 4), torch.full((1,), 0.5), torch.zeros(1, dtype=torch.int64)
    collect(spread(values, rim, index, 1, 1), values, rim, index)
