"""How large a scene is, as its cameras tell: the unit of everything that must not depend on the size of an object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.cameras import Camera

NEAR = 0.01  # scene radii: what is nearer to the camera is not drawn


@dataclass(frozen=True)
class Bounds:
    """The ball that the cameras look at, in world units."""

    center: np.ndarray  # [3]
    radius: float

    @staticmethod
    def seen_by(cameras: list[Camera]) -> Bounds:
        """Centre: the point nearest to all optical axes; radius: half of the narrowest field of view there."""
        axes = np.stack([camera.forward for camera in cameras])
        positions = np.stack([camera.position for camera in cameras])
        across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
        center = np.linalg.lstsq(across.sum(0), (across @ positions[:, :, None]).sum(0)[:, 0], rcond=None)[0]
        half_fields = [
            float(camera.depth(center)) * 0.5 * min(camera.width / camera.fx, camera.height / camera.fy)
            for camera in cameras
        ]
        return Bounds(center, max(min(half_fields), 1e-6))
