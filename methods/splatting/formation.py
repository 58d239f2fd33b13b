"""How the camera makes its image of the scene: the place where a model of blur enters the training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from datasets.cameras import Camera
from datasets.capture import Background, Photograph, Photographs
from datasets.color import linear_to_srgb as encode_array
from methods.light import srgb_to_linear
from methods.splatting import sh
from methods.splatting.gaussians import Gaussians
from methods.splatting.losses import Reference
from methods.splatting.viewport import Render, Viewport

# Renders (gaussians, target) with the options of `rasterizer.render`.
Draw = Callable[..., Render]


@dataclass(frozen=True, eq=False)
class Target:
    """One training view on the device: the photograph in sRGB, background [H, W, 3] or [3] in scene light, the
    viewport, and the index of the view among the photographs.

    scale: 1, or 2 where photograph, background and viewport are of half the size.
    """

    index: int
    name: str
    photograph: Reference
    background: Tensor
    viewport: Viewport
    scale: int = 1


class Formed(NamedTuple):
    """What the camera makes of the scene.

    image: [H, W, 3] in scene light, compared with the photograph after encoding.
    drawn: the render whose visibility and screen gradients drive densification.
    penalty: scalar that is added to the loss. weight: [H, W] of each pixel in the L1 part of the loss.
    """

    image: Tensor
    drawn: Render
    penalty: Tensor | None = None
    weight: Tensor | None = None


class Formation(Protocol):
    """A model of how the camera forms its image, trained along with the scene."""

    def parameters(self) -> list[dict[str, object]]:
        """Adam parameter groups of the model itself. A group's "decay" is the factor that its learning rate has
        fallen to, exponentially, at the end; 1 if not given."""

    def scale(self, step: int) -> int:
        """1 to train this step at full size, 2 at half of it."""

    def image(self, gaussians: Gaussians, target: Target, step: int, draw: Draw) -> Formed:
        """The image of `target`; `draw(gaussians, target, **options)` renders with the options of
        `rasterizer.render`."""


class Pinhole:
    """No blur: the image is the render."""

    def parameters(self) -> list[dict[str, object]]:
        return []

    def scale(self, step: int) -> int:
        return 1

    def image(self, gaussians: Gaussians, target: Target, step: int, draw: Draw) -> Formed:
        drawn = draw(gaussians, target)
        return Formed(drawn.color, drawn)


def viewport(camera: Camera, device: str, scale: int = 1) -> Viewport:
    """`camera` as the rasterizers take it; with `scale` 2, of half the size (rounded down)."""
    w2c = torch.tensor(camera.w2c, dtype=torch.float32, device=device)
    width, height = max(1, camera.width // scale), max(1, camera.height // scale)
    x, y = width / camera.width, height / camera.height
    return Viewport(width, height, camera.fx * x, camera.fy * y, camera.cx * x, camera.cy * y, w2c)


def colors_in(light: str, gaussians: Gaussians, view: Viewport, sh_degree: int) -> Tensor | None:
    """[N, 3] the colours of `gaussians` from the camera of `view`, in scene light ("srgb" or "linear"); None where the
    rasterizer's own evaluation gives them.

    The spherical harmonics always give sRGB, which a scene in linear light decodes: a step of the optimizer is then
    as visible in the shade as in the light.
    """
    if light == "srgb":
        return None
    return srgb_to_linear(sh.colors(gaussians.sh, gaussians.means, view.camera_center(), sh_degree))


def background_in(light: str, background: Background, camera: Camera, device: str, scale: int = 1) -> Tensor:
    """[H, W, 3] the known `background` in scene light ("srgb" or "linear"); [3] where it is black."""
    if background.is_black:
        return torch.zeros(3, device=device)
    image = background.image(max(1, camera.height // scale), max(1, camera.width // scale))
    if light == "srgb":
        image = encode_array(image)
    return torch.tensor(image, dtype=torch.float32, device=device)


def target_of(
    index: int, view: Photograph, photographs: Photographs, light: str, device: str, scale: int = 1
) -> Target:
    """The training view `view`, photograph `index` of `photographs`, at full size or averaged down to half."""
    drawn = viewport(view.camera, device, scale)
    image = view.image
    if scale != 1:
        image = cv2.resize(image.astype(np.float32), (drawn.width, drawn.height), interpolation=cv2.INTER_AREA)
    return Target(
        index,
        view.name,
        Reference.of(torch.tensor(image, device=device).float() / 255),
        background_in(light, photographs.background, view.camera, device, scale),
        drawn,
        scale,
    )
