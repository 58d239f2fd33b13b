"""Compiled loops of the per-pixel Gaussian blur on a CPU, sixteen pixels at a time.

The kernel of a pixel is a product of two rows of weights e_k = exp(-k^2 / 2 sigma^2), k = 0..K, over the square of
their sum. Gathering folds the rows y - j and y + j of the image once per row, then the columns x - i and x + i in
registers; nothing of the size of the image times K is ever stored. Scattering spreads each source row once per j and
adds the result to the rows y - j and y + j. Where every e_k is below half a unit in the last place of e_0, loops end
early. A part of the work is a band of target rows; each target row is summed in the same order whatever the bands,
so results are bitwise the same for any number of threads.

Planes are [C, H, P]: K zeros, the row, zeros up to a multiple of 16, K zeros.
"""

from __future__ import annotations

import numpy as np

from methods.defocus.reference import SIGMA_MIN
from methods.splatting import simd
from methods.splatting.jit import kernel

f32 = np.float32
LANES = simd.WIDTH
# exp(-REACH^2 / 2) is half a unit in the last place of 1.
REACH = f32(5.77)
_SMALLEST = f32(SIGMA_MIN)
_ZERO, _ONE, _TWO, _HALF = f32(0.0), f32(1.0), f32(2.0), f32(-0.5)


@kernel
def _reach(sigma, y, first, last, k):
    """How many px the widest kernel among pixels first..last of row y reaches; NaN reaches nowhere."""
    widest = _ZERO
    for x in range(first, last):
        if sigma[y, x] > widest:
            widest = sigma[y, x]
    widest = widest * REACH
    if widest < f32(k):
        return int(widest)
    return k


@kernel
def _weights(sigma, at, reach, weights, offset, stride):
    """Write e_0..e_reach of 16 pixels, `stride` apart from `offset` on; return their sum over both sides."""
    s = simd.maximum(simd.splat(_SMALLEST), simd.load(sigma, at))
    precision = simd.splat(_HALF) / (s * s)
    total = simd.splat(_ONE)
    simd.store(weights, offset, total)
    for i in range(1, reach + 1):
        weight = simd.exp(precision * simd.splat(f32(i * i)))
        simd.store(weights, offset + i * stride, weight)
        total = total + (weight + weight)
    return total


@kernel
def _fold(planes, y, reach, folded):
    """folded[j] = rows y - j and y + j of every channel, added."""
    channels, height, padded = planes.shape
    for j in range(reach + 1):
        for c in range(channels):
            out = folded[j, c]
            below, above = y - j >= 0, j > 0 and y + j < height
            if below and above:
                first, second = planes[c, y - j], planes[c, y + j]
                for x in range(padded):
                    out[x] = first[x] + second[x]
            elif below:
                out[:] = planes[c, y - j]
            elif above:
                out[:] = planes[c, y + j]
            else:
                out[:] = _ZERO


@kernel
def gather(
    begin,
    end,
    planes,  # [C, H, P]
    sigma,  # [H, 16 B]
    k,
    out,  # [C, H, 16 B]
):
    """Gather the rows begin..end."""
    channels, _, padded = planes.shape
    height, width = sigma.shape
    folded = np.empty((k + 1, channels, padded), f32)
    weights = np.empty(LANES * (k + 1), f32)
    for y in range(begin, end):
        _fold(planes, y, _reach(sigma, y, 0, width, k), folded)
        for x in range(0, width, LANES):
            reach = _reach(sigma, y, x, x + LANES, k)
            total = _weights(sigma, y * width + x, reach, weights, 0, LANES)
            scale = simd.splat(_ONE) / (total * total)
            for c in range(channels):
                result = simd.splat(_ZERO)
                for j in range(reach + 1):
                    here = (j * channels + c) * padded + k + x
                    row = simd.load(folded, here)
                    for i in range(1, reach + 1):
                        both = simd.load(folded, here - i) + simd.load(folded, here + i)
                        row = simd.fma(simd.load(weights, LANES * i), both, row)
                    result = simd.fma(simd.load(weights, LANES * j), row, result)
                simd.store(out, (c * height + y) * width + x, result * scale)


@kernel
def gather_with_slope(
    begin,
    end,
    planes,  # [C, H, P]
    sigma,  # [H, 16 B]
    k,
    other,  # [C, H, 16 B]
    out,  # [C, H, 16 B]; or no channels, to leave the gathered image unwritten
    slope,  # out [H, 16 B]
):
    """Gather the rows begin..end; slope = d/d sigma of <other, gathered> at each pixel.

    dG/dsigma = G (r^2 - <r^2>) / sigma^3, so it needs the gather weighted with r^2 = i^2 + j^2 as well.
    """
    channels, _, padded = planes.shape
    height, width = sigma.shape
    folded = np.empty((k + 1, channels, padded), f32)
    weights = np.empty(LANES * (k + 1), f32)
    zero, one = simd.splat(_ZERO), simd.splat(_ONE)
    for y in range(begin, end):
        _fold(planes, y, _reach(sigma, y, 0, width, k), folded)
        for x in range(0, width, LANES):
            reach = _reach(sigma, y, x, x + LANES, k)
            at = y * width + x
            total = _weights(sigma, at, reach, weights, 0, LANES)
            spread = zero
            for i in range(1, reach + 1):
                spread = simd.fma(simd.splat(f32(4 * i * i)), simd.load(weights, LANES * i), spread)
            spread = spread / total
            scale = one / (total * total)
            change = zero
            for c in range(channels):
                result, moment = zero, zero
                for j in range(reach + 1):
                    here = (j * channels + c) * padded + k + x
                    row = simd.load(folded, here)
                    second = zero
                    for i in range(1, reach + 1):
                        both = simd.load(folded, here - i) + simd.load(folded, here + i)
                        both = simd.load(weights, LANES * i) * both
                        row = row + both
                        second = simd.fma(simd.splat(f32(i * i)), both, second)
                    weight = simd.load(weights, LANES * j)
                    result = simd.fma(weight, row, result)
                    moment = simd.fma(weight, simd.fma(simd.splat(f32(j * j)), row, second), moment)
                if len(out) > 0:
                    simd.store(out, c * height * width + at, result * scale)
                upstream = simd.load(other, c * height * width + at)
                change = simd.fma(upstream, moment - spread * result, change)
            s = simd.load(sigma, at)
            change = change * scale / (s * s * s)
            simd.store(slope, at, simd.select(s > simd.splat(_SMALLEST), change, zero))


@kernel
def scatter(
    begin,
    end,
    planes,  # [C, H, P]
    sigma,  # [H, 16 B]
    k,
    out,  # [C, H, 16 B], zeros
):
    """Add what all source rows spread onto the rows begin..end."""
    channels, _, padded = planes.shape
    height, width = sigma.shape
    near = (k + LANES - 1) // LANES
    blocks = width // LANES
    reaches = np.empty(blocks, np.int64)
    weights = np.zeros((k + 1, padded), f32)
    spread = np.zeros((k + 1, channels, padded), f32)
    for y in range(max(0, begin - k), min(height, end + k)):
        farthest = -1
        for b in range(blocks):
            reaches[b] = _reach(sigma, y, LANES * b, LANES * (b + 1), k)
            if _is_dark(planes, y, k + LANES * b):
                reaches[b] = -1
            farthest = max(farthest, reaches[b])
        if farthest < 0 or y + farthest < begin or y - farthest >= end:
            continue
        # What the pixels of this row hold, times e_i.
        for b in range(blocks):
            here = k + LANES * b
            if reaches[b] < 0:
                for i in range(farthest + 1):
                    simd.store(weights, i * padded + here, simd.splat(_ZERO))
                    for c in range(channels):
                        simd.store(spread, (i * channels + c) * padded + here, simd.splat(_ZERO))
                continue
            total = _weights(sigma, y * width + LANES * b, farthest, weights, here, padded)
            scale = simd.splat(_ONE) / (total * total)
            for c in range(channels):
                value = simd.load(planes, (c * height + y) * padded + here) * scale
                for i in range(farthest + 1):
                    weight = simd.load(weights, i * padded + here)
                    simd.store(spread, (i * channels + c) * padded + here, weight * value)
        for b in range(blocks):
            reach = -1
            for neighbour in range(max(0, b - near), min(blocks, b + near + 1)):
                reach = max(reach, reaches[neighbour])
            for j in range(reach + 1):
                below, above = begin <= y - j < end, j > 0 and begin <= y + j < end
                if not below and not above:
                    continue
                vertical = j * padded + k + LANES * b
                for c in range(channels):
                    here = c * padded + k + LANES * b
                    row = simd.load(spread, here) * simd.load(weights, vertical)
                    for i in range(1, reach + 1):
                        here += channels * padded
                        row = simd.fma(simd.load(spread, here - i), simd.load(weights, vertical - i), row)
                        row = simd.fma(simd.load(spread, here + i), simd.load(weights, vertical + i), row)
                    if below:
                        at = (c * height + y - j) * width + LANES * b
                        simd.store(out, at, simd.load(out, at) + row)
                    if above:
                        at = (c * height + y + j) * width + LANES * b
                        simd.store(out, at, simd.load(out, at) + row)


@kernel
def _is_dark(planes, y, first):
    """Whether 16 pixels of row y hold nothing in any channel."""
    for c in range(planes.shape[0]):
        for x in range(first, first + LANES):
            if planes[c, y, x] != _ZERO:
                return False
    return True
