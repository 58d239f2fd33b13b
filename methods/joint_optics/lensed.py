"""A scene with the lens that photographed it: sharp renders, and photographs at any focus and aperture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from datasets.cameras import Camera
from datasets.capture import Background, Photograph
from datasets.errors import InputError
from methods.defocus.lens import FocusedLens
from methods.defocus.scene import Aperture, SceneBlur, Shot
from methods.light import linear_to_srgb
from methods.splatting.config import DILATION, SplattingConfig
from methods.splatting.formation import background_in, viewport
from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import Render
from methods.splatting.splats import Splats

PLY, LENS = "point_cloud.ply", "lens.json"
POINTS = 61  # of the lens, in pictures that are looked at
MET = 0.3  # of what a ray meets in all, at the surface
SLICES = 36  # a multiple of three, as many as a render has channels


class LensedScene(Splats):
    """focus: distance of the focal plane of each training view by name; aperture: radius of the lens; mm."""

    def __init__(
        self,
        gaussians: Gaussians,
        cameras: Mapping[str, Camera],
        background: Background,
        config: SplattingConfig,
        device: str,
        focus: Mapping[str, float],
        aperture: float,
    ) -> None:
        super().__init__(gaussians, cameras, background, config, device)
        self.focus, self.aperture = dict(focus), aperture

    def lens(self, camera: Camera, focus: float, aperture: float | None = None) -> FocusedLens:
        """The lens of radius `aperture` mm (None: as learned) in front of `camera`, focused at `focus` mm."""
        radius = self.aperture if aperture is None else aperture
        d0, a = torch.tensor([focus, radius], device=self.device)
        return FocusedLens(d0, a, camera.fx)

    @torch.no_grad()
    def through(self, camera: Camera, lens: FocusedLens, blur: SceneBlur) -> Tensor:
        """[H, W, 3] sRGB, not clamped: the scene as `lens` images it."""
        colors = self.colors(camera)  # the same from every point of the lens
        shot = Shot(
            viewport(camera, self.device),
            lens,
            background_in(self.config.light, self.background, camera, self.device),
            lambda gaussians, **options: self.drawn(camera, gaussians, **{"colors": colors, **options}),
        )
        image = blur(self.gaussians, shot).image
        return linear_to_srgb(image) if self.config.light == "linear" else image

    def photograph(
        self, camera: Camera, focus: float, aperture: float | None = None, points: int = POINTS
    ) -> np.ndarray:
        """[H, W, 3] float32 sRGB in 0..1: the scene through the lens of radius `aperture` mm (None: as learned),
        focused at `focus` mm."""
        image = self.through(camera, self.lens(camera, focus, aperture), Aperture(points))
        return image.clamp(0, 1).cpu().numpy()

    def depth_range(self, camera: Camera) -> tuple[float, float]:
        """Nearest and farthest depth (mm) of what is seen of the scene. Raises InputError if nothing is."""
        drawn = self.drawn(camera)
        depths = drawn.depth[drawn.alpha > 0.5]
        if not len(depths):
            raise InputError("Nothing of the scene is seen from this view.")
        return float(depths.min()), float(depths.max())

    @torch.no_grad()
    def surface(self, camera: Camera) -> Render:
        """A render over black whose depth is that of the surface: where a ray has met `MET` of all that it will meet.

        The scene is a haze of layers behind its surface, all of which add to the expected depth; what the lens
        resolves is where the haze begins. Found by rendering which share of a pixel is nearer than each of `SLICES`
        depths.
        """
        drawn = self.drawn(camera, background=None)
        hit = drawn.depth[drawn.alpha > 0.5]
        if not len(hit):
            return drawn
        margin = 0.1 * self.bounds.radius
        depths = torch.linspace(float(hit.min()) - margin, float(hit.max()) + margin, SLICES, device=self.device)
        own = viewport(camera, self.device).depths(self.gaussians.means)
        nearer = [
            self.drawn(camera, colors=(own[:, None] < slices).float(), background=None).color
            for slices in depths.split(3)
        ]
        share = torch.cat(nearer, dim=2) / drawn.alpha.clamp_min(1e-6)[..., None]  # [H, W, SLICES], rising
        last = (share < MET).sum(dim=2, keepdim=True).clamp(1, SLICES - 1)
        before, after = share.gather(2, last - 1)[..., 0], share.gather(2, last)[..., 0]
        part = ((MET - before) / (after - before).clamp_min(1e-6)).clamp(0, 1)
        depth = depths[last[..., 0] - 1] + part * (depths[1] - depths[0])
        return replace(drawn, depth=torch.where(drawn.alpha > 1e-3, depth, drawn.depth))

    def focus_of(self, photograph: Photograph, offsets: Iterable[float]) -> float:
        """Distance (mm) of the focal plane at which the scene looks most like `photograph`.

        Sought at `offsets` (scene radii from the scene's centre), then between the neighbours of the best.
        """
        camera = photograph.camera
        seen = torch.tensor(photograph.image, device=self.device).float() / 255

        def error(distance: float) -> float:
            image = self.through(camera, self.lens(camera, float(distance)), Aperture(5))
            return float((image - seen).abs().mean())

        center, radius = float(camera.depth(self.bounds.center)), self.bounds.radius
        distances = [center + radius * offset for offset in sorted(offsets)]
        best = min(range(len(distances)), key=lambda i: error(distances[i]))
        around = distances[max(best - 1, 0)], distances[min(best + 1, len(distances) - 1)]
        return float(minimize_scalar(error, bounds=around, method="bounded", options={"xatol": 1e-3 * radius}).x)

    def save(self, folder: Path) -> None:
        """Write point_cloud.ply in the layout that 3DGS viewers read, and lens.json, which names the light in which its
        Gaussians are blended."""
        self.gaussians.save_ply(folder / PLY)
        views = {
            name: {**asdict(camera), "c2w": camera.c2w.tolist(), "focus_mm": self.focus[name]}
            for name, camera in self.cameras.items()
        }
        document = {
            "aperture_mm": self.aperture,
            "light": self.config.light,
            "antialiased": self.config.antialiased,
            "dilation": self.config.dilation,
            "background": asdict(self.background),
            "views": views,
        }
        (folder / LENS).write_text(json.dumps(document, indent=1) + "\n")

    @staticmethod
    def load(folder: Path, device: Literal["cpu", "cuda"] = "cpu") -> LensedScene:
        """The scene that `save` wrote into `folder`. Raises InputError if it is not there or damaged."""
        if not (folder / LENS).is_file() or not (folder / PLY).is_file():
            raise InputError(f"{folder} holds no scene with its lens ({PLY}, {LENS}).")
        try:
            document = json.loads((folder / LENS).read_text())
            gaussians = Gaussians.load_ply(folder / PLY).to(device)
            focus = {name: float(view.pop("focus_mm")) for name, view in document["views"].items()}
            cameras = {
                name: Camera(**{**view, "c2w": np.array(view["c2w"])}) for name, view in document["views"].items()
            }
            background = Background(*(tuple(document["background"][end]) for end in ("top", "bottom")))
            config = SplattingConfig(
                1,
                1,
                1,
                light=document["light"],
                antialiased=document["antialiased"],
                dilation=float(document.get("dilation", DILATION)),  # earlier versions had no other
            )
            return LensedScene(gaussians, cameras, background, config, device, focus, float(document["aperture_mm"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"The scene in {folder} cannot be read ({error}).") from error
