"""How `joint-optics` forms an image: a thin lens with one aperture for all views and a focus distance for each.

Every photograph is the mean of renders from points of the lens (`methods.defocus.scene.Aperture`), in linear light.
What is learned of the lens is its radius a (mm) and the distance d0 (mm) of the focal plane of each view: the signed
radius of the circle of confusion is r = a fx (1 / d0 - 1 / d). Training starts with one point, the per-Gaussian
circle of confusion, which is a Gaussian where the truth is a disk; it goes on with several, whose patches of the lens
together are nearly the disk, and of which a step renders only a few (`remembered`).

The photograph does not tell which side of the focal plane a point lies on, so d0 may settle on the wrong one while
the scene is still vague. Now and then it is therefore searched for: the scene is photographed at distances all
through it, and the best match with the photograph replaces the distance that gradient descent had found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi
from statistics import fmean

import torch
from torch import Tensor

from datasets.capture import Photographs
from datasets.errors import InputError
from methods.defocus.lens import FocusedLens
from methods.defocus.scene import GAUSS_COC, Aperture, Shot
from methods.joint_optics.focal_surface import FocalSurface
from methods.joint_optics.remembered import RememberedLens
from methods.light import linear_to_srgb
from methods.splatting.bounds import Bounds
from methods.splatting.formation import Draw, Formed, Target
from methods.splatting.gaussians import Gaussians
from methods.splatting.viewport import Render

LR_BEND = 1e-3  # Adam rate of the network that bends the focal plane
PLAUSIBLE_COC = (0.002, 0.15)  # image widths, of a point one scene radius behind the focal plane


@dataclass(frozen=True)
class JointOpticsConfig:
    """Every choice of the lens. Lengths are in scene radii, times in fractions of all steps.

    initial_coc: CoC radius that a point one radius behind the focal plane has at the start, in image widths.
    lr_focus, lr_aperture: Adam rates of d0 (scene radii) and of log a; they fall to `lens_decay` of it.
    lens_points: of the aperture, each number from its time in `lens_points_from` on; one before.
    fresh_points: how many of them a step renders, while the others are remembered; 0 renders all, turned at random.
    search_at: when d0 is searched for, at `search_steps` distances within `search_reach` of the scene's centre.
    focus_weight: by how much a pixel in focus weighs more in the L1 loss; falls to 1 / e at a CoC of 1.5 px.
    residual: how far (scene radii) a network may bend the focal plane; 0 is no network.
    early_stop: every which photograph is not trained on but tells when to stop; 0 is none.
    """

    initial_coc: float = 0.02
    lr_focus: float = 0.02
    lr_aperture: float = 0.02
    lens_decay: float = 0.02
    lens_points: tuple[int, ...] = (7,)
    lens_points_from: tuple[float, ...] = (0.2,)
    fresh_points: int = 3
    search_at: tuple[float, ...] = (0.1, 0.2, 0.4)
    search_steps: int = 25
    search_reach: float = 1.0
    focus_weight: float = 0.0
    residual: float = 0.0
    early_stop: int = 0

    def __post_init__(self) -> None:
        if any(points < 1 for points in self.lens_points):
            raise InputError(f"lens_points = {list(self.lens_points)}; a lens has at least one point.")
        if self.fresh_points < 0:
            raise InputError(f"fresh_points = {self.fresh_points} must be at least 1, or 0 for all points.")
        times = list(self.lens_points_from)
        if len(times) != len(self.lens_points) or times != sorted(times):
            raise InputError(f"lens_points_from = {times} must give each of lens_points its time, in order.")


class LensFormation:
    """The lens of all views, and the image that it makes. `light` is that of the scene."""

    def __init__(
        self, photographs: Photographs, config: JointOpticsConfig, light: str, steps: int, device: str, seed: int
    ) -> None:
        self.config, self.light, self.steps = config, light, steps
        cameras = [view.camera for view in photographs.views]
        self.bounds = Bounds.seen_by(cameras)
        centers = [float(camera.depth(self.bounds.center)) for camera in cameras]
        self.centers = torch.tensor(centers, device=device)
        # Radius of a lens whose CoC is as wide as the image for a point one scene radius behind the focal plane.
        behind = [center + self.bounds.radius for center in centers]
        self.widest_aperture = widest = fmean(
            camera.width / (camera.fx * (1 / center - 1 / far))
            for camera, center, far in zip(cameras, centers, behind, strict=True)
        )
        offsets, aperture = torch.zeros(len(cameras)), config.initial_coc * widest
        # Hints beyond reason are not taken: the lens is found from the photographs as well.
        if photographs.optics is not None:
            low, high = (share * widest for share in PLAUSIBLE_COC)
            for i, view in enumerate(photographs.views):
                if view.focus_distance is None:
                    continue
                told = (view.focus_distance - centers[i]) / self.bounds.radius
                if abs(told) <= config.search_reach:
                    offsets[i] = told
                lens = photographs.optics.lens(view.focus_distance)
                if low <= lens.aperture_radius <= high:
                    aperture = lens.aperture_radius
        self.offsets = offsets.to(device).requires_grad_()
        self.log_aperture = torch.tensor(log(aperture), device=device, requires_grad=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.bend = FocalSurface(config.residual).to(device) if config.residual else None
        self._random = torch.Generator().manual_seed(seed)
        self._angles = (2 * pi * torch.rand(len(cameras), generator=self._random)).tolist()
        self._remembered = RememberedLens(config.fresh_points, self._random)
        self._searches = [round(at * steps) for at in config.search_at]

    def parameters(self) -> list[dict[str, object]]:
        config = self.config
        groups: list[dict[str, object]] = [
            {"params": [self.offsets], "lr": config.lr_focus, "decay": config.lens_decay},
            {"params": [self.log_aperture], "lr": config.lr_aperture, "decay": config.lens_decay},
        ]
        if self.bend is not None:
            groups.append({"params": list(self.bend.parameters()), "lr": LR_BEND, "decay": config.lens_decay})
        return groups

    def scale(self, step: int) -> int:
        return 1

    @property
    def focus_distances(self) -> Tensor:
        """[V] mm, of every view."""
        return self._distances(self.centers, self.offsets)

    @property
    def aperture(self) -> Tensor:
        """Radius of the lens, mm."""
        return self.log_aperture.exp()

    def lens(self, index: int, fx: float) -> FocusedLens:
        """The lens of the training view `index`."""
        return FocusedLens(self.focus_distances[index], self.aperture, fx)

    def blur(self, step: int, view: int) -> Aperture:
        """How this step blurs `view`. The points of the lens are turned at random, so that no pattern is learned: for
        every image, or once for every view where they are remembered."""
        schedule = zip(self.config.lens_points, self.config.lens_points_from, strict=True)
        points = [points for points, start in schedule if step >= start * self.steps]
        if not points or points[-1] == 1:
            return GAUSS_COC
        if self.config.fresh_points:
            return Aperture(points[-1], self._angles[view])
        return Aperture(points[-1], 2 * pi * float(torch.rand((), generator=self._random)))

    def image(self, gaussians: Gaussians, target: Target, step: int, draw: Draw) -> Formed:
        def draw_view(moved: Gaussians, **options: object) -> Render:
            return draw(moved, target, **options)

        views = len(self.offsets)
        if any(start <= step < start + views for start in self._searches):
            self._search(gaussians, target, draw_view)
        lens = real = self.lens(target.index, target.viewport.fx)
        if self.bend is not None:
            bent = self.bounds.radius * self.bend(gaussians, target.viewport, self.centers[target.index])
            real = lens._replace(focus=lens.focus + bent)
        blur, shot = self.blur(step, target.index), Shot(target.viewport, real, target.background, draw_view)
        image, drawn = self._remembered.image(target.index, blur, gaussians, shot)
        weight = None
        if self.config.focus_weight:
            weight = in_focus(drawn, lens, self.config.focus_weight)
        return Formed(image, drawn, weight=weight)

    @torch.no_grad()
    def _search(self, gaussians: Gaussians, target: Target, draw: Callable[..., Render]) -> None:
        config, view, photograph = self.config, target.viewport, target.photograph.image

        def error(focus: Tensor) -> Tensor:
            lens = FocusedLens(focus, self.aperture, view.fx)
            image = GAUSS_COC(gaussians, Shot(view, lens, target.background, draw)).image
            if self.light == "linear":
                image = linear_to_srgb(image)
            return (image - photograph).abs().mean()

        # The distance in use comes first, so that it stays unless another is better. The host waits for no error.
        own = self.offsets[target.index, None]
        through = torch.linspace(-config.search_reach, config.search_reach, config.search_steps, device=own.device)
        offsets = torch.cat([own, through])
        errors = torch.stack([error(focus) for focus in self._distances(self.centers[target.index], offsets)])
        self.offsets[target.index] = offsets.take(errors.argmin())
        self._remembered.forget(target.index)

    def _distances(self, centers: Tensor, offsets: Tensor) -> Tensor:
        """mm; however far a step may go, the focal plane stays in front of the camera."""
        return torch.maximum(centers + self.bounds.radius * offsets, 0.1 * centers)


@torch.no_grad()
def in_focus(drawn: Render, lens: FocusedLens, amount: float) -> Tensor:
    """[H, W] weights of mean 1: 1 + amount exp(-(r / 1.5 px)^2) on the object, 1 beside it."""
    radius = lens.coc_radius(torch.maximum(drawn.depth, 1e-3 * lens.focus))
    weight = 1 + amount * torch.exp(-((radius / 1.5) ** 2)) * (drawn.alpha > 0.5)
    return weight / weight.mean()
