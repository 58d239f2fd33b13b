"""Photographs of a textured corner of a room: a world of which structure from motion can tell the poses."""

from functools import cache

import cv2
import numpy as np

from datasets.cameras import Camera, look_at

# Origin and two sides of each face.
FACES = np.array(
    [
        [[-1.0, -1.0, 0.0], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0]],
        [[-1.0, 1.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.5]],
        [[-1.0, -1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.5]],
    ]
)

TARGET = np.array([-0.2, 0.2, 0.4])


def cameras(views: int, size: tuple[int, int] = (320, 240), away: float = 4.0) -> list[Camera]:
    """Cameras of one focal length on an arc of 50 degrees, `away` from the corner, which fills the image anyhow."""
    width, height = size
    found = []
    for index in range(views):
        azimuth, elevation = np.deg2rad(-55 + 50 * index / (views - 1)), np.deg2rad(30 + 6 * (index % 3))
        across = np.cos(elevation)
        direction = np.array([across * np.cos(azimuth), across * np.sin(azimuth), np.sin(elevation)])
        focal = 1.3125 * width * away / 4
        c2w = look_at(TARGET + away * direction, TARGET)
        found.append(Camera(width, height, focal, focal, width / 2, height / 2, c2w))
    return found


def photograph(camera: Camera) -> np.ndarray:
    """[H, W, 3] uint8: the corner before black."""
    size = (camera.width, camera.height)
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    k = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
    from_centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV counts from the first pixel's centre
    for index, (origin, right, up) in enumerate(FACES):
        texture = _texture(index)
        side = len(texture)
        plane = np.stack([right / side, up / side, origin], axis=1)
        seen = k @ (camera.w2c[:3, :3] @ plane + np.outer(camera.w2c[:3, 3], [0, 0, 1]))
        warp = np.linalg.inv(from_centre) @ seen @ from_centre
        there = cv2.warpPerspective(np.full((side, side), 255, np.uint8), warp, size, flags=cv2.INTER_NEAREST) > 0
        image[there] = cv2.warpPerspective(texture, warp, size)[there]
    return image


@cache
def _texture(seed: int, side: int = 512) -> np.ndarray:
    """[side, side, 3] uint8: noise of three sizes, smooth enough to be photographed small."""
    rng = np.random.default_rng(seed)
    noise = sum(
        cv2.resize(rng.random((side // grain, side // grain, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
        for grain in (4, 12, 40)
    )
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    return (255 * np.clip(1.8 * (noise - 0.5) + 0.5, 0, 1)).astype(np.uint8)
