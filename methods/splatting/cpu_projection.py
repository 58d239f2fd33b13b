"""Compiled projection of Gaussians to the image plane, sixteen at a time, and its derivative by hand.

Same mathematics as `reference.project`. With J the Jacobian of the perspective projection, W the rotation of
the camera and R S the axes of a Gaussian, M = J W R S is 2 x 3 and the 2D covariance is M M^T + E, where E is
the dilation plus the extra variance. Opacity is kept as its logarithm: compensation is then a sum.

Arrays have at least 16 rows. A part of the work whose length is no multiple of 16 ends with a group of 16 that
overlaps the one before: it computes the same numbers again.
"""

from __future__ import annotations

import math

import numpy as np

from methods.splatting import sh, simd
from methods.splatting.jit import kernel
from methods.splatting.viewport import ALPHA_MIN

TILE = 16  # px
# Columns of the table of projected Gaussians; the exponent is lno + A dx^2 + B dx dy + C dy^2. The last four say
# which tiles hold pixel centres of the bounding box: the first column and row, and how many of each, 0 where the
# Gaussian is not drawn (the rest of such a row may be anything). A row is one cache line.
MX, MY, A, B, C, LNO, RED, GREEN, BLUE, Z, TILE_X, TILE_Y, TILES_X, TILES_Y = range(14)
COLUMNS = 16
# Columns of the gradient of one (Gaussian, tile): six moments of h = dL/dlno about the mean (1, x, y, xx, xy, yy),
# then dL/d(red, green, blue, z).
GRADIENTS = 16

# Entries of the camera vector.
FX, FY, CX, CY, NEAR, U_MIN, U_MAX, V_MIN, V_MAX, WIDTH, HEIGHT, CENTER_X, CENTER_Y, CENTER_Z, DILATION = range(15)

f32 = np.float32
LANES = simd.WIDTH
ZERO, HALF, ONE, TWO = f32(0.0), f32(0.5), f32(1.0), f32(2.0)
LN_ALPHA_MIN = f32(math.log(ALPHA_MIN))
TINY = f32(np.finfo(np.float32).tiny)
# Square of the length below which a quaternion means no rotation, as in torch's normalize.
NO_LENGTH = f32(1e-24)
FAR_OUT = f32(2.0**30)
SLACK = f32(1e-3)  # px
INFINITY = f32(np.inf)
Y0, Y1 = f32(sh.Y0), f32(sh.Y1)
Y2_XY, Y2_ZZ, Y2_XX_YY = f32(sh.Y2_XY), f32(sh.Y2_ZZ), f32(0.5 * sh.Y2_XY)
Y3_3, Y3_2, Y3_1, Y3_0 = f32(sh.Y3_3), f32(sh.Y3_2), f32(sh.Y3_1), f32(sh.Y3_0)
Y3_XX_YY = f32(0.5 * sh.Y3_2)


@kernel
def _times(scalar, lanes):
    return simd.splat(f32(scalar)) * lanes


@kernel
def _sh_basis(degree, x, y, z, out):
    """Value of each basis function in the unit direction (x, y, z), 16 lanes each; see `sh.basis`."""
    simd.store(out, 0, simd.splat(Y0))
    if degree >= 1:
        simd.store(out, 16, _times(-Y1, y))
        simd.store(out, 32, _times(Y1, z))
        simd.store(out, 48, _times(-Y1, x))
    if degree >= 2:
        xx_yy = x * x - y * y
        simd.store(out, 64, _times(Y2_XY, x * y))
        simd.store(out, 80, _times(-Y2_XY, y * z))
        simd.store(out, 96, _times(Y2_ZZ, _times(3.0, z * z) - simd.splat(ONE)))
        simd.store(out, 112, _times(-Y2_XY, x * z))
        simd.store(out, 128, _times(Y2_XX_YY, xx_yy))
        if degree >= 3:
            ring = _times(5.0, z * z) - simd.splat(ONE)
            simd.store(out, 144, _times(-Y3_3, y * (_times(3.0, x * x) - y * y)))
            simd.store(out, 160, _times(Y3_2, x * y * z))
            simd.store(out, 176, _times(-Y3_1, y * ring))
            simd.store(out, 192, _times(Y3_0, z * (ring - simd.splat(TWO))))
            simd.store(out, 208, _times(-Y3_1, x * ring))
            simd.store(out, 224, _times(Y3_XX_YY, z * xx_yy))
            simd.store(out, 240, _times(-Y3_3, x * (x * x - _times(3.0, y * y))))


@kernel
def _sh_direction_gradient(degree, x, y, z, g):
    """dL/d(x, y, z) from the 16 lanes each of dL/d basis, degree >= 1."""
    gx = _times(-Y1, simd.load(g, 48))
    gy = _times(-Y1, simd.load(g, 16))
    gz = _times(Y1, simd.load(g, 32))
    if degree >= 2:
        g4, g5, g6 = simd.load(g, 64), simd.load(g, 80), simd.load(g, 96)
        g7, g8 = simd.load(g, 112), simd.load(g, 128)
        gx = gx + _times(Y2_XY, y * g4 - z * g7 + x * g8)
        gy = gy + _times(Y2_XY, x * g4 - z * g5 - y * g8)
        gz = gz + _times(6.0 * Y2_ZZ, z * g6) - _times(Y2_XY, y * g5 + x * g7)
    if degree >= 3:
        g9, g10, g11, g12 = simd.load(g, 144), simd.load(g, 160), simd.load(g, 176), simd.load(g, 192)
        g13, g14, g15 = simd.load(g, 208), simd.load(g, 224), simd.load(g, 240)
        ring = _times(5.0, z * z) - simd.splat(ONE)
        xx_yy = x * x - y * y
        xy2 = _times(2.0, x * y)
        gx = gx + _times(Y3_2, z * (y * g10 + x * g14)) - _times(Y3_1, ring * g13)
        gx = gx - _times(3.0 * Y3_3, xy2 * g9 + xx_yy * g15)
        gy = gy + _times(Y3_2, z * (x * g10 - y * g14)) - _times(Y3_1, ring * g11)
        gy = gy - _times(3.0 * Y3_3, xx_yy * g9 - xy2 * g15)
        gz = gz + _times(Y3_2, x * y * g10) - _times(10.0 * Y3_1, z * (y * g11 + x * g13))
        gz = gz + _times(3.0 * Y3_0, ring * g12) + _times(Y3_XX_YY, xx_yy * g14)
    return gx, gy, gz


@kernel
def _extra(extra, row):
    """Extra covariance (xx, xy, yy) of 16 Gaussians from an array with 0, 1 or 3 columns."""
    columns = extra.shape[1]
    zero = simd.splat(ZERO)
    if columns == 3:
        xx, xy, yy = simd.load3(extra, 3 * row)
        return xx, xy, yy
    if columns == 1:
        variance = simd.load(extra, row)
        return variance, zero, variance
    return zero, zero, zero


@kernel
def _to_camera(means, row, w2c, camera):
    """World position p, depth (1 where not in front), its inverse, x/z, y/z, and which lanes are in front."""
    p = simd.load3(means, 3 * row)
    x = simd.splat(w2c[0, 3]) + _times(w2c[0, 0], p[0]) + _times(w2c[0, 1], p[1]) + _times(w2c[0, 2], p[2])
    y = simd.splat(w2c[1, 3]) + _times(w2c[1, 0], p[0]) + _times(w2c[1, 1], p[1]) + _times(w2c[1, 2], p[2])
    z = simd.splat(w2c[2, 3]) + _times(w2c[2, 0], p[0]) + _times(w2c[2, 1], p[1]) + _times(w2c[2, 2], p[2])
    in_front = z > simd.splat(camera[NEAR])
    z = simd.select(in_front, z, simd.splat(ONE))
    iz = simd.splat(ONE) / z
    return p, z, iz, x * iz, y * iz, in_front


@kernel
def _jacobian(iz, x_z, y_z, camera):
    """The four entries of J = [j00 0 j02; 0 j11 j12], and the clamped x/z and y/z they are taken at."""
    u = simd.minimum(simd.maximum(x_z, simd.splat(camera[U_MIN])), simd.splat(camera[U_MAX]))
    v = simd.minimum(simd.maximum(y_z, simd.splat(camera[V_MIN])), simd.splat(camera[V_MAX]))
    j00, j11 = _times(camera[FX], iz), _times(camera[FY], iz)
    zero = simd.splat(ZERO)
    return j00, zero - j00 * u, j11, zero - j11 * v, u, v


@kernel
def _axes(quats, log_scales, row, w2c, j00, j02, j11, j12):
    """Unit quaternion and inverse length, scales, rotation R, T = J W and M = T R S, each flat."""
    qw, qx, qy, qz = simd.load4(quats, 4 * row)
    length = simd.maximum(qw * qw + qx * qx + qy * qy + qz * qz, simd.splat(NO_LENGTH))
    one = simd.splat(ONE)
    inverse = one / simd.sqrt(length)
    w, x, y, z = qw * inverse, qx * inverse, qy * inverse, qz * inverse
    x2, y2, z2 = x + x, y + y, z + z
    r00, r01, r02 = one - (y * y2 + z * z2), x * y2 - w * z2, x * z2 + w * y2
    r10, r11, r12 = x * y2 + w * z2, one - (x * x2 + z * z2), y * z2 - w * x2
    r20, r21, r22 = x * z2 - w * y2, y * z2 + w * x2, one - (x * x2 + y * y2)
    t00 = _times(w2c[0, 0], j00) + _times(w2c[2, 0], j02)
    t01 = _times(w2c[0, 1], j00) + _times(w2c[2, 1], j02)
    t02 = _times(w2c[0, 2], j00) + _times(w2c[2, 2], j02)
    t10 = _times(w2c[1, 0], j11) + _times(w2c[2, 0], j12)
    t11 = _times(w2c[1, 1], j11) + _times(w2c[2, 1], j12)
    t12 = _times(w2c[1, 2], j11) + _times(w2c[2, 2], j12)
    l0, l1, l2 = simd.load3(log_scales, 3 * row)
    s0, s1, s2 = simd.exp(l0), simd.exp(l1), simd.exp(l2)
    m = (
        s0 * (t00 * r00 + t01 * r10 + t02 * r20),
        s1 * (t00 * r01 + t01 * r11 + t02 * r21),
        s2 * (t00 * r02 + t01 * r12 + t02 * r22),
        s0 * (t10 * r00 + t11 * r10 + t12 * r20),
        s1 * (t10 * r01 + t11 * r11 + t12 * r21),
        s2 * (t10 * r02 + t11 * r12 + t12 * r22),
    )
    r = (r00, r01, r02, r10, r11, r12, r20, r21, r22)
    return (w, x, y, z, inverse), (s0, s1, s2), r, (t00, t01, t02, t10, t11, t12), m


@kernel
def _direction(p, camera):
    """Unit vector from the camera to each Gaussian, and the inverse distance."""
    dx = p[0] - simd.splat(camera[CENTER_X])
    dy = p[1] - simd.splat(camera[CENTER_Y])
    dz = p[2] - simd.splat(camera[CENTER_Z])
    inverse = simd.splat(ONE) / simd.sqrt(simd.maximum(dx * dx + dy * dy + dz * dz, simd.splat(NO_LENGTH)))
    return dx * inverse, dy * inverse, dz * inverse, inverse


@kernel
def _tile_range(center, extent, size):
    """First tile and number of tiles whose pixel centres lie within `extent` px of `center`, on an axis of `size` px.

    The extents are rounded outwards a little: what is drawn is decided pixel by pixel.
    """
    zero, half = simd.splat(ZERO), simd.splat(HALF)
    first = simd.maximum(simd.ceil(center - extent - half - simd.splat(SLACK)), zero)
    last = simd.minimum(simd.floor(center + extent - half + simd.splat(SLACK)), simd.splat(size) - simd.splat(ONE))
    first_tile = simd.floor(_times(1.0 / TILE, first))
    tiles = simd.floor(_times(1.0 / TILE, last)) - first_tile + simd.splat(ONE)
    return first_tile, simd.select(first <= last, tiles, zero)


@kernel
def project_forward(
    begin,
    end,
    means,  # [N, 3]
    quats,  # [N, 4]
    log_scales,  # [N, 3]
    logits,  # [N]
    coefficients,  # [N, K, 3], or [N, 1, 3] colours if degree < 0
    degree,
    extra,  # [N, 0 | 1 | 3] px^2
    offsets,  # [N, 2] px or [0, 2]
    w2c,  # [4, 4]
    camera,  # [15]
    antialiased,
    table,  # out [N, COLUMNS]
    means2d,  # out [N, 2] px, 0 where not drawn
    radii,  # out [N] int32
):
    """Project Gaussians begin..end."""
    basis = np.empty(16 * LANES, np.float32)
    zero, half, one = simd.splat(ZERO), simd.splat(HALF), simd.splat(ONE)
    dilation = simd.splat(camera[DILATION])
    compensated = antialiased or extra.shape[1] > 0
    stride = 3 * coefficients.shape[1]
    for group in range(begin, end, LANES):
        row = min(group, end - LANES)
        p, z, iz, x_z, y_z, in_front = _to_camera(means, row, w2c, camera)
        j00, j02, j11, j12, _, _ = _jacobian(iz, x_z, y_z, camera)
        _, _, _, _, m = _axes(quats, log_scales, row, w2c, j00, j02, j11, j12)
        m00, m01, m02, m10, m11, m12 = m
        a = m00 * m00 + m01 * m01 + m02 * m02
        b = m00 * m10 + m01 * m11 + m02 * m12
        c = m10 * m10 + m11 * m11 + m12 * m12
        n0, n1, n2 = m01 * m12 - m02 * m11, m02 * m10 - m00 * m12, m00 * m11 - m01 * m10
        det_sharp = n0 * n0 + n1 * n1 + n2 * n2
        ea, eb, ec = _extra(extra, row)
        ea, ec = ea + dilation, ec + dilation
        det = det_sharp + a * ec + c * ea - (b + b) * eb + (ea * ec - eb * eb)
        det_before = det_sharp
        if not antialiased:
            det_before = det_sharp + dilation * (a + c + dilation)
        a, b, c = a + ea, b + eb, c + ec
        drawn = in_front & (det > zero) & (a > zero) & (c > zero)
        drawn = drawn & (det_before > simd.splat(TINY)) & (det < simd.splat(INFINITY))

        logit = simd.load(logits, row)
        log_opacity = simd.minimum(logit, zero) - simd.log(one + simd.exp(zero - simd.maximum(logit, zero - logit)))
        if compensated:
            log_opacity = log_opacity + half * (simd.log(det_before) - simd.log(det))
        reach_squared = _times(2.0, log_opacity - simd.splat(LN_ALPHA_MIN))
        drawn = drawn & (reach_squared > zero)
        extent_x, extent_y = simd.sqrt(reach_squared * a), simd.sqrt(reach_squared * c)
        mx = _times(camera[FX], x_z) + simd.splat(camera[CX])
        my = _times(camera[FY], y_z) + simd.splat(camera[CY])
        if offsets.shape[0] > 0:
            mx = mx + simd.load_strided(offsets, 2 * row, 2)
            my = my + simd.load_strided(offsets, 2 * row + 1, 2)
        drawn = drawn & (mx + extent_x > zero) & (mx - extent_x < simd.splat(camera[WIDTH]))
        drawn = drawn & (my + extent_y > zero) & (my - extent_y < simd.splat(camera[HEIGHT]))
        extent = simd.minimum(simd.maximum(extent_x, extent_y), simd.splat(FAR_OUT))
        simd.store_ints(radii, row, simd.select(drawn, simd.maximum(simd.ceil(extent), one), zero))

        simd.store_strided(means2d, 2 * row, 2, simd.select(drawn, mx, zero))
        simd.store_strided(means2d, 2 * row + 1, 2, simd.select(drawn, my, zero))

        red, green, blue = zero, zero, zero
        if simd.bits(drawn) != 0:
            at = row * stride
            if degree < 0:
                red = simd.load_strided(coefficients, at, stride)
                green = simd.load_strided(coefficients, at + 1, stride)
                blue = simd.load_strided(coefficients, at + 2, stride)
            else:
                x, y, z_direction, _ = _direction(p, camera)
                _sh_basis(degree, x, y, z_direction, basis)
                red, green, blue = half, half, half
                for k in range((degree + 1) * (degree + 1)):
                    value = simd.load(basis, LANES * k)
                    red = simd.fma(value, simd.load_strided(coefficients, at + 3 * k, stride), red)
                    green = simd.fma(value, simd.load_strided(coefficients, at + 3 * k + 1, stride), green)
                    blue = simd.fma(value, simd.load_strided(coefficients, at + 3 * k + 2, stride), blue)
                red, green, blue = simd.maximum(red, zero), simd.maximum(green, zero), simd.maximum(blue, zero)
        inverse = one / det
        tile_x, tiles_x = _tile_range(mx, extent_x, camera[WIDTH])
        tile_y, tiles_y = _tile_range(my, extent_y, camera[HEIGHT])
        drawn = drawn & (tiles_x > zero) & (tiles_y > zero)
        rows = simd.transposed(
            (
                mx,
                my,
                _times(-0.5, c * inverse),
                b * inverse,
                _times(-0.5, a * inverse),
                log_opacity,
                red,
                green,
                blue,
                z,
                tile_x,
                tile_y,
                simd.select(drawn, tiles_x, zero),
                simd.select(drawn, tiles_y, zero),
                zero,
                zero,
            )
        )
        for lane in range(LANES):
            simd.store(table, COLUMNS * (row + lane), rows[lane])


@kernel
def _load_rows(array, row):
    """The sixteen columns of rows row..row + 16 of an array with 16 columns."""
    at = 16 * row
    return simd.transposed(
        (
            simd.load(array, at),
            simd.load(array, at + 16),
            simd.load(array, at + 32),
            simd.load(array, at + 48),
            simd.load(array, at + 64),
            simd.load(array, at + 80),
            simd.load(array, at + 96),
            simd.load(array, at + 112),
            simd.load(array, at + 128),
            simd.load(array, at + 144),
            simd.load(array, at + 160),
            simd.load(array, at + 176),
            simd.load(array, at + 192),
            simd.load(array, at + 208),
            simd.load(array, at + 224),
            simd.load(array, at + 240),
        )
    )


@kernel
def project_backward(
    begin,
    end,
    entry_start,  # [N + 1] first entry of each Gaussian
    entry_end,  # [N] end of its entries
    entry_slot,  # [E] where an entry's gradient lies
    slot_gradients,  # [slots, GRADIENTS]
    means,
    quats,
    log_scales,
    logits,
    coefficients,
    degree,
    extra,
    w2c,
    camera,
    antialiased,
    table,  # [N, COLUMNS] as project_forward left it
    d_means,  # out, as are all that follow; zero where a Gaussian was not drawn
    d_quats,
    d_log_scales,
    d_logits,
    d_coefficients,  # [N, K, 3] or [0, 0, 3] if not wanted
    d_extra,  # [N, 0 | 1 | 3]
    d_offsets,  # [N, 2] or [0, 2]
):
    """Gradients of the Gaussians begin..end, each summed over its tiles in their fixed order."""
    basis = np.empty(16 * LANES, np.float32)
    d_basis = np.empty(16 * LANES, np.float32)
    sums = np.empty((LANES, GRADIENTS), np.float32)
    zero, half, one = simd.splat(ZERO), simd.splat(HALF), simd.splat(ONE)
    dilation = simd.splat(camera[DILATION])
    compensated = antialiased or extra.shape[1] > 0
    stride = 3 * coefficients.shape[1]
    count = (degree + 1) * (degree + 1) if degree >= 0 else 1
    # Asking ahead pays where the gradients are far larger than the cache next to the core (measured).
    far_apart = slot_gradients.shape[0] > 4 * 2**20 // (4 * GRADIENTS)
    for group in range(begin, end, LANES):
        row = min(group, end - LANES)
        if far_apart:
            for following in range(row + LANES, min(row + 2 * LANES, end)):
                for entry in range(entry_start[following], entry_end[following]):
                    simd.prefetch(slot_gradients, GRADIENTS * entry_slot[entry])
        for lane in range(LANES):
            total = zero
            for entry in range(entry_start[row + lane], entry_end[row + lane]):
                total = total + simd.load(slot_gradients, GRADIENTS * entry_slot[entry])
            simd.store(sums, GRADIENTS * lane, total)
        h, hx, hy, hxx, hxy, hyy, d_red, d_green, d_blue, d_z, _, _, _, _, _, _ = _load_rows(sums, 0)
        _, _, a, b, c, _, red, green, blue, _, _, _, tiles, _, _, _ = _load_rows(table, row)
        drawn = tiles > zero
        p, _, iz, x_z, y_z, _ = _to_camera(means, row, w2c, camera)

        # Colour.
        d_px, d_py, d_pz = zero, zero, zero
        at = row * stride
        if degree < 0:
            simd.store(basis, 0, one)
        else:
            d_red = simd.select(red > zero, d_red, zero)
            d_green = simd.select(green > zero, d_green, zero)
            d_blue = simd.select(blue > zero, d_blue, zero)
            x, y, z_direction, inverse = _direction(p, camera)
            _sh_basis(degree, x, y, z_direction, basis)
            if degree > 0:
                for k in range(1, count):
                    value = d_red * simd.load_strided(coefficients, at + 3 * k, stride)
                    value = simd.fma(d_green, simd.load_strided(coefficients, at + 3 * k + 1, stride), value)
                    value = simd.fma(d_blue, simd.load_strided(coefficients, at + 3 * k + 2, stride), value)
                    simd.store(d_basis, LANES * k, value)
                gx, gy, gz = _sh_direction_gradient(degree, x, y, z_direction, d_basis)
                radial = gx * x + gy * y + gz * z_direction
                d_px = (gx - radial * x) * inverse
                d_py = (gy - radial * y) * inverse
                d_pz = (gz - radial * z_direction) * inverse
        if d_coefficients.shape[0] > 0:
            for k in range(coefficients.shape[1]):
                value = simd.select(drawn, simd.load(basis, LANES * k), zero) if k < count else zero
                simd.store_strided(d_coefficients, at + 3 * k, stride, value * d_red)
                simd.store_strided(d_coefficients, at + 3 * k + 1, stride, value * d_green)
                simd.store_strided(d_coefficients, at + 3 * k + 2, stride, value * d_blue)

        # Position on the image, opacity. K = (ka, kb, kc) is the inverse covariance.
        ka, kb, kc = _times(-2.0, a), zero - b, _times(-2.0, c)
        d_mx = ka * hx + kb * hy
        d_my = kb * hx + kc * hy
        if d_offsets.shape[0] > 0:
            simd.store_strided(d_offsets, 2 * row, 2, simd.select(drawn, d_mx, zero))
            simd.store_strided(d_offsets, 2 * row + 1, 2, simd.select(drawn, d_my, zero))
        d_logit = h / (one + simd.exp(simd.load(logits, row)))
        simd.store(d_logits, row, simd.select(drawn, d_logit, zero))

        # dL/d covariance, as a symmetric matrix: K H K / 2 with H the second moments of h.
        p00, p01 = ka * hxx + kb * hxy, ka * hxy + kb * hyy
        p10, p11 = kb * hxx + kc * hxy, kb * hxy + kc * hyy
        g00 = half * (p00 * ka + p01 * kb)
        g01 = half * (p00 * kb + p01 * kc)
        g11 = half * (p10 * kb + p11 * kc)
        if compensated:
            # lno holds -ln(det) / 2, whose derivative is -K / 2.
            g00 = g00 - half * h * ka
            g01 = g01 - half * h * kb
            g11 = g11 - half * h * kc
        if d_extra.shape[1] == 1:
            simd.store(d_extra, row, simd.select(drawn, g00 + g11, zero))
        elif d_extra.shape[1] == 3:
            simd.store3(
                d_extra,
                3 * row,
                (
                    simd.select(drawn, g00, zero),
                    simd.select(drawn, g01 + g01, zero),
                    simd.select(drawn, g11, zero),
                ),
            )

        j00, j02, j11, j12, u, v = _jacobian(iz, x_z, y_z, camera)
        q, s, r, t, m = _axes(quats, log_scales, row, w2c, j00, j02, j11, j12)
        m00, m01, m02, m10, m11, m12 = m
        n0, n1, n2 = m01 * m12 - m02 * m11, m02 * m10 - m00 * m12, m00 * m11 - m01 * m10
        det_sharp = n0 * n0 + n1 * n1 + n2 * n2
        if compensated and not antialiased:
            # lno holds +ln(det of the dilated covariance) / 2.
            da = m00 * m00 + m01 * m01 + m02 * m02 + dilation
            db = m00 * m10 + m01 * m11 + m02 * m12
            dc = m10 * m10 + m11 * m11 + m12 * m12 + dilation
            gain = half * h / (det_sharp + dilation * (da + dc - dilation))
            g00 = g00 + gain * dc
            g01 = g01 - gain * db
            g11 = g11 + gain * da
        g00, g01, g11 = g00 + g00, g01 + g01, g11 + g11
        d00, d01, d02 = g00 * m00 + g01 * m10, g00 * m01 + g01 * m11, g00 * m02 + g01 * m12
        d10, d11, d12 = g01 * m00 + g11 * m10, g01 * m01 + g11 * m11, g01 * m02 + g11 * m12
        if antialiased:
            # lno holds ln |n| with n the cross product of the rows of M.
            gain = h / det_sharp
            d00 = d00 + gain * (m11 * n2 - m12 * n1)
            d01 = d01 + gain * (m12 * n0 - m10 * n2)
            d02 = d02 + gain * (m10 * n1 - m11 * n0)
            d10 = d10 + gain * (n1 * m02 - n2 * m01)
            d11 = d11 + gain * (n2 * m00 - n0 * m02)
            d12 = d12 + gain * (n0 * m01 - n1 * m00)
        simd.store3(
            d_log_scales,
            3 * row,
            (
                simd.select(drawn, d00 * m00 + d10 * m10, zero),
                simd.select(drawn, d01 * m01 + d11 * m11, zero),
                simd.select(drawn, d02 * m02 + d12 * m12, zero),
            ),
        )

        # M = T R S: first T R, then R (the quaternion) and T.
        s0, s1, s2 = s
        d00, d01, d02, d10, d11, d12 = d00 * s0, d01 * s1, d02 * s2, d10 * s0, d11 * s1, d12 * s2
        r00, r01, r02, r10, r11, r12, r20, r21, r22 = r
        t00, t01, t02, t10, t11, t12 = t
        e00, e01, e02 = t00 * d00 + t10 * d10, t00 * d01 + t10 * d11, t00 * d02 + t10 * d12
        e10, e11, e12 = t01 * d00 + t11 * d10, t01 * d01 + t11 * d11, t01 * d02 + t11 * d12
        e20, e21, e22 = t02 * d00 + t12 * d10, t02 * d01 + t12 * d11, t02 * d02 + t12 * d12
        qw, qx, qy, qz, inverse = q
        gw = qz * (e10 - e01) + qy * (e02 - e20) + qx * (e21 - e12)
        gx = qy * (e01 + e10) + qz * (e02 + e20) + qw * (e21 - e12) - (qx + qx) * (e11 + e22)
        gy = qx * (e01 + e10) + qz * (e12 + e21) + qw * (e02 - e20) - (qy + qy) * (e00 + e22)
        gz = qx * (e02 + e20) + qy * (e12 + e21) + qw * (e10 - e01) - (qz + qz) * (e00 + e11)
        along = gw * qw + gx * qx + gy * qy + gz * qz
        twice = simd.select(drawn, inverse + inverse, zero)
        simd.store4(
            d_quats,
            4 * row,
            (
                simd.select(drawn, (gw - along * qw) * twice, zero),
                simd.select(drawn, (gx - along * qx) * twice, zero),
                simd.select(drawn, (gy - along * qy) * twice, zero),
                simd.select(drawn, (gz - along * qz) * twice, zero),
            ),
        )

        # T = J W: the four entries of J that depend on the mean.
        f00 = d00 * r00 + d01 * r01 + d02 * r02
        f01 = d00 * r10 + d01 * r11 + d02 * r12
        f02 = d00 * r20 + d01 * r21 + d02 * r22
        f10 = d10 * r00 + d11 * r01 + d12 * r02
        f11 = d10 * r10 + d11 * r11 + d12 * r12
        f12 = d10 * r20 + d11 * r21 + d12 * r22
        d_j00 = _times(w2c[0, 0], f00) + _times(w2c[0, 1], f01) + _times(w2c[0, 2], f02)
        d_j02 = _times(w2c[2, 0], f00) + _times(w2c[2, 1], f01) + _times(w2c[2, 2], f02)
        d_j11 = _times(w2c[1, 0], f10) + _times(w2c[1, 1], f11) + _times(w2c[1, 2], f12)
        d_j12 = _times(w2c[2, 0], f10) + _times(w2c[2, 1], f11) + _times(w2c[2, 2], f12)
        # x/z and y/z act through the mean on the image and, inside the frustum's limits, through J.
        d_u = _times(camera[FX], d_mx) - simd.select(simd.equal(u, x_z), j00 * d_j02, zero)
        d_v = _times(camera[FY], d_my) - simd.select(simd.equal(v, y_z), j11 * d_j12, zero)
        d_x, d_y = d_u * iz, d_v * iz
        d_z = d_z - iz * (d_u * x_z + d_v * y_z + j00 * d_j00 + j11 * d_j11 + j02 * d_j02 + j12 * d_j12)
        d_px = d_px + _times(w2c[0, 0], d_x) + _times(w2c[1, 0], d_y) + _times(w2c[2, 0], d_z)
        d_py = d_py + _times(w2c[0, 1], d_x) + _times(w2c[1, 1], d_y) + _times(w2c[2, 1], d_z)
        d_pz = d_pz + _times(w2c[0, 2], d_x) + _times(w2c[1, 2], d_y) + _times(w2c[2, 2], d_z)
        simd.store3(
            d_means,
            3 * row,
            (
                simd.select(drawn, d_px, zero),
                simd.select(drawn, d_py, zero),
                simd.select(drawn, d_pz, zero),
            ),
        )
