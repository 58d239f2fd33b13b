"""The one door to the rasterizers: check the arguments, then hand over to the back end that was named.

Three back ends draw the same image and give the same gradients:
"torch"   dense and slow, obvious to read, any precision: what the other two are tested against
"cpu"     tiles and vector units of a CPU, compiled by numba
"gsplat"  CUDA, by gsplat's kernels
"""

from __future__ import annotations

import importlib
import math

import torch
from torch import Tensor

from methods.splatting.config import DILATION
from methods.splatting.gaussians import Gaussians
from methods.splatting.viewport import NEAR, Render, Viewport

__all__ = ["BACKENDS", "Render", "Viewport", "render", "resolve_backend"]

_MODULES = {
    "torch": "methods.splatting.reference",
    "cpu": "methods.splatting.cpu",
    "gsplat": "methods.splatting.gsplat_backend",
}
BACKENDS = tuple(_MODULES)


def resolve_backend(device: torch.device | str) -> str:
    """Name of the fast back end for tensors on this device. Raises ValueError for a device without one."""
    kind = torch.device(device).type
    if kind == "cuda":
        return "gsplat"
    if kind == "cpu":
        return "cpu"
    raise ValueError(f"no rasterizer for device {kind!r}: use 'cuda' or 'cpu', or name backend='torch'")


def render(
    gaussians: Gaussians,
    viewport: Viewport,
    *,
    backend: str,
    sh_degree: int | None = None,
    colors: Tensor | None = None,  # [N, 3] instead of the spherical harmonics
    background: Tensor | None = None,  # [3] or [H, W, 3]; None is black
    extra_variance: Tensor | None = None,  # [N] or [N, 3] px^2
    dilation: float = DILATION,
    antialiased: bool = False,
    near: float = NEAR,
    screen_gradients: bool | Tensor = False,
    dtype: torch.dtype | None = None,
) -> Render:
    """Render one view, differentiable in the Gaussians, `colors`, `background` and `extra_variance`.

    Each Gaussian is projected to 2D (EWA splatting: Zwicker et al. 2001; Kerbl et al. 2023) and composited front
    to back in the order of its centre's depth.

    sh_degree: degree to evaluate, at most the one stored; None evaluates all.
    extra_variance: added to the 2D covariance, as v I ([N]) or as (xx, xy, yy) ([N, 3]): the per-Gaussian circle
        of confusion. Opacity is multiplied by sqrt(det before / det after), so the light is spread, not added to.
        It may depend on the Gaussians (`viewport.depths(means)`); the gradient flows through.
    dilation: px^2 added to every 2D covariance, above 0: the pixel as a filter. A photosite has 1 / 12 px^2.
    antialiased: compensate opacity for the dilation as well (Yu et al. 2024, Mip-Splatting).
    near: Gaussians whose centre is nearer than this along the optical axis (unit of the scene) are not drawn.
    screen_gradients: provide `Render.screen_gradient_norm()` after the backward pass. Given the `screen_offsets`
        of another render instead of True, the gradients of both add up there.
    dtype: precision; only "torch" computes in anything but float32. None keeps that of the means.

    Raises ValueError for shapes, types, devices or names that do not fit, RuntimeError for "gsplat" without CUDA.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown rasterizer {backend!r}: choose one of {', '.join(BACKENDS)}")
    n = len(gaussians)
    if sh_degree is None:
        sh_degree = gaussians.sh_degree
    if not 0 <= sh_degree <= gaussians.sh_degree:
        raise ValueError(f"sh_degree {sh_degree} asked for, but the Gaussians store degree {gaussians.sh_degree}")
    if viewport.width < 1 or viewport.height < 1:
        raise ValueError(f"the image must have at least one pixel, not {viewport.width} x {viewport.height}")
    if not 0 < dilation < math.inf:
        raise ValueError(f"dilation is {dilation} px^2; it must be above 0 and finite")
    _check_shape("w2c", viewport.w2c, (4, 4))
    if colors is not None:
        _check_shape("colors", colors, (n, 3))
    if background is not None:
        _check_shape("background", background, (3,), (viewport.height, viewport.width, 3))
    if extra_variance is not None:
        _check_shape("extra_variance", extra_variance, (n,), (n, 3))
    if isinstance(screen_gradients, Tensor):
        _check_shape("screen_gradients", screen_gradients, (n, 2))

    dtype = gaussians.means.dtype if dtype is None else dtype
    if backend != "torch" and dtype != torch.float32:
        raise ValueError(f"rasterizer {backend!r} computes in float32, not {dtype}: use backend='torch'")
    device = gaussians.means.device
    if backend == "cpu" and device.type != "cpu":
        raise ValueError(f"rasterizer 'cpu' needs the Gaussians on the CPU, they are on {device}")
    if backend == "gsplat" and not torch.cuda.is_available():
        raise RuntimeError("rasterizer 'gsplat' needs a CUDA device and none is available: use backend='cpu'")
    if backend == "gsplat" and device.type != "cuda":
        raise ValueError(f"rasterizer 'gsplat' needs the Gaussians on a CUDA device, they are on {device}")
    if backend != "torch" and viewport.w2c.requires_grad:
        raise ValueError(f"rasterizer {backend!r} gives no gradient for the camera: use backend='torch'")

    gaussians = gaussians.to(device, dtype)
    viewport = Viewport(
        viewport.width,
        viewport.height,
        float(viewport.fx),
        float(viewport.fy),
        float(viewport.cx),
        float(viewport.cy),
        viewport.w2c.to(device, dtype),
    )
    colors, background, extra_variance = (
        None if t is None else t.to(device, dtype) for t in (colors, background, extra_variance)
    )
    offsets = screen_gradients if isinstance(screen_gradients, Tensor) else None
    if screen_gradients is True:
        offsets = torch.zeros(n, 2, device=device, dtype=dtype, requires_grad=True)

    # Imported when named: numba takes half a second, and gsplat must not be touched on hosts without CUDA.
    rasterize = importlib.import_module(_MODULES[backend]).rasterize
    result: Render = rasterize(
        gaussians, viewport, sh_degree, colors, background, extra_variance, dilation, antialiased, near, offsets
    )
    return result


def _check_shape(name: str, tensor: Tensor, *allowed: tuple[int, ...]) -> None:
    if tuple(tensor.shape) not in allowed:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {' or '.join(map(str, allowed))}")
