"""Takes: how a random object is photographed, time after time. Camera, lens, focus, light, backdrop and sensor."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from datasets.cameras import Camera, look_at
from datasets.capture import BACKDROPS, Background
from datasets.optics import ThinLens
from datasets.synthesis.objects.model import Model
from datasets.synthesis.recipes import Sensor

SENSOR_WIDTH = 8.8  # mm
BRIGHTEST_LENS, DARKEST_LENS = 1.0, 90.0  # f-numbers
LARGEST_COC = 24.0  # px of diameter of the largest circle on the object, in photographs of NOMINAL_SIZE
NOMINAL_SIZE = 128  # px

_CELLS = 32  # a side of the raster in which is looked up what a camera sees
_TRIES = 20


@dataclass(frozen=True)
class Lamp:
    """A square that glows: unit direction to it, half its size and its distance in object radii, RGB radiance."""

    direction: tuple[float, float, float]
    half_size: float
    distance: float
    radiance: tuple[float, float, float]


@dataclass(frozen=True)
class Sky:
    """RGB radiance from above, from the sides and from below."""

    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    nadir: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Take:
    """Everything about one photograph of an object but the object.

    brightness: what the 99th percentile of the object's sharp picture is exposed to, in linear light.
    sensor: None is one without noise. seed: of the render's noise.
    """

    camera: Camera
    lens: ThinLens
    blades: int
    lamps: tuple[Lamp, ...]
    sky: Sky
    backdrop: Background
    sensor: Sensor | None
    brightness: float
    seed: int

    def as_json(self) -> dict[str, Any]:
        """What is worth knowing of a pair, as plain JSON."""
        return {
            "f_number": self.lens.f_number,
            "focal_length": self.lens.focal_length,
            "focus_distance": self.lens.focus_distance,
            "pixel_pitch": self.lens.pixel_pitch,
            "fx": self.camera.fx,
            "c2w": self.camera.c2w.tolist(),
            "blades": self.blades,
            "backdrop": asdict(self.backdrop),
            "sensor": None if self.sensor is None else asdict(self.sensor),
            "brightness": self.brightness,
        }


def take(model: Model, size: int, rng: np.random.Generator) -> Take:
    """A random photograph of `size` x `size` px of `model`."""
    standing = any(part.name == "ground" for part in model.parts)
    points = np.concatenate([part.vertices for part in model.parts])
    focal_length = float(rng.uniform(35, 110))
    pitch = SENSOR_WIDTH / size
    pose, distance = _pose(model, points, standing, focal_length, rng)
    depths = _visible(points, pose, focal_length, distance)
    near, far = np.quantile(depths, [0.01, 0.99])
    focus_distance = max(_focus(depths, near, far, rng), 1.05 * focal_length)
    wide = ThinLens(focal_length, BRIGHTEST_LENS, focus_distance, pitch)
    most = 2 * float(np.abs(wide.coc_radius(np.array([near, far]))).max())
    f_number = float(np.clip(most / _largest_coc(size, rng), BRIGHTEST_LENS, DARKEST_LENS))
    lens = ThinLens(focal_length, f_number, focus_distance, pitch)
    camera = Camera(size, size, lens.focal_length_px, lens.focal_length_px, size / 2, size / 2, pose)
    return Take(
        camera=camera,
        lens=lens,
        blades=int(rng.integers(5, 10)) if rng.random() < 0.15 else 0,
        lamps=_lamps(-camera.forward, standing, rng),
        sky=_sky(rng),
        backdrop=_backdrop(rng),
        sensor=_sensor(rng),
        brightness=float(np.exp(rng.uniform(np.log(0.45), np.log(1.1)))),
        seed=int(rng.integers(2**31 - 8)),
    )


# ---------------------------------------------------------------- camera and lens


def _pose(
    model: Model, points: np.ndarray, standing: bool, focal_length: float, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """A pose [4, 4] that sees enough of the object, from the whole of it to a small part, and the distance in mm."""
    for _ in range(_TRIES):
        direction = rng.standard_normal(3)
        if standing:
            direction[2] = abs(direction[2]) + 0.25 * np.linalg.norm(direction)
        direction /= np.linalg.norm(direction)
        # Width of the field of view over the object's diameter.
        field = float(np.exp(rng.uniform(np.log(0.28), np.log(1.15))))
        distance = max(focal_length * (1 + field * 2 * model.radius / SENSOR_WIDTH), 2.2 * model.radius)
        facing = points[points @ direction > 0.1 * model.radius]
        if not len(facing):  # of a body that lies all on the other side of the centre
            continue
        target = rng.choice(facing) * min(1.0, max(0.0, 1.2 - field))
        if np.linalg.norm(target) > model.radius:  # of the ground, far out
            continue
        pose = look_at(target + distance * direction, target, up=rng.standard_normal(3))
        if len(_visible(points, pose, focal_length, distance)) > 0.3 * _CELLS**2:
            return pose, distance
    pose = look_at(direction * (distance := focal_length * (1 + 1.8 * model.radius / SENSOR_WIDTH)), np.zeros(3))
    return pose, distance


def _visible(points: np.ndarray, pose: np.ndarray, focal_length: float, distance: float) -> np.ndarray:
    """Depths in mm of what is nearest in each cell of a coarse raster where the camera sees anything."""
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    depth = local[:, 2]
    # The image distance of a lens focused at the target.
    reach = focal_length * distance / (distance - focal_length) / SENSOR_WIDTH
    cell = np.floor((local[:, :2] / depth[:, None] * reach + 0.5) * _CELLS).astype(np.int64)
    inside = ((cell >= 0) & (cell < _CELLS)).all(axis=1) & (depth > 0)
    nearest = np.full(_CELLS**2, np.inf)
    np.minimum.at(nearest, cell[inside, 1] * _CELLS + cell[inside, 0], depth[inside])
    return nearest[np.isfinite(nearest)]


def _focus(depths: np.ndarray, near: float, far: float, rng: np.random.Generator) -> float:
    """Mostly on something in the picture; else before or behind all of it."""
    kind = rng.random()
    if kind < 0.78:
        return float(rng.choice(depths))
    beyond = rng.uniform(0, 0.6) * max(far - near, 1e-3)
    return float(near - beyond if kind < 0.89 else far + beyond)


def _largest_coc(size: int, rng: np.random.Generator) -> float:
    """Diameter in px wished for the largest circle of confusion: all sizes alike by their logarithm."""
    low = 0.4 if rng.random() < 0.12 else 2.0
    return float(np.exp(rng.uniform(np.log(low), np.log(LARGEST_COC)))) * size / NOMINAL_SIZE


# ---------------------------------------------------------------- light, backdrop, sensor


def _lamps(towards_camera: np.ndarray, standing: bool, rng: np.random.Generator) -> tuple[Lamp, ...]:
    """A key light on the side of the camera, most often, and two others from anywhere."""
    lamps = []
    for leaning, strength in ((rng.uniform(-0.3, 1.2), rng.uniform(1.5, 6)), (0.3, rng.uniform(0, 2)), (-0.2, 1.0)):
        free = rng.standard_normal(3)
        direction = free / np.linalg.norm(free) + leaning * towards_camera
        if standing:
            direction[2] = abs(direction[2]) + 0.15
        direction /= np.linalg.norm(direction)
        half_size, distance = float(rng.uniform(0.8, 3.2)), 6.0
        warmth = rng.normal(0, 0.12)
        colour = np.clip([1 + warmth, 1, 1 - warmth], 0.5, 1.5)
        radiance = strength * (distance / (2 * half_size)) ** 2 * colour
        lamps.append(Lamp(_triple(direction), half_size, distance, _triple(radiance)))
    return tuple(lamps)


def _sky(rng: np.random.Generator) -> Sky:
    level = np.exp(rng.uniform(np.log(0.05), np.log(0.6)))
    tint = np.clip(1 + rng.normal(0, 0.06, 3), 0.7, 1.3)
    return Sky(*(_triple(level * part * tint) for part in (rng.uniform(0.7, 1.5), 1.0, rng.uniform(0.25, 1.0))))


def _backdrop(rng: np.random.Generator) -> Background:
    kind = rng.choice(["black", "gray", "white", "any gray", "any colour"], p=[0.4, 0.15, 0.05, 0.25, 0.15])
    if kind in BACKDROPS:
        return BACKDROPS[str(kind)]
    ends = rng.uniform(0.02, 0.75, 2)[:, None] * np.ones(3)
    if kind == "any colour":
        ends = ends * rng.uniform(0.25, 1.0, (1, 3)) * rng.uniform(0.8, 1.2, (2, 3))
    top, bottom = np.clip(ends, 0, 1)
    return Background(_triple(top), _triple(bottom))


def _sensor(rng: np.random.Generator) -> Sensor | None:
    if rng.random() < 0.6:
        return None
    return Sensor(float(np.exp(rng.uniform(np.log(1000), np.log(30000)))), float(rng.uniform(1, 8)))


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
