"""The "triton" back end of `methods.defocus.gauss`: one program per tile of target pixels and channel.

Every target sums its own taps in one order, without atomics: results are the same from run to run. Memory does not
depend on K. Planes are [C, H, W].
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from methods.defocus.reference import SIGMA_MIN

_TILE_Y, _TILE_X = 8, 32


def gather(image: Tensor, sigma: Tensor, k: int) -> Tensor:
    """[H, W, C] of [H, W, C], with the kernels of the pixels that gather."""
    planes = _planes(image)
    out = torch.empty_like(planes)
    _gather[_grid(planes)](planes, sigma.contiguous(), planes, out, out, *_constants(planes, k), False, True)
    return out.permute(1, 2, 0).contiguous()


def scatter(image: Tensor, sigma: Tensor, k: int) -> Tensor:
    """[H, W, C] of [H, W, C], with the kernels of the pixels that spread."""
    planes = _planes(image)
    precision, scale = torch.empty_like(planes[0]), torch.empty_like(planes[0])
    _weights[_grid(planes[:1])](sigma.contiguous(), precision, scale, *_constants(planes, k))
    out = torch.empty_like(planes)
    _scatter[_grid(planes)](planes * scale, precision, out, *_constants(planes, k))
    return out.permute(1, 2, 0).contiguous()


def gather_slope(image: Tensor, sigma: Tensor, k: int, other: Tensor) -> Tensor:
    """[H, W] derivative in sigma of <other, gathered image>."""
    planes = _planes(image)
    slope = torch.empty_like(planes)
    arguments = (planes, sigma.contiguous(), _planes(other), slope, slope)
    _gather[_grid(planes)](*arguments, *_constants(planes, k), True, False)
    return slope.sum(0)


def gather_with_slope(image: Tensor, sigma: Tensor, k: int, other: Tensor) -> tuple[Tensor, Tensor]:
    """The gathered image, and the derivative in sigma of <other, gathered image>."""
    planes = _planes(image)
    out, slope = torch.empty_like(planes), torch.empty_like(planes)
    arguments = (planes, sigma.contiguous(), _planes(other), out, slope)
    _gather[_grid(planes)](*arguments, *_constants(planes, k), True, True)
    return out.permute(1, 2, 0).contiguous(), slope.sum(0)


def warmup() -> None:
    """Compile the kernels, or load them from Triton's disk cache."""
    image, sigma = torch.zeros(16, 16, 3, device="cuda"), torch.zeros(16, 16, device="cuda")
    gather(image, sigma, 2)
    scatter(image, sigma, 2)
    gather_slope(image, sigma, 2, image)
    gather_with_slope(image, sigma, 2, image)


def _planes(image: Tensor) -> Tensor:
    return image.detach().permute(2, 0, 1).contiguous()


def _grid(planes: Tensor) -> tuple[int, int, int]:
    channels, height, width = planes.shape
    return triton.cdiv(width, _TILE_X), triton.cdiv(height, _TILE_Y), channels


def _constants(planes: Tensor, k: int) -> tuple[Any, ...]:
    return (*planes.shape[1:], k, SIGMA_MIN, _TILE_Y, _TILE_X)


@triton.jit
def _weights(
    sigma,  # [H, W]
    precision,  # out [H, W]: -1 / 2 sigma^2
    scale,  # out [H, W]: 1 / (sum of e_k)^2
    height,
    width,
    k,
    smallest: tl.constexpr,
    TILE_Y: tl.constexpr,
    TILE_X: tl.constexpr,
):
    x = tl.program_id(0) * TILE_X + tl.arange(0, TILE_X)[None, :]
    y = tl.program_id(1) * TILE_Y + tl.arange(0, TILE_Y)[:, None]
    inside = (y < height) & (x < width)
    here = y * width + x
    s = tl.load(sigma + here, mask=inside, other=1.0)
    s = tl.where(s < smallest, smallest, s)
    a = -0.5 / (s * s)
    total = tl.zeros_like(a) + 1.0
    for i in range(1, k + 1):
        total += 2.0 * tl.exp(a * (i * i))
    tl.store(precision + here, a, mask=inside)
    tl.store(scale + here, 1.0 / (total * total), mask=inside)


@triton.jit
def _gather(
    planes,
    sigma,
    other,  # [C, H, W], read for the slope
    out,
    slope,  # out [C, H, W]: d / d sigma of other times gathered
    height,
    width,
    k,
    smallest: tl.constexpr,
    TILE_Y: tl.constexpr,
    TILE_X: tl.constexpr,
    with_slope: tl.constexpr,
    with_image: tl.constexpr,
):
    x = tl.program_id(0) * TILE_X + tl.arange(0, TILE_X)[None, :]
    y = tl.program_id(1) * TILE_Y + tl.arange(0, TILE_Y)[:, None]
    plane = tl.program_id(2).to(tl.int64) * height * width
    inside = (y < height) & (x < width)
    here = y * width + x
    given = tl.load(sigma + here, mask=inside, other=1.0)
    s = tl.where(given < smallest, smallest, given)
    a = -0.5 / (s * s)
    total = tl.zeros_like(a) + 1.0
    spread = tl.zeros_like(a)
    for i in range(1, k + 1):
        weight = tl.exp(a * (i * i))
        total += 2.0 * weight
        spread += 4.0 * i * i * weight
    result = tl.zeros_like(a)
    moment = tl.zeros_like(a)
    for j in range(-k, k + 1):
        row = inside & (y + j >= 0) & (y + j < height)
        for i in range(-k, k + 1):
            there = row & (x + i >= 0) & (x + i < width)
            value = tl.load(planes + plane + here + (j * width + i), mask=there, other=0.0)
            value *= tl.exp(a * (i * i + j * j))
            result += value
            if with_slope:
                moment += (i * i + j * j) * value
    scale = 1.0 / (total * total)
    if with_image:
        tl.store(out + plane + here, result * scale, mask=inside)
    if with_slope:
        upstream = tl.load(other + plane + here, mask=inside, other=0.0)
        change = upstream * (moment - spread / total * result) * scale / (s * s * s)
        tl.store(slope + plane + here, tl.where(given <= smallest, 0.0, change), mask=inside)


@triton.jit
def _scatter(
    planes,  # times scale
    precision,
    out,
    height,
    width,
    k,
    smallest: tl.constexpr,
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
            a = tl.load(precision + source, mask=there, other=0.0)
            value = tl.load(planes + plane + source, mask=there, other=0.0)
            result += tl.exp(a * (i * i + j * j)) * value
    tl.store(out + plane + here, result, mask=inside)
