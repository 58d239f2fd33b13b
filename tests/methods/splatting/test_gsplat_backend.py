"""The gsplat back end: on a GPU against the twin; elsewhere its algebra, with gsplat's kernels replaced."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from pretend_cuda import pretended, there_and_back, waits
from splatting_scenes import (
    assert_gradients_agree,
    assert_images_agree,
    extra_variance,
    leaves,
    random_gaussians,
    render_with_gradients,
    viewport,
)
from torch import Tensor

from methods.splatting import gsplat_backend, reference
from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import Viewport, render
from methods.splatting.viewport import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN

CASES = [(False, 0.3, None), (True, 0.3, None), (False, 0.3, "scalar"), (True, 0.3, "scalar"), (True, 0.1, "matrix")]
BACKGROUND = torch.tensor([0.1, 0.4, 0.7], dtype=torch.float64)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("antialiased", "dilation", "kind"), CASES)
@pytest.mark.parametrize("degree", [0, 3])
def test_images_and_gradients_are_those_of_the_twin(antialiased, dilation, kind, degree):
    gaussians, view = random_gaussians(degree=degree), viewport()
    options: dict[str, Any] = {
        "dilation": dilation,
        "antialiased": antialiased,
        "extra": extra_variance(kind),
        "background": BACKGROUND,
    }
    expected, wanted = render_with_gradients("torch", gaussians, view, dtype=torch.float64, **options)
    actual, got = render_with_gradients("gsplat", gaussians, view, device="cuda", **options)
    # gsplat uses fast intrinsics.
    assert_images_agree(actual, expected, tolerance=5e-5)
    assert_gradients_agree(got, wanted, tolerance=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_no_gaussians_give_the_background():
    nothing = random_gaussians(0).to("cuda", torch.float32)
    result = render(nothing, viewport(), backend="gsplat", background=BACKGROUND)
    assert torch.allclose(result.color.cpu(), BACKGROUND.float().expand_as(result.color.cpu()))


def project_in_torch(
    means: Tensor,
    covars: None,
    quats: Tensor,
    scales: Tensor,
    viewmats: Tensor,
    intrinsics: Tensor,
    width: int,
    height: int,
    **options: Any,
) -> Any:
    """gsplat's PyTorch version of its projection; culled rows are filled with NaN, as memory may be."""
    from gsplat.cuda import _torch_impl as impl

    covariances, _ = impl._quat_scale_to_covar_preci(quats, scales, compute_preci=False)
    radii, *values = impl._fully_fused_projection(means, covariances, viewmats, intrinsics, width, height, **options)
    culled = (radii == 0).any(-1)
    filled = []
    for value in values:
        if value is None:
            filled.append(None)
            continue
        mask = culled if value.ndim == culled.ndim else culled[..., None]
        filled.append(torch.where(mask, torch.nan, value))
    return radii, *filled


def composite_in_torch(
    means2d: Tensor,
    conics: Tensor,
    colors: Tensor,
    opacities: Tensor,
    width: int,
    height: int,
    tile: int,
    offsets: Tensor,
    ids: Tensor,
) -> tuple[Tensor, Tensor]:
    """Dense compositing of the listed Gaussians, tile by tile."""
    bounds = [*offsets.flatten().tolist(), len(ids)]
    color = torch.zeros(1, height, width, colors.shape[-1], dtype=colors.dtype)
    alpha = torch.zeros(1, height, width, 1, dtype=colors.dtype)
    for index in range(offsets.numel()):
        y0, x0 = tile * (index // offsets.shape[-1]), tile * (index % offsets.shape[-1])
        y1, x1 = min(y0 + tile, height), min(x0 + tile, width)
        listed = ids[bounds[index] : bounds[index + 1]].long()
        y = torch.arange(y0, y1)[None, :, None] + 0.5 - means2d[0, listed, 1, None, None]
        x = torch.arange(x0, x1)[None, None, :] + 0.5 - means2d[0, listed, 0, None, None]
        a, b, c = (conics[0, listed, k, None, None] for k in range(3))
        a = opacities[0, listed, None, None] * torch.exp(-0.5 * (a * x * x + c * y * y) - b * x * y)
        a = torch.where(a >= ALPHA_MIN, a.clamp(max=ALPHA_MAX), 0.0)
        after = torch.cumprod(1 - a, dim=0)
        before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
        weights = torch.where(after > TRANSMITTANCE_MIN, a * before, 0.0)
        color[0, y0:y1, x0:x1] = torch.einsum("khw,kc->hwc", weights, colors[0, listed])
        alpha[0, y0:y1, x0:x1, 0] = weights.sum(0)
    return color, alpha


@pytest.fixture
def replaced_kernels(monkeypatch):
    """gsplat's CUDA functions, replaced by PyTorch ones."""
    wrapper = pytest.importorskip("gsplat.cuda._wrapper")
    from gsplat.cuda import _torch_impl as impl

    monkeypatch.setattr(wrapper, "fully_fused_projection", project_in_torch)
    monkeypatch.setattr(wrapper, "isect_tiles", impl._isect_tiles)
    monkeypatch.setattr(wrapper, "isect_offset_encode", impl._isect_offset_encode)
    monkeypatch.setattr(wrapper, "rasterize_to_pixels", composite_in_torch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.parametrize(("antialiased", "dilation", "kind"), CASES)
def test_the_algebra_between_the_kernels_is_right(replaced_kernels, monkeypatch, antialiased, dilation, kind):
    gaussians, view, extra = random_gaussians(), viewport(), extra_variance(kind)
    filters = {"dilation": dilation, "antialiased": antialiased}
    options: dict[str, Any] = {**filters, "extra": extra, "background": BACKGROUND}
    expected, wanted = render_with_gradients("torch", gaussians, view, dtype=torch.float64, **options)
    # Through the twin's door, which lets float64 on the CPU pass, but into the gsplat back end.
    monkeypatch.setattr(reference, "rasterize", gsplat_backend.rasterize)
    actual, got = render_with_gradients("torch", gaussians, view, dtype=torch.float64, **options)
    assert actual.backend == "gsplat"
    assert torch.equal(actual.radii, expected.radii)
    assert_images_agree(actual, expected, tolerance=1e-6)
    assert_gradients_agree(got, wanted, tolerance=1e-4)


@pytest.mark.parametrize(("antialiased", "dilation", "kind"), CASES)
def test_between_the_kernels_all_is_on_the_device_and_nothing_waits(
    replaced_kernels, monkeypatch, antialiased, dilation, kind
):
    from gsplat.cuda import _wrapper as wrapper

    for name in ("fully_fused_projection", "isect_tiles", "isect_offset_encode", "rasterize_to_pixels"):
        monkeypatch.setattr(wrapper, name, there_and_back(getattr(wrapper, name)))
    gaussians, view, extra = random_gaussians(), viewport(), extra_variance(kind)
    filters = {"dilation": dilation, "antialiased": antialiased}
    options: dict[str, Any] = {**filters, "extra": extra, "background": BACKGROUND}
    extras = {"extra_variance": extra, "background": BACKGROUND}
    expected, wanted = render_with_gradients("torch", gaussians, view, dtype=torch.float32, **options)
    with pretended():
        actual, got = render_with_gradients("gsplat", gaussians, view, device="cuda", **options)
        # Once more with all on the device, as in training; what the test itself brings there does not count.
        inputs = {name: leaf.detach() for name, leaf in leaves(gaussians, torch.float32, "cuda").items()}
        there = {key: None if value is None else value.to("cuda", torch.float32) for key, value in extras.items()}
        seen = replace(view, w2c=view.w2c.to("cuda", torch.float32))
        waits.clear()
        render(Gaussians(**inputs), seen, backend="gsplat", **filters, **there)
        assert not waits
    assert_images_agree(actual, expected, tolerance=1e-5)
    assert_gradients_agree(got, wanted, tolerance=1e-3)


def test_light_from_outside_the_image_is_not_lost(replaced_kernels):
    """A Gaussian beyond the edge must be projected if its circle of confusion reaches inside."""
    gaussians = Gaussians(
        means=torch.tensor([[-1.2, 0.0, 10.0]], dtype=torch.float64),  # 12 px left of the image
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64),
        log_scales=torch.full((1, 3), math.log(0.3), dtype=torch.float64),  # 3 px
        logit_opacities=torch.tensor([3.0], dtype=torch.float64),
        sh=torch.zeros(1, 1, 3, dtype=torch.float64),
    )
    view = Viewport(128, 32, 100.0, 100.0, 0.0, 16.0, torch.eye(4, dtype=torch.float64))
    options: dict[str, Any] = {"colors": None, "background": None, "dilation": 0.3, "antialiased": False}
    options |= {"near": 0.01, "offsets": None}
    extra = torch.full((1,), 25.0, dtype=torch.float64)
    sharp = reference.rasterize(gaussians, view, 0, extra_variance=None, **options)
    expected = reference.rasterize(gaussians, view, 0, extra_variance=extra, **options)
    actual = gsplat_backend.rasterize(gaussians, view, 0, extra_variance=extra, **options)
    assert sharp.alpha.max() == 0
    assert expected.alpha.max() > 0.01
    assert_images_agree(actual, expected, tolerance=1e-9)
