"""The clarity mask finds what is in focus."""

import cv2
import numpy as np
import pytest

from methods.defocus.clarity import box_sum, clarity, guided_filter


@pytest.fixture(scope="module")
def texture() -> np.ndarray:
    """[64, 96, 3] uint8 noise."""
    return np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)


def test_the_sharp_half_of_a_photograph_is_clearer_than_the_blurred_one(texture: np.ndarray) -> None:
    photograph = texture.copy()
    photograph[:, 48:] = cv2.GaussianBlur(texture, (0, 0), 2.0)[:, 48:]
    mask = clarity(photograph)
    assert mask[:, :40].min() > 2 * mask[:, 56:].max()


def test_the_99th_percentile_is_1_whatever_the_contrast(texture: np.ndarray) -> None:
    for image in (texture, texture // 8):
        assert np.quantile(clarity(image), 0.99) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("value", [0, 100, 200, 255])
def test_an_image_without_contrast_has_no_clarity(value: int) -> None:
    assert not clarity(np.full((20, 30, 3), value, np.uint8)).any()


def test_a_mask_is_never_negative_and_finite_even_for_one_bright_pixel() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[32, 32] = 255
    mask = clarity(image)
    assert np.isfinite(mask).all()
    assert mask.min() >= 0
    assert mask[32, 32] > 0


def test_an_image_smaller_than_the_filters_is_no_obstacle(texture: np.ndarray) -> None:
    assert clarity(texture[:3, :2]).shape == (3, 2)


def test_boxes_at_the_border_count_only_what_lies_inside() -> None:
    counts = box_sum(np.ones((9, 9), np.float32), 2)
    assert (counts[0, 0], counts[0, 4], counts[4, 4]) == (9, 15, 25)


def test_a_guided_filter_keeps_a_constant_and_smooths_noise_under_a_flat_guide(texture: np.ndarray) -> None:
    noise = texture[..., 0].astype(np.float32) / 255
    np.testing.assert_allclose(guided_filter(noise, np.full_like(noise, 0.3), 5, 0.3), 0.3, atol=1e-5)
    smooth = guided_filter(np.full_like(noise, 0.5), noise, 5, 0.3)
    assert smooth.std() < 0.2 * noise.std()


def test_a_guided_filter_of_small_eps_follows_its_guide(texture: np.ndarray) -> None:
    guide = texture[..., 0].astype(np.float32) / 255
    np.testing.assert_allclose(guided_filter(guide, guide, 5, 1e-6), guide, atol=1e-3)
