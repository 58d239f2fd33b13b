"""Bodies as level sets of functions: smooth blends of simple solids, foams, lattices, and solids full of holes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from datasets.synthesis.objects.model import Floats
from datasets.synthesis.pairs.bodies import Body, body_of, warped

Field = Callable[[Floats], np.ndarray]  # points [N, 3] to about the distance from the surface [N], < 0 inside

_REACH = 1.25  # half the side of the cube in which all of them lie
_COARSE = 0.063  # side of a cell: a larger one would miss rods and walls
_MOST_CELLS = 1_400_000


def blend(rng: np.random.Generator, count: int) -> Body:
    """Two to eight balls, boxes, rings and rods that melt into one another; some are cut out."""
    solids = [_solid(rng, kinds=2), *(_solid(rng) for _ in range(int(rng.integers(1, 8))))]
    cut = [_solid(rng) for _ in range(int(rng.integers(0, 3)))]
    melt = rng.uniform(0.02, 0.25)

    def field(points: Floats) -> np.ndarray:
        distance = solids[1](points)
        for solid in solids[2:]:
            distance = _smooth_min(distance, solid(points), melt)
        for solid in cut:
            distance = -_smooth_min(-distance, solid(points) + 0.1, melt / 2)
        distance = _smooth_min(distance, solids[0](points), melt)  # the last, so that something is always left
        return np.maximum(distance, np.linalg.norm(points, axis=1) - 1.1)

    return _surface(field, rng, count, girth=0.12)


def foam(rng: np.random.Generator, count: int) -> Body:
    """A minimal surface (gyroid or Schwarz's) with walls, or its solid half, within a ball or a box."""
    frequency, wall = rng.uniform(3.5, 8.0), rng.uniform(0.2, 0.5)
    gyroid, solid = rng.random() < 0.6, rng.random() < 0.5
    outer = _solid(rng, large=True)

    def field(points: Floats) -> np.ndarray:
        x, y, z = (frequency * points).T
        if gyroid:
            level = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
        else:
            level = np.cos(x) + np.cos(y) + np.cos(z)
        inner = (level - 0.2 if solid else np.abs(level) - wall) / frequency
        return -_smooth_min(-inner, -outer(points), 0.03)

    return _surface(field, rng, count, girth=0.06)


def lattice(rng: np.random.Generator, count: int) -> Body:
    """Rods along three axes with knots where they cross, within a ball or a box."""
    cell, rod = rng.uniform(0.34, 0.6), rng.uniform(0.035, 0.09)
    knot = rod * rng.uniform(0.8, 2.2)
    outer = _solid(rng, large=True)

    def field(points: Floats) -> np.ndarray:
        near = (points / cell - np.round(points / cell)) * cell
        x, y, z = np.square(near).T
        rods = np.sqrt(np.minimum(np.minimum(x + y, y + z), z + x)) - rod
        inner = _smooth_min(rods, np.sqrt(x + y + z) - knot, 0.03)
        return np.maximum(inner, outer(points))

    return _surface(field, rng, count, girth=rod / 2)


def sponge(rng: np.random.Generator, count: int) -> Body:
    """A solid with round holes of many sizes."""
    outer = _solid(rng, large=True)
    holes = rng.uniform(-1, 1, (int(rng.integers(25, 160)), 3))
    size = rng.uniform(0.5, 0.85) * len(holes) ** (-1 / 3)

    def field(points: Floats) -> np.ndarray:
        distance, nearest = cKDTree(holes).query(points)
        own = size * (0.5 + 0.5 * (nearest * 0.618 % 1))
        return -_smooth_min(-outer(points), distance - own, 0.03)

    return _surface(field, rng, count, girth=0.08)


# ---------------------------------------------------------------- solids


def _solid(rng: np.random.Generator, large: bool = False, kinds: int = 4) -> Field:
    """One of the first `kinds` of ball, box, ring and rod somewhere within the unit ball; `large`: a ball or a box
    that fills it."""
    if large:
        reach = rng.uniform(0.62, 0.95, 3).astype(np.float32)
        return (lambda p: _ball(p / reach)) if rng.random() < 0.6 else (lambda p: _box(p, 0.75 * reach))
    centre = rng.uniform(-0.55, 0.55, 3).astype(np.float32)
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0].astype(np.float32)
    size = float(rng.uniform(0.15, 0.42))
    kind = rng.integers(kinds)
    if kind == 0:
        stretch = rng.uniform(0.6, 1.4, 3).astype(np.float32)
        return lambda p: size * _ball((p - centre) @ axes / (size * stretch))
    if kind == 1:
        edges = size * rng.uniform(0.5, 1.1, 3).astype(np.float32)
        return lambda p: _box((p - centre) @ axes, edges)
    if kind == 2:
        thick = size * rng.uniform(0.2, 0.45)
        return lambda p: _ring((p - centre) @ axes, 1.3 * size, thick)
    length, thick = rng.uniform(0.3, 0.8), size * rng.uniform(0.25, 0.6)
    return lambda p: _rod((p - centre) @ axes, length, thick)


def _ball(p: Floats) -> np.ndarray:
    return np.asarray(np.linalg.norm(p, axis=1) - 1)


def _box(p: Floats, half: Floats) -> np.ndarray:
    beyond = np.abs(p) - half
    return np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0) - 0.03


def _ring(p: Floats, radius: float, thick: float) -> np.ndarray:
    return np.hypot(np.hypot(p[:, 0], p[:, 1]) - radius, p[:, 2]) - thick


def _rod(p: Floats, length: float, thick: float) -> np.ndarray:
    beyond = p[:, 2] - np.clip(p[:, 2], -length / 2, length / 2)
    return np.sqrt(p[:, 0] ** 2 + p[:, 1] ** 2 + beyond**2) - thick


def _smooth_min(a: np.ndarray, b: np.ndarray, melt: float) -> np.ndarray:
    """The smaller of two distances, rounded where they are within `melt` (Quilez' polynomial)."""
    h = np.clip(0.5 + 0.5 * (b - a) / melt, 0, 1)
    return b + (a - b) * h - melt * h * (1 - h)


# ---------------------------------------------------------------- surfaces


def _surface(field: Field, rng: np.random.Generator, count: int, girth: float) -> Body:
    """The zero set of `field` as a mesh of about `count` vertices, as far as the cells allow; warped."""
    everywhere = np.full(3, _REACH)
    rough = _marched(field, -everywhere, everywhere, _COARSE)[0]
    step = _COARSE * min(1.0, float(np.sqrt(len(rough) / count)))
    low, high = rough.min(axis=0) - _COARSE, rough.max(axis=0) + _COARSE
    step = max(step, float(np.cbrt(np.prod(high - low) / _MOST_CELLS)))
    vertices, faces = _marched(field, low, high, step)
    return body_of(warped(vertices, rng), faces, girth)


def _marched(field: Field, low: np.ndarray, high: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] and outward faces [F, 3] of the zero set within a box cut into cells of about `step`."""
    sides = np.ceil((high - low) / step).astype(np.int64) + 1
    lines = [np.linspace(a, b, side, dtype=np.float32) for a, b, side in zip(low, high, sides, strict=True)]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)
    volume = field(points).astype(np.float32).reshape(sides)
    vertices, faces, _, _ = marching_cubes(volume, 0.0)
    return (low + vertices * (high - low) / (sides - 1)).astype(np.float32), faces.astype(np.int32)
