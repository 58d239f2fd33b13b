"""Compositing of one tile after another, forwards, and its derivative, both from front to back.

The 256 pixels of a tile are stored block by block (16 blocks of 4 x 4 px, one vector each), and a Gaussian visits
only the blocks of its mask. Forwards, each block runs through its Gaussians with all sums in registers. Backwards,
each Gaussian runs through its blocks, so that its own sums stay in registers, in the same order from front to back
and with the same masks: with v = dL/d(colour, depth, alpha) . (colour, depth, 1) of a Gaussian and w its weight,
dL/d alpha = T v - S / (1 - alpha), where the remainder S, the sum of w v over the Gaussians behind, starts as the
sum over all.
"""

from __future__ import annotations

import numpy as np

from methods.splatting import simd
from methods.splatting.cpu_binning import BLOCK, BLOCKS
from methods.splatting.cpu_projection import (
    BLUE,
    COLUMNS,
    GRADIENTS,
    GREEN,
    LN_ALPHA_MIN,
    LNO,
    MX,
    MY,
    RED,
    TILE,
    A,
    B,
    C,
    Z,
)
from methods.splatting.jit import kernel
from methods.splatting.viewport import ALPHA_MAX, TRANSMITTANCE_MIN

f32 = np.float32
PIXELS = TILE * TILE
# Planes of a tile's state: transmittance (negative once the pixel is finished), then the sums of w (colour, z).
PLANES = 5

_k = np.arange(PIXELS)
# Position of lane k of the tile, in px from its first pixel: all x, then all y.
PIXEL_X = (BLOCK * (_k // 16 % BLOCKS) + _k % BLOCK).astype(np.float32)
PIXEL_Y = (BLOCK * (_k // 16 // BLOCKS) + _k % 16 // BLOCK).astype(np.float32)
PIXEL_XY = np.concatenate([PIXEL_X, PIXEL_Y])

# exp(t) on [-5.6, 0] as p(t / 8)^8 with p the polynomial of degree 5 of least relative error (8e-8, so 6e-7 for the
# power) on that interval; the division by 8 is in the coefficients.
EXP = [f32(c / 8**k) for k, c in enumerate((0.99999992, 0.99999254, 0.49988259, 0.16597398, 0.03977256, 0.00584676))]
EXP_0, EXP_1, EXP_2, EXP_3, EXP_4, EXP_5 = EXP

ZERO, ONE = f32(0.0), f32(1.0)
CLAMP = f32(ALPHA_MAX)
LOWEST = f32(LN_ALPHA_MIN)
FINISHED = f32(TRANSMITTANCE_MIN)


@kernel
def _exponent(slots, at, dx, dy):
    """ln of opacity times Gaussian at 16 pixels; `at` is where the slot begins."""
    a, b, c = simd.broadcast(slots, at + A), simd.broadcast(slots, at + B), simd.broadcast(slots, at + C)
    return simd.fma(dx, simd.fma(a, dx, b * dy), simd.fma(c * dy, dy, simd.broadcast(slots, at + LNO)))


@kernel
def _exp(t):
    """exp(t) for t in [-5.6, 0] (any finite value outside)."""
    p = simd.fma(simd.splat(EXP_5), t, simd.splat(EXP_4))
    p = simd.fma(p, t, simd.splat(EXP_3))
    p = simd.fma(p, t, simd.splat(EXP_2))
    p = simd.fma(p, t, simd.splat(EXP_1))
    p = simd.fma(p, t, simd.splat(EXP_0))
    p = p * p
    p = p * p
    return p * p


@kernel
def _blocks_inside(width, height):
    """Bits of the blocks that begin inside an image part of this size."""
    inside = 0
    for block in range(BLOCKS * BLOCKS):
        if BLOCK * (block % BLOCKS) < width and BLOCK * (block // BLOCKS) < height:
            inside |= 1 << block
    return inside


@kernel
def composite_forward(
    begin,
    end,
    tile_start,  # [tiles + 1]
    slots,  # [E, COLUMNS]
    masks,  # [E]
    background,  # [1, 3] or [H * W, 3]
    depth_origin,
    state,  # out [tiles, PLANES, PIXELS], kept for the backward pass
    color,  # out [H, W, 3]
    depth,  # out [H, W]
    alpha,  # out [H, W]
):
    """Draw the tiles begin..end."""
    height, width = alpha.shape
    tiles_x = (width + TILE - 1) // TILE
    zero, one, clamp = simd.splat(ZERO), simd.splat(ONE), simd.splat(CLAMP)
    lowest, finished = simd.splat(LOWEST), simd.splat(FINISHED)
    most = 0
    for tile in range(begin, end):
        most = max(most, tile_start[tile + 1] - tile_start[tile])
    chosen = np.empty(most + 16, np.int32)
    for tile in range(begin, end):
        x0, y0 = TILE * (tile % tiles_x), TILE * (tile // tiles_x)
        inside_x, inside_y = min(TILE, width - x0), min(TILE, height - y0)
        base = tile * PLANES * PIXELS
        _start_pixels(state, base, inside_x, inside_y)
        first, last = tile_start[tile], tile_start[tile + 1]
        active = _blocks_inside(inside_x, inside_y)
        while active != 0:
            block = simd.lowest_bit(active)
            active &= active - 1
            lane = 16 * block
            here = base + lane
            count = 0
            for begin_of_16 in range(first, last, 16):
                count += simd.compress_matching(masks, begin_of_16, last, block, chosen, count)

            x, y = simd.load(PIXEL_XY, lane), simd.load(PIXEL_XY, PIXELS + lane)
            before = simd.load(state, here)
            alive = before > zero
            red, green, blue, z = zero, zero, zero, zero
            for k in range(count):
                at = np.int64(chosen[k]) * COLUMNS
                exponent = _exponent(slots, at, x - simd.broadcast(slots, at + MX), y - simd.broadcast(slots, at + MY))
                hit = alive & (exponent >= lowest)
                a = simd.minimum(_exp(exponent), clamp)
                after = before * (one - a)
                drawn = hit & (after > finished)
                weight = simd.select(drawn, a * before, zero)
                # A pixel that would fall to the limit is finished and takes no more.
                alive = drawn | (alive & simd.invert(hit))
                before = simd.select(drawn, after, before)
                red = simd.fma(weight, simd.broadcast(slots, at + RED), red)
                green = simd.fma(weight, simd.broadcast(slots, at + GREEN), green)
                blue = simd.fma(weight, simd.broadcast(slots, at + BLUE), blue)
                z = simd.fma(weight, simd.broadcast(slots, at + Z), z)
                if simd.bits(alive) == 0:
                    break
            simd.store(state, here, simd.select(alive, before, zero - before))
            simd.store(state, here + PIXELS, red)
            simd.store(state, here + 2 * PIXELS, green)
            simd.store(state, here + 3 * PIXELS, blue)
            simd.store(state, here + 4 * PIXELS, z)

        _write_tile(tile, x0, y0, inside_x, inside_y, state, background, depth_origin, color, depth, alpha)


@kernel
def _start_pixels(buffer, base, inside_x, inside_y):
    """Transmittance 1 in the image, -1 (finished) outside."""
    one = simd.splat(ONE)
    outside = simd.splat(ZERO) - one
    right, below = simd.splat(f32(inside_x)), simd.splat(f32(inside_y))
    for lane in range(0, PIXELS, 16):
        in_image = (simd.load(PIXEL_XY, lane) < right) & (simd.load(PIXEL_XY, PIXELS + lane) < below)
        simd.store(buffer, base + lane, simd.select(in_image, one, outside))


@kernel
def _write_tile(tile, x0, y0, inside_x, inside_y, state, background, depth_origin, color, depth, alpha):
    """From the lanes of one tile to the pixels of the image, over the background."""
    width = alpha.shape[1]
    full = background.shape[0] > 1
    for y in range(inside_y):
        for x in range(inside_x):
            lane = 16 * (BLOCKS * (y // BLOCK) + x // BLOCK) + BLOCK * (y % BLOCK) + x % BLOCK
            row, column = y0 + y, x0 + x
            behind = (row * width + column) if full else 0
            through = abs(state[tile, 0, lane])
            for channel in range(3):
                color[row, column, channel] = state[tile, 1 + channel, lane] + through * background[behind, channel]
            total = ONE - through
            alpha[row, column] = total
            depth[row, column] = depth_origin + state[tile, 4, lane] / total if total > ZERO else ZERO


@kernel
def composite_backward(
    begin,
    end,
    tile_start,
    slots,
    masks,
    background,
    state,
    d_color,  # [H, W, 3]
    d_depth,  # [H, W] or [0, 0]
    d_alpha,  # [H, W] or [0, 0]
    slot_gradients,  # out [E, GRADIENTS]
):
    """Gradients of each slot of the tiles begin..end: moments of h = dL/dlno, then dL/d(red, green, blue, z)."""
    height, width = d_color.shape[0], d_color.shape[1]
    tiles_x = (width + TILE - 1) // TILE
    zero, one, clamp = simd.splat(ZERO), simd.splat(ONE), simd.splat(CLAMP)
    lowest, finished = simd.splat(LOWEST), simd.splat(FINISHED)
    # Planes: transmittance, remainder S, then dL/dw split as d_red, d_green, d_blue, d_z, constant.
    pixels = np.empty(7 * PIXELS, np.float32)
    for tile in range(begin, end):
        x0, y0 = TILE * (tile % tiles_x), TILE * (tile // tiles_x)
        inside_x, inside_y = min(TILE, width - x0), min(TILE, height - y0)
        _read_tile(tile, x0, y0, inside_x, inside_y, state, background, d_color, d_depth, d_alpha, pixels)

        active = _blocks_inside(inside_x, inside_y)
        for slot in range(tile_start[tile], tile_start[tile + 1]):
            todo = masks[slot] & active
            if todo == 0:
                simd.store(slot_gradients, slot * GRADIENTS, zero)
                continue
            at = slot * COLUMNS
            mx, my = simd.broadcast(slots, at + MX), simd.broadcast(slots, at + MY)
            red, green, blue = (
                simd.broadcast(slots, at + RED),
                simd.broadcast(slots, at + GREEN),
                simd.broadcast(slots, at + BLUE),
            )
            z = simd.broadcast(slots, at + Z)
            m0 = m1 = m2 = m3 = m4 = m5 = zero
            s_red = s_green = s_blue = s_z = zero
            while todo != 0:
                block = simd.lowest_bit(todo)
                todo &= todo - 1
                lane = 16 * block
                dx, dy = simd.load(PIXEL_XY, lane) - mx, simd.load(PIXEL_XY, PIXELS + lane) - my
                exponent = _exponent(slots, at, dx, dy)
                hit = exponent >= lowest
                unclamped = _exp(exponent)
                a = simd.minimum(unclamped, clamp)
                before = simd.load(pixels, lane)
                weight = a * before
                after = before * (one - a)
                drawn = hit & (after > finished)
                ends = hit & (after <= finished)
                kept = simd.select(drawn, after, before)
                kept = simd.select(ends & (before > zero), zero - before, kept)
                simd.store(pixels, lane, kept)

                d_red, d_green = simd.load(pixels, lane + 2 * PIXELS), simd.load(pixels, lane + 3 * PIXELS)
                d_blue, d_z = simd.load(pixels, lane + 4 * PIXELS), simd.load(pixels, lane + 5 * PIXELS)
                value = simd.fma(red, d_red, simd.load(pixels, lane + 6 * PIXELS))
                value = simd.fma(green, d_green, value)
                value = simd.fma(blue, d_blue, value)
                value = simd.fma(z, d_z, value)
                weight = simd.select(drawn, weight, zero)
                gain = weight * value
                rest = simd.load(pixels, lane + PIXELS) - gain
                simd.store(pixels, lane + PIXELS, rest)
                # h = alpha dL/dalpha, and weight / after = alpha / (1 - alpha).
                h = gain - rest * (weight / kept)
                h = simd.select(unclamped > clamp, zero, h)

                hx, hy = h * dx, h * dy
                m0 = m0 + h
                m1 = m1 + hx
                m2 = m2 + hy
                m3 = simd.fma(hx, dx, m3)
                m4 = simd.fma(hx, dy, m4)
                m5 = simd.fma(hy, dy, m5)
                s_red = simd.fma(weight, d_red, s_red)
                s_green = simd.fma(weight, d_green, s_green)
                s_blue = simd.fma(weight, d_blue, s_blue)
                s_z = simd.fma(weight, d_z, s_z)
                if simd.bits(kept > zero) == 0:
                    active &= ~(1 << block)
            sums = simd.sums((m0, m1, m2, m3, m4, m5, s_red, s_green, s_blue, s_z))
            simd.store(slot_gradients, slot * GRADIENTS, sums)


@kernel
def _read_tile(tile, x0, y0, inside_x, inside_y, state, background, d_color, d_depth, d_alpha, pixels):
    """From gradients of the image to the lanes of one tile.

    A weight w of a Gaussian of depth z adds w (colour - background) to the colour, w to alpha, and
    w (z - depth) / alpha to the expected depth.
    """
    width = d_color.shape[1]
    full = background.shape[0] > 1
    for k in range(7 * PIXELS):
        pixels[k] = ZERO
    _start_pixels(pixels, 0, inside_x, inside_y)
    for y in range(inside_y):
        for x in range(inside_x):
            lane = 16 * (BLOCKS * (y // BLOCK) + x // BLOCK) + BLOCK * (y % BLOCK) + x % BLOCK
            row, column = y0 + y, x0 + x
            behind = (row * width + column) if full else 0
            total = ONE - abs(state[tile, 0, lane])
            constant = d_alpha[row, column] if d_alpha.shape[0] > 0 else ZERO
            remainder = ZERO
            for channel in range(3):
                d = d_color[row, column, channel]
                pixels[(2 + channel) * PIXELS + lane] = d
                remainder += d * state[tile, 1 + channel, lane]
                constant -= d * background[behind, channel]
            if d_depth.shape[0] > 0 and total > ZERO:
                d_z = d_depth[row, column] / total
                pixels[5 * PIXELS + lane] = d_z
                constant -= d_z * (state[tile, 4, lane] / total)
                remainder += d_z * state[tile, 4, lane]
            pixels[6 * PIXELS + lane] = constant
            pixels[PIXELS + lane] = remainder + constant * total
