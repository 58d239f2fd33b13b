"""A tiny capture for tests, made in milliseconds: a striped ball, ray traced through a thin lens with numpy."""

from pathlib import Path

import numpy as np

from datasets import store
from datasets.cameras import Camera, look_at
from datasets.capture import Background, Optics, Points, split
from datasets.color import linear_to_srgb, to_uint8
from datasets.images import write_exr, write_png

BALL_RADIUS = 10.0  # mm, centred at the world's origin
DISTANCE = 120.0  # mm, from every camera to the centre of the ball
RAYS = 8  # per pixel side: 64 rays a pixel, each through its own point of the aperture


def write_tiny_capture(root: Path, views: int = 9, size: tuple[int, int] = (16, 12), truth: bool = True) -> Path:
    """Write a capture of `views` photographs of `size` (width, height) px into the folder `root`; return `root`.

    Black backdrop, cameras on a hemisphere, every 8th view held out, the focus wandering from the front of
    the ball to its rim, exact ground truth (left out where `truth` is False), points and a manifest. A
    function of its arguments: the same bytes each time.
    """
    width, height = size
    # The ball covers 0.8 of the shorter side when the lens is focused on its centre.
    pitch = 60.0 * 2 * BALL_RADIUS / (DISTANCE - 60.0) / (0.8 * min(size))
    optics = Optics(focal_length=60.0, f_number=1.2, pixel_pitch=pitch)
    kinds = ("images", "sharp", "mask", "depth", "coc") if truth else ("images",)
    for kind in kinds:
        (root / kind).mkdir(parents=True)
    names = [f"{index:03d}" for index in range(views)]
    frames = []
    for index, name in enumerate(names):
        lens = optics.lens(DISTANCE - BALL_RADIUS * (0.9, 0.5, 0.1)[index % 3])
        fx = lens.focal_length_px
        camera = Camera(width, height, fx, fx, width / 2, height / 2, look_at(_position(index, views), np.zeros(3)))
        photograph, _ = _expose(camera, lens.focus_distance, lens.aperture_radius)
        write_png(root / "images" / f"{name}.png", photograph)
        if truth:
            sharp, coverage = _expose(camera, lens.focus_distance, 0.0)
            depth = _depth(camera)
            coc = np.where(depth > 0, lens.coc_radius(np.where(depth > 0, depth, 1.0)), 0.0)
            write_png(root / "sharp" / f"{name}.png", sharp)
            write_png(root / "mask" / f"{name}.png", coverage)
            write_exr(root / "depth" / f"{name}.exr", depth.astype(np.float32))
            write_exr(root / "coc" / f"{name}.exr", coc.astype(np.float32))
        frames.append(store.frame(name, camera, lens.focus_distance))
    store.write_points(root / store.POINTS, _points(200))
    store.write_transforms(root, frames, split(names, 8)[1], Background(), optics)
    store.write_manifest(root, {"recipe": {"object": "ball", "views": views, "size": list(size)}, "unfocused_px": 0.25})
    return root


def _position(index: int, views: int) -> np.ndarray:
    """[3] mm: the camera of view `index`, a golden angle on from the one before, rising from 10 to 65 degrees."""
    azimuth = index * np.pi * (3 - np.sqrt(5))
    elevation = np.deg2rad(10 + 55 * index / max(views - 1, 1))
    across = np.cos(elevation)
    return DISTANCE * np.array([across * np.cos(azimuth), across * np.sin(azimuth), np.sin(elevation)])


def _albedo(points: np.ndarray) -> np.ndarray:
    """[..., 3] linear light 0..1 of surface `points` [..., 3] mm: stripes of another direction for each channel."""
    stripes = 0.5 + 0.45 * np.sin(points @ np.array([[0.9, 0.2, -0.3], [0.3, 1.0, 0.4], [-0.5, 0.3, 1.1]]))
    return stripes * (0.55 + 0.45 * points[..., 2:] / BALL_RADIUS)


def _trace(origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays (unit `directions` [..., 3]) first meet the ball: points [..., 3], and whether they do [...]."""
    along = (origins * directions).sum(-1)
    inside = along**2 - (origins**2).sum(-1) + BALL_RADIUS**2
    distance = -along - np.sqrt(np.maximum(inside, 0.0))
    return origins + distance[..., None] * directions, inside > 0


def _expose(camera: Camera, focus_distance: float, aperture_radius: float) -> tuple[np.ndarray, np.ndarray]:
    """The photograph [H, W, 3] and its coverage [H, W], uint8, through a lens of `aperture_radius` mm (0: pinhole)."""
    corners = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1)
    steps = (np.arange(RAYS) + 0.5) / RAYS
    within = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 1, 1, 2)
    in_focus = camera.unproject(corners + within, np.array(focus_distance))  # [rays, H, W, 3]
    # A sunflower of equal areas on the disk, shuffled so that place in the pixel and in the aperture are unrelated.
    count = np.random.default_rng(0).permutation(RAYS * RAYS) + 0.5
    radius, angle = aperture_radius * np.sqrt(count / RAYS**2), count * np.pi * (3 - np.sqrt(5))
    on_lens = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1) @ camera.c2w[:3, :2].T
    origins = camera.position + on_lens[:, None, None]
    directions = in_focus - origins
    points, hits = _trace(origins, directions / np.linalg.norm(directions, axis=-1, keepdims=True))
    light = np.where(hits[..., None], _albedo(points), 0.0).mean(axis=0)
    return to_uint8(linear_to_srgb(light)), to_uint8(hits.mean(axis=0))


def _depth(camera: Camera) -> np.ndarray:
    """[H, W] mm along the optical axis at pixel centres, 0 beside the ball."""
    centres = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1) + 0.5
    directions = camera.unproject(centres, np.array(1.0)) - camera.position
    points, hits = _trace(camera.position, directions / np.linalg.norm(directions, axis=-1, keepdims=True))
    return np.where(hits, camera.depth(points), 0.0)


def _points(count: int) -> Points:
    """`count` surface points of the upper half, a little off, as structure from motion would give them."""
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(count, 3))
    directions[:, 2] = np.abs(directions[:, 2])
    surface = BALL_RADIUS * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    noisy = surface + rng.normal(scale=0.05, size=surface.shape)
    return Points(noisy.astype(np.float32), to_uint8(linear_to_srgb(_albedo(surface))))
