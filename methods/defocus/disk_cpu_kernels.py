"""Compiled loops that spread pixels over disks on a CPU, and collect what arrived, at a cost that grows with the
radius, not with the area.

Along a row of the disk the weight changes only at the rim. Spreading writes those changes and sums each row up once
at the end; collecting takes differences of sums along the row. Both sums are kept in float64. A part of the work is
a band of target rows (spreading) or a run of pixels (collecting), and each target is summed in the same order
whatever the parts, so results are bitwise the same for any number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from methods.splatting.jit import kernel

f64 = np.float64


@kernel
def _profile(rim, dy, weights, slopes):
    """Weight of row dy of the disk at |dx| = 0, 1, ..., last: 0 there, and its derivative by the rim.

    Returns (first, last): the weight is 1 before `first`.
    """
    outer = (rim + 0.5) ** 2 - dy * dy
    last = int(math.sqrt(outer)) + 1 if outer > 0 else 0
    inner = (rim - 0.5) ** 2 - dy * dy
    first = int(math.sqrt(inner)) if inner >= 0 and rim >= 0.5 else 0
    for x in range(first, last):
        distance = math.sqrt(f64(x * x + dy * dy))
        weight = rim + 0.5 - distance
        inside = 0.0 < weight < 1.0
        weights[x] = min(1.0, max(0.0, weight))
        slopes[x] = 1.0 if inside else 0.0
    weights[last], slopes[last] = 0.0, 0.0
    return first, last


@kernel
def spread(
    begin,
    end,
    values,  # [M, C]
    rim,  # [M]
    index,  # [M]
    reach,  # px, more than any rim
    out,  # [H, W, C]
):
    """Write the rows begin..end of what all pixels spread."""
    _, width, channels = out.shape
    changes = np.zeros((end - begin, width + 1, channels), f64)
    weights, slopes = np.empty(reach + 3, f64), np.empty(reach + 3, f64)
    for m in range(len(index)):
        y0, x0 = index[m] // width, index[m] % width
        most = int(rim[m] + 0.5)
        if y0 + most < begin or y0 - most >= end:
            continue
        for dy in range(most + 1):
            below, above = begin <= y0 - dy < end, dy > 0 and begin <= y0 + dy < end
            if not below and not above:
                continue
            first, last = _profile(f64(rim[m]), dy, weights, slopes)
            for x in range(first, last):
                change = weights[x] - weights[x + 1]
                left, right = max(0, x0 - x), min(width, x0 + x + 1)
                for c in range(channels):
                    value = change * f64(values[m, c])
                    if below:
                        changes[y0 - dy - begin, left, c] += value
                        changes[y0 - dy - begin, right, c] -= value
                    if above:
                        changes[y0 + dy - begin, left, c] += value
                        changes[y0 + dy - begin, right, c] -= value
    total = np.empty(channels, f64)
    for y in range(begin, end):
        total[:] = 0.0
        for x in range(width):
            for c in range(channels):
                total[c] += changes[y - begin, x, c]
                out[y, x, c] = total[c]


@kernel
def sum_rows(image, sums):
    """sums[y, x] = sum of the pixels before x in row y; image [H, W, C], sums [H, W + 1, C]."""
    height, width, channels = image.shape
    for y in range(height):
        for c in range(channels):
            sums[y, 0, c] = 0.0
        for x in range(width):
            for c in range(channels):
                sums[y, x + 1, c] = sums[y, x, c] + f64(image[y, x, c])


@kernel
def collect(
    begin,
    end,
    sums,  # [H, W + 1, C] of the upstream gradient
    values,  # [M, C]
    rim,  # [M]
    index,  # [M]
    reach,  # px, more than any rim
    d_values,  # out [M, C]
    d_rim,  # out [M]
):
    """Gradients of the pixels begin..end."""
    height, wide, channels = sums.shape
    width = wide - 1
    weights, slopes = np.empty(reach + 3, f64), np.empty(reach + 3, f64)
    for m in range(begin, end):
        y0, x0 = index[m] // width, index[m] % width
        total = 0.0
        for c in range(channels):
            d_values[m, c] = 0.0
        for dy in range(int(rim[m] + 0.5) + 1):
            below, above = y0 - dy >= 0, dy > 0 and y0 + dy < height
            if not below and not above:
                continue
            first, last = _profile(f64(rim[m]), dy, weights, slopes)
            for x in range(first, last):
                change, slope = weights[x] - weights[x + 1], slopes[x] - slopes[x + 1]
                left, right = max(0, x0 - x), min(width, x0 + x + 1)
                for c in range(channels):
                    run = 0.0
                    if below:
                        run += sums[y0 - dy, right, c] - sums[y0 - dy, left, c]
                    if above:
                        run += sums[y0 + dy, right, c] - sums[y0 + dy, left, c]
                    d_values[m, c] += change * run
                    total += slope * run * f64(values[m, c])
        d_rim[m] = total
