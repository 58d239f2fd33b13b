"""Relief: what a random surface is like at the scale of a few pixels, as heights to displace its vertices by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datasets.synthesis.objects.model import Floats
from datasets.synthesis.objects.noise import fbm, hash_unit, ridged, smoothstep, worley
from datasets.synthesis.objects.surface import scattered
from datasets.synthesis.pairs.bodies import Body

Layer = Callable[[Body, np.random.Generator], np.ndarray]  # heights [V], about -1..1


def relief(body: Body, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Heights [V] in object radii to move the vertices by, and the pattern in them [V], 0 deep to 1 high."""
    layers = [LAYERS[i] for i in rng.choice(len(LAYERS), int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2])), replace=False)]
    amplitudes = np.exp(rng.uniform(np.log(0.006), np.log(0.05), len(layers)))
    if rng.random() < 0.12:
        amplitudes *= 0.1  # polished
    height = np.zeros(len(body.vertices))
    for layer, amplitude in zip(layers, amplitudes, strict=True):
        height += amplitude * layer(body, rng)
    height *= smoothstep(0.0, 0.12, body.girth)
    height = np.clip(height, -0.5 * body.girth, 0.7 * body.girth)
    low, high = np.quantile(height, [0.03, 0.97])
    pattern = np.clip((height - low) / max(high - low, 1e-9), 0, 1)
    return height.astype(np.float32), pattern.astype(np.float32)


# ---------------------------------------------------------------- layers


def _rough(body: Body, rng: np.random.Generator) -> np.ndarray:
    return 2 * fbm(_scaled(body, rng, 1.5, 9), 5, _seed(rng), gain=rng.uniform(0.45, 0.75))


def _ridges(body: Body, rng: np.random.Generator) -> np.ndarray:
    return 2 * ridged(_scaled(body, rng, 1.5, 7), 4, _seed(rng), gain=rng.uniform(0.4, 0.7)) - 1


def _terraces(body: Body, rng: np.random.Generator) -> np.ndarray:
    steps = rng.uniform(3, 12)
    rise = steps * fbm(_scaled(body, rng, 0.8, 2.5), 3, _seed(rng))
    return (np.floor(rise) + smoothstep(0.7, 1.0, rise % 1)) / steps * 2


def _pits(body: Body, rng: np.random.Generator) -> np.ndarray:
    cells = worley(*_features(body, rng, 60, 2500))
    size = np.median(cells.f1) * rng.uniform(0.7, 1.6) * (0.5 + hash_unit(cells.nearest, _seed(rng)))
    dome = np.sqrt(np.clip(1 - (cells.f1 / size) ** 2, 0, 1))
    return dome * rng.choice([-1, 1])


def _walls(body: Body, rng: np.random.Generator) -> np.ndarray:
    cells = worley(*_features(body, rng, 40, 900))
    wall = smoothstep(float(rng.uniform(0.4, 1.2) * np.median(cells.border)), 0, cells.border)
    return wall * rng.choice([-1, 1])


def _scales(body: Body, rng: np.random.Generator) -> np.ndarray:
    """Each cell rises in one direction, as tiles of a roof do."""
    points, features = _features(body, rng, 60, 900)
    cells = worley(points, features)
    slope = (points - features[cells.nearest]) @ _unit(rng)
    return np.clip(slope / (np.median(cells.f1) + 1e-6) / 2, -1, 1)


def _grooves(body: Body, rng: np.random.Generator) -> np.ndarray:
    shake = rng.uniform(0, 2) * fbm(body.vertices * np.float32(2), 3, _seed(rng))
    kind = rng.integers(3)
    if kind == 0:
        phase = 2 * np.pi * rng.integers(8, 50) * body.along
    elif kind == 1:
        phase = rng.integers(6, 40) * body.around + rng.integers(-12, 13) * 2 * np.pi * body.along
    else:
        phase = 2 * np.pi * rng.uniform(3, 14) * (body.vertices @ _unit(rng))
    wave = np.sin(phase + shake)
    return np.sign(wave) * np.abs(wave) ** rng.choice([0.3, 1.0, 2.5])


def _weave(body: Body, rng: np.random.Generator) -> np.ndarray:
    """Threads over and under each other, or a grid of knobs."""
    u, v = _plane(body, rng)
    pitch = rng.uniform(12, 45)
    over = np.sign(np.sin(pitch * u) * np.sin(pitch * v))
    warp, weft = np.abs(np.sin(pitch * u)), np.abs(np.sin(pitch * v))
    return np.where(over > 0, warp, weft) if rng.random() < 0.5 else 2 * (warp * weft) ** 2 - 0.5


def _scratches(body: Body, rng: np.random.Generator) -> np.ndarray:
    """Long fine marks in a few directions."""
    depth = np.zeros(len(body.vertices))
    for _ in range(int(rng.integers(1, 4))):
        stretch = np.diag(rng.permutation([1.0, 12.0, 40.0]))
        points = (body.vertices @ stretch * rng.uniform(0.5, 1.5)).astype(np.float32)
        depth -= smoothstep(0.08, 0.0, np.abs(fbm(points, 2, _seed(rng))))
    return depth


LAYERS: tuple[Layer, ...] = (_rough, _ridges, _terraces, _pits, _walls, _scales, _grooves, _weave, _scratches)


# ---------------------------------------------------------------- parts of the above


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 20))


def _unit(rng: np.random.Generator) -> np.ndarray:
    direction = rng.standard_normal(3)
    return direction / np.linalg.norm(direction)


def _scaled(body: Body, rng: np.random.Generator, low: float, high: float) -> Floats:
    """The vertices for a lattice noise of `low` to `high` cells per object radius."""
    return body.vertices * np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))


def _features(body: Body, rng: np.random.Generator, low: int, high: int) -> tuple[Floats, Floats]:
    """The vertices, somewhat shaken, and so many random points on the surface."""
    count = int(np.exp(rng.uniform(np.log(low), np.log(high))))
    features = scattered(body.vertices, body.faces, count, rng)[0]
    shake = np.stack([fbm(body.vertices * np.float32(3), 2, _seed(rng)) for _ in range(3)], axis=1)
    return body.vertices + np.float32(rng.uniform(0, 0.08)) * shake, features


def _plane(body: Body, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    first = _unit(rng)
    second = np.cross(first, _unit(rng))
    return body.vertices @ first, body.vertices @ (second / np.linalg.norm(second))
