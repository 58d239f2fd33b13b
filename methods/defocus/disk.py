"""Blur by a lens: every pixel spreads over its disk of confusion, the nearer over the farther.

The image is cut into layers of about one pixel of CoC radius, each pixel shared by the two layers next to its own
radius; the signed radius grows with depth, so layers run from front to back by themselves. The light of a layer is
spread, each pixel over its own disk, and the layers are laid over each other: a target pixel takes light front to
back until it is covered (out += C min(1, T / A), T -= min(T, A)). Coverages of neighbouring layers ADD, because they
are parts of one surface side by side, where the usual (1 - A) would let the next layer shine through the seams.

What a nearer surface hides is not in the image, and neither is what lies outside its frame. Light that would have
come from there is estimated from what the same layer shows around (pull-push: Gortler et al. 1996), in proportion to
the part of the disk in which a surface two layers nearer stands in front. Without it a dark rim surrounds every
blurred edge.

The disk of radius r is drawn with a rim one pixel wide: weight clamp(e + 1/2 - distance, 0, 1) over its sum, so that
energy is exact and a derivative exists; e(r) is the rim for which the second moment is that of the disk, r^2 / 4 per
axis, exactly and down to r = 0, where this is the identity.
"""

from __future__ import annotations

import importlib
import math
from collections import deque
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import avg_pool2d

from methods.defocus import reference
from methods.defocus.backends import check, resolve_backend

_FUSED = {"cpu": "methods.defocus.disk_cpu", "triton": "methods.defocus.disk_cuda"}
# Layers are one px of CoC radius apart, farther where there would be more than this many.
_STEP, _MOST_LAYERS = 1.0, 48
# A surface hides another that is this many layers farther; one that is nearer may be its own continuation.
_HIDES = 2
_SAMPLES_PER_PX = 64


def scatter_disk(
    color: Tensor,  # [H, W, 3] premultiplied
    alpha: Tensor,  # [H, W] in 0..1
    radius: Tensor,  # [H, W] px, > 0 behind the focal plane
    *,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:  # [H, W, 3] premultiplied, [H, W]
    """Photograph a layer of pixels through a lens that spreads each over a disk of |radius|, in linear light.

    Differentiable in all three. Pixels of alpha 0 hold no light and take no part. What leaves the frame is lost; the
    same is expected to come in, as from a continuation of what is at the edge. |radius| beyond height + width counts
    as that. backend: None takes the fused one of the tensors' device, which computes in float32.

    Raises ValueError for shapes, types, devices or names that do not fit, and for radii that are not finite.
    """
    backend = resolve_backend(color.device) if backend is None else backend
    if color.shape != (*alpha.shape, 3) or alpha.ndim != 2 or alpha.shape != radius.shape or alpha.numel() == 0:
        raise ValueError(
            f"scatter_disk takes color [H, W, 3], alpha [H, W] and radius [H, W], not {list(color.shape)}, "
            f"{list(alpha.shape)} and {list(radius.shape)}"
        )
    check("scatter_disk", backend, color=color, alpha=alpha, radius=radius)
    height, width = alpha.shape
    light = torch.cat([color, alpha[..., None]], dim=2).reshape(-1, 4)
    lit = torch.nonzero(alpha.detach().reshape(-1) > 0)[:, 0]
    if len(lit) == 0:
        return torch.zeros_like(color), torch.zeros_like(alpha)
    light, signed = light[lit], radius.reshape(-1)[lit]
    low, high = (float(bound) for bound in torch.aminmax(signed.detach()))
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError("scatter_disk takes finite radii, but some of those given are infinite or not a number")
    largest = float(height + width)
    signed = signed.clamp(-largest, largest)
    low, high = max(low, -largest), min(high, largest)
    step = max(_STEP, (high - low) / _MOST_LAYERS)
    rim = rim_of(signed.abs())
    light_per_area = light / area(rim)[:, None]
    position = signed / step

    out = light.new_zeros(4, height, width)
    free = light.new_ones(height, width)  # share of the lens that nothing has covered yet
    hiding = light.new_zeros(height * width)  # alpha of the layers at least _HIDES nearer
    nearer = deque([hiding] * (_HIDES - 1))
    for layer in range(math.floor(low / step), math.floor(high / step) + 2):
        share = (1 - (position - layer).abs()).clamp_min(0)
        chosen = torch.nonzero(share.detach() > 0)[:, 0]
        own = torch.zeros_like(hiding)
        if len(chosen):
            part, index = share[chosen], lit[chosen]
            values = part[:, None] * light_per_area[chosen]
            spread = _spread(values, rim[chosen], index, height, width, backend).permute(2, 0, 1)
            spread = filled(spread, seen((1 - hiding).reshape(height, width), abs(layer * step)))
            covered = spread[3]
            out = out + spread * (free / covered.clamp_min(1e-8)).clamp_max(1)
            free = (free - covered).clamp_min(0)
            own = own.index_put((index,), part * light[chosen, 3])
        nearer.append(own)
        hiding = hiding + nearer.popleft()
    return out[:3].permute(1, 2, 0), out[3]


def photographed(
    color: np.ndarray,  # [H, W, 3] premultiplied
    alpha: np.ndarray,  # [H, W] in 0..1
    radius: np.ndarray,  # [H, W] px, > 0 behind the focal plane
    behind: np.ndarray,  # [H, W, 3]
    device: str = "cpu",
) -> np.ndarray:  # [H, W, 3] float32
    """What a lens makes of an object before a backdrop, in linear light: `scatter_disk` laid over `behind`."""
    with torch.inference_mode():
        maps = (torch.tensor(part, dtype=torch.float32, device=device) for part in (color, alpha, radius))
        light, covered = (part.cpu().numpy() for part in scatter_disk(*maps))
    result: np.ndarray = light + (1 - covered[..., None]) * behind
    return result


def warmup(device: str) -> None:
    """Compile the fused kernels of this device, or load them from disk, before any clock runs."""
    importlib.import_module(_FUSED[resolve_backend(device)]).warmup()


def rim_of(
    radius: Tensor,  # any shape, px, >= 0
) -> Tensor:
    """e(r): where clamp(e + 1/2 - distance, 0, 1) on the pixel grid has the second moment r^2 / 4 per axis."""
    largest = float(radius.detach().max()) if radius.numel() else 0.0
    table = radius.new_tensor(_rims(_power_of_two(largest + 1)))
    at = radius * _SAMPLES_PER_PX
    below = at.detach().floor().long()
    return torch.lerp(table[below], table[below + 1], at - below)


def area(
    rim: Tensor,  # any shape, px, >= 0.5
) -> Tensor:
    """Sum of clamp(e + 1/2 - distance, 0, 1) over the pixel grid."""
    largest = float(rim.detach().max()) if rim.numel() else 0.5
    distance, number, length = _lattice(_power_of_two(largest + 1))
    exact = rim.detach().double().cpu().numpy()
    inside = np.searchsorted(distance, exact - 0.5, side="right")
    within = np.searchsorted(distance, exact + 0.5, side="right")
    on_rim = rim.new_tensor(number[within] - number[inside])
    # Only the derivative by the rim depends on the tensor itself: the sum is taken in float64.
    total = number[inside] + (exact + 0.5) * (number[within] - number[inside]) - (length[within] - length[inside])
    return rim.new_tensor(total) + on_rim * (rim - rim.detach())


def seen(
    visible: Tensor,  # [H, W] in 0..1
    radius: float,
) -> Tensor:  # [H, W] in 0..1
    """The part of a disk around each pixel that is visible; nothing is outside the frame."""
    height, width = visible.shape
    kernel = _disk(radius)
    k = kernel.shape[0] // 2
    if k == 0:
        return visible
    size = (next_fast_len(height + k, real=True), next_fast_len(width + k, real=True))
    # Turned so that its centre is at the origin; what wraps around falls beyond the frame.
    origin = np.zeros(size)
    rows, columns = np.arange(-k, k + 1) % size[0], np.arange(-k, k + 1) % size[1]
    np.add.at(origin, (rows[:, None], columns[None, :]), kernel)
    transfer = torch.fft.rfft2(visible.new_tensor(origin))
    return torch.fft.irfft2(torch.fft.rfft2(visible, s=size) * transfer, s=size)[:height, :width].clamp(0, 1)


def filled(
    spread: Tensor,  # [C, H, W]
    part: Tensor,  # [H, W] in 0..1
) -> Tensor:  # [C, H, W]
    """`spread` came from the visible `part` of each pixel's disk: add what the rest would have sent.

    Pull-push: the rest is taken from the next coarser level of a pyramid, where the same is done.
    """
    height, width = part.shape
    if min(height, width) <= 2:
        return spread + (1 - part) * spread.sum((1, 2), keepdim=True) / part.sum().clamp_min(1e-8)
    both = torch.cat([spread, part[None]])[None]
    half = avg_pool2d(both, 2, ceil_mode=True, count_include_pad=False)[0]
    # Four pixels know together at most everything.
    known = half[-1]
    half = half * ((4 * known).clamp_max(1) / known.clamp_min(1e-8))
    coarse = _doubled(_doubled(filled(half[:-1], half[-1]), 1), 2)[:, :height, :width]
    return spread + (1 - part) * coarse


def _doubled(image: Tensor, dim: int) -> Tensor:
    """Twice as many pixels along `dim`, linear between centres."""
    first, last = image.narrow(dim, 0, 1), image.narrow(dim, image.shape[dim] - 1, 1)
    n = image.shape[dim] - 1
    before = torch.cat([first, image.narrow(dim, 0, n)], dim)
    after = torch.cat([image.narrow(dim, 1, n), last], dim)
    return torch.stack([0.75 * image + 0.25 * before, 0.75 * image + 0.25 * after], dim + 1).flatten(dim, dim + 1)


def _power_of_two(least: float) -> int:
    return 1 << max(2, math.ceil(math.log2(least)))


@cache
def _lattice(reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances of the pixels within `reach` + 2 px of one, ascending; and the sums of the first 0, 1, 2, ... of
    their distances to the powers 0 and 1."""
    axis = np.arange(-reach - 2, reach + 3)
    distance = np.sort(np.hypot(axis[:, None], axis[None, :]).ravel())
    distance = distance[distance <= reach + 2]
    number = np.arange(len(distance) + 1, dtype=np.float64)
    return distance, number, np.concatenate([[0.0], np.cumsum(distance)])


@cache
def _rims(reach: int) -> np.ndarray:
    """e(r) for r = 0, 1 / 64, 2 / 64, ... up to `reach` px."""
    distance, number, length = _lattice(reach)
    squares = np.concatenate([[0.0], np.cumsum(distance**2)])
    cubes = np.concatenate([[0.0], np.cumsum(distance**3)])
    rim = np.linspace(0.5, reach + 1, 8 * _SAMPLES_PER_PX * reach)
    inside = np.searchsorted(distance, rim - 0.5, side="right")
    within = np.searchsorted(distance, rim + 0.5, side="right")

    def moment(lower: np.ndarray, higher: np.ndarray) -> np.ndarray:
        result: np.ndarray = lower[inside] + (rim + 0.5) * (lower[within] - lower[inside])
        return result - (higher[within] - higher[inside])

    variance = moment(squares, cubes) / moment(number, length) / 2
    radius = np.arange(reach * _SAMPLES_PER_PX + 1) / _SAMPLES_PER_PX
    return np.interp(radius**2 / 4, variance, rim)


@lru_cache(maxsize=256)
def _disk(radius: float) -> np.ndarray:
    """[2k + 1, 2k + 1] the disk of that radius, of sum 1."""
    rim = float(rim_of(torch.tensor([radius], dtype=torch.float64)))
    k = math.ceil(rim + 0.5) - 1
    axis = np.arange(-k, k + 1)
    weights: np.ndarray = np.clip(rim + 0.5 - np.hypot(axis[:, None], axis[None, :]), 0, 1)
    return weights / weights.sum()


def _spread(values: Tensor, rim: Tensor, index: Tensor, height: int, width: int, backend: str) -> Tensor:
    if backend == "torch":
        return reference.spread_disk(values, rim, index, height, width)
    # Imported when used: numba and Triton take their time.
    kernels = importlib.import_module(_FUSED[backend])
    result: Tensor = _Spread.apply(values, rim, index, height, width, kernels)
    return result


class _Spread(torch.autograd.Function):
    """`reference.spread_disk` by the two kernels of a fused back end: spread and collect."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rim: Tensor, index: Tensor, height: int, width: int, kernels: Any) -> Tensor:
        ctx.save_for_backward(values, rim, index)
        ctx.kernels = kernels
        result: Tensor = kernels.spread(values, rim, index, height, width)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        values, rim, index = ctx.saved_tensors
        d_values, d_rim = ctx.kernels.collect(upstream, values, rim, index)
        return d_values, d_rim, None, None, None, None
