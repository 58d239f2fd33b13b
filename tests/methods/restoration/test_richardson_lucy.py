from typing import Literal

import cv2
import numpy as np
import pytest
from defocused import defocus, on_black, photograph, psnr, ramp, scene

from datasets.color import linear_to_srgb, srgb_to_linear
from datasets.errors import InputError
from methods.restoration.richardson_lucy import (
    RichardsonLucyConfig,
    disk_kernel,
    gaussian_kernel,
    reblur,
    restore,
    richardson_lucy,
    varying_blur,
)

Psf = Literal["disk", "gaussian"]


def random_map(shape: tuple[int, int], widest: float) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, widest, shape).astype(np.float32)


@pytest.mark.parametrize("psf", ["disk", "gaussian"])
@pytest.mark.parametrize("shape", [(31, 45), (1, 30), (150, 131)])
def test_adjoint_is_the_transpose(psf: Psf, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    blur = varying_blur(random_map(shape, 4.0), psf)
    x = rng.random((shape[0] + 2 * blur.margin, shape[1] + 2 * blur.margin, 3)).astype(np.float32)
    y = rng.random((*shape, 3)).astype(np.float32)
    left = np.sum(blur.forward(x).astype(np.float64) * y)
    right = np.sum(x * blur.adjoint(y).astype(np.float64))
    assert left == pytest.approx(right, rel=1e-6)


@pytest.mark.parametrize("psf", ["disk", "gaussian"])
def test_blur_is_linear_and_keeps_what_is_flat(psf: Psf) -> None:
    blur = varying_blur(random_map((40, 50), 3.0), psf)
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 40 + 2 * blur.margin, 50 + 2 * blur.margin, 3)).astype(np.float32)
    np.testing.assert_allclose(blur.forward(2 * a - b), 2 * blur.forward(a) - blur.forward(b), atol=1e-5)
    np.testing.assert_allclose(blur.forward(np.ones_like(a)), 1.0, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.4, 0.9, 1.37, 2.6])
def test_gaussian_psf_has_the_variance_asked_for(sigma: float) -> None:
    blur = varying_blur(np.full((41, 41), sigma, np.float32), "gaussian")
    point = np.zeros((41 + 2 * blur.margin, 41 + 2 * blur.margin, 1), np.float32)
    point[20 + blur.margin, 20 + blur.margin] = 1
    psf = blur.forward(point)[..., 0].astype(np.float64)
    y = np.arange(41) - 20
    assert (psf * y[:, None] ** 2).sum() == pytest.approx(sigma**2, rel=0.02)


def test_tiles_do_not_show() -> None:
    sigma = random_map((150, 140), 3.0)
    blur = varying_blur(sigma, "gaussian")
    x = np.random.default_rng(1).random((150 + 2 * blur.margin, 140 + 2 * blur.margin, 3)).astype(np.float32)
    window = (slice(100, 150), slice(100, 140))
    part = varying_blur(sigma[window], "gaussian")
    around = tuple(slice(s.start + blur.margin - part.margin, s.stop + blur.margin + part.margin) for s in window)
    np.testing.assert_allclose(blur.forward(x)[window], part.forward(x[around]), atol=1e-5)


@pytest.mark.parametrize("kernel", [gaussian_kernel(1.3), disk_kernel(1.3), disk_kernel(4.6)])
def test_kernels_are_symmetric_and_sum_to_one(kernel: np.ndarray) -> None:
    assert kernel.sum() == pytest.approx(1.0, rel=1e-6)
    np.testing.assert_array_equal(kernel, kernel[::-1])
    np.testing.assert_array_equal(kernel, kernel.T)


def test_iterations_raise_the_poisson_likelihood() -> None:
    observed = defocus(scene("coins", 64), 2.0)
    blur = varying_blur(np.full((64, 64), 1.1, np.float32))

    def divergence(iterations: int) -> float:
        sharp = richardson_lucy(observed, blur, iterations)
        full = np.pad(sharp, ((blur.margin, blur.margin), (blur.margin, blur.margin), (0, 0)), mode="symmetric")
        inner = (slice(8, -8), slice(8, -8))
        model, seen = blur.forward(full)[inner], observed[inner]
        return float(np.sum(model - seen + seen * np.log(seen / model)))

    values = [divergence(n) for n in (0, 2, 5, 10, 20)]
    assert values == sorted(values, reverse=True)


def test_total_variation_calms_noise() -> None:
    rng = np.random.default_rng(0)
    observed = (0.3 + rng.normal(0, 0.01, (48, 48, 3))).astype(np.float32)
    blur = varying_blur(np.full((48, 48), 1.0, np.float32))
    plain, calm = richardson_lucy(observed, blur, 15), richardson_lucy(observed, blur, 15, tv_weight=0.01)
    assert calm.std() < 0.5 * plain.std()
    assert calm.mean() == pytest.approx(plain.mean(), rel=0.01)


# Gains in dB over the photograph itself; each bound is 0.4 dB below what was measured.
UNIFORM = [
    ("coins", 1.0, 1.6),
    ("coins", 2.0, 2.7),
    ("coins", 3.0, 2.3),
    ("coins", 4.0, 1.9),
    ("astronaut", 2.0, 2.7),
    ("astronaut", 4.0, 1.9),
]
VARYING = [("coins", 2.3), ("immunohistochemistry", 2.7)]


@pytest.mark.parametrize(("name", "radius", "gain"), UNIFORM)
def test_uniform_defocus_is_reduced(name: str, radius: float, gain: float) -> None:
    sharp = scene(name)
    blurred = photograph(defocus(sharp, radius))
    restored = restore(blurred).image
    measured = psnr(restored, photograph(sharp)) - psnr(blurred, photograph(sharp))
    assert measured > gain


@pytest.mark.parametrize(("name", "gain"), VARYING)
def test_varying_defocus_on_black_is_reduced_and_the_background_stays_black(name: str, gain: float) -> None:
    sharp = on_black(scene(name))
    blurred = photograph(defocus(sharp, ramp(128, 4.0)))
    restored = restore(blurred).image
    measured = psnr(restored, photograph(sharp)) - psnr(blurred, photograph(sharp))
    assert measured > gain
    assert not restored[blurred.max(-1) == 0].any()


@pytest.mark.parametrize("name", ["coins", "astronaut", "gravel", "immunohistochemistry"])
def test_sharp_photograph_is_hardly_harmed(name: str) -> None:
    sharp = photograph(on_black(scene(name)))
    assert np.sqrt(np.mean((restore(sharp).image - sharp) ** 2)) < 0.01  # 40 dB; the worst here is 42


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_flat_photograph_is_returned_as_it_is(level: float) -> None:
    flat = np.full((20, 31, 3), level, np.float32)
    np.testing.assert_array_equal(restore(flat).image, flat)


@pytest.mark.parametrize("psf", ["disk", "gaussian"])
def test_deconvolution_keeps_what_is_flat(psf: Psf) -> None:
    flat = np.full((40, 30, 3), 0.4, np.float32)
    np.testing.assert_allclose(richardson_lucy(flat, varying_blur(random_map((40, 30), 3.0), psf), 12), flat, rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (7, 5), (63, 101)])
def test_any_size_is_restored_to_valid_values(shape: tuple[int, int]) -> None:
    image = cv2.blur(np.random.default_rng(0).random((*shape, 3)), (3, 3)).reshape(*shape, 3)
    restored = restore(image)
    assert restored.image.shape == image.shape
    assert restored.image.dtype == np.float32
    assert restored.sigma.shape == shape
    assert np.all((restored.image >= 0) & (restored.image <= 1))


def test_black_and_saturated_parts_stay_finite() -> None:
    linear = np.zeros((60, 60, 3), np.float32)
    linear[20:40, 20:40] = 1
    restored = restore(photograph(defocus(linear, 3.0))).image
    assert np.all((restored >= 0) & (restored <= 1))


def test_result_is_the_same_every_time() -> None:
    photo = photograph(defocus(scene("astronaut"), 2.0))
    np.testing.assert_array_equal(restore(photo).image, restore(photo).image)


def test_no_iterations_return_the_photograph() -> None:
    photo = photograph(defocus(scene("coins"), 2.0))
    np.testing.assert_allclose(restore(photo, RichardsonLucyConfig(iterations=0)).image, photo, atol=1e-5)


def test_known_blur_is_undone_better_than_an_estimated_one() -> None:
    sharp = scene("immunohistochemistry")
    blurred = photograph(defocus(sharp, 3.0))
    linear = srgb_to_linear(blurred).astype(np.float32)
    known = linear_to_srgb(richardson_lucy(linear, varying_blur(np.full((128, 128), 0.55 * 3.0, np.float32)), 50))
    estimated = restore(blurred).image
    assert psnr(known, photograph(sharp)) > psnr(estimated, photograph(sharp)) + 1.2  # 1.7 dB measured
    assert psnr(estimated, photograph(sharp)) > psnr(blurred, photograph(sharp)) + 0.8  # 1.2 dB measured


def test_reblurring_by_a_known_map_gives_the_photograph() -> None:
    sharp = scene("immunohistochemistry")
    blurred = reblur(photograph(sharp), np.full((128, 128), 0.55 * 3.0, np.float32))
    inner = np.s_[8:-8, 8:-8]
    assert psnr(blurred[inner], photograph(defocus(sharp, 3.0))[inner]) > 50  # 58 dB measured
    np.testing.assert_array_equal(reblur(photograph(sharp), np.zeros((128, 128))), photograph(sharp))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1])
def test_values_outside_the_range_are_refused(value: float) -> None:
    image = np.full((8, 8, 3), 0.5)
    image[3, 4, 1] = value
    with pytest.raises(InputError, match="from 0 to 1"):
        restore(image)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (0, 8, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="height, width, 3"):
        restore(np.zeros(shape))
