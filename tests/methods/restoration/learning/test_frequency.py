"""The loss between spectra."""

import numpy as np
import torch

from methods.restoration.learning.frequency import fft_l1


def images(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.rand(*shape, generator=random), torch.rand(*shape, generator=random)


def test_it_is_the_mean_over_frequencies_of_both_parts() -> None:
    image, target = images(2, 3, 5, 7)
    spectra = np.fft.fft2(image.double().numpy()) - np.fft.fft2(target.double().numpy())
    expected = np.abs(spectra.real).mean() + np.abs(spectra.imag).mean()
    torch.testing.assert_close(fft_l1(image.double(), target.double()).item(), expected)


def test_a_brighter_image_differs_at_frequency_0_alone() -> None:
    image, _ = images(1, 3, 8, 6)
    torch.testing.assert_close(fft_l1(image + 0.25, image).item(), 0.25, atol=1e-5, rtol=0)


def test_noise_counts_by_the_square_root_of_the_number_of_pixels() -> None:
    small, large = (fft_l1(*images(1, 3, size, size)).item() for size in (16, 64))
    assert 3.5 < large / small < 4.5


def test_it_takes_images_in_half_precision_and_has_a_gradient() -> None:
    image, target = images(1, 3, 6, 6)
    half = image.bfloat16().requires_grad_()
    loss = fft_l1(half, target.bfloat16())
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.item(), fft_l1(image, target).item(), rtol=0.03, atol=0)
    assert half.grad is not None
    assert half.grad.any()
