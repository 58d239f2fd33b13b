"""Small scenes and named numeric assertions that the tests of the rasterizers share."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import Render, Viewport, render

WIDTH, HEIGHT = 43, 37


def random_gaussians(n: int = 60, degree: int = 1, seed: int = 0) -> Gaussians:
    """n anisotropic Gaussians about the origin, in float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Gaussians(
        means=0.8 * normal(n, 3),
        quats=normal(n, 4),
        log_scales=0.5 * normal(n, 3) - 1.8,
        logit_opacities=1.5 * normal(n) + 0.3,
        sh=0.3 * normal(n, (degree + 1) ** 2, 3),
    )


def viewport(seed: int = 0) -> Viewport:
    """A rotated camera with an off-centre principal point; no side is a multiple of a tile or a block."""
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    w2c = torch.eye(4, dtype=torch.float64)
    w2c[:3, :3] = rotation * torch.linalg.det(rotation)
    w2c[:3, 3] = torch.tensor([0.1, -0.2, 4.0], dtype=torch.float64)
    return Viewport(WIDTH, HEIGHT, 42.0, 39.0, 0.45 * WIDTH, 0.56 * HEIGHT, w2c)


def extra_variance(kind: str | None, n: int = 60, seed: int = 1) -> Tensor | None:
    """None, "scalar" ([n]) or "matrix" ([n, 3]), px^2."""
    if kind is None:
        return None
    generator = torch.Generator().manual_seed(seed)
    xx, yy = 0.3 + 3.0 * torch.rand(2, n, generator=generator, dtype=torch.float64)
    correlation = 1.6 * torch.rand(n, generator=generator, dtype=torch.float64) - 0.8
    return xx if kind == "scalar" else torch.stack([xx, correlation * torch.sqrt(xx * yy), yy], dim=-1)


def leaves(gaussians: Gaussians, dtype: torch.dtype, device: str = "cpu") -> dict[str, Tensor]:
    """Fresh leaf tensors of the parameters."""
    names = ("means", "quats", "log_scales", "logit_opacities", "sh")
    return {name: getattr(gaussians, name).detach().to(device, dtype).clone().requires_grad_() for name in names}


def render_with_gradients(
    backend: str,
    gaussians: Gaussians,
    view: Viewport,
    *,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    background: Tensor | None = None,
    colors: Tensor | None = None,
    extra: Tensor | None = None,
    **options: Any,
) -> tuple[Render, dict[str, Tensor]]:
    """Render, and the gradient of a fixed random linear functional of colour, depth and alpha by every input."""
    inputs = leaves(gaussians, dtype, device)
    extras = {"background": background, "colors": colors, "extra_variance": extra}
    optional = {
        name: value.detach().to(device, dtype).clone().requires_grad_()
        for name, value in extras.items()
        if value is not None
    }
    result = render(Gaussians(**inputs), view, backend=backend, screen_gradients=True, **optional, **options)
    generator = torch.Generator().manual_seed(9)
    loss = torch.zeros((), dtype=dtype, device=device)
    for image in (result.color, result.depth, result.alpha):
        weights = torch.randn(image.shape, generator=generator, dtype=torch.float64)
        loss = loss + (image * weights.to(device, dtype)).sum()
    loss.backward()
    assert result.screen_offsets is not None
    gradients = {**inputs, **optional, "screen_offsets": result.screen_offsets}
    return result, {name: leaf.grad for name, leaf in gradients.items() if leaf.grad is not None}


def assert_images_agree(actual: Render, expected: Render, tolerance: float = 5e-6) -> None:
    """Colour and alpha agree to `tolerance`, depth to ten times that (scenes are about 5 units deep)."""
    for name, allowed in (("color", tolerance), ("alpha", tolerance), ("depth", 10 * tolerance)):
        difference = (getattr(actual, name).cpu().double() - getattr(expected, name).cpu().double()).abs().max()
        assert difference <= allowed, f"{name} differs by {difference:.2e}, allowed {allowed:.0e}"


def assert_gradients_agree(actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 3e-5) -> None:
    """Every gradient agrees in relative norm, and both sides have the same ones."""
    assert actual.keys() == expected.keys()
    for name, reference in expected.items():
        norm = torch.linalg.vector_norm(reference.double())
        assert 0 < norm < math.inf, f"the reference gradient of {name} is {norm}"
        error = torch.linalg.vector_norm(actual[name].cpu().double() - reference.cpu().double()) / norm.cpu()
        assert error <= tolerance, f"gradient of {name} is off by {error:.2e}, allowed {tolerance:.0e}"
