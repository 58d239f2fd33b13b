"""The thin lens obeys the lens equation, and each formula agrees with the others and with hand computation."""

from dataclasses import asdict
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, trapezoid
from scipy.optimize import minimize_scalar
from scipy.special import j1

from datasets.optics import SIGMA_PER_RADIUS_LEAST_SQUARES, SIGMA_PER_RADIUS_MOMENT, ThinLens

lenses = st.builds(
    lambda f, f_number, beyond, pitch: ThinLens(f, f_number, f * (1 + beyond), pitch),
    f=st.floats(2, 300),
    f_number=st.floats(0.7, 64),
    beyond=st.floats(0.05, 100),
    pitch=st.floats(0.0005, 0.5),
)
ratios = st.floats(0.05, 20)  # of depth to focus distance
elsewhere = ratios.filter(lambda ratio: abs(ratio - 1) > 1e-3)
quick = settings(max_examples=50, deadline=None)
macro = ThinLens(focal_length=60, f_number=4, focus_distance=180, pixel_pitch=0.01)


@quick
@given(lenses)
def test_image_and_focus_distance_satisfy_the_thin_lens_equation(lens):
    f, d0, v = lens.focal_length, lens.focus_distance, lens.image_distance
    assert 1 / f == pytest.approx(1 / v + 1 / d0, rel=1e-9)
    assert v == pytest.approx(f * d0 / (d0 - f), rel=1e-9)


@quick
@given(lenses)
def test_magnification_is_image_distance_over_focus_distance(lens):
    assert lens.magnification == pytest.approx(lens.image_distance / lens.focus_distance, rel=1e-9)
    assert lens.image_distance == pytest.approx(lens.focal_length * (1 + lens.magnification), rel=1e-9)


@quick
@given(lenses)
def test_the_focal_plane_is_sharp(lens):
    assert lens.coc_diameter_mm(lens.focus_distance) == 0
    assert lens.coc_radius(lens.focus_distance) == pytest.approx(0, abs=1e-12 * lens.coc_scale)


@quick
@given(lenses, elsewhere)
def test_the_radius_is_positive_behind_the_focal_plane_and_negative_before_it(lens, ratio):
    radius = lens.coc_radius(ratio * lens.focus_distance)
    assert (radius > 0) == (ratio > 1)
    assert (radius < 0) == (ratio < 1)


@quick
@given(lenses, elsewhere)
def test_radius_in_pixels_is_half_the_diameter_on_the_sensor(lens, ratio):
    depth = ratio * lens.focus_distance
    assert abs(lens.coc_radius(depth)) == pytest.approx(lens.coc_diameter_mm(depth) / lens.pixel_pitch / 2, rel=1e-6)


@quick
@given(lenses, elsewhere)
def test_the_diameter_is_where_the_sensor_cuts_the_cone_of_light(lens, ratio):
    depth = lens.focal_length + ratio * (lens.focus_distance - lens.focal_length)
    apex = 1 / (1 / lens.focal_length - 1 / depth)  # where a point at this depth is imaged
    cut = lens.aperture_diameter * abs(apex - lens.image_distance) / apex
    assert lens.coc_diameter_mm(depth) == pytest.approx(cut, rel=1e-6, abs=1e-9 * lens.aperture_diameter)


@quick
@given(lenses, ratios)
def test_depth_from_coc_inverts_coc_radius(lens, ratio):
    depth = ratio * lens.focus_distance
    assert lens.depth_from_coc(lens.coc_radius(depth)) == pytest.approx(depth, rel=1e-9)


@quick
@given(lenses, st.floats(1, 100))
def test_no_finite_depth_has_a_radius_beyond_that_of_infinity(lens, excess):
    at_infinity = lens.coc_radius(inf)
    assert at_infinity == pytest.approx(lens.coc_scale / lens.focus_distance)
    assert lens.depth_from_coc(at_infinity * excess * (1 + 1e-12)) == inf


@quick
@given(lenses, st.floats(1e-3, 100))
def test_the_ends_of_the_depth_of_field_have_the_largest_radius(lens, max_radius):
    near, far = lens.depth_of_field(max_radius)
    assert 0 < near < lens.focus_distance < far
    rounding = 1e-12 * lens.coc_scale
    assert lens.coc_radius(near) == pytest.approx(-max_radius, rel=1e-9, abs=rounding)
    if far < inf:
        assert lens.coc_radius(far) == pytest.approx(max_radius, rel=1e-9, abs=rounding)
    else:
        assert lens.coc_radius(inf) <= max_radius * (1 + 1e-9)


@quick
@given(lenses, st.floats(1e-3, 100), st.floats(0.01, 0.99))
def test_within_the_depth_of_field_no_radius_exceeds_the_largest(lens, max_radius, share):
    near, far = lens.depth_of_field(max_radius)
    inverse_depth = (1 - share) / near + share / far
    assert abs(lens.coc_radius(1 / inverse_depth)) <= max_radius + 1e-12 * lens.coc_scale


@quick
@given(lenses, st.floats(1.01, 10))
def test_stopping_down_shrinks_the_blur_and_leaves_the_perspective(lens, factor):
    stopped = ThinLens(**asdict(lens) | {"f_number": lens.f_number * factor})
    depth = 1.5 * lens.focus_distance
    assert stopped.coc_radius(depth) * factor == pytest.approx(lens.coc_radius(depth), rel=1e-9)
    assert stopped.focal_length_px == lens.focal_length_px


@pytest.mark.parametrize(
    ("magnification", "focus_distance"), [(0.1, 660.0), (0.17, 412.941), (0.5, 180.0), (1.0, 120.0)]
)
def test_a_60_mm_lens_has_the_published_focus_distances(magnification, focus_distance):
    lens = ThinLens(60, 2.8, focus_distance, 0.01)
    assert lens.magnification == pytest.approx(magnification, rel=1e-5)
    assert lens.image_distance == pytest.approx(60 * (1 + magnification), rel=1e-5)


def test_a_macro_lens_agrees_with_hand_computation():
    # f = 60, N = 4, d0 = 180 mm, 10 um pixels: v = 60 * 180 / 120 = 90, D = 15, fx = 90 / 0.01, K = 7.5 * 9000.
    assert macro.magnification == pytest.approx(0.5)
    assert macro.image_distance == pytest.approx(90)
    assert macro.aperture_diameter == pytest.approx(15)
    assert macro.aperture_radius == pytest.approx(7.5)
    assert macro.focal_length_px == pytest.approx(9000)
    assert macro.coc_scale == pytest.approx(67500)
    # r(200) = 67500 (1/180 - 1/200) = 67500 / 1800; r(150) = 67500 (1/180 - 1/150) = -67500 / 900.
    np.testing.assert_allclose(macro.coc_radius([150, 180, 200, inf]), [-75, 0, 37.5, 375], atol=1e-9)
    # c(200) = 15 * 60 * 20 / (200 * 120) mm.
    assert macro.coc_diameter_mm(200) == pytest.approx(0.75)
    # 1/near = 1/180 + 37.5 / 67500 = 11/1800; 1/far = 9/1800.
    assert macro.depth_of_field(37.5) == pytest.approx((1800 / 11, 200))
    assert macro.depth_of_field(400)[1] == inf


def test_radii_and_depths_keep_the_shape_of_their_argument():
    depth = np.linspace(100, 300, 12).reshape(3, 4)
    assert macro.coc_radius(depth).shape == (3, 4)
    assert macro.coc_diameter_mm(depth).shape == (3, 4)
    assert macro.depth_from_coc(macro.coc_radius(depth)).shape == (3, 4)


def test_refocusing_changes_the_focus_distance_alone():
    nearer = macro.focused_at(120)
    assert asdict(nearer) == asdict(macro) | {"focus_distance": 120}
    assert nearer.magnification == pytest.approx(1)
    assert macro.focus_distance == 180


def test_the_gaussian_of_equal_moment_has_the_variance_of_the_disk():
    variance_per_axis = quad(lambda radius: radius**2 / 2 * 2 * radius, 0, 1)[0]
    assert pytest.approx(variance_per_axis) == SIGMA_PER_RADIUS_MOMENT**2


def test_the_gaussian_of_least_squares_blurs_images_most_like_the_disk():
    # Frequencies in radians per disk radius; image power falls as 1 / frequency^2, rings grow with frequency.
    frequency = np.geomspace(1e-4, 200, 20_000)
    disk = 2 * j1(frequency) / frequency

    def error(sigma):
        difference = disk - np.exp(-((sigma * frequency) ** 2) / 2)
        return trapezoid(difference**2 / frequency**2 * frequency, frequency)

    best = minimize_scalar(error, bounds=(0.3, 0.9), method="bounded").x
    assert pytest.approx(best, abs=0.015) == SIGMA_PER_RADIUS_LEAST_SQUARES


@pytest.mark.parametrize("name", ["focal_length", "f_number", "focus_distance", "pixel_pitch"])
@pytest.mark.parametrize("value", [0.0, -1.0, nan, inf, -inf])
def test_a_value_that_no_lens_has_is_refused_by_name(refused, name, value):
    with refused(name, value):
        ThinLens(**asdict(macro) | {name: value})


@pytest.mark.parametrize("focus_distance", [60.0, 59.9, 1.0])
def test_a_focus_distance_within_the_focal_length_is_refused(refused, focus_distance):
    with refused(f"focused at {focus_distance} mm", "focal length of 60 mm"):
        macro.focused_at(focus_distance)
