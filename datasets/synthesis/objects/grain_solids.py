"""Convex solids as minerals show them: broken, cleaved, crystalline or worn, cut out of a sphere by planes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from datasets.synthesis.objects.model import Floats

_CHIP_RIBS = 0.035  # wavelength of the ribs of a conchoidal chip, in the unit of the solid


@dataclass(frozen=True)
class Solid:
    """A convex body about the origin: a unit form bounded by planes, then stretched and sheared into mm.

    normals [K, 3] (unit) and offsets [K] bound the form; sharpness: 8 is a pebble, 40 has crisp edges;
    frame [3, 3] takes the form to mm; chips [C, 4] are balls (centre, radius) knocked out of the form.
    """

    normals: np.ndarray
    offsets: np.ndarray
    sharpness: float
    frame: np.ndarray
    chips: np.ndarray

    def surface(self, directions: Floats) -> tuple[Floats, Floats, Floats]:
        """Points [V, 3] mm of the surface, in these unit directions [V, 3] of the form.

        Gives with them how near each lies to an edge ([V], 1 on it, 0 inside a face), and whether it lies in a
        chip ([V], 0 or 1).
        """
        heights = np.maximum(directions @ (self.normals / self.offsets[:, None]).T.astype(np.float32), 1e-6)
        # A p-norm instead of the greatest of the planes rounds edges and corners.
        radius = np.power(heights, self.sharpness).sum(axis=1) ** (-1 / self.sharpness)
        second, first = np.partition(heights, -2, axis=1)[:, -2:].T
        edge = np.clip(1 - (first - second) / 0.10, 0, 1)
        chipped = np.zeros(len(directions), dtype=np.float32)
        for *centre, ball in self.chips:
            nearest = directions @ np.asarray(centre, dtype=np.float32)
            inside = nearest**2 - (np.dot(centre, centre) - ball**2)
            entry = nearest - np.sqrt(np.clip(inside, 0, None))
            # Shells of the fracture spread from where the blow fell, at the rim of the ball.
            blow = np.linalg.norm(directions * radius[:, None] - np.asarray(centre) * (1 - 0.9 * ball), axis=1)
            entry = entry + 0.004 * np.cos(blow * (2 * np.pi / _CHIP_RIBS))
            cut = (inside > 0) & (nearest > 0) & (entry < radius)
            chipped[cut] = 1
            radius = np.where(cut, entry, radius)
        points = (directions * radius[:, None]) @ self.frame.T
        return points.astype(np.float32), edge.astype(np.float32), chipped

    def support(self, directions: np.ndarray, samples: Floats) -> tuple[np.ndarray, np.ndarray]:
        """Planes (unit normals [K + D, 3], offsets [K + D] mm) that touch the body: its own, and D others."""
        own = self.normals @ np.linalg.inv(self.frame)
        normals = np.concatenate([own, directions])
        normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        points = self.surface(samples)[0].astype(np.float64)
        return normals, (points @ normals.T).max(axis=0)


Maker = Callable[[np.random.Generator, float], Solid]


def broken(rng: np.random.Generator, size: float) -> Solid:
    """A fragment with uneven faces, crisp edges and conchoidal chips, `size` mm across."""
    normals = _random_normals(rng, int(rng.integers(10, 16)))
    return _solid(rng, size, normals, rng.uniform(0.70, 1.0, len(normals)), rng.uniform(18, 34), chips=5)


def worn(rng: np.random.Generator, size: float) -> Solid:
    """A pebble that rolled for long, with a chip or two of later date."""
    normals = _random_normals(rng, int(rng.integers(11, 18)))
    return _solid(rng, size, normals, rng.uniform(0.74, 1.0, len(normals)), rng.uniform(7, 13), chips=1)


def blocky(rng: np.random.Generator, size: float) -> Solid:
    """A cleavage block: two pairs of faces at right angles, broken ends, bevelled corners."""
    square = np.concatenate([np.eye(3), -np.eye(3)])
    normals = np.concatenate([square, _random_normals(rng, 6)])
    offsets = np.concatenate([rng.uniform(0.62, 0.82, 6), rng.uniform(0.85, 1.0, 6)])
    return _solid(rng, size, normals, offsets, rng.uniform(26, 40), chips=2)


def rhombic(rng: np.random.Generator, size: float) -> Solid:
    """A calcite rhomb: a cube pressed along one of its diagonals, with a few corners broken off."""
    normals = np.concatenate([np.eye(3), -np.eye(3), _random_normals(rng, 3)])
    offsets = np.concatenate([rng.uniform(0.62, 0.76, 6), rng.uniform(0.86, 0.95, 3)])
    pressed = np.eye(3) - 0.14 * np.ones((3, 3))
    return _solid(rng, size, normals, offsets, rng.uniform(38, 55), chips=2, shear=pressed)


def dodecahedral(rng: np.random.Generator, size: float) -> Solid:
    """A garnet: twelve rhombs, narrow trapezohedral bevels, each face grown at its own pace."""
    pairs = [(a, b) for a in (-1, 1) for b in (-1, 1)]
    rhombs = [v for a, b in pairs for v in ((a, b, 0), (a, 0, b), (0, a, b))]
    bevels = [v for a, b in pairs for c in (-1, 1) for v in ((2 * a, b, c), (a, 2 * b, c), (a, b, 2 * c))]
    normals = np.array(rhombs + bevels, dtype=np.float64)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    offsets = np.concatenate([rng.uniform(0.78, 0.88, 12), rng.uniform(0.86, 0.96, 24)])
    return _solid(rng, size, normals, offsets, rng.uniform(36, 60), chips=2, stretch=0.05)


def octahedral(rng: np.random.Generator, size: float) -> Solid:
    """An octahedron with blunted corners, as magnetite grows."""
    normals = np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]) / 3**0.5
    normals = np.concatenate([normals, np.eye(3), -np.eye(3)])
    offsets = np.concatenate([rng.uniform(0.60, 0.74, 8), rng.uniform(0.95, 1.1, 6)])
    return _solid(rng, size, normals, offsets, rng.uniform(40, 60), chips=1, stretch=0.05)


def platy(rng: np.random.Generator, size: float) -> Solid:
    """A book of mica: a ragged hexagonal plate."""
    return _prism(rng, size, ends=(0.55, 0.75), proportions=(1.28, 1.15, 0.30), sharpness=40)


def columnar(rng: np.random.Generator, size: float) -> Solid:
    """A prism with slanting ends, as epidote and tourmaline grow."""
    return _prism(rng, size, ends=(0.85, 1.0), proportions=(0.62, 0.55, 1.30), sharpness=34)


def _prism(
    rng: np.random.Generator,
    size: float,
    ends: tuple[float, float],
    proportions: tuple[float, float, float],
    sharpness: float,
) -> Solid:
    angle = np.arange(6) * np.pi / 3 + rng.normal(0, 0.06, 6)
    sides = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    caps = np.concatenate([rng.normal(0, 0.10, (2, 2)), [[1], [-1]]], axis=1)
    normals = np.concatenate([sides, caps, _random_normals(rng, 5)])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    offsets = np.concatenate([rng.uniform(0.72, 0.92, 6), rng.uniform(*ends, 2), rng.uniform(0.88, 1.0, 5)])
    return _solid(rng, size, normals, offsets, sharpness, chips=2, shear=np.diag(proportions), stretch=0.08)


def _solid(
    rng: np.random.Generator,
    size: float,
    normals: np.ndarray,
    offsets: np.ndarray,
    sharpness: float,
    chips: int,
    shear: ArrayLike = ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    stretch: float = 0.22,
) -> Solid:
    frame = np.asarray(shear, dtype=np.float64) @ np.diag(np.exp(rng.normal(0, stretch, 3).clip(-0.35, 0.35)))
    frame *= size / 1.7 / np.cbrt(np.abs(np.linalg.det(frame)))  # forms are about 1.7 wide
    # Chips sit on the corners and edges, where blows fall: beyond the form's surface, in random directions.
    towards = _random_normals(rng, chips)[: int(rng.integers(0, chips + 1))]
    balls = rng.uniform(0.18, 0.55, len(towards))
    reach = 1 / (np.maximum(towards @ (normals / offsets[:, None]).T, 1e-6) ** sharpness).sum(axis=1) ** (1 / sharpness)
    centres = towards * (reach + balls * rng.uniform(0.80, 0.93, len(towards)))[:, None]
    return Solid(normals, offsets, sharpness, frame, np.concatenate([centres, balls[:, None]], axis=1))


def spread_directions(count: int) -> np.ndarray:
    """Unit vectors [count, 3] that cover the sphere evenly (a Fibonacci lattice)."""
    index = np.arange(count) + 0.5
    polar, azimuth = np.arccos(1 - 2 * index / count), np.pi * (1 + 5**0.5) * index
    return np.stack([np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1)


def random_rotations(rng: np.random.Generator, count: int) -> np.ndarray:
    """Rotations [count, 3, 3], evenly distributed: those of random unit quaternions."""
    w, x, y, z = (q := rng.standard_normal((4, count))) / np.linalg.norm(q, axis=0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _random_normals(rng: np.random.Generator, count: int) -> np.ndarray:
    """Unit vectors [count, 3], random yet without large gaps, so that planes across them enclose a body."""
    if count == 0:
        return np.zeros((0, 3))
    normals = spread_directions(count) + rng.normal(0, 0.9 / count**0.5, (count, 3))
    return (normals / np.linalg.norm(normals, axis=1, keepdims=True)) @ random_rotations(rng, 1)[0]
