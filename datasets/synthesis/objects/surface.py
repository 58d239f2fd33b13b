"""Triangle meshes as arrays: spheres, grids, lofted bodies and swept limbs, and what is done to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator, make_interp_spline

from datasets.synthesis.objects.model import Floats, Ints


@dataclass(frozen=True)
class Surface:
    """A mesh with coordinates on it: vertices [V, 3] mm, faces [F, 3], and per vertex [V] each:

    along: 0..1 from the first to the last ring; around: angle in radians, or 0..1 across an open sheet.
    """

    vertices: Floats
    faces: Ints
    along: Floats
    around: Floats


def icosphere(frequency: int) -> tuple[Floats, Ints]:
    """Unit sphere of 10 f^2 + 2 vertices [V, 3] and 20 f^2 faces [F, 3]: an icosahedron cut finer."""
    g = (1 + 5**0.5) / 2
    corners = np.array(
        [[-1, g, 0], [1, g, 0], [-1, -g, 0], [1, -g, 0], [0, -1, g], [0, 1, g],
         [0, -1, -g], [0, 1, -g], [g, 0, -1], [g, 0, 1], [-g, 0, -1], [-g, 0, 1]]
    )  # fmt: skip
    sides = np.array(
        [[0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4], [11, 10, 2],
         [10, 7, 6], [7, 1, 8], [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8], [3, 8, 9], [4, 9, 5],
         [2, 4, 11], [6, 2, 10], [8, 6, 7], [9, 8, 1]]
    )  # fmt: skip
    i, j = (grid.ravel() for grid in np.meshgrid(*2 * [np.arange(frequency + 1)], indexing="ij"))
    i, j = i[i + j <= frequency], j[i + j <= frequency]
    number = np.full((frequency + 2, frequency + 2), -1)
    number[i, j] = np.arange(len(i))
    up = np.stack([number[i, j], number[i + 1, j], number[i, j + 1]], axis=1)
    down = np.stack([number[i + 1, j], number[i + 1, j + 1], number[i, j + 1]], axis=1)
    triangles = np.concatenate([up[(up >= 0).all(axis=1)], down[(down >= 0).all(axis=1)]])
    weights = np.stack([frequency - i - j, i, j], axis=1)
    flat = np.einsum("wk,skc->swc", weights, corners[sides]).reshape(-1, 3)
    faces = (triangles[None] + len(i) * np.arange(len(sides))[:, None, None]).reshape(-1, 3)
    # Neighbouring sides made the vertices on their common edge twice: weld them.
    cells = np.round(flat / frequency * 1e5).astype(np.int64) + (1 << 19)
    _, first, welded = np.unique(
        (cells[:, 0] << 40) + (cells[:, 1] << 20) + cells[:, 2], return_index=True, return_inverse=True
    )
    return _unit(flat[first]).astype(np.float32), welded[faces].astype(np.int32)


def grid_faces(rows: int, columns: int, closed: bool) -> Ints:
    """Faces [F, 3] of rows x columns vertices, row by row; closed joins the last column to the first."""
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    a = (row * columns + column).ravel()
    b = (row * columns + (column + 1) % columns).ravel()
    quads = np.stack([a, b, b + columns, a, b + columns, a + columns], axis=1)
    return quads.reshape(-1, 3).astype(np.int32)


def vertex_normals(vertices: Floats, faces: Ints) -> Floats:
    """Unit normals [V, 3], the faces around a vertex weighted by their area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face_normals = np.cross(b - a, c - a)
    total = np.empty(vertices.shape)
    for axis in range(3):
        weights = np.repeat(face_normals[:, axis], 3)
        total[:, axis] = np.bincount(faces.ravel(), weights=weights, minlength=len(vertices))
    return _unit(total).astype(np.float32)


def displaced(vertices: Floats, faces: Ints, height: Floats) -> Floats:
    """Vertices [V, 3] moved by height [V] mm along their normals."""
    return vertices + height[:, None] * vertex_normals(vertices, faces)


def profile(knots: Sequence[tuple[float, float]], s: ArrayLike, rounded: bool = False) -> Floats:
    """A smooth curve through (position, value) knots, without overshoot, read at s.

    rounded: interpolates the square, so that a value falling to zero closes like an ellipse and not a cone.
    """
    x, y = np.array(knots, dtype=np.float64).T
    if rounded:
        y = y * y
    value = PchipInterpolator(x, y)(np.asarray(s, dtype=np.float64))
    return (np.sqrt(np.clip(value, 0, None)) if rounded else value).astype(np.float32)


def eased(count: int) -> Floats:
    """0..1 in `count` steps that crowd towards both ends, where closed forms curve most."""
    t = np.linspace(0, 1, count)
    return (0.45 * t + 0.55 * (0.5 - 0.5 * np.cos(np.pi * t))).astype(np.float32)


def spline(points: ArrayLike, count: int) -> Floats:
    """A smooth curve [count, 3] through points [K, 3] mm: a line through two, a parabola through three."""
    points = np.asarray(points, dtype=np.float64)
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = eased(count) * chord[-1]
    return make_interp_spline(chord, points, k=min(3, len(points) - 1))(at).astype(np.float32)


def tube(path: Floats, radius: Floats, sides: int, up: ArrayLike = (0, 0, 1)) -> Surface:
    """A limb swept along path [P, 3] mm.

    radius: [P] mm, or [P, 2] for a section that is wider across than along `up`. The section is carried
    without twist (parallel transport), and starts with its first axis as near to `up` as it gets.
    """
    tangent = _unit(np.gradient(path.astype(np.float64), axis=0))
    first = np.asarray(up, dtype=np.float64)
    axes = np.empty_like(tangent)
    for ring, direction in enumerate(tangent):
        first = first - direction * (first @ direction)
        first = first / np.linalg.norm(first)
        axes[ring] = first
    binormal = np.cross(tangent, axes)
    angle = np.arange(sides) * (2 * np.pi / sides)
    radii = np.broadcast_to(radius.reshape(len(path), -1), (len(path), 2))
    rings = (
        path[:, None]
        + (radii[:, :1] * np.cos(angle))[..., None] * axes[:, None]
        + (radii[:, 1:] * np.sin(angle))[..., None] * binormal[:, None]
    )
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    return Surface(
        vertices=rings.reshape(-1, 3).astype(np.float32),
        faces=grid_faces(len(path), sides, closed=True),
        along=np.repeat(length / length[-1], sides).astype(np.float32),
        around=np.tile(angle, len(path)).astype(np.float32),
    )


def loft(x: Floats, half_width: Floats, top: Floats, bottom: Floats, sides: int, power: float = 2.0) -> Surface:
    """A body along x, its sections superellipses of half width [P] mm between heights top and bottom [P] mm.

    power: 2 is an ellipse, more is boxier. around is 0 at the top and grows towards +y.
    """
    angle = np.arange(sides) * (2 * np.pi / sides)
    sine, cosine = np.sin(angle), np.cos(angle)
    across = np.sign(sine) * np.abs(sine) ** (2 / power)
    upward = np.sign(cosine) * np.abs(cosine) ** (2 / power)
    middle, half_height = (top + bottom) / 2, (top - bottom) / 2
    y = half_width[:, None] * across
    z = middle[:, None] + half_height[:, None] * upward
    rings = np.stack([np.broadcast_to(x[:, None], y.shape), y, z], axis=-1)
    faces = grid_faces(len(x), sides, closed=True)
    return Surface(
        vertices=rings.reshape(-1, 3).astype(np.float32),
        faces=faces[:, ::-1].copy() if x[-1] > x[0] else faces,
        along=np.repeat((x - x[0]) / (x[-1] - x[0]), sides).astype(np.float32),
        around=np.tile(angle, len(x)).astype(np.float32),
    )


def scattered(
    vertices: Floats, faces: Ints, count: int, rng: np.random.Generator, density: Floats | None = None
) -> tuple[Floats, Floats]:
    """Random points [count, 3] mm on a mesh and the unit normals [count, 3] there, evenly by area.

    density: [V] >= 0, how much likelier a point is near each vertex.
    """
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    weight = np.linalg.norm(normals, axis=1).astype(np.float64)
    if density is not None:
        weight = weight * density[faces].mean(axis=1)
    cumulative = np.cumsum(weight)
    face = np.searchsorted(cumulative, rng.random(count) * cumulative[-1])
    u, v = rng.random((2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    points = a[face] + u * (b - a)[face] + v * (c - a)[face]
    return points.astype(np.float32), _unit(normals[face]).astype(np.float32)


def joined(pieces: Sequence[tuple[Floats, Ints, Floats]]) -> tuple[Floats, Ints, Floats]:
    """One mesh from (vertices [V, 3], faces [F, 3], albedo [V, 3]) pieces that share a material."""
    starts = np.cumsum([0] + [len(vertices) for vertices, _, _ in pieces[:-1]])
    return (
        np.concatenate([vertices for vertices, _, _ in pieces]),
        np.concatenate([faces + start for (_, faces, _), start in zip(pieces, starts, strict=True)]).astype(np.int32),
        np.concatenate([albedo for _, _, albedo in pieces]),
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)
