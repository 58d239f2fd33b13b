"""SSIM and its gradient on a CPU, in two compiled passes over the image.

The first pass filters an image x, its square and its product with the photograph y, which gives mean m, square s and
product p of every window, and from them SSIM and its derivatives by m, s and p. The window is symmetric, so filtering
is its own adjoint, and the second pass filters these three: dx = F(dm) + 2 x F(ds) + y F(dp).

A window is summed in one order, whatever the bands of rows, so results are bitwise the same for any number of
threads. The slow twin is `methods.splatting.losses.ssim_in_torch`. Planes are [C, H, 16 B], zeros beyond the image.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from methods.splatting import simd
from methods.splatting.jit import kernel
from methods.splatting.losses import C1, C2, REACH, TAPS
from methods.splatting.parallel import FEWEST_ROWS, bounds, run
from methods.splatting.planes import image_of, planes

f32 = np.float32
LANES = simd.WIDTH
_ZERO, _TWO, _C1, _C2 = f32(0.0), f32(2.0), f32(C1), f32(C2)
_TAPS = np.array(TAPS, f32)


class Planes(NamedTuple):
    """A photograph as the kernels take it: itself, and mean and variance of its windows."""

    image: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def ssim(image: Tensor, reference: Planes) -> Tensor:
    """Mean SSIM of `image` [H, W, C] float32 to the reference, differentiable once."""
    value: Tensor = _Ssim.apply(image, reference)
    return value


class _Ssim(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, reference: Planes) -> Tensor:
        height, width, channels = image.shape
        x, (y, mean, variance) = planes(image), reference
        share = np.zeros(x.shape[2], f32)
        share[:width] = 1 / (channels * height * width)
        rows = np.empty((channels, height))
        slopes = np.empty((3, *x.shape), f32)
        bands = bounds(height, FEWEST_ROWS)
        run(compare, bands, (x, y, mean, variance, share, _TAPS, rows, slopes))
        if ctx.needs_input_grad[0]:
            gradient = np.empty_like(x)
            run(collect, bands, (slopes, x, y, _TAPS, gradient))
            ctx.save_for_backward(image_of(gradient, width))
        return image.new_tensor(rows.sum())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None


@kernel
def compare(
    begin,
    end,
    x,
    y,
    mean_y,
    variance_y,
    share,  # [16 B]: what a pixel is of the mean, 0 beyond the image
    taps,
    rows,  # out [C, H] float64: a row's part of the mean SSIM
    slopes,  # out [3, C, H, 16 B]: derivatives of the mean SSIM by m, s and p
):
    """The rows begin..end of SSIM."""
    channels, height, width = x.shape
    plane = channels * height * width
    zero, two, c1, c2 = simd.splat(_ZERO), simd.splat(_TWO), simd.splat(_C1), simd.splat(_C2)
    lines = np.zeros((3, width + 2 * LANES), f32)
    lanes = np.empty(LANES, f32)
    for c in range(channels):
        for row in range(begin, end):
            for at in range(0, width, LANES):
                m, s, p = zero, zero, zero
                for other in range(max(0, row - REACH), min(height, row + REACH + 1)):
                    here = (c * height + other) * width + at
                    a, b = simd.load(x, here), simd.load(y, here)
                    weighted = simd.broadcast(taps, other - row + REACH) * a
                    m = m + weighted
                    s = simd.fma(weighted, a, s)
                    p = simd.fma(weighted, b, p)
                _keep(lines, at, m, s, p)
            total = zero
            for at in range(0, width, LANES):
                here = (c * height + row) * width + at
                m, s, p = _along(lines, 0, at, taps), _along(lines, 1, at, taps), _along(lines, 2, at, taps)
                my, vy, part = simd.load(mean_y, here), simd.load(variance_y, here), simd.load(share, at)
                # SSIM = a1 a2 / (b1 b2)
                mm, mmy = m * m, m * my
                a1 = simd.fma(two, mmy, c1)
                a2 = simd.fma(two, p - mmy, c2)
                b1 = simd.fma(my, my, mm + c1)
                b2 = s - mm + vy + c2
                scale = part / (b1 * b2)
                value = a1 * a2 * scale
                total = total + value
                by_m = two * (my * (a2 - a1) * scale - m * value * (b2 - b1) / (b1 * b2))
                simd.store(slopes, here, by_m)
                simd.store(slopes, plane + here, zero - value / b2)
                simd.store(slopes, 2 * plane + here, two * a1 * scale)
            simd.store(lanes, 0, total)
            whole = 0.0
            for lane in range(LANES):
                whole += lanes[lane]
            rows[c, row] = whole


@kernel
def collect(begin, end, slopes, x, y, taps, gradient):
    """The rows begin..end of the gradient of the mean SSIM by x, from the slopes of all rows."""
    channels, height, width = x.shape
    plane = channels * height * width
    zero, two = simd.splat(_ZERO), simd.splat(_TWO)
    lines = np.zeros((3, width + 2 * LANES), f32)
    for c in range(channels):
        for row in range(begin, end):
            for at in range(0, width, LANES):
                m, s, p = zero, zero, zero
                for other in range(max(0, row - REACH), min(height, row + REACH + 1)):
                    here = (c * height + other) * width + at
                    tap = simd.broadcast(taps, other - row + REACH)
                    m = simd.fma(tap, simd.load(slopes, here), m)
                    s = simd.fma(tap, simd.load(slopes, plane + here), s)
                    p = simd.fma(tap, simd.load(slopes, 2 * plane + here), p)
                _keep(lines, at, m, s, p)
            for at in range(0, width, LANES):
                here = (c * height + row) * width + at
                m, s, p = _along(lines, 0, at, taps), _along(lines, 1, at, taps), _along(lines, 2, at, taps)
                simd.store(gradient, here, simd.fma(two * simd.load(x, here), s, simd.fma(simd.load(y, here), p, m)))


@kernel
def _keep(lines, at, m, s, p):
    """Write 16 columns of the three lines, which have a vector of zeros before and after them."""
    width = lines.shape[1]
    simd.store(lines, LANES + at, m)
    simd.store(lines, width + LANES + at, s)
    simd.store(lines, 2 * width + LANES + at, p)


@kernel
def _along(lines, line, at, taps):
    """16 columns of a line under the window."""
    here = line * lines.shape[1] + LANES + at
    result = simd.broadcast(taps, REACH) * simd.load(lines, here)
    for i in range(1, REACH + 1):
        result = simd.fma(
            simd.broadcast(taps, REACH + i), simd.load(lines, here - i) + simd.load(lines, here + i), result
        )
    return result
