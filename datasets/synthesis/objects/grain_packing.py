"""Grains drawn together until they rest against each other: contacts between convex bodies, relaxed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from datasets.synthesis.objects.grain_solids import Solid, random_rotations, spread_directions

_TOUCH = 0.012  # mm: grains that are nearer than this rest against each other
_FACING = 24  # points of a grain that are tried against a neighbour
_FLATTENED = 1.5  # how much harder the heap is drawn together along z than across


@dataclass
class _Bodies:
    """All grains: touching planes and sampled points, each in its own frame, and where they are now."""

    normals: np.ndarray  # [G, M, 3]
    offsets: np.ndarray  # [G, M] mm
    points: np.ndarray  # [G, K, 3] mm
    position: np.ndarray  # [G, 3] mm
    rotation: np.ndarray  # [G, 3, 3]

    reach: np.ndarray  # [G] mm: radius around the centre that holds the whole grain


@dataclass(frozen=True)
class Packing:
    """Where the grains came to rest: position [G, 3] mm, rotation [G, 3, 3], and which touch ([N, 2] pairs).

    overlap: how deep, mm, the worst-placed grain reaches into another.
    """

    position: np.ndarray
    rotation: np.ndarray
    contacts: np.ndarray
    overlap: float

    @property
    def clumps(self) -> int:
        """Number of groups of grains that hang together: 1 when none is left alone."""
        count = len(self.position)
        graph = coo_matrix((np.ones(len(self.contacts)), tuple(self.contacts.T)), shape=(count, count))
        return int(connected_components(graph, directed=False)[0])


def packed(solids: Sequence[Solid], rng: np.random.Generator, steps: int = 130) -> Packing:
    """A clump of these solids: scattered widely, drawn to the middle, and pushed and turned out of each other."""
    bodies = _scattered(solids, rng)
    volume = bodies.reach**3
    for step in range(steps):
        pull = 0.07 * (1 - step / steps) ** 1.5
        distance = np.linalg.norm(bodies.position, axis=1, keepdims=True)
        bodies.position -= pull * bodies.position * [1, 1, _FLATTENED] / np.maximum(distance, 0.5)
        _push_apart(bodies, volume)
    for _ in range(50):
        _push_apart(bodies, volume)
    _gather_strays(bodies)
    # Coarser than the rounding errors of any machine's arithmetic, finer than anything seen.
    bodies.position, bodies.rotation = bodies.position.round(6), bodies.rotation.round(6)
    pairs, depth, _, _ = _overlaps(bodies, margin=_TOUCH)
    return Packing(bodies.position, bodies.rotation, pairs[depth > -_TOUCH], float(depth.max()))


def _scattered(solids: Sequence[Solid], rng: np.random.Generator) -> _Bodies:
    """The bodies before packing: the small ones farther out, so that they end up where they are seen."""
    around, samples = spread_directions(24), spread_directions(100).astype(np.float32)
    planes = [solid.support(around, samples) for solid in solids]
    most = max(len(offsets) for _, offsets in planes)
    normals, offsets = np.zeros((len(solids), most, 3)), np.full((len(solids), most), 1e3)
    for grain, (normal, offset) in enumerate(planes):
        normals[grain, : len(offset)], offsets[grain, : len(offset)] = normal, offset
    points = np.stack([solid.surface(samples)[0] for solid in solids]).astype(np.float64)
    size = np.linalg.norm(points, axis=2).max(axis=1)
    towards = rng.standard_normal((len(solids), 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    far = 4.2 * np.cbrt(rng.random(len(solids))) + 1.5 * (size < 0.4)
    rotation = random_rotations(rng, len(solids))
    return _Bodies(normals, offsets, points, towards * far[:, None], rotation, size)


def _overlaps(bodies: _Bodies, margin: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ordered pairs [P, 2] of near grains, and how deep the first one's points reach into the second.

    depth [P] mm (negative: apart), normal [P, 3] out of the second grain, and the deepest point [P, 3] mm.
    """
    apart = np.linalg.norm(bodies.position[:, None] - bodies.position[None], axis=2)
    near = apart < bodies.reach[:, None] + bodies.reach[None] + margin
    np.fill_diagonal(near, False)
    a, b = np.nonzero(near)
    towards = bodies.position[b] - bodies.position[a]
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    # Only the points on the side of the other grain can be in it.
    ahead = np.matmul(bodies.points[a], np.einsum("pji,pj->pi", bodies.rotation[a], towards)[..., None])[..., 0]
    facing = np.argpartition(-ahead, _FACING, axis=1)[:, :_FACING]
    points = bodies.points[a[:, None], facing]
    world = np.matmul(points, bodies.rotation[a].transpose(0, 2, 1)) + bodies.position[a][:, None]
    local = np.matmul(world - bodies.position[b][:, None], bodies.rotation[b])
    height = np.matmul(local, bodies.normals[b].transpose(0, 2, 1)) - bodies.offsets[b][:, None]
    outermost = height.max(axis=2)
    deepest = outermost.argmin(axis=1)
    row = np.arange(len(a))
    depth = -outermost[row, deepest]
    normal = bodies.normals[b, height[row, deepest].argmax(axis=1)]
    normal = np.einsum("pij,pj->pi", bodies.rotation[b], normal)
    # Out of a deep overlap the nearest face may lead the wrong way: part along the line of centres.
    deep = depth > 0.25 * np.minimum(bodies.reach[a], bodies.reach[b])
    normal[deep] = -towards[deep]
    return np.stack([a, b], axis=1), depth, normal, world[row, deepest]


def _push_apart(bodies: _Bodies, volume: np.ndarray) -> None:
    """One step of relaxation: each overlap moves and turns both grains, the lighter one more."""
    pairs, depth, normal, point = _overlaps(bodies)
    hit = depth > 0
    (a, b), depth, normal, point = pairs[hit].T, depth[hit], normal[hit], point[hit]
    size = bodies.reach
    move, turn = np.zeros_like(bodies.position), np.zeros_like(bodies.position)
    # Both orders of a pair usually report the same overlap: half of it each, damped.
    for one, other, sign in ((a, b, 1), (b, a, -1)):
        share = 0.6 * depth * volume[other] / (volume[one] + volume[other])
        push = sign * share[:, None] * normal
        np.add.at(move, one, push)
        np.add.at(turn, one, np.cross(point - bodies.position[one], push) / (1.2 * size[one, None] ** 2))
    bodies.position += np.clip(move, -0.12, 0.12)
    bodies.rotation = np.matmul(_rotations_about(np.clip(turn, -0.15, 0.15)), bodies.rotation)


def _gather_strays(bodies: _Bodies) -> None:
    """Moves grains that touch none of the main clump to it, along the shortest gap that was found."""
    for _ in range(60):
        pairs, depth, normal, _ = _overlaps(bodies, margin=1.0)
        touching = pairs[depth > -_TOUCH]
        count = len(bodies.position)
        graph = coo_matrix((np.ones(len(touching)), tuple(touching.T)), shape=(count, count))
        _, label = connected_components(graph, directed=False)
        main = label == np.bincount(label).argmax()
        if main.all():
            return
        bridges = np.flatnonzero(~main[pairs[:, 0]] & main[pairs[:, 1]])
        if len(bridges) == 0:
            bodies.position[~main] *= 0.9
            continue
        best = bridges[depth[bridges].argmax()]
        group = label == label[pairs[best, 0]]
        bodies.position[group] += (depth[best] + 0.25 * _TOUCH) * normal[best]


def _rotations_about(turns: np.ndarray) -> np.ndarray:
    """Rotations [G, 3, 3] by the vectors turns [G, 3]: about their directions, by their lengths in radians."""
    angle = np.maximum(np.linalg.norm(turns, axis=1), 1e-12)[:, None, None]
    cross = np.cross(np.eye(3), (turns / angle[:, 0])[:, None])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.matmul(cross, cross)
