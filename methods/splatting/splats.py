"""A fitted scene of Gaussians: what any contestant that trained one shows of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from datasets.cameras import Camera
from datasets.capture import Background
from methods.light import linear_to_srgb
from methods.splatting.bounds import NEAR, Bounds
from methods.splatting.config import SplattingConfig
from methods.splatting.formation import background_in, colors_in, viewport
from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import Render, render, resolve_backend


class Splats:
    """A fitted scene: renders any camera, in sRGB, without blur. cameras: of the training views, by name."""

    def __init__(
        self,
        gaussians: Gaussians,
        cameras: Mapping[str, Camera],
        background: Background,
        config: SplattingConfig,
        device: str,
    ) -> None:
        self.gaussians, self.config, self.device = gaussians, config, device
        self.cameras, self.background = dict(cameras), background
        self.bounds = Bounds.seen_by(list(cameras.values()))

    @torch.no_grad()
    def colors(self, camera: Camera) -> Tensor | None:
        """[N, 3] of the Gaussians as seen from `camera`, as `colors_in` gives them."""
        view = viewport(camera, self.device)
        return colors_in(self.config.light, self.gaussians, view, self.gaussians.sh_degree)

    @torch.no_grad()
    def drawn(self, camera: Camera, gaussians: Gaussians | None = None, **options: object) -> Render:
        """Color [H, W, 3] in scene light, over the capture's background, with depth and alpha; of its Gaussians moved
        to `gaussians` or with other `options` of `rasterizer.render` where given."""
        settings: dict[str, object] = {
            "backend": resolve_backend(self.device),
            "background": background_in(self.config.light, self.background, camera, self.device),
            "antialiased": self.config.antialiased,
            "dilation": self.config.dilation,
            "near": NEAR * self.bounds.radius,
        }
        if "colors" not in options:
            settings["colors"] = self.colors(camera)
        shown = self.gaussians if gaussians is None else gaussians
        return render(shown, viewport(camera, self.device), **{**settings, **options})  # type: ignore[arg-type]

    def render(self, camera: Camera) -> np.ndarray:
        """[H, W, 3] float32 sRGB in 0..1, over the capture's background."""
        color = self.drawn(camera).color
        color = linear_to_srgb(color) if self.config.light == "linear" else color
        return color.clamp(0, 1).cpu().numpy()

    def restored(self, name: str) -> np.ndarray:
        """The sharp scene at the pose of the training photograph `name`."""
        return self.render(self.cameras[name])
