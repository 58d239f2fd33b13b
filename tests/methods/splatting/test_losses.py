"""The photometric loss against an independent implementation, and its gradient."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from methods.splatting.losses import Reference, photometric, ssim

RANDOM = np.random.default_rng(0)


def pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    image = RANDOM.random((height, width, 3))
    return image, np.clip(image + 0.1 * RANDOM.standard_normal(image.shape), 0, 1)


@pytest.mark.parametrize("size", [(32, 32), (40, 25)])
def test_ssim_agrees_with_scikit_image_away_from_the_border(size: tuple[int, int]) -> None:
    """The border differs by design: zeros here, mirrored there; so both images are black within reach of it."""
    x, y = pair(*size)
    for image in (x, y):
        image[:8] = image[-8:] = image[:, :8] = image[:, -8:] = 0
    _, expected = structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=-1, full=True
    )
    assert float(ssim(torch.tensor(x), Reference.of(torch.tensor(y)))) == pytest.approx(expected.mean(), abs=2e-6)


def test_ssim_of_equal_images_is_one_and_falls_with_noise() -> None:
    x, y = (torch.tensor(image) for image in pair(24, 24))
    assert float(ssim(x, Reference.of(x))) == pytest.approx(1)
    assert float(ssim(x, Reference.of(y))) < 0.99


def test_the_loss_mixes_l1_and_dssim_by_its_weight() -> None:
    x, y = (torch.tensor(image) for image in pair(24, 24))
    assert float(photometric(x, Reference.of(y), 0.0)) == pytest.approx(float((x - y).abs().mean()))
    assert float(photometric(x, Reference.of(y), 1.0)) == pytest.approx(1 - float(ssim(x, Reference.of(y))))


def test_the_gradient_of_ssim_is_right() -> None:
    x, y = (torch.tensor(image) for image in pair(13, 12))
    assert torch.autograd.gradcheck(lambda image: ssim(image, Reference.of(y)), x.requires_grad_())
