"""Five ways to photograph a scene of Gaussians through a lens, behind one interface.

    gather-gauss   every pixel of a sharp render gathers with its own Gaussian (seed paper, Eq. 2-3)
    scatter-gauss  every pixel of a sharp render spreads as a Gaussian
    scatter-disk   every pixel of a sharp render spreads over its disk of confusion, from front to back
    gauss-coc      every Gaussian of the scene spreads by its own circle of confusion, then they are composited
    aperture       the mean of renders as seen from points of the lens: exact in the limit of many points

The first three blur an image by its depth and cannot know what a blurred edge uncovers; the last two blur the
scene, where it is there to be seen. All are differentiable in the Gaussians, the focus and the aperture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import cos, pi, sin, sqrt
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from datasets.optics import SIGMA_PER_RADIUS_LEAST_SQUARES
from methods.defocus.disk import scatter_disk
from methods.defocus.gauss import gather_continued, scatter_gauss
from methods.defocus.lens import FocusedLens
from methods.splatting.gaussians import Gaussians
from methods.splatting.viewport import Render, Viewport

Spread = Literal["gather", "scatter", "gaussians", "lens"]

BLURS = ("gather-gauss", "scatter-gauss", "scatter-disk", "gauss-coc", "aperture")

# Weight of the depth around a pixel against its own, where the render is all but empty.
SURROUNDINGS = 0.02
# Across the image: what is "around" a pixel reaches about an eighth of the image.
POSTS = 9


class Blurred(NamedTuple):
    """image: [H, W, 3] over the background, in scene light. drawn: the render that it was made from (of several,
    the first)."""

    image: Tensor
    drawn: Render


class Shot(NamedTuple):
    """A view about to be photographed. background: what it is drawn on, [3] or [H, W, 3]. draw: `draw(gaussians,
    **options)` renders it with the options of `rasterizer.render`."""

    viewport: Viewport
    lens: FocusedLens
    background: Tensor
    draw: Callable[..., Render]


class SceneBlur(Protocol):
    """One way to blur. spread: what spreads (or gathers) light."""

    @property
    def spread(self) -> Spread: ...

    def __call__(self, gaussians: Gaussians, shot: Shot) -> Blurred: ...


@dataclass(frozen=True)
class GatherGauss:
    """Eq. 2-3 of the seed paper: the composite over the background, gathered with std 0.55 |r| of the pixel's own
    depth, at most `kernel_radius` px away."""

    kernel_radius: int = 6
    spread: Spread = "gather"

    def __call__(self, gaussians: Gaussians, shot: Shot) -> Blurred:
        drawn = shot.draw(gaussians)
        sigma = SIGMA_PER_RADIUS_LEAST_SQUARES * shot.lens.coc_radius(depth_everywhere(drawn)).abs()
        return Blurred(gather_continued(drawn.color, sigma, self.kernel_radius, backend=_twin(drawn)), drawn)


@dataclass(frozen=True)
class ScatterGauss:
    """Premultiplied colour and alpha spread with std 0.55 |r| of the pixel that they come from, then the background
    is added where alpha leaves it free: spreading the composite would smear the background."""

    kernel_radius: int = 6
    spread: Spread = "scatter"

    def __call__(self, gaussians: Gaussians, shot: Shot) -> Blurred:
        drawn = shot.draw(gaussians, background=None)
        sigma = SIGMA_PER_RADIUS_LEAST_SQUARES * shot.lens.coc_radius(depth_everywhere(drawn)).abs()
        light = torch.cat([drawn.color, drawn.alpha[..., None]], dim=2)
        spread = scatter_gauss(light, sigma, self.kernel_radius, backend=_twin(drawn))
        return Blurred(spread[..., :3] + (1 - spread[..., 3:]).clamp_min(0) * shot.background, drawn)


@dataclass(frozen=True)
class ScatterDisk:
    """Premultiplied colour and alpha spread over the disk of confusion, nearer ones over farther ones."""

    spread: Spread = "scatter"

    def __call__(self, gaussians: Gaussians, shot: Shot) -> Blurred:
        drawn = shot.draw(gaussians, background=None)
        radius = shot.lens.coc_radius(depth_everywhere(drawn))
        color, alpha = scatter_disk(drawn.color, drawn.alpha, radius, backend=_twin(drawn))
        return Blurred(color + (1 - alpha)[..., None] * shot.background, drawn)


@dataclass(frozen=True)
class Aperture:
    """Renders from `points` of the lens, each standing for a Gaussian patch of it, averaged in scene light.

    A point (u, v) of the lens sees a scene that is sheared about the focal plane: x moves by u (d / d0 - 1). The
    patch around it has the std s a, so each Gaussian of the scene spreads by s |r| px (Zwicker et al. 2001: the
    2D covariance grows by its square, and opacity falls as the square root of the determinants' ratio).
    With one point this is the per-Gaussian circle of confusion, with many the lens itself.

    angle: by which the points are turned about the axis, radians.
    """

    points: int
    angle: float = 0.0
    spread: Spread = "lens"

    def __call__(self, gaussians: Gaussians, shot: Shot) -> Blurred:
        draws = self.renders(gaussians, shot, range(self.points))
        return Blurred(torch.stack([drawn.color for drawn in draws]).mean(0), draws[0])

    def renders(self, gaussians: Gaussians, shot: Shot, chosen: Iterable[int]) -> list[Render]:
        """What the points numbered `chosen` see."""
        pattern, lens, viewport = lens_points(self.points), shot.lens, shot.viewport
        # A Gaussian at the camera's own plane has no image; the rasterizer leaves out what is nearer than `near`.
        depth = torch.maximum(viewport.depths(gaussians.means), 1e-3 * lens.focus.detach())
        variance = (pattern.sigma * lens.coc_radius(depth)) ** 2
        shift = (lens.aperture * (depth / lens.focus - 1))[:, None]
        x_axis, y_axis = viewport.w2c[:2, :3].to(gaussians.means)
        turned = pattern.turned(self.angle)
        draws = []
        for u, v in (turned[i] for i in chosen):
            seen = gaussians
            if u or v:
                seen = replace(gaussians, means=gaussians.means + shift * (u * x_axis + v * y_axis))
            draws.append(shot.draw(seen, extra_variance=variance))
        return draws


GAUSS_COC = Aperture(1, spread="gaussians")


def blur_called(name: str, points: int = 61, kernel_radius: int = 6) -> SceneBlur:
    """The blur of that name in BLURS; `points` are those of the aperture. Raises ValueError for another name."""
    known: dict[str, SceneBlur] = {
        "gather-gauss": GatherGauss(kernel_radius),
        "scatter-gauss": ScatterGauss(kernel_radius),
        "scatter-disk": ScatterDisk(),
        "gauss-coc": GAUSS_COC,
        "aperture": Aperture(points),
    }
    if name not in known:
        raise ValueError(f"unknown blur {name!r}: choose one of {', '.join(BLURS)}")
    return known[name]


class LensPoints(NamedTuple):
    """Points [n] of a lens of radius 1, and the std of the Gaussian patch that each stands for."""

    points: list[tuple[float, float]]
    sigma: float

    def turned(self, angle: float) -> list[tuple[float, float]]:
        """The points, turned about the axis by `angle` radians."""
        c, s = cos(angle), sin(angle)
        return [(c * x - s * y, s * x + c * y) for x, y in self.points]


def lens_points(n: int) -> LensPoints:
    """n points whose Gaussian patches together are most like the disk.

    Those of `_RINGS` stand on rings whose radii and width minimise the squared error in images whose power falls as
    1 / frequency^2 (the search is a test); other numbers stand on a spiral of equal areas, and take more points for
    the same likeness. Raises ValueError for n < 1.
    """
    if n < 1:
        raise ValueError(f"a lens of {n} points sees nothing")
    if n in _RINGS:
        rings, sigma = _RINGS[n]
        circle = [(radius * cos(2 * pi * i / m), radius * sin(2 * pi * i / m)) for m, radius in rings for i in range(m)]
        return LensPoints(circle, sigma)
    golden = pi * (3 - sqrt(5))
    spiral = [(sqrt((i + 0.5) / n) * cos(golden * i), sqrt((i + 0.5) / n) * sin(golden * i)) for i in range(n)]
    return LensPoints(spiral, 0.645 / sqrt(n))


# Number of points: rings as (points, radius), and the std of a patch; in radii of the lens.
_RINGS: dict[int, tuple[list[tuple[int, float]], float]] = {
    1: ([(1, 0.0)], 0.56),
    5: ([(5, 0.609)], 0.289),
    7: ([(1, 0.0), (6, 0.697)], 0.236),
    19: ([(1, 0.0), (6, 0.432), (12, 0.808)], 0.129),
    61: ([(1, 0.0), (6, 0.244), (12, 0.450), (18, 0.673), (24, 0.889)], 0.070),
}


def _twin(drawn: Render) -> str | None:
    """The slow twin of a blur where the render came from the slow twin of the rasterizers, the fused one otherwise."""
    return "torch" if drawn.backend == "torch" else None


def depth_everywhere(drawn: Render) -> Tensor:
    """[H, W] depth of a render, taken from around a pixel where the pixel itself is all but empty."""
    weighted = torch.stack([drawn.depth * drawn.alpha, drawn.alpha])  # [2, H, W]
    rows, columns = (_posts(size, weighted) for size in drawn.alpha.shape)
    # Averaged to posts and back, at the cost of four thin matrix products: a window of this width costs far more.
    around = rows @ (_normalized(rows).T @ weighted @ _normalized(columns)) @ columns.T
    depth, alpha = weighted + SURROUNDINGS * around
    # Where even the surroundings are empty nothing spreads, whatever the depth: the scene's mean.
    mean = depth.sum() / alpha.sum().clamp_min(1e-6)
    return torch.where(alpha > 1e-6, depth / alpha.clamp_min(1e-6), mean.clamp_min(1e-6))


def _posts(size: int, like: Tensor) -> Tensor:
    """[size, POSTS] how near each pixel of a line is to each post along it: linear, and sums to 1 over the posts."""
    at = torch.linspace(0, POSTS - 1, size, device=like.device, dtype=like.dtype)
    posts = torch.arange(POSTS, device=like.device, dtype=like.dtype)
    return (1 - (at[:, None] - posts).abs()).clamp_min(0)


def _normalized(posts: Tensor) -> Tensor:
    # Of fewer pixels than posts, some posts are near none.
    return posts / posts.sum(0).clamp_min(1e-6)
