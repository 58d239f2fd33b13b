"""The "triton" back end of `methods.defocus.disk`: one program per tile of target pixels (spreading) or run of
pixels (collecting) and channel.

Every target sums its own taps in one order, without atomics: results are the same from run to run. The cost grows
with the area of the widest disk.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

_TILE_Y, _TILE_X = 8, 32
_RUN = 128


def spread(values: Tensor, rim: Tensor, index: Tensor, height: int, width: int) -> Tensor:
    """`methods.defocus.reference.spread_disk`."""
    channels = values.shape[1]
    planes = values.new_zeros(channels, height * width)
    planes[:, index] = values.detach().T
    edge = values.new_zeros(height * width)
    edge[index] = rim.detach()
    out = torch.empty_like(planes)
    grid = (triton.cdiv(width, _TILE_X), triton.cdiv(height, _TILE_Y), channels)
    _spread[grid](planes, edge, out, height, width, _reach(rim), _TILE_Y, _TILE_X)
    return out.reshape(channels, height, width).permute(1, 2, 0).contiguous()


def collect(upstream: Tensor, values: Tensor, rim: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of `spread` for values [M, C] and rim [M], from that for its result."""
    height, width, channels = upstream.shape
    m = len(rim)
    columns = values.detach().T.contiguous()
    d_columns, d_rim = torch.empty_like(columns), torch.empty_like(columns)
    planes = upstream.permute(2, 0, 1).contiguous()
    arguments = (planes, columns, rim.contiguous(), index, d_columns, d_rim)
    _collect[(triton.cdiv(m, _RUN), channels)](*arguments, m, height, width, _reach(rim), _RUN)
    return d_columns.T.contiguous(), d_rim.sum(0)


def warmup() -> None:
    """Compile the kernels, or load them from Triton's disk cache."""
    values, rim = torch.zeros(16, 4, device="cuda"), torch.ones(16, device="cuda")
    index = torch.arange(16, device="cuda")
    collect(spread(values, rim, index, 16, 16), values, rim, index)


def _reach(rim: Tensor) -> int:
    return math.ceil(float(rim.detach().max()) + 0.5) - 1


@triton.jit
def _spread(
    planes,  # [C, H, W]
    rim,  # [H, W]
    out,  # [C, H, W]
    height,
    width,
    k,
    TILE_Y: tl.constexpr,
    TILE_X: tl.constexpr,
):
    x = tl.program_id(0) * TILE_X + tl.arange(0, TILE_X)[None, :]
    y = tl.program_id(1) * TILE_Y + tl.arange(0, TILE_Y)[:, None]
    plane = tl.program_id(2).to(tl.int64) * height * width
    inside = (y < height) & (x < width)
    here = y * width + x
    result = tl.zeros((TILE_Y, TILE_X), tl.float32)
    for j in range(-k, k + 1):
        row = inside & (y + j >= 0) & (y + j < height)
        for i in range(-k, k + 1):
            there = row & (x + i >= 0) & (x + i < width)
            source = here + (j * width + i)
            edge = tl.load(rim + source, mask=there, other=0.0)
            weight = edge + 0.5 - tl.sqrt(tl.zeros_like(edge) + (i * i + j * j))
            weight = tl.minimum(tl.maximum(weight, 0.0), 1.0)
            result += weight * tl.load(planes + plane + source, mask=there, other=0.0)
    tl.store(out + plane + here, result, mask=inside)


@triton.jit
def _collect(
    planes,  # [C, H, W] upstream gradient
    values,  # [C, M]
    rim,  # [M]
    index,  # [M]
    d_values,  # out [C, M]
    d_rim,  # out [C, M], to be summed over channels
    m,
    height,
    width,
    k,
    RUN: tl.constexpr,
):
    pixel = tl.program_id(0) * RUN + tl.arange(0, RUN)
    channel = tl.program_id(1).to(tl.int64)
    plane = channel * height * width
    valid = pixel < m
    at = tl.load(index + pixel, mask=valid, other=0)
    edge = tl.load(rim + pixel, mask=valid, other=0.5)
    y, x = at // width, at % width
    total = tl.zeros((RUN,), tl.float32)
    slope = tl.zeros((RUN,), tl.float32)
    for j in range(-k, k + 1):
        row = valid & (y + j >= 0) & (y + j < height)
        for i in range(-k, k + 1):
            there = row & (x + i >= 0) & (x + i < width)
            upstream = tl.load(planes + plane + at + (j * width + i), mask=there, other=0.0)
            weight = edge + 0.5 - tl.sqrt(tl.zeros_like(edge) + (i * i + j * j))
            total += tl.minimum(tl.maximum(weight, 0.0), 1.0) * upstream
            slope += tl.where((weight > 0.0) & (weight < 1.0), upstream, 0.0)
    value = tl.load(values + channel * m + pixel, mask=valid, other=0.0)
    tl.store(d_values + channel * m + pixel, total, mask=valid)
    tl.store(d_rim + channel * m + pixel, slope * value, mask=valid)
