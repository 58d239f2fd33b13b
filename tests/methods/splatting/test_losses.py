"""The photometric loss against an independent implementation, and its gradient."""

import numba
import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from methods.splatting.losses import Reference, photometric, ssim, ssim_in_torch

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


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (13, 12), (40, 25), (70, 64)])
def test_the_kernels_of_the_cpu_give_the_ssim_and_the_gradient_of_the_twin(size: tuple[int, int]) -> None:
    x, y = (torch.tensor(image) for image in pair(*size))
    found, expected = x.float().requires_grad_(), x.clone().requires_grad_()
    value, wanted = ssim(found, Reference.of(y.float())), ssim_in_torch(expected, Reference.of(y))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(wanted.item(), abs=1e-6)
    (2 * value).backward()
    (2 * wanted).backward()
    assert found.grad is not None
    assert expected.grad is not None
    assert (found.grad - expected.grad).abs().max() < 1e-5 * expected.grad.abs().max()


def test_the_kernels_give_the_same_bits_for_any_number_of_threads() -> None:
    x, y = (torch.tensor(image).float() for image in pair(200, 40))
    reference, before = Reference.of(y), numba.get_num_threads()
    results = []
    try:
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(threads)
            image = x.clone().requires_grad_()
            value = ssim(image, reference)
            value.backward()
            results.append((value.detach(), image.grad))
    finally:
        numba.set_num_threads(before)
    (one, slope), (many, slopes) = results
    assert torch.equal(one, many)
    assert torch.equal(slope, slopes)
