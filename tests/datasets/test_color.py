"""sRGB and linear light are inverse, monotone and those of IEC 61966-2-1; eight bits round to nearest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.color import linear_to_srgb, srgb_to_linear, to_uint8

quick = settings(max_examples=50, deadline=None)
values = st.floats(0, 1)


@quick
@given(values)
def test_decoding_inverts_encoding(value):
    assert srgb_to_linear(linear_to_srgb(value)) == pytest.approx(value, abs=1e-7)


@quick
@given(values)
def test_encoding_inverts_decoding(value):
    # The two straight pieces of the standard meet only to 3e-8 in linear light, 4e-7 in sRGB.
    assert linear_to_srgb(srgb_to_linear(value)) == pytest.approx(value, abs=1e-6)


@quick
@given(values, values)
def test_both_curves_are_monotone(a, b):
    low, high = min(a, b), max(a, b)
    assert srgb_to_linear(low) <= srgb_to_linear(high) + 1e-7
    assert linear_to_srgb(low) <= linear_to_srgb(high) + 1e-6


@pytest.mark.parametrize(
    ("srgb", "linear"),
    [(0, 0), (0.02, 0.02 / 12.92), (0.04045, 0.0031308), (0.5, 0.2140411), (0.7353570, 0.5), (0.4613561, 0.18), (1, 1)],
)
def test_known_pairs_of_srgb_and_linear_light(srgb, linear):
    assert srgb_to_linear(srgb) == pytest.approx(linear, abs=1e-6)
    assert linear_to_srgb(linear) == pytest.approx(srgb, abs=1e-6)


def test_all_256_codes_survive_linear_light_in_single_precision():
    codes = np.arange(256, dtype=np.uint8)
    linear = srgb_to_linear(codes.astype(np.float32) / 255)
    assert linear.dtype == np.float32
    assert (np.diff(linear) > 0).all()
    np.testing.assert_array_equal(to_uint8(linear_to_srgb(linear)), codes)


def test_light_beyond_the_sensor_saturates():
    np.testing.assert_allclose(linear_to_srgb(np.array([-0.5, 1.5, np.inf])), [0, 1, 1], atol=1e-12)


@quick
@given(st.integers(0, 255), st.floats(-0.499, 0.499))
def test_to_uint8_rounds_to_the_nearest_code(code, error):
    assert to_uint8(np.array((code + error) / 255)) == code


def test_to_uint8_clips_and_keeps_the_shape():
    quantised = to_uint8(np.array([[-0.1, 0.0], [1.0, 7.0]]))
    assert quantised.dtype == np.uint8
    np.testing.assert_array_equal(quantised, [[0, 0], [255, 255]])
