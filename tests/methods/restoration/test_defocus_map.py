import numpy as np
import pytest
from defocused import defocus, disk, gaussian, on_black, photograph, ramp, scene, step_edge

from datasets.color import linear_to_srgb, srgb_to_linear
from methods.restoration.defocus_map import codec_slope, estimate_defocus, photograph_noise, propagate


def seen(photo: np.ndarray) -> np.ndarray:
    return estimate_defocus(srgb_to_linear(photo))


def at_the_edge(sigma: np.ndarray) -> float:
    return float(sigma[24:40, 24:40].mean())


@pytest.mark.parametrize("angle", [0.0, 0.4, 0.78])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
def test_gaussian_edge_is_measured_within_5_percent(sigma: float, angle: float) -> None:
    photo = photograph(step_edge(gaussian(8 * sigma), angle))
    assert at_the_edge(seen(photo)) == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 3.0, 4.0])
def test_noise_of_a_photograph_costs_no_more_than_6_percent(sigma: float) -> None:
    photo = linear_to_srgb(step_edge(gaussian(8 * sigma), 0.4))
    noisy = photo + np.random.default_rng(0).normal(0, 0.003, photo.shape)
    assert at_the_edge(seen(photograph(srgb_to_linear(np.clip(noisy, 0, 1))))) == pytest.approx(sigma, rel=0.06)


@pytest.mark.parametrize("radius", [1.0, 2.0, 3.0, 4.0])
def test_disk_edge_is_measured_as_a_gaussian_of_about_half_its_radius(radius: float) -> None:
    photo = photograph(step_edge(disk(8 * radius), 0.4))
    assert 0.48 * radius < at_the_edge(seen(photo)) < 0.62 * radius


@pytest.mark.parametrize("angle", [0.0, 0.4, 0.78])
def test_sharp_edge_is_measured_as_sharp(angle: float) -> None:
    assert at_the_edge(seen(photograph(step_edge(np.ones((1, 1)), angle)))) < 0.2


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("astronaut", 0.9, 1.15), ("coins", 0.9, 1.2), ("immunohistochemistry", 0.9, 1.2), ("gravel", 0.6, 1.0)],
)
@pytest.mark.parametrize("radius", [2.0, 3.0])
def test_median_in_texture_on_black_is_near_the_gaussian_of_the_disk(
    name: str, low: float, high: float, radius: float
) -> None:
    photo = photograph(defocus(on_black(scene(name)), radius))
    median = np.median(seen(photo)[photo.max(-1) > 0.1])
    assert low < median / (0.55 * radius) < high


@pytest.mark.parametrize(("name", "correlation"), [("coins", 0.9), ("astronaut", 0.8)])
def test_map_follows_a_varying_blur(name: str, correlation: float) -> None:
    radius = ramp(128, 4.0)
    sigma = seen(photograph(defocus(scene(name), radius)))
    assert np.corrcoef(sigma.ravel(), radius.ravel())[0, 1] > correlation


@pytest.mark.parametrize("level", [0.0, 0.2, 1.0])
def test_without_an_edge_the_map_is_zero(level: float) -> None:
    assert not estimate_defocus(np.full((20, 30, 3), level, np.float32)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (5, 7), (63, 101)])
def test_any_size_has_a_finite_map(shape: tuple[int, int]) -> None:
    linear = np.random.default_rng(0).random((*shape, 3)).astype(np.float32)
    sigma = estimate_defocus(linear)
    assert sigma.shape == shape
    assert sigma.dtype == np.float32
    assert np.all((sigma >= 0) & (sigma <= 8))


@pytest.mark.parametrize("noise", [0.003, 0.01])
def test_noise_is_measured_in_code_values(noise: float) -> None:
    grey = 0.5 + np.random.default_rng(0).normal(0, noise, (200, 200))
    assert photograph_noise(srgb_to_linear(grey).astype(np.float32)) == pytest.approx(noise, rel=0.1)


def test_codec_slope_is_the_derivative_of_decoding() -> None:
    codes = np.linspace(0.06, 0.99, 50)
    slope = (srgb_to_linear(codes + 1e-5) - srgb_to_linear(codes - 1e-5)) / 2e-5
    np.testing.assert_allclose(codec_slope(srgb_to_linear(codes)), slope, rtol=1e-4)


def test_propagation_changes_where_the_picture_changes() -> None:
    guide = np.zeros((20, 20, 3), np.float32)
    guide[:, 10:] = 1
    sigma, confidence = np.zeros((20, 20)), np.zeros((20, 20))
    sigma[:, 0], sigma[:, 19] = 1.0, 3.0
    confidence[:, 0] = confidence[:, 19] = 100.0
    step = np.diff(propagate(sigma, confidence, guide, 1.0), axis=1)
    assert np.all(step >= 0)
    assert np.all(step[:, 9] > 5 * step[:, [0, 5, 13, 18]].max())
