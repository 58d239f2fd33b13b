"""What goes into a rasterizer beside the Gaussians, what comes out, and the constants all of them share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# The constants of gsplat 1.5 (and, but for the clamp, of 3DGS), so that images agree between back ends.
ALPHA_MIN = 1.0 / 255.0  # contributions below one 8-bit step are skipped
ALPHA_MAX = 0.999
TRANSMITTANCE_MIN = 1e-4  # a pixel is finished by the Gaussian that would bring it to this or below (exclusive)
NEAR = 0.01
# The Jacobian of the projection is taken no further outside the image than 0.3 of the half field of view.
FRUSTUM_MARGIN = 0.3


@dataclass(frozen=True)
class Viewport:
    """A pinhole camera in plain numbers. Pixel (i, j) has its centre at (j + 0.5, i + 0.5)."""

    width: int  # px
    height: int  # px
    fx: float  # px
    fy: float  # px
    cx: float  # px, from the left edge of the image
    cy: float  # px, from the top edge
    w2c: Tensor  # [4, 4] world-to-camera, OpenCV axes (x right, y down, z forward)

    def depths(
        self,
        means: Tensor,  # [N, 3] world
    ) -> Tensor:  # [N]
        """z-depth of points along the optical axis; differentiable in `means`."""
        w2c = self.w2c.to(means)
        return means @ w2c[2, :3] + w2c[2, 3]

    def camera_center(self) -> Tensor:  # [3] world
        """Position of the camera, -R^T t."""
        return -self.w2c[:3, :3].T @ self.w2c[:3, 3]


@dataclass(frozen=True)
class Render:
    """One rendered view. `color`, `depth` and `alpha` carry gradients."""

    color: Tensor  # [H, W, 3] over the background
    depth: Tensor  # [H, W] expected z-depth sum(w z) / alpha; 0 where nothing was hit
    alpha: Tensor  # [H, W] in 0..1
    means2d: Tensor  # [N, 2] px, detached; 0 where not visible
    radii: Tensor  # [N] int32 px, half the longer side of the footprint's bounding box; 0 where not visible
    backend: str  # the rasterizer that was used, for the record
    # [N, 2] leaf of zeros added to the projected means, present when asked for: its .grad is dL/d means2d.
    screen_offsets: Tensor | None = None

    @property
    def visible(self) -> Tensor:  # [N] bool
        """Gaussians whose footprint reaches the image."""
        return self.radii > 0

    def screen_gradient_norm(self) -> Tensor:  # [N]
        """Norm of dL/d means2d (per px), the densification signal of 3DGS, after `backward`.

        Raises RuntimeError if the render was not made with `screen_gradients=True` or has no gradient yet.
        """
        if self.screen_offsets is None:
            raise RuntimeError("no screen-space gradient: call render(..., screen_gradients=True)")
        if self.screen_offsets.grad is None:
            raise RuntimeError("no screen-space gradient yet: call backward() on a loss of this render first")
        return torch.linalg.vector_norm(self.screen_offsets.grad, dim=-1)
