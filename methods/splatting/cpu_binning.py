"""Which Gaussian touches which pixels: depth order, tiles of 16 x 16 px, and in a tile the blocks of 4 x 4 px.

A block is one vector of 16 lanes. An entry is a (Gaussian, tile) pair that survives an exact test of the ellipse
alpha = ALPHA_MIN against the blocks of the tile; its 16-bit mask says which blocks. Each entry gets a slot, and
the slots of a tile are consecutive and in depth order: the rasterizer reads memory forwards.
"""

from __future__ import annotations

import numpy as np

from methods.splatting import simd
from methods.splatting.cpu_projection import (
    COLUMNS,
    LN_ALPHA_MIN,
    LNO,
    MX,
    MY,
    TILE,
    TILE_X,
    TILE_Y,
    TILES_X,
    TILES_Y,
    A,
    B,
    C,
    Z,
)
from methods.splatting.jit import kernel

BLOCK = 4  # px
BLOCKS = TILE // BLOCK  # per row of a tile
DIGIT_BITS = 11
AHEAD = 8  # Gaussians
DIGITS = 1 << DIGIT_BITS

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
def make_room(
    table,  # [N, COLUMNS]
    entry_start,  # out [N + 1] tiles in the bounding boxes of all Gaussians before
):
    """Room for the entries of each Gaussian: the tiles in its bounding box. Returns the sum."""
    total = 0
    n = table.shape[0]
    for i in range(n):
        entry_start[i] = total
        total += int(table[i, TILES_X] * table[i, TILES_Y])
    entry_start[n] = total
    return total


@kernel
def find_entries(
    begin,
    end,
    entry_start,  # [N + 1]
    table,  # [N, COLUMNS]
    tiles_x,
    entry_tile,  # out [candidates] tile of each entry
    entry_mask,  # out [candidates] its blocks
    entry_end,  # out [N] end of each Gaussian's entries, which are packed to the front of its room
):
    """Test the Gaussians begin..end against the blocks of the tiles in their bounding boxes."""
    zero = simd.splat(ZERO)
    x_near, x_far = simd.load(BLOCK_BOUNDS, 0), simd.load(BLOCK_BOUNDS, 16)
    y_near, y_far = simd.load(BLOCK_BOUNDS, 32), simd.load(BLOCK_BOUNDS, 48)
    lowest = simd.splat(LOWEST)
    for i in range(begin, end):
        entry = entry_start[i]
        if entry == entry_start[i + 1]:
            entry_end[i] = entry
            continue
        x0, y0 = int(table[i, TILE_X]), int(table[i, TILE_Y])
        x1, y1 = x0 + int(table[i, TILES_X]), y0 + int(table[i, TILES_Y])
        # With exponent A dx^2 + B dx dy + C dy^2 the best dy for a given dx is -B / (2 C) dx, and vice versa.
        at = i * COLUMNS
        a, b, c = simd.broadcast(table, at + A), simd.broadcast(table, at + B), simd.broadcast(table, at + C)
        along_y = simd.splat(-table[i, B] / (TWO * table[i, C]))
        along_x = simd.splat(-table[i, B] / (TWO * table[i, A]))
        log_opacity = simd.broadcast(table, at + LNO)
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
        entry_end[i] = entry


@kernel
def depth_order(
    table,  # [N, COLUMNS]
    entry_start,  # [N + 1]
    entry_end,  # [N]
    order,  # out [N], the first V entries
):
    """Indices of the Gaussians that have entries, from front to back; of equal depths the lower index first.

    A radix sort on the bits of the depth, which order as the depths do because they are positive, and only on
    those bits in which the depths of this view differ. Returns V.
    """
    n = entry_end.shape[0]
    bits = table.view(np.uint32)
    low, high = np.uint32(0xFFFFFFFF), np.uint32(0)
    source = np.empty(n, order.dtype)
    source_keys, target_keys = np.empty(n, np.uint32), np.empty(n, np.uint32)
    count = 0
    for i in range(n):
        if entry_end[i] > entry_start[i]:
            key = bits[i, Z]
            low, high = min(low, key), max(high, key)
            source[count] = i
            source_keys[count] = key
            count += 1
    if count == 0:
        return 0
    for k in range(count):
        source_keys[k] -= low
    target = order
    span = np.int64(high) - np.int64(low)
    shift = 0
    start = np.empty(DIGITS + 1, np.int64)
    while shift == 0 or (span >> shift) > 0:
        start[:] = 0
        for k in range(count):
            start[((source_keys[k] >> np.uint32(shift)) & np.uint32(DIGITS - 1)) + 1] += 1
        for digit in range(DIGITS):
            start[digit + 1] += start[digit]
        for k in range(count):
            digit = (source_keys[k] >> np.uint32(shift)) & np.uint32(DIGITS - 1)
            position = start[digit]
            start[digit] = position + 1
            target[position] = source[k]
            target_keys[position] = source_keys[k]
        source, target = target, source
        source_keys, target_keys = target_keys, source_keys
        shift += DIGIT_BITS
    # An even number of passes leaves the result in the buffer that is not `order`.
    if (shift // DIGIT_BITS) % 2 == 0:
        target[:count] = source[:count]
    return count


@kernel
def fill_slots(
    count,  # V
    order,  # [V]
    entry_start,  # [N + 1]
    entry_end,  # [N]
    entry_tile,  # [candidates]
    entry_mask,  # [candidates]
    table,  # [N, COLUMNS]
    tiles_x,
    depth_origin,  # subtracted from every depth
    tile_start,  # out [tiles + 1] first slot of each tile
    slots,  # out [E, COLUMNS]: rows of `table`, with means relative to the tile's first pixel centre
    masks,  # out [E]
    entry_slot,  # out [candidates]
):
    """Distribute the entries to the tiles in depth order (a counting sort)."""
    tile_start[:] = 0
    n = entry_end.shape[0]
    for i in range(n):
        for entry in range(entry_start[i], entry_end[i]):
            tile_start[entry_tile[entry] + 1] += 1
    for tile in range(tile_start.shape[0] - 1):
        tile_start[tile + 1] += tile_start[tile]
    cursor = tile_start[:-1].copy()
    for rank in range(count):
        # In depth order every Gaussian is a jump in memory: ask for those that come next.
        if rank + 2 * AHEAD < count:
            simd.prefetch(entry_start, order[rank + 2 * AHEAD])
            simd.prefetch(entry_end, order[rank + 2 * AHEAD])
        if rank + AHEAD < count:
            following = order[rank + AHEAD]
            simd.prefetch(table, COLUMNS * following)
            simd.prefetch(entry_tile, entry_start[following])
            simd.prefetch(entry_mask, entry_start[following])
            simd.prefetch(entry_slot, entry_start[following])
        i = order[rank]
        row = simd.load(table, COLUMNS * i)
        mx, my = table[i, MX] - HALF, table[i, MY] - HALF
        z = table[i, Z] - depth_origin
        for entry in range(entry_start[i], entry_end[i]):
            tile = entry_tile[entry]
            slot = cursor[tile]
            cursor[tile] = slot + 1
            entry_slot[entry] = slot
            masks[slot] = entry_mask[entry]
            simd.store(slots, COLUMNS * slot, row)
            slots[slot, MX] = mx - f32(TILE * (tile % tiles_x))
            slots[slot, MY] = my - f32(TILE * (tile // tiles_x))
            slots[slot, Z] = z
