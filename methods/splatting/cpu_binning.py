"""Which Gaussian touches which pixels: depth order, tiles of 16 x 16 px, and in a tile the blocks of 4 x 4 px.

A block is one vector of 16 lanes. An entry is a (Gaussian, tile) pair that survives an exact test of the ellipse
alpha = ALPHA_MIN against the blocks of the tile; its 16-bit mask says which blocks. Each entry gets a slot, and
the slots of a tile are consecutive and in depth order: the rasterizer reads memory forwards.
"""

from __future__ import annotations

import math

import numpy as np

from methods.splatting import simd
from methods.splatting.cpu_projection import (
    COLUMNS,
    EXTENT_X,
    EXTENT_Y,
    LN_ALPHA_MIN,
    LNO,
    MX,
    MY,
    A,
    B,
    C,
    Z,
)
from methods.splatting.jit import kernel

TILE = 16  # px
BLOCK = 4  # px
BLOCKS = TILE // BLOCK  # per row of a tile

f32 = np.float32
ZERO, HALF, TWO = f32(0.0), f32(0.5), f32(2.0)
# The test must never drop a pixel that the rasterizer would draw: leave room for its rounding.
SLACK = f32(1e-3)
LOWEST = f32(LN_ALPHA_MIN - SLACK)
# Nearest and farthest pixel of block k of a tile, relative to the tile's first pixel: x then y, 16 lanes each.
BLOCK_BOUNDS = np.array(
    [
        [BLOCK * (k % BLOCKS) for k in range(16)],
        [BLOCK * (k % BLOCKS) + BLOCK - 1 for k in range(16)],
        [BLOCK * (k // BLOCKS) for k in range(16)],
        [BLOCK * (k // BLOCKS) + BLOCK - 1 for k in range(16)],
    ],
    dtype=np.float32,
).ravel()


@kernel
def depth_order(
    table,  # [N, COLUMNS]
    radii,  # [N] int32
    order,  # out [N], the first V entries
    candidates,  # out [V + 1] tiles in the bounding boxes of all before, in depth order
    width,  # px
    height,  # px
):
    """Indices of the drawn Gaussians from front to back; of equal depths the lower index first. Returns V.

    A radix sort on the bits of the depth, which order as the depths do because they are positive, and only on those
    bits in which the depths of this view differ.
    """
    n = radii.shape[0]
    bits = table.view(np.uint32)
    low, high = np.uint32(0xFFFFFFFF), np.uint32(0)
    count = 0
    for i in range(n):
        if radii[i] > 0:
            key = bits[i, Z]
            low, high = min(low, key), max(high, key)
            order[count] = i
            count += 1
    if count == 0:
        candidates[0] = 0
        return 0
    keys = np.empty((2, count), np.uint32)
    for k in range(count):
        keys[0, k] = bits[order[k], Z] - low
    other = np.empty(count, order.dtype)
    source, target = order, other
    source_keys, target_keys = keys[0], keys[1]
    span = np.int64(high) - np.int64(low)
    shift = 0
    start = np.empty(2049, np.int64)
    while (span >> shift) > 0:
        start[:] = 0
        for k in range(count):
            start[((source_keys[k] >> np.uint32(shift)) & np.uint32(2047)) + 1] += 1
        for digit in range(2048):
            start[digit + 1] += start[digit]
        for k in range(count):
            digit = (source_keys[k] >> np.uint32(shift)) & np.uint32(2047)
            position = start[digit]
            start[digit] = position + 1
            target[position] = source[k]
            target_keys[position] = source_keys[k]
        source, target = target, source
        source_keys, target_keys = target_keys, source_keys
        shift += 11
    if (shift // 11) % 2 == 1:
        order[:count] = source[:count]

    total = 0
    for k in range(count):
        candidates[k] = total
        x0, x1, y0, y1 = tile_box(table, order[k], width, height)
        total += (x1 - x0) * (y1 - y0)
    candidates[count] = total
    return count


@kernel
def tile_box(table, i, width, height):
    """Half-open range of tiles that hold pixel centres within the bounding box of Gaussian i."""
    left = max(table[i, MX] - table[i, EXTENT_X] - HALF - SLACK, ZERO)
    right = min(table[i, MX] + table[i, EXTENT_X] - HALF + SLACK, f32(width - 1))
    top = max(table[i, MY] - table[i, EXTENT_Y] - HALF - SLACK, ZERO)
    bottom = min(table[i, MY] + table[i, EXTENT_Y] - HALF + SLACK, f32(height - 1))
    x0, x1 = int(math.ceil(left)), int(math.floor(right))
    y0, y1 = int(math.ceil(top)), int(math.floor(bottom))
    if x1 < x0 or y1 < y0:
        return 0, 0, 0, 0
    return x0 // TILE, x1 // TILE + 1, y0 // TILE, y1 // TILE + 1


@kernel
def find_entries(
    begin,
    end,
    order,  # [V]
    candidates,  # [V + 1]
    table,  # [N, COLUMNS]
    width,
    height,
    tiles_x,
    entry_tile,  # out [candidates] tile of each entry
    entry_mask,  # out [candidates] its blocks; entries of one Gaussian are packed to the front of its candidates
    entry_end,  # out [V] end of each Gaussian's entries
):
    """Test the Gaussians order[begin..end] against the blocks of the tiles in their bounding boxes."""
    zero = simd.splat(ZERO)
    x_near, x_far = simd.load(BLOCK_BOUNDS, 0), simd.load(BLOCK_BOUNDS, 16)
    y_near, y_far = simd.load(BLOCK_BOUNDS, 32), simd.load(BLOCK_BOUNDS, 48)
    lowest = simd.splat(LOWEST)
    for rank in range(begin, end):
        i = order[rank]
        entry = candidates[rank]
        x0, x1, y0, y1 = tile_box(table, i, width, height)
        # With exponent A dx^2 + B dx dy + C dy^2 the best dy for a given dx is -B / (2 C) dx, and vice versa.
        a, b, c = (
            simd.broadcast(table, i * COLUMNS + A),
            simd.broadcast(table, i * COLUMNS + B),
            simd.broadcast(table, i * COLUMNS + C),
        )
        along_y = simd.splat(-table[i, B] / (TWO * table[i, C]))
        along_x = simd.splat(-table[i, B] / (TWO * table[i, A]))
        log_opacity = simd.broadcast(table, i * COLUMNS + LNO)
        for tile_y in range(y0, y1):
            my = simd.splat(f32(table[i, MY] - HALF - f32(TILE * tile_y)))
            top, bottom = y_near - my, y_far - my
            nearest_y = simd.minimum(simd.maximum(zero, top), bottom)
            for tile_x in range(x0, x1):
                mx = simd.splat(f32(table[i, MX] - HALF - f32(TILE * tile_x)))
                left, right = x_near - mx, x_far - mx
                # The exponent is concave: outside the block its maximum lies on an edge that faces the mean.
                nearest_x = simd.minimum(simd.maximum(zero, left), right)
                y = simd.minimum(simd.maximum(along_y * nearest_x, top), bottom)
                x = simd.minimum(simd.maximum(along_x * nearest_y, left), right)
                first = simd.fma(a * nearest_x, nearest_x, simd.fma(b * nearest_x, y, c * y * y))
                second = simd.fma(a * x, x, simd.fma(b * x, nearest_y, c * nearest_y * nearest_y))
                mask = simd.bits(simd.maximum(first, second) + log_opacity >= lowest)
                if mask != 0:
                    entry_tile[entry] = tile_y * tiles_x + tile_x
                    entry_mask[entry] = mask
                    entry += 1
        entry_end[rank] = entry


@kernel
def fill_slots(
    count,  # V
    order,  # [V]
    candidates,  # [V + 1]
    entry_end,  # [V]
    entry_tile,  # [candidates]
    entry_mask,  # [candidates]
    table,  # [N, COLUMNS]
    tiles_x,
    depth_origin,  # subtracted from every depth
    tile_start,  # out [tiles + 1] first slot of each tile
    slots,  # out [E, COLUMNS]: the rows of `table`, with means relative to the tile's first pixel centre
    masks,  # out [E]
    entry_slot,  # out [candidates]
):
    """Distribute the entries to the tiles in depth order (a counting sort)."""
    tile_start[:] = 0
    for rank in range(count):
        for entry in range(candidates[rank], entry_end[rank]):
            tile_start[entry_tile[entry] + 1] += 1
    for tile in range(tile_start.shape[0] - 1):
        tile_start[tile + 1] += tile_start[tile]
    cursor = tile_start[:-1].copy()
    for rank in range(count):
        i = order[rank]
        for entry in range(candidates[rank], entry_end[rank]):
            tile = entry_tile[entry]
            slot = cursor[tile]
            cursor[tile] = slot + 1
            entry_slot[entry] = slot
            masks[slot] = entry_mask[entry]
            slots[slot, MX] = table[i, MX] - HALF - f32(TILE * (tile % tiles_x))
            slots[slot, MY] = table[i, MY] - HALF - f32(TILE * (tile // tiles_x))
            for column in range(2, 9):
                slots[slot, column] = table[i, column]
            slots[slot, Z] = table[i, Z] - depth_origin
