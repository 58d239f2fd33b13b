"""The networks that predict the width of every pixel's blur."""

import pytest
import torch
from torch import Tensor

from methods.joint.blurnet import INITIAL_SIGMA, BlurNet, Branch, positional_encoding, relative_depth

ABLATIONS = [
    {},
    {"mask": False},
    {"split": False},
    {"depth": False},
    {"split": False, "mask": False},
    {"split": False, "depth": False},
]


@pytest.fixture
def seen() -> tuple[Tensor, Tensor, Tensor]:
    """color [9, 11, 3], mask [9, 11], relative depth [9, 11]."""
    random = torch.Generator().manual_seed(0)
    return tuple(torch.rand(9, 11, *more, generator=random) for more in ((3,), (), ()))  # type: ignore[return-value]


def net(**options: bool) -> BlurNet:
    torch.manual_seed(0)
    return BlurNet(7, **options)


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
def test_switching_the_second_layer_on_does_not_change_sigma(
    options: dict[str, bool], seen: tuple[Tensor, Tensor, Tensor]
) -> None:
    model = net(**options)
    torch.testing.assert_close(model(*seen, deep=True), model(*seen, deep=False))


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
def test_training_begins_with_nearly_no_blur(options: dict[str, bool], seen: tuple[Tensor, Tensor, Tensor]) -> None:
    sigma = net(**options)(*seen, deep=False)
    assert sigma.shape == (9, 11)
    assert 0.4 * INITIAL_SIGMA < sigma.mean() < 2.5 * INITIAL_SIGMA
    assert sigma.min() > 0


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
def test_an_ablation_sees_what_it_says(options: dict[str, bool], seen: tuple[Tensor, Tensor, Tensor]) -> None:
    model = net(**options)
    color, mask, depth = (tensor.clone().requires_grad_() for tensor in seen)
    model(color, mask, depth, deep=True).sum().backward()
    assert color.grad is not None
    assert (mask.grad is not None) == options.get("mask", True)
    assert (depth.grad is not None) == options.get("depth", True)
    assert (model.E is not None) == (options.get("split", True) and options.get("depth", True))


def test_without_depth_it_is_one_branch_of_colour_and_mask() -> None:
    assert net(depth=False).A.first.in_channels == 4
    assert net(split=False).A.first.in_channels == 5
    assert net().A.first.in_channels == 4


def test_a_layer_has_32_units_and_a_branch_two_of_them() -> None:
    branch = Branch(15, 0.5)
    assert sum(parameter.numel() for parameter in branch.parameters()) == (15 * 9 + 1) * 32 + (32 * 9 + 1) * 32 + 33


def test_the_encoding_is_x_and_seven_octaves_of_sine_and_cosine() -> None:
    encoded = positional_encoding(torch.tensor([0.25]), 7)
    assert encoded.shape == (1, 15)
    assert encoded[0, 0] == 0.25
    torch.testing.assert_close(encoded[0, 1:4], torch.tensor([0.5**0.5, 1.0, 0.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(encoded[0, 8:11], torch.tensor([0.5**0.5, 0.0, -1.0]), atol=1e-6, rtol=0)


def surface() -> tuple[Tensor, Tensor]:
    """Depth and alpha [24, 40]: a slope from 100 to 104 on the left half, nothing (depth 0) on the right."""
    depth = torch.linspace(100, 104, 24)[:, None].repeat(1, 40)
    alpha = torch.ones(24, 40)
    depth[:, 20:] = alpha[:, 20:] = 0
    return depth, alpha


def test_relative_depth_is_measured_from_the_clearest_place() -> None:
    depth, alpha = surface()
    weight = torch.zeros(24, 40)
    weight[6, 5] = 1.0
    relative = relative_depth(depth, alpha, weight, reach=3)
    expected = (depth - depth[6, 5]).abs()
    torch.testing.assert_close(relative[4:-4, :16], expected[4:-4, :16], atol=0.02, rtol=0)


def test_relative_depth_is_continued_beside_a_surface_and_0_far_from_it() -> None:
    depth, alpha = surface()
    weight = torch.zeros(24, 40)
    weight[0, 5] = 1.0
    relative = relative_depth(depth, alpha, weight, reach=3)
    assert (relative[12, 20:22] - relative[12, 19]).abs().max() < 0.3
    assert relative[:, 24:].max() == 0


def test_without_any_clarity_the_mean_depth_is_taken_for_the_focus() -> None:
    depth, alpha = surface()
    relative = relative_depth(depth, alpha, torch.zeros(24, 40), reach=3)
    torch.testing.assert_close(relative[11:13, :16].mean(), torch.tensor(0.0), atol=0.1, rtol=0)


def test_relative_depth_of_an_empty_view_is_0() -> None:
    nothing = torch.zeros(8, 8)
    assert not relative_depth(nothing, nothing, torch.ones(8, 8), reach=6).any()


def test_relative_depth_does_not_depend_on_the_scale_of_the_clarity() -> None:
    depth, alpha = surface()
    weight = torch.rand(24, 40, generator=torch.Generator().manual_seed(0))
    once, thrice = (relative_depth(depth, alpha, factor * weight, reach=3) for factor in (1, 3))
    torch.testing.assert_close(once, thrice, atol=1e-4, rtol=1e-3)
