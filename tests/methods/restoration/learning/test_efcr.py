"""Extended frequency contrastive regularisation: what it rewards, and that it teaches at all."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from methods.restoration.learning.efcr import REBLUR_SIZES, efcr, extended, haar, reblur


@pytest.fixture
def images() -> tuple[Tensor, Tensor, Tensor]:
    """An output between the photograph and its sharp twin, the twin, and the photograph, [2, 3, 8, 8] float64."""
    sharp = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    blurred = reblur(sharp, 3)
    return (0.4 * sharp + 0.6 * blurred) ** 1.1, sharp, blurred


def inverse_haar(low: Tensor, high: Tensor) -> Tensor:
    rows, columns, both = high.unbind(2)
    quarters = [low + rows + columns + both, low - rows + columns - both, low + rows - columns - both]
    return F.pixel_shuffle(torch.stack([*quarters, low - rows - columns + both], 2).flatten(1, 2) / 2, 2)


def test_the_wavelet_transform_loses_nothing(images: tuple[Tensor, Tensor, Tensor]) -> None:
    low, high = haar(images[0])
    assert low.shape == (2, 3, 4, 4)
    assert high.shape == (2, 3, 3, 4, 4)
    torch.testing.assert_close(inverse_haar(low, high), images[0])


def test_the_wavelet_transform_keeps_energy(images: tuple[Tensor, Tensor, Tensor]) -> None:
    low, high = haar(images[0])
    torch.testing.assert_close(low.square().sum() + high.square().sum(), images[0].square().sum())


def test_each_high_band_sees_the_edges_of_its_direction() -> None:
    x = torch.arange(6.0).remainder(2)
    stripes, bars, checks = x.expand(6, 6), x[:, None].expand(6, 6), (x + x[:, None]).remainder(2)
    for band, pattern in enumerate((stripes, bars, checks)):
        found = haar(pattern[None, None])[1][0, 0].abs().sum(dim=(1, 2))
        assert found.nonzero().flatten().tolist() == [band]


def test_an_odd_row_or_column_is_repeated() -> None:
    low, high = haar(torch.ones(1, 3, 5, 7))
    assert torch.equal(low, torch.full((1, 3, 3, 4), 2.0))
    assert not high.any()


def test_it_is_the_mean_over_images_of_the_ratio_of_distances() -> None:
    """Eq. 4, 5 and 7 by hand: one pixel of a black 2 x 2 image differs by d, so every coefficient by d / 2."""

    def dot(*values: float) -> Tensor:
        return torch.tensor(values)[:, None, None, None] * torch.tensor([[1.0, 0.0], [0.0, 0.0]])

    nothing = dot(0.0, 0.0)
    value = efcr(dot(0.5, 0.5), dot(0.7, 0.9), nothing)
    torch.testing.assert_close(value, torch.tensor((0.2 / 0.25 + 0.4 / 0.25) / 2), rtol=5e-3, atol=0)
    high = efcr(dot(0.5, 0.5), dot(0.7, 0.9), nothing, high_only=True)
    torch.testing.assert_close(high, value / 2)
    lext = extended(dot(0.8, 0.8), dot(0.6, 0.4), dot(0.7, 0.8))
    torch.testing.assert_close(lext, torch.tensor([0.5, 1.0]), rtol=2e-2, atol=0)
    both = efcr(dot(0.5, 0.5), dot(0.7, 0.9), nothing, lext)
    torch.testing.assert_close(both, (0.2 / (0.25 + lext[0]) + 0.4 / (0.25 + lext[1])) / 2, rtol=5e-3, atol=0)


def test_one_extended_serves_all_images(images: tuple[Tensor, Tensor, Tensor]) -> None:
    """Extra photographs without sharp twins may be of another number than the pairs."""
    extra = images[2].repeat(2, 1, 1, 1)[:3]
    lext = extended(extra, reblur(extra, 5), extra)
    assert lext.shape == (3,)
    torch.testing.assert_close(efcr(*images, lext.mean()), efcr(*images, lext.mean().expand(2)))


def test_the_sharp_image_is_best_and_the_photograph_worst(images: tuple[Tensor, Tensor, Tensor]) -> None:
    output, sharp, blurred = images
    assert efcr(sharp, sharp, blurred) == 0
    assert 0 < efcr(output, sharp, blurred) < efcr(blurred, sharp, blurred)


def test_a_network_that_undoes_a_second_blur_is_rewarded(images: tuple[Tensor, Tensor, Tensor]) -> None:
    blurred = images[2]
    again = reblur(blurred, 5)
    idle, busy = (extended(blurred, again, made) for made in (again, blurred))
    assert not idle.any()
    assert (efcr(*images, busy) < efcr(*images, idle)).all()


@pytest.mark.parametrize("high_only", [False, True])
def test_its_gradient_is_that_of_finite_differences(images: tuple[Tensor, Tensor, Tensor], high_only: bool) -> None:
    output, sharp, blurred = (image[:, :1, :6, :6] for image in images)
    again = reblur(blurred, 5)
    made = (0.3 * again + 0.7 * blurred) ** 1.1

    def value(output: Tensor, made: Tensor) -> Tensor:
        return efcr(output, sharp, blurred, extended(blurred, again, made), high_only)

    inputs = (output.requires_grad_(), made.requires_grad_())
    assert all(bool(gradient.any()) for gradient in torch.autograd.grad(value(*inputs), inputs))
    assert torch.autograd.gradcheck(value, inputs)


def test_a_step_along_its_gradient_lowers_it(images: tuple[Tensor, Tensor, Tensor]) -> None:
    output, sharp, blurred = images
    before = efcr(output.requires_grad_(), sharp, blurred)
    (gradient,) = torch.autograd.grad(before, output)
    assert efcr(output - 1e-3 * gradient / gradient.norm(), sharp, blurred) < before


def test_images_without_any_difference_give_0_and_no_nan() -> None:
    grey = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    value = efcr(grey, grey, grey, extended(grey, reblur(grey, 3), grey))
    assert value == 0
    (gradient,) = torch.autograd.grad(value, grey)
    assert gradient.isfinite().all()


def test_a_network_that_still_returns_what_it_sees_is_not_thrown_far(images: tuple[Tensor, Tensor, Tensor]) -> None:
    """Residual networks begin like this, where L- = 0."""
    _, sharp, blurred = images
    output = blurred.clone().requires_grad_()
    value = efcr(output, sharp, blurred, extended(blurred, reblur(blurred, 3), reblur(blurred, 3)))
    (gradient,) = torch.autograd.grad(value, output)
    assert value < 1000
    assert gradient.isfinite().all()


@pytest.mark.parametrize("size", REBLUR_SIZES)
def test_reblurring_spreads_a_point_over_the_kernel(size: int) -> None:
    point = torch.zeros(1, 1, 15, 15)
    point[..., 7, 7] = 1.0
    spread = reblur(point, size)
    assert (spread > 0).sum() == size**2
    torch.testing.assert_close(spread.sum(), torch.tensor(1.0))
