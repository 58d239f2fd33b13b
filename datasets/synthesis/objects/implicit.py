"""Bodies blended into each other on a grid of distances, and the triangle mesh of where they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import map_coordinates
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

from datasets.synthesis.objects.model import Floats, Ints

_REACH = 5.0  # a body is felt as far as so many blend widths from its surface


@dataclass
class Blend:
    """A union of bodies with smooth junctions, on a grid.

    The distance to the union is the soft minimum -b log(sum exp(-d / b)) of the distances d to its bodies.
    low [3] mm: the first grid point; shape: number of points per axis; step: between them, mm; width: b, mm: how
    far junctions are rounded.
    """

    low: np.ndarray
    shape: tuple[int, int, int]
    step: float
    width: float
    total: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.total = np.full(self.shape, np.exp(-_REACH), dtype=np.float32)

    def add(self, low: ArrayLike, high: ArrayLike, distance: Callable[[Floats, Floats, Floats], Floats]) -> None:
        """Adds a body within the box low..high [3] mm; distance: of x, y, z (which broadcast) to its surface, mm."""
        margin = _REACH * self.width
        first = np.floor((np.asarray(low) - margin - self.low) / self.step).astype(int).clip(0, self.shape)
        last = np.ceil((np.asarray(high) + margin - self.low) / self.step).astype(int).clip(0, self.shape)
        box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        x, y, z = np.ogrid[box]
        axes = ((self.low[k] + self.step * axis).astype(np.float32) for k, axis in enumerate((x, y, z)))
        self.total[box] += np.exp(-distance(*axes) / np.float32(self.width))

    def add_cone(self, a: ArrayLike, b: ArrayLike, radius_a: float, radius_b: float) -> None:
        """Adds a rod from a to b [3] mm with round ends, its radius going from radius_a to radius_b mm."""
        a, b = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
        along = b - a
        square = np.float32(along @ along)
        widest = max(radius_a, radius_b)

        def distance(x: Floats, y: Floats, z: Floats) -> Floats:
            x, y, z = x - a[0], y - a[1], z - a[2]
            t = np.clip((x * along[0] + y * along[1] + z * along[2]) / square, 0, 1)
            off = np.sqrt((x - t * along[0]) ** 2 + (y - t * along[1]) ** 2 + (z - t * along[2]) ** 2)
            return off - (radius_a + np.float32(radius_b - radius_a) * t)

        self.add(np.minimum(a, b) - widest, np.maximum(a, b) + widest, distance)

    @property
    def distance(self) -> Floats:
        """Distance to the surface at all grid points, mm: negative inside, constant where far outside."""
        return -np.float32(self.width) * np.log(self.total)


def sampled(grid: Floats, low: np.ndarray, step: float, points: Floats) -> Floats:
    """A grid's values [V] at points [V, 3] mm, linear between the grid points."""
    return map_coordinates(grid, ((points - low) / step).T, order=1, mode="nearest", output=np.float32)


def meshed(distance: Floats, low: np.ndarray, step: float, smoothings: int = 3) -> tuple[Floats, Ints]:
    """The surface distance = 0 as vertices [V, 3] mm and faces [F, 3], about `step` / 2 mm apart.

    Only the largest piece is kept. Marching cubes (Lewiner et al. 2003) leaves slivers: vertices are moved
    towards the middle of their neighbours, and each triangle is then cut into four.
    """
    vertices, faces, _, _ = marching_cubes(distance, 0, gradient_direction="descent", allow_degenerate=False)
    vertices, faces = _largest_piece(vertices.astype(np.float64), faces)
    mean = _neighbour_mean(len(vertices), faces)
    for _ in range(smoothings):
        vertices = 0.4 * vertices + 0.6 * (mean @ vertices)
    vertices, faces = _cut_finer(vertices, faces)
    return (low + step * vertices).astype(np.float32), faces.astype(np.int32)


def _pieces(count: int, faces: np.ndarray) -> np.ndarray:
    """Which connected piece each of `count` vertices belongs to, [V]."""
    graph = coo_matrix((np.ones(len(faces) * 2), faces[:, [0, 1, 1, 2]].reshape(-1, 2).T), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _largest_piece(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    label = _pieces(len(vertices), faces)
    keep = label == np.bincount(label).argmax()
    return vertices[keep], (np.cumsum(keep) - 1)[faces[keep[faces[:, 0]]]]


def _neighbour_mean(count: int, faces: np.ndarray) -> csr_matrix:
    """A matrix [V, V] that takes values at the vertices to the mean over each vertex's neighbours."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    graph = coo_matrix((np.ones(len(ends)), ends.T), shape=(count, count)).tocsr()
    degree = np.asarray(graph.sum(axis=1)).ravel()
    return csr_matrix(coo_matrix((1 / degree, (np.arange(count),) * 2)) @ graph)


def _cut_finer(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each triangle cut into four at the middles of its sides."""
    ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64), axis=1)
    edges, number = np.unique(ends[:, 0] * len(vertices) + ends[:, 1], return_inverse=True)
    middles = (vertices[edges // len(vertices)] + vertices[edges % len(vertices)]) / 2
    ab, bc, ca = (number + len(vertices)).reshape(3, -1)
    a, b, c = faces.T
    finer = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.concatenate([vertices, middles]), np.concatenate([np.stack(corner, axis=1) for corner in finer])
