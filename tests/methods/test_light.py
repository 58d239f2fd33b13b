"""Light of tensors: the values are those of arrays, and the gradients are right on both sides of the knee."""

import numpy as np
import torch

from datasets import color
from methods.light import linear_to_srgb, srgb_to_linear

VALUES = torch.tensor([0.0, 0.001, 0.003, 0.0032, 0.01, 0.2, 0.7, 1.0], dtype=torch.float64)


def test_values_are_those_of_arrays() -> None:
    np.testing.assert_allclose(linear_to_srgb(VALUES), color.linear_to_srgb(VALUES.numpy()), atol=1e-12)
    np.testing.assert_allclose(srgb_to_linear(VALUES), color.srgb_to_linear(VALUES.numpy()), atol=1e-12)


def test_gradients_are_right() -> None:
    for curve in (linear_to_srgb, srgb_to_linear):
        assert torch.autograd.gradcheck(curve, VALUES.clone().requires_grad_(), eps=1e-8)


def test_beyond_white_and_below_black_light_has_a_slope() -> None:
    light = torch.tensor([-0.2, 1.7], requires_grad=True)
    srgb = linear_to_srgb(light)
    srgb.sum().backward()
    assert srgb[0] < 0
    assert srgb[1] > 1
    assert light.grad is not None
    assert (light.grad > 0).all()
    assert light.grad[0] == np.float32(12.92)
