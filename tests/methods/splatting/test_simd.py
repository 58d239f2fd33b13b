"""Sixteen lanes against NumPy."""

import numba
import numpy as np

from methods.splatting import simd


@numba.njit
def _evaluate(x, out):
    a, b = simd.load(x, 0), simd.load(x, 16)
    ahead = a >= b
    simd.store(out, 0, simd.exp(a))
    simd.store(out, 16, simd.log(simd.maximum(b, simd.splat(np.float32(0.01)))))
    simd.store(out, 32, simd.sums((a, b, a * b)))
    simd.store(out, 48, simd.select(ahead, a, simd.fma(a, b, b)))
    return simd.bits(ahead), simd.lowest_bit(simd.bits(ahead))


@numba.njit
def _rearrange(x, three, four, square):
    simd.store3(three, 0, simd.load3(x, 0))
    simd.store4(four, 0, simd.load4(x, 0))
    columns = simd.load3(x, 0)
    other = simd.load4(x, 0)
    rows = simd.transposed(
        (
            columns[0],
            columns[1],
            columns[2],
            other[0],
            other[1],
            other[2],
            other[3],
            columns[0],
            columns[1],
            columns[2],
            other[0],
            other[1],
            other[2],
            other[3],
            columns[0],
            columns[1],
        )
    )
    for k in range(16):
        simd.store(square, 16 * k, rows[k])


def test_arithmetic_is_that_of_numpy():
    x = np.random.default_rng(0).normal(scale=4.0, size=32).astype(np.float32)
    a, b = x[:16].astype(np.float64), x[16:].astype(np.float64)
    out = np.zeros(64, np.float32)
    mask, lowest = _evaluate(x, out)
    assert np.allclose(out[:16], np.exp(a), rtol=3e-7)
    assert np.allclose(out[16:32], np.log(np.maximum(b, 0.01)), rtol=3e-7, atol=3e-7)
    assert np.allclose(out[32:35], [a.sum(), b.sum(), (a * b).sum()], rtol=1e-5)
    assert np.allclose(out[48:], np.where(a >= b, a, a * b + b), rtol=1e-5)
    assert mask == sum(1 << k for k in range(16) if a[k] >= b[k])
    assert lowest == np.flatnonzero(a >= b)[0]


def test_the_exponential_is_clamped_and_keeps_nan():
    x = np.array([200.0, -200.0, np.nan, 0.0] * 8, np.float32)
    out = np.zeros(64, np.float32)
    _evaluate(x, out)
    assert np.isfinite(out[0])
    assert out[0] > 1e37
    assert 0.0 < out[1] < 1e-37
    assert np.isnan(out[2])
    assert out[3] == 1.0


def test_columns_and_rows_are_exchanged_without_loss():
    x = np.arange(64, dtype=np.float32)
    three, four, square = np.zeros(48, np.float32), np.zeros(64, np.float32), np.zeros((16, 16), np.float32)
    _rearrange(x, three, four, square)
    assert np.array_equal(three, x[:48])
    assert np.array_equal(four, x)
    assert np.array_equal(square[:, 1], x[1:48:3])
    assert np.array_equal(square[:, 6], x[3::4])
