"""Noise over space, evaluated at points: lattice noise, its fractal sums, and cellular (Worley) distances.

All functions take points [N, 3] (any unit: one lattice cell is one unit) and give float32 [N]. They hash
integers, so a value depends on the point and the seed alone, and not on the number or order of points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from datasets.synthesis.objects.model import Floats

_CHUNK = 1 << 15  # points at a time, so that the temporaries stay in the cache

# A rotation by no special angle, between octaves: lattices of different octaves never line up.
_TWIST = np.array(
    [[0.00, 0.80, 0.60], [-0.80, 0.36, -0.48], [-0.60, -0.48, 0.64]],
    dtype=np.float32,
)


def smoothstep(low: float, high: float, x: ArrayLike) -> Floats:
    """0 below `low`, 1 above `high`, and a cubic between (low > high falls instead of rising)."""
    t = np.clip((np.asarray(x, dtype=np.float32) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def hash32(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A well mixed 32-bit integer for each 32-bit integer."""
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39), (15, 1)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x


def hash_unit(index: ArrayLike, seed: int) -> Floats:
    """A number in 0..1 for each integer: random, yet the same each time."""
    x = np.asarray(index).astype(np.int64).astype(np.uint32) * np.uint32(0x9E3779B1)
    return (hash32(x + _seed_word(seed)) >> 8).astype(np.float32) / np.float32(1 << 24)


def value_noise(points: Floats, seed: int) -> Floats:
    """Smooth noise in -1..1 that takes a random value at each lattice point."""
    return _lattice_noise(points, seed, lambda h, dx, dy, dz: (h >> 8).astype(np.float32) / (1 << 23) - 1)


def gradient_noise(points: Floats, seed: int) -> Floats:
    """Perlin's noise in -1..1, 0 at each lattice point; its gradients there are the diagonals of a cube."""

    def ramp(h: NDArray[np.uint32], dx: Floats, dy: Floats, dz: Floats) -> Floats:
        towards = [
            d * (1 - ((h >> np.uint32(bit)) & 2).astype(np.float32))
            for d, bit in zip((dx, dy, dz), (7, 15, 23), strict=True)
        ]
        return (towards[0] + towards[1] + towards[2]) / np.float32(1.5)

    return _lattice_noise(points, seed, ramp)


def fbm(points: Floats, octaves: int, seed: int, gain: float = 0.5) -> Floats:
    """Fractal sum of gradient noise in -1..1: each octave half as wide and `gain` times as high."""
    return _octaves(points, octaves, seed, gain, lambda noise: noise)


def ridged(points: Floats, octaves: int, seed: int, gain: float = 0.5) -> Floats:
    """Fractal sum in 0..1 with sharp crests where gradient noise crosses zero."""
    return _octaves(points, octaves, seed, gain, lambda noise: np.square(1 - np.abs(noise)))


@dataclass(frozen=True)
class Cells:
    """Where points lie among the Voronoi cells of scattered features.

    f1, f2: distances [N] to the nearest and second nearest feature; border: distance [N] to the wall between
    those two, exact, so that walls drawn with it are equally wide everywhere; nearest: [N] index of the cell.
    """

    f1: Floats
    f2: Floats
    border: Floats
    nearest: NDArray[np.int64]


def worley(points: Floats, features: Floats) -> Cells:
    """Cellular distances of points [N, 3] to features [M, 3] (M >= 2), in the points' unit."""
    distance, index = cKDTree(features).query(points, k=2)
    f1, f2 = distance.T.astype(np.float32)
    apart = np.linalg.norm(features[index[:, 0]] - features[index[:, 1]], axis=1)
    return Cells(f1, f2, (f2**2 - f1**2) / (2 * apart.astype(np.float32)), index[:, 0])


def _octaves(points: Floats, octaves: int, seed: int, gain: float, shape: Callable[[Floats], Floats]) -> Floats:
    total = np.zeros(len(points), dtype=np.float32)
    for octave in range(octaves):
        total += np.float32(gain**octave) * shape(gradient_noise(points, seed + 101 * octave))
        points = points @ (2 * _TWIST)
    return total / np.float32(sum(gain**octave for octave in range(octaves)))


def _lattice_noise(points: Floats, seed: int, corner_value: Callable[..., Floats]) -> Floats:
    out = np.empty(len(points), dtype=np.float32)
    for start in range(0, len(points), _CHUNK):
        x = np.ascontiguousarray(points[start : start + _CHUNK].T, dtype=np.float32)
        cell = np.floor(x)
        x -= cell
        fade = x * x * x * (x * (x * 6 - 15) + 10)
        primes = np.array([[0x9E3779B1], [0x85EBCA77], [0xC2B2AE3D]], dtype=np.uint32)
        key = cell.astype(np.int32).view(np.uint32) * primes
        total = np.zeros(x.shape[1], dtype=np.float32)
        for corner in product((0, 1), repeat=3):
            word = np.full(x.shape[1], _seed_word(seed), dtype=np.uint32)
            weight = np.ones(x.shape[1], dtype=np.float32)
            for axis, step in enumerate(corner):
                word += key[axis] + primes[axis] * np.uint32(step)
                weight *= fade[axis] if step else 1 - fade[axis]
            total += weight * corner_value(hash32(word), *(x[axis] - s for axis, s in enumerate(corner)))
        out[start : start + _CHUNK] = total
    return out


def _seed_word(seed: int) -> np.uint32:
    return np.uint32((seed * 0x27D4EB2F + 0x165667B1) & 0xFFFFFFFF)
