"""Blur with one Gaussian per pixel, gathered (seed paper, Eq. 2-3) or spread.

    G_p[i,j] = exp(-(i^2 + j^2) / 2 sigma_p^2) / sum over |i|, |j| <= K of the same
    gather   out[p] = sum_ij G_p[i,j] image[p + (i,j)]
    scatter  out[p + (i,j)] += G_p[i,j] image[p]

For a fixed sigma each is the adjoint of the other. A lens spreads: scattering keeps the energy and lets a blurred
object brighten what is beside it; gathering is what the seed paper prints.

Three back ends compute the same (`backends`).
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from methods.defocus import reference
from methods.defocus.backends import check, resolve_backend

_FUSED = {"cpu": "methods.defocus.gauss_cpu", "triton": "methods.defocus.gauss_cuda"}


def gather_gauss(
    image: Tensor,  # [H, W, C]
    sigma: Tensor,  # [H, W] px
    k: int,
    *,
    backend: str | None = None,
) -> Tensor:  # [H, W, C]
    """Every pixel becomes the mean of its neighbours under its own Gaussian, cut at k px and normalised.

    What lies outside the image counts as zero. Differentiable in `image` and `sigma`; sigma -> 0 is the identity.
    backend: None takes the fused one of the tensors' device, which computes in float32.

    Raises ValueError for shapes, types, devices or names that do not fit.
    """
    return _blur("gather_gauss", image, sigma, k, backend)


def scatter_gauss(
    image: Tensor,  # [H, W, C]
    sigma: Tensor,  # [H, W] px
    k: int,
    *,
    backend: str | None = None,
) -> Tensor:  # [H, W, C]
    """Every pixel spreads over its neighbours under its own Gaussian, cut at k px and normalised.

    What falls outside the image is lost; nothing else is. Differentiable in `image` and `sigma`; sigma -> 0 is the
    identity. backend: as in `gather_gauss`. Raises ValueError for shapes, types, devices or names that do not fit.
    """
    return _blur("scatter_gauss", image, sigma, k, backend)


def gather_continued(
    image: Tensor,  # [H, W, C]
    sigma: Tensor,  # [H, W] px
    k: int,
    *,
    backend: str | None = None,
) -> Tensor:  # [H, W, C]
    """`gather_gauss` of an image that goes on beyond its frame as its border pixels, lest a bright backdrop darken
    along it."""
    (height, width), around = sigma.shape, (k,) * 4
    wide = pad(image.permute(2, 0, 1)[None], around, mode="replicate")[0].permute(1, 2, 0).contiguous()
    widths = pad(sigma[None, None], around, mode="replicate")[0, 0]
    return gather_gauss(wide, widths, k, backend=backend)[k : k + height, k : k + width]


def warmup(device: str) -> None:
    """Compile the fused kernels of this device, or load them from disk, before any clock runs."""
    importlib.import_module(_FUSED[resolve_backend(device)]).warmup()


def _blur(name: str, image: Tensor, sigma: Tensor, k: int, backend: str | None) -> Tensor:
    backend = resolve_backend(image.device) if backend is None else backend
    if image.ndim != 3 or sigma.shape != image.shape[:2] or sigma.numel() == 0 or image.shape[2] == 0:
        raise ValueError(
            f"{name} takes an image [H, W, C] and sigma [H, W], not {list(image.shape)} and {list(sigma.shape)}"
        )
    if isinstance(k, bool) or not isinstance(k, int) or k < 0:
        raise ValueError(f"{name} takes a kernel radius k of 0 or more whole pixels, not {k!r}")
    check(name, backend, image=image, sigma=sigma)
    if backend == "torch":
        twin: Tensor = getattr(reference, name)(image, sigma, k)
        return twin
    # Imported when used: numba and Triton take their time.
    function = _Gather if name == "gather_gauss" else _Scatter
    fused: Tensor = function.apply(image, sigma, k, importlib.import_module(_FUSED[backend]))
    return fused


class _Gather(torch.autograd.Function):
    """Gather by the three kernels of a fused back end: gather, scatter, gather_with_slope."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, sigma: Tensor, k: int, kernels: Any) -> Tensor:
        ctx.save_for_backward(image, sigma)
        ctx.k, ctx.kernels = k, kernels
        result: Tensor = kernels.gather(image, sigma, k)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        image, sigma = ctx.saved_tensors
        needs_image, needs_sigma = ctx.needs_input_grad[:2]
        d_image = ctx.kernels.scatter(upstream, sigma, ctx.k) if needs_image else None
        d_sigma = ctx.kernels.gather_slope(image, sigma, ctx.k, upstream) if needs_sigma else None
        return d_image, d_sigma, None, None


class _Scatter(torch.autograd.Function):
    """Scatter by the same kernels: its adjoint is the gather, and so is all of its derivative."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, sigma: Tensor, k: int, kernels: Any) -> Tensor:
        ctx.save_for_backward(image, sigma)
        ctx.k, ctx.kernels = k, kernels
        result: Tensor = kernels.scatter(image, sigma, k)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        image, sigma = ctx.saved_tensors
        if not ctx.needs_input_grad[1]:
            return ctx.kernels.gather(upstream, sigma, ctx.k), None, None, None
        d_image, d_sigma = ctx.kernels.gather_with_slope(upstream, sigma, ctx.k, image)
        return d_image, d_sigma, None, None
