"""The interface: what it refuses, and what it chooses."""

from dataclasses import replace

import pytest
import torch
from splatting_scenes import random_gaussians, render_with_gradients, viewport

from methods.splatting.rasterizer import render, resolve_backend


def test_the_device_decides_the_backend():
    assert resolve_backend("cpu") == "cpu"
    assert resolve_backend(torch.device("cuda:1")) == "gsplat"
    with pytest.raises(ValueError, match="meta"):
        resolve_backend("meta")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a host without CUDA")
def test_gsplat_without_cuda_is_refused_and_not_replaced():
    with pytest.raises(RuntimeError, match="'gsplat' needs a CUDA device"):
        render(random_gaussians().to(dtype=torch.float32), viewport(), backend="gsplat")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "metal"}, "unknown rasterizer 'metal'"),
        ({"sh_degree": 2}, "store degree 1"),
        ({"colors": torch.zeros(60, 4)}, r"colors has shape \(60, 4\)"),
        ({"background": torch.zeros(4)}, "background has shape"),
        ({"extra_variance": torch.zeros(60, 2)}, "extra_variance has shape"),
        ({"dilation": 0.0}, "dilation is 0.0 px"),
        ({"dilation": float("nan")}, "dilation is nan px"),
        ({"dtype": torch.float64}, "computes in float32"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options, message):
    gaussians = random_gaussians().to(dtype=torch.float32)
    with pytest.raises(ValueError, match=message):
        render(gaussians, viewport(), **{"backend": "cpu", **options})


def test_no_camera_gradient_is_pretended():
    view = viewport()
    view = replace(view, w2c=view.w2c.clone().requires_grad_())
    with pytest.raises(ValueError, match="no gradient for the camera"):
        render(random_gaussians().to(dtype=torch.float32), view, backend="cpu")


@pytest.mark.parametrize("backend", ["torch", "cpu"])
def test_the_screen_gradient_is_there_after_backward_only(backend):
    gaussians = random_gaussians().to(dtype=torch.float32)
    for parameter in (gaussians.means, gaussians.sh):
        parameter.requires_grad_()
    result = render(gaussians, viewport(), backend=backend, screen_gradients=True)
    with pytest.raises(RuntimeError, match="call backward"):
        result.screen_gradient_norm()
    result.color.sum().backward()
    norm = result.screen_gradient_norm()
    assert norm.shape == (60,)
    assert (norm[~result.visible] == 0).all()
    assert norm.max() > 0
    with pytest.raises(RuntimeError, match="screen_gradients=True"):
        render(gaussians, viewport(), backend=backend).screen_gradient_norm()


@pytest.mark.parametrize("backend", ["torch", "cpu"])
def test_extra_variance_may_depend_on_depth(backend):
    gaussians, view = random_gaussians(), viewport()
    dtype = torch.float64 if backend == "torch" else torch.float32
    means = gaussians.means.to(dtype).requires_grad_()
    focus = torch.tensor(4.0, dtype=dtype, requires_grad=True)
    blurred = replace(gaussians.to(dtype=dtype), means=means)
    variance = (30.0 * (1.0 / focus - 1.0 / view.depths(means).clamp(min=1.0))) ** 2
    render(blurred, view, backend=backend, extra_variance=variance).color.square().sum().backward()
    assert means.grad is not None
    assert focus.grad is not None
    assert focus.grad.abs() > 0


def test_the_default_is_black_and_the_background_shows_through():
    gaussians, view = random_gaussians(5).to(dtype=torch.float32), viewport()
    black = render(gaussians, view, backend="cpu")
    colored = render(gaussians, view, backend="cpu", background=torch.tensor([0.1, 0.5, 0.9]))
    empty = black.alpha == 0
    assert empty.any()
    assert (black.color[empty] == 0).all()
    assert torch.equal(colored.color[empty], torch.tensor([0.1, 0.5, 0.9]).expand(int(empty.sum()), 3))
    assert torch.equal(colored.alpha, black.alpha)


def test_overriding_colours_are_used_as_they_are():
    gaussians, view = random_gaussians(), viewport()
    colors = torch.full((60, 3), 0.25, dtype=torch.float64)
    result, gradients = render_with_gradients("torch", gaussians, view, dtype=torch.float64, colors=colors)
    assert torch.allclose(result.color, 0.25 * result.alpha[..., None].expand_as(result.color))
    assert "sh" not in gradients


@pytest.mark.parametrize("backend", ["torch", "cpu"])
def test_screen_gradients_of_several_renders_add_up_in_one_place(backend):
    gaussians = random_gaussians().to(dtype=torch.float32)
    gaussians.means.requires_grad_()
    alone = render(gaussians, viewport(), backend=backend, screen_gradients=True)
    alone.color.sum().backward()
    first = render(gaussians, viewport(), backend=backend, screen_gradients=True)
    second = render(gaussians, viewport(), backend=backend, screen_gradients=first.screen_offsets)
    (first.color.sum() + second.color.sum()).backward()
    assert torch.allclose(first.screen_gradient_norm(), 2 * alone.screen_gradient_norm(), rtol=1e-4)
