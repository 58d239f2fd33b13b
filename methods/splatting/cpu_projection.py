"""Compiled projection of Gaussians to the image plane, and its derivative by hand.

Same mathematics as `reference.project`, one Gaussian at a time. With J the Jacobian of the perspective projection, W the
rotation of the camera and R S the axes of the Gaussian, M = J W R S is 2 x 3 and the 2D covariance is M M^T + E,
where E is the dilation plus the extra variance. Opacity is kept as its logarithm: compensation is then a sum.
"""

from __future__ import annotations

import math

import numpy as np

from methods.splatting import sh
from methods.splatting.jit import kernel
from methods.splatting.viewport import ALPHA_MIN, EPS2D

# Columns of the table of projected Gaussians. The exponent is lno + A dx^2 + B dx dy + C dy^2.
MX, MY, A, B, C, LNO, RED, GREEN, BLUE, Z, EXTENT_X, EXTENT_Y = range(12)
COLUMNS = 12
# Columns of the gradient of one (Gaussian, tile): moments of h = dL/dlno about the mean, then dL/d(colour, z).
GRADIENTS = 16

# Entries of the camera vector.
FX, FY, CX, CY, NEAR, U_MIN, U_MAX, V_MIN, V_MAX, WIDTH, HEIGHT, CENTER_X, CENTER_Y, CENTER_Z = range(14)

f32 = np.float32
ZERO, HALF, ONE, TWO, THREE, FIVE = f32(0.0), f32(0.5), f32(1.0), f32(2.0), f32(3.0), f32(5.0)
DILATION = f32(EPS2D)
LN_ALPHA_MIN = f32(math.log(ALPHA_MIN))
TINY = f32(np.finfo(np.float32).tiny)
FAR_OUT = f32(2.0**30)
INFINITY = f32(np.inf)
Y0, Y1, Y2_XY, Y2_ZZ = f32(sh.Y0), f32(sh.Y1), f32(sh.Y2_XY), f32(sh.Y2_ZZ)
Y3_3, Y3_2, Y3_1, Y3_0 = f32(sh.Y3_3), f32(sh.Y3_2), f32(sh.Y3_1), f32(sh.Y3_0)


@kernel
def sh_basis(degree, x, y, z, out):
    """Value of each basis function in the unit direction (x, y, z); see `sh.basis`."""
    out[0] = Y0
    if degree >= 1:
        out[1] = -Y1 * y
        out[2] = Y1 * z
        out[3] = -Y1 * x
    if degree >= 2:
        out[4] = Y2_XY * x * y
        out[5] = -Y2_XY * y * z
        out[6] = Y2_ZZ * (THREE * z * z - ONE)
        out[7] = -Y2_XY * x * z
        out[8] = HALF * Y2_XY * (x * x - y * y)
    if degree >= 3:
        out[9] = -Y3_3 * y * (THREE * x * x - y * y)
        out[10] = Y3_2 * x * y * z
        out[11] = -Y3_1 * y * (FIVE * z * z - ONE)
        out[12] = Y3_0 * z * (FIVE * z * z - THREE)
        out[13] = -Y3_1 * x * (FIVE * z * z - ONE)
        out[14] = HALF * Y3_2 * z * (x * x - y * y)
        out[15] = -Y3_3 * x * (x * x - THREE * y * y)


@kernel
def sh_direction_gradient(degree, x, y, z, g):
    """dL/d(x, y, z) from g[k] = dL/d basis_k."""
    gx = -Y1 * g[3]
    gy = -Y1 * g[1]
    gz = Y1 * g[2]
    if degree >= 2:
        gx += Y2_XY * (y * g[4] - z * g[7] + x * g[8])
        gy += Y2_XY * (x * g[4] - z * g[5] - y * g[8])
        gz += Y2_XY * (-y * g[5] - x * g[7]) + (THREE + THREE) * Y2_ZZ * z * g[6]
    if degree >= 3:
        xx, yy, zz = x * x, y * y, z * z
        six, ten, fifteen = f32(6.0), f32(10.0), f32(15.0)
        gx += -six * Y3_3 * x * y * g[9] + Y3_2 * y * z * g[10] - Y3_1 * (FIVE * zz - ONE) * g[13]
        gx += Y3_2 * x * z * g[14] - THREE * Y3_3 * (xx - yy) * g[15]
        gy += -THREE * Y3_3 * (xx - yy) * g[9] + Y3_2 * x * z * g[10] - Y3_1 * (FIVE * zz - ONE) * g[11]
        gy += -Y3_2 * y * z * g[14] + six * Y3_3 * x * y * g[15]
        gz += Y3_2 * x * y * g[10] - ten * Y3_1 * z * (y * g[11] + x * g[13])
        gz += Y3_0 * (fifteen * zz - THREE) * g[12] + HALF * Y3_2 * (xx - yy) * g[14]
    return gx, gy, gz


@kernel
def _extra(extra, i):
    """Extra covariance (xx, xy, yy) of Gaussian i from an array with 0, 1 or 3 columns."""
    columns = extra.shape[1]
    if columns == 0:
        return ZERO, ZERO, ZERO
    if columns == 1:
        return extra[i, 0], ZERO, extra[i, 0]
    return extra[i, 0], extra[i, 1], extra[i, 2]


@kernel
def _axes(quats, log_scales, i, w2c, j00, j02, j11, j12):
    """Rotation R, T = J W and M = T R S of Gaussian i, flat."""
    qw, qx, qy, qz = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
    inverse = ONE / math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
    w, x, y, z = qw * inverse, qx * inverse, qy * inverse, qz * inverse
    r00 = ONE - TWO * (y * y + z * z)
    r01 = TWO * (x * y - w * z)
    r02 = TWO * (x * z + w * y)
    r10 = TWO * (x * y + w * z)
    r11 = ONE - TWO * (x * x + z * z)
    r12 = TWO * (y * z - w * x)
    r20 = TWO * (x * z - w * y)
    r21 = TWO * (y * z + w * x)
    r22 = ONE - TWO * (x * x + y * y)
    t00 = j00 * w2c[0, 0] + j02 * w2c[2, 0]
    t01 = j00 * w2c[0, 1] + j02 * w2c[2, 1]
    t02 = j00 * w2c[0, 2] + j02 * w2c[2, 2]
    t10 = j11 * w2c[1, 0] + j12 * w2c[2, 0]
    t11 = j11 * w2c[1, 1] + j12 * w2c[2, 1]
    t12 = j11 * w2c[1, 2] + j12 * w2c[2, 2]
    s0, s1, s2 = math.exp(log_scales[i, 0]), math.exp(log_scales[i, 1]), math.exp(log_scales[i, 2])
    m = (
        s0 * (t00 * r00 + t01 * r10 + t02 * r20),
        s1 * (t00 * r01 + t01 * r11 + t02 * r21),
        s2 * (t00 * r02 + t01 * r12 + t02 * r22),
        s0 * (t10 * r00 + t11 * r10 + t12 * r20),
        s1 * (t10 * r01 + t11 * r11 + t12 * r21),
        s2 * (t10 * r02 + t11 * r12 + t12 * r22),
    )
    r = (r00, r01, r02, r10, r11, r12, r20, r21, r22)
    t = (t00, t01, t02, t10, t11, t12)
    return (w, x, y, z, inverse), (s0, s1, s2), r, t, m


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
    camera,  # [14]
    antialiased,
    table,  # out [N, COLUMNS]; rows with radius 0 are left unwritten
    radii,  # out [N] int32
):
    """Project Gaussians begin..end."""
    basis = np.empty(16, np.float32)
    for i in range(begin, end):
        radii[i] = 0
        px, py, pz = means[i, 0], means[i, 1], means[i, 2]
        z = w2c[2, 0] * px + w2c[2, 1] * py + w2c[2, 2] * pz + w2c[2, 3]
        if not z > camera[NEAR]:
            continue
        iz = ONE / z
        x_z = (w2c[0, 0] * px + w2c[0, 1] * py + w2c[0, 2] * pz + w2c[0, 3]) * iz
        y_z = (w2c[1, 0] * px + w2c[1, 1] * py + w2c[1, 2] * pz + w2c[1, 3]) * iz
        u = min(max(x_z, camera[U_MIN]), camera[U_MAX])
        v = min(max(y_z, camera[V_MIN]), camera[V_MAX])
        j00, j02 = camera[FX] * iz, -camera[FX] * u * iz
        j11, j12 = camera[FY] * iz, -camera[FY] * v * iz
        _, _, _, _, (m00, m01, m02, m10, m11, m12) = _axes(quats, log_scales, i, w2c, j00, j02, j11, j12)
        a = m00 * m00 + m01 * m01 + m02 * m02
        b = m00 * m10 + m01 * m11 + m02 * m12
        c = m10 * m10 + m11 * m11 + m12 * m12
        n0, n1, n2 = m01 * m12 - m02 * m11, m02 * m10 - m00 * m12, m00 * m11 - m01 * m10
        det_sharp = n0 * n0 + n1 * n1 + n2 * n2
        ea, eb, ec = _extra(extra, i)
        ea += DILATION
        ec += DILATION
        det = det_sharp + a * ec + c * ea - TWO * b * eb + (ea * ec - eb * eb)
        a, b, c = a + ea, b + eb, c + ec
        if antialiased:
            det_before = det_sharp
        else:
            det_before = det_sharp + DILATION * (a - ea + c - ec) + DILATION * DILATION
        if not (det > ZERO and a > ZERO and c > ZERO and det_before > TINY and det < INFINITY):
            continue

        logit = logits[i]
        log_opacity = min(logit, ZERO) - math.log1p(math.exp(-abs(logit)))
        if antialiased or extra.shape[1] > 0:
            log_opacity += HALF * (math.log(det_before) - math.log(det))
        reach_squared = TWO * (log_opacity - LN_ALPHA_MIN)
        if not reach_squared > ZERO:
            continue
        extent_x, extent_y = math.sqrt(reach_squared * a), math.sqrt(reach_squared * c)
        mx, my = camera[FX] * x_z + camera[CX], camera[FY] * y_z + camera[CY]
        if offsets.shape[0] > 0:
            mx += offsets[i, 0]
            my += offsets[i, 1]
        inside_x = mx + extent_x > ZERO and mx - extent_x < camera[WIDTH]
        inside_y = my + extent_y > ZERO and my - extent_y < camera[HEIGHT]
        if not (inside_x and inside_y):
            continue
        radii[i] = max(math.ceil(min(max(extent_x, extent_y), FAR_OUT)), 1)

        inverse = ONE / det
        table[i, MX] = mx
        table[i, MY] = my
        table[i, A] = -HALF * c * inverse
        table[i, B] = b * inverse
        table[i, C] = -HALF * a * inverse
        table[i, LNO] = log_opacity
        table[i, Z] = z
        table[i, EXTENT_X] = extent_x
        table[i, EXTENT_Y] = extent_y
        if degree < 0:
            for channel in range(3):
                table[i, RED + channel] = coefficients[i, 0, channel]
            continue
        if degree > 0:
            dx, dy, dz = px - camera[CENTER_X], py - camera[CENTER_Y], pz - camera[CENTER_Z]
            inverse = ONE / math.sqrt(dx * dx + dy * dy + dz * dz)
            sh_basis(degree, dx * inverse, dy * inverse, dz * inverse, basis)
        else:
            basis[0] = Y0
        for channel in range(3):
            value = HALF
            for k in range((degree + 1) * (degree + 1)):
                value += basis[k] * coefficients[i, k, channel]
            table[i, RED + channel] = max(value, ZERO)


@kernel
def project_backward(
    begin,
    end,
    order,  # [V] drawn Gaussians
    candidates,  # [V + 1] first entry of each
    entry_end,  # [V] end of its entries
    entry_slot,  # [candidates] where an entry's gradient lies
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
    d_means,  # out, all of them zero where a Gaussian was not drawn
    d_quats,
    d_log_scales,
    d_logits,
    d_coefficients,  # [N, K, 3] or [0, 0, 3] if not wanted
    d_extra,  # [N, 0 | 1 | 3]
    d_offsets,  # [N, 2] or [0, 2]
):
    """Gradients of the drawn Gaussians order[begin..end], each summed over its tiles in their fixed order."""
    basis = np.empty(16, np.float32)
    d_basis = np.zeros(16, np.float32)
    for rank in range(begin, end):
        i = order[rank]
        h = hx = hy = hxx = hxy = hyy = ZERO
        d_red = d_green = d_blue = d_z = ZERO
        for entry in range(candidates[rank], entry_end[rank]):
            slot = entry_slot[entry]
            h += slot_gradients[slot, 0]
            hx += slot_gradients[slot, 1]
            hy += slot_gradients[slot, 2]
            hxx += slot_gradients[slot, 3]
            hxy += slot_gradients[slot, 4]
            hyy += slot_gradients[slot, 5]
            d_red += slot_gradients[slot, 6]
            d_green += slot_gradients[slot, 7]
            d_blue += slot_gradients[slot, 8]
            d_z += slot_gradients[slot, 9]

        px, py, pz = means[i, 0], means[i, 1], means[i, 2]
        d_px = d_py = d_pz = ZERO

        # Colour.
        if degree < 0:
            if d_coefficients.shape[0] > 0:
                d_coefficients[i, 0, 0] = d_red
                d_coefficients[i, 0, 1] = d_green
                d_coefficients[i, 0, 2] = d_blue
        else:
            d_red = d_red if table[i, RED] > ZERO else ZERO
            d_green = d_green if table[i, GREEN] > ZERO else ZERO
            d_blue = d_blue if table[i, BLUE] > ZERO else ZERO
            count = (degree + 1) * (degree + 1)
            dx = dy = dz = inverse = ZERO
            basis[0] = Y0
            if degree > 0:
                dx, dy, dz = px - camera[CENTER_X], py - camera[CENTER_Y], pz - camera[CENTER_Z]
                inverse = ONE / math.sqrt(dx * dx + dy * dy + dz * dz)
                dx, dy, dz = dx * inverse, dy * inverse, dz * inverse
                sh_basis(degree, dx, dy, dz, basis)
            if d_coefficients.shape[0] > 0:
                for k in range(count):
                    d_coefficients[i, k, 0] = basis[k] * d_red
                    d_coefficients[i, k, 1] = basis[k] * d_green
                    d_coefficients[i, k, 2] = basis[k] * d_blue
            if degree > 0:
                for k in range(1, count):
                    d_basis[k] = (
                        d_red * coefficients[i, k, 0]
                        + d_green * coefficients[i, k, 1]
                        + d_blue * coefficients[i, k, 2]
                    )
                gx, gy, gz = sh_direction_gradient(degree, dx, dy, dz, d_basis)
                radial = gx * dx + gy * dy + gz * dz
                d_px = (gx - radial * dx) * inverse
                d_py = (gy - radial * dy) * inverse
                d_pz = (gz - radial * dz) * inverse

        # Position on the image. K = (ka, kb, kc) is the inverse covariance.
        ka, kb, kc = -TWO * table[i, A], -table[i, B], -TWO * table[i, C]
        d_mx = ka * hx + kb * hy
        d_my = kb * hx + kc * hy
        if d_offsets.shape[0] > 0:
            d_offsets[i, 0] = d_mx
            d_offsets[i, 1] = d_my
        logit = logits[i]
        d_logits[i] = h / (ONE + math.exp(logit))

        # dL/d covariance, as a symmetric matrix: K H K / 2 with H the second moments of h.
        p00, p01 = ka * hxx + kb * hxy, ka * hxy + kb * hyy
        p10, p11 = kb * hxx + kc * hxy, kb * hxy + kc * hyy
        g00 = HALF * (p00 * ka + p01 * kb)
        g01 = HALF * (p00 * kb + p01 * kc)
        g11 = HALF * (p10 * kb + p11 * kc)
        compensated = antialiased or extra.shape[1] > 0
        if compensated:
            # lno holds -ln(det) / 2, whose derivative is -K / 2.
            g00 -= HALF * h * ka
            g01 -= HALF * h * kb
            g11 -= HALF * h * kc
        if d_extra.shape[1] == 1:
            d_extra[i, 0] = g00 + g11
        elif d_extra.shape[1] == 3:
            d_extra[i, 0] = g00
            d_extra[i, 1] = TWO * g01
            d_extra[i, 2] = g11

        z = table[i, Z]
        iz = ONE / z
        x_z = (w2c[0, 0] * px + w2c[0, 1] * py + w2c[0, 2] * pz + w2c[0, 3]) * iz
        y_z = (w2c[1, 0] * px + w2c[1, 1] * py + w2c[1, 2] * pz + w2c[1, 3]) * iz
        u = min(max(x_z, camera[U_MIN]), camera[U_MAX])
        v = min(max(y_z, camera[V_MIN]), camera[V_MAX])
        j00, j02 = camera[FX] * iz, -camera[FX] * u * iz
        j11, j12 = camera[FY] * iz, -camera[FY] * v * iz
        q, s, r, t, m = _axes(quats, log_scales, i, w2c, j00, j02, j11, j12)
        m00, m01, m02, m10, m11, m12 = m
        det_gain = ZERO
        if compensated:
            n0, n1, n2 = m01 * m12 - m02 * m11, m02 * m10 - m00 * m12, m00 * m11 - m01 * m10
            det_sharp = n0 * n0 + n1 * n1 + n2 * n2
            if antialiased:
                det_gain = h / det_sharp
            else:
                # lno holds +ln(det of the dilated covariance) / 2.
                a = m00 * m00 + m01 * m01 + m02 * m02
                b = m00 * m10 + m01 * m11 + m02 * m12
                c = m10 * m10 + m11 * m11 + m12 * m12
                gain = HALF * h / (det_sharp + DILATION * (a + c) + DILATION * DILATION)
                g00 += gain * (c + DILATION)
                g01 -= gain * b
                g11 += gain * (a + DILATION)
        d00, d01, d02 = (
            TWO * (g00 * m00 + g01 * m10),
            TWO * (g00 * m01 + g01 * m11),
            TWO * (g00 * m02 + g01 * m12),
        )
        d10, d11, d12 = (
            TWO * (g01 * m00 + g11 * m10),
            TWO * (g01 * m01 + g11 * m11),
            TWO * (g01 * m02 + g11 * m12),
        )
        if antialiased:
            # d ln |m0 x m1|^2 / 2, with n the cross product of the rows of M.
            d00 += det_gain * (m11 * n2 - m12 * n1)
            d01 += det_gain * (m12 * n0 - m10 * n2)
            d02 += det_gain * (m10 * n1 - m11 * n0)
            d10 += det_gain * (n1 * m02 - n2 * m01)
            d11 += det_gain * (n2 * m00 - n0 * m02)
            d12 += det_gain * (n0 * m01 - n1 * m00)
        d_log_scales[i, 0] = d00 * m00 + d10 * m10
        d_log_scales[i, 1] = d01 * m01 + d11 * m11
        d_log_scales[i, 2] = d02 * m02 + d12 * m12

        # M = T R S: first T R, then R (the quaternion) and T.
        s0, s1, s2 = s
        d00, d01, d02, d10, d11, d12 = d00 * s0, d01 * s1, d02 * s2, d10 * s0, d11 * s1, d12 * s2
        r00, r01, r02, r10, r11, r12, r20, r21, r22 = r
        t00, t01, t02, t10, t11, t12 = t
        e00, e01, e02 = t00 * d00 + t10 * d10, t00 * d01 + t10 * d11, t00 * d02 + t10 * d12
        e10, e11, e12 = t01 * d00 + t11 * d10, t01 * d01 + t11 * d11, t01 * d02 + t11 * d12
        e20, e21, e22 = t02 * d00 + t12 * d10, t02 * d01 + t12 * d11, t02 * d02 + t12 * d12
        qw, qx, qy, qz, inverse = q
        gw = TWO * (qz * (e10 - e01) + qy * (e02 - e20) + qx * (e21 - e12))
        gx = TWO * (qy * (e01 + e10) + qz * (e02 + e20) + qw * (e21 - e12) - TWO * qx * (e11 + e22))
        gy = TWO * (qx * (e01 + e10) + qz * (e12 + e21) + qw * (e02 - e20) - TWO * qy * (e00 + e22))
        gz = TWO * (qx * (e02 + e20) + qy * (e12 + e21) + qw * (e10 - e01) - TWO * qz * (e00 + e11))
        along = gw * qw + gx * qx + gy * qy + gz * qz
        d_quats[i, 0] = (gw - along * qw) * inverse
        d_quats[i, 1] = (gx - along * qx) * inverse
        d_quats[i, 2] = (gy - along * qy) * inverse
        d_quats[i, 3] = (gz - along * qz) * inverse

        # T = J W: the four entries of J that depend on the mean.
        f00, f01, f02 = (
            d00 * r00 + d01 * r01 + d02 * r02,
            d00 * r10 + d01 * r11 + d02 * r12,
            d00 * r20 + d01 * r21 + d02 * r22,
        )
        f10, f11, f12 = (
            d10 * r00 + d11 * r01 + d12 * r02,
            d10 * r10 + d11 * r11 + d12 * r12,
            d10 * r20 + d11 * r21 + d12 * r22,
        )
        d_j00 = f00 * w2c[0, 0] + f01 * w2c[0, 1] + f02 * w2c[0, 2]
        d_j02 = f00 * w2c[2, 0] + f01 * w2c[2, 1] + f02 * w2c[2, 2]
        d_j11 = f10 * w2c[1, 0] + f11 * w2c[1, 1] + f12 * w2c[1, 2]
        d_j12 = f10 * w2c[2, 0] + f11 * w2c[2, 1] + f12 * w2c[2, 2]
        # x/z and y/z act through the mean on the image and, inside the frustum's limits, through J.
        d_u = camera[FX] * d_mx
        d_v = camera[FY] * d_my
        if u == x_z:
            d_u -= camera[FX] * iz * d_j02
        if v == y_z:
            d_v -= camera[FY] * iz * d_j12
        d_x = d_u * iz
        d_y = d_v * iz
        d_z -= iz * (d_u * x_z + d_v * y_z + j00 * d_j00 + j11 * d_j11 + j02 * d_j02 + j12 * d_j12)
        d_means[i, 0] = d_px + w2c[0, 0] * d_x + w2c[1, 0] * d_y + w2c[2, 0] * d_z
        d_means[i, 1] = d_py + w2c[0, 1] * d_x + w2c[1, 1] * d_y + w2c[2, 1] * d_z
        d_means[i, 2] = d_pz + w2c[0, 2] * d_x + w2c[1, 2] * d_y + w2c[2, 2] * d_z
