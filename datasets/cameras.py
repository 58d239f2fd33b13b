"""Pinhole cameras in OpenCV's convention: x right, y down, z forward; pixel i covers [i, i + 1)."""

from dataclasses import dataclass

import numpy as np

from datasets.errors import InputError

# Turns OpenGL's camera axes (x right, y up, z backward; as in transforms.json) into OpenCV's and back.
OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Camera:
    """A posed pinhole camera.

    width, height: px. fx, fy, cx, cy: px, with cx = width / 2 for a centred principal point.
    c2w: [4, 4] float64 rigid camera-to-world transform (scene units; mm in macro captures).

    Raises InputError for a size below 1 px, a non-positive focal length, or a pose that is not rigid.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    c2w: np.ndarray

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise InputError(f"A camera of {self.width} x {self.height} px has no pixels.")
        intrinsics = np.array([self.fx, self.fy, self.cx, self.cy])
        if not np.isfinite(intrinsics).all() or self.fx <= 0 or self.fy <= 0:
            raise InputError(f"A camera's intrinsics (fx, fy, cx, cy) = {intrinsics.tolist()} are not usable.")
        c2w = np.array(self.c2w, dtype=np.float64)
        if c2w.shape != (4, 4) or not np.isfinite(c2w).all():
            raise InputError("A camera's pose is not a 4 x 4 matrix of finite numbers.")
        rotation = c2w[:3, :3]
        rigid = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4) and np.linalg.det(rotation) > 0
        if not rigid or not np.allclose(c2w[3], [0, 0, 0, 1]):
            raise InputError("A camera's pose is not rigid (a rotation and a translation).")
        c2w.setflags(write=False)
        object.__setattr__(self, "c2w", c2w)

    @property
    def w2c(self) -> np.ndarray:
        """[4, 4] world-to-camera, the exact inverse of the rigid `c2w`."""
        inverse = np.eye(4)
        inverse[:3, :3] = self.c2w[:3, :3].T
        inverse[:3, 3] = -self.c2w[:3, :3].T @ self.c2w[:3, 3]
        return inverse

    @property
    def position(self) -> np.ndarray:
        """[3] camera centre in the world."""
        return self.c2w[:3, 3]

    @property
    def forward(self) -> np.ndarray:
        """[3] unit optical axis in the world."""
        return self.c2w[:3, 2]

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Depth along the optical axis of world `points` [..., 3]; [...]."""
        return (np.asarray(points) - self.position) @ self.forward

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [..., 2] (px, image corner at 0, 0) and depths [...] of world `points` [..., 3]."""
        local = (np.asarray(points, dtype=np.float64) - self.position) @ self.c2w[:3, :3]
        depth = local[..., 2]
        pixels = local[..., :2] / depth[..., None] * [self.fx, self.fy] + [self.cx, self.cy]
        return pixels, depth

    def unproject(self, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """World points [..., 3] at `pixels` [..., 2] (px) and `depth` [...]; the inverse of `project`."""
        rays = (np.asarray(pixels, dtype=np.float64) - [self.cx, self.cy]) / [self.fx, self.fy]
        local = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1) * np.asarray(depth)[..., None]
        return local @ self.c2w[:3, :3].T + self.position

    def resized(self, width: int, height: int) -> "Camera":
        """The same view on `width` x `height` pixels; the intrinsics scale with the image."""
        sx, sy = width / self.width, height / self.height
        return Camera(width, height, self.fx * sx, self.fy * sy, self.cx * sx, self.cy * sy, self.c2w)


def look_at(position: np.ndarray, target: np.ndarray, up: np.ndarray | None = None) -> np.ndarray:
    """[4, 4] OpenCV camera-to-world of a camera at `position` [3] that looks at `target` [3].

    `up` [3] is the world direction that points up in the image (default z); where it is parallel to the
    view, y stands in for it, or z where the view is along y.
    """
    position, target = np.asarray(position, dtype=np.float64), np.asarray(target, dtype=np.float64)
    up = np.array([0.0, 0.0, 1.0]) if up is None else np.asarray(up, dtype=np.float64)
    forward = target - position
    distance = np.linalg.norm(forward)
    if distance == 0:
        raise InputError("A camera stands at the very point that it looks at.")
    forward = forward / distance
    if np.linalg.norm(np.cross(forward, up)) < 1e-8:
        up = np.array([0.0, 1.0, 0.0] if abs(forward[1]) < 0.5 else [0.0, 0.0, 1.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    c2w = np.eye(4)
    c2w[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    c2w[:3, 3] = position
    return c2w
