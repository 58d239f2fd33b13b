"""Bodies: single meshes of random form, about 1 in radius, from which random objects are put together.

Each maker takes a random stream and about how many vertices to spend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from datasets.synthesis.objects.model import Floats, Ints
from datasets.synthesis.objects.noise import fbm
from datasets.synthesis.objects.surface import eased, grid_faces, icosphere, spline, tube


@dataclass(frozen=True)
class Body:
    """A mesh with coordinates on it: vertices [V, 3], faces [F, 3], and per vertex [V] each:

    along: 0..1 from end to end; around: angle in radians; girth: half the thickness of the piece that it belongs to,
    which bounds how deep a relief may cut.
    """

    vertices: Floats
    faces: Ints
    along: Floats
    around: Floats
    girth: Floats

    def placed(self, scale: float, turn: Rotation, shift: np.ndarray) -> Body:
        """The same body scaled, then turned, then shifted by [3]."""
        vertices = turn.apply(scale * self.vertices) + shift
        return replace(self, vertices=vertices.astype(np.float32), girth=np.float32(scale) * self.girth)


Maker = Callable[[np.random.Generator, int], Body]


def united(bodies: Sequence[Body]) -> Body:
    """One mesh of all `bodies`."""
    starts = np.cumsum([0] + [len(body.vertices) for body in bodies[:-1]])
    return Body(
        np.concatenate([body.vertices for body in bodies]),
        np.concatenate([body.faces + start for body, start in zip(bodies, starts, strict=True)]).astype(np.int32),
        *(np.concatenate([getattr(body, name) for body in bodies]) for name in ("along", "around", "girth")),
    )


def body_of(vertices: np.ndarray, faces: Ints, girth: float | None = None) -> Body:
    """A body from a bare mesh, with heights and angles about z as its coordinates; girth: by default a third of its
    smallest extent."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    along = (vertices[:, 2] - low[2]) / max(float(high[2] - low[2]), 1e-6)
    around = np.arctan2(vertices[:, 1], vertices[:, 0])
    half = (high - low).min() / 3 if girth is None else girth
    return _body(vertices, faces, along, around, half)


# ---------------------------------------------------------------- round, boxy, cut


def superquadric(rng: np.random.Generator, count: int) -> Body:
    """Anything from a lens to a box, an octahedron or a cylinder, and then bent, twisted, tapered or lumpy."""
    direction, faces = _sphere(count)
    flat, upright = rng.choice([0.9, 1.5, 2.0, 2.0, 3.5, 8.0], 2)
    x, y, z = np.abs(direction).T + 1e-9
    radius = ((x**flat + y**flat) ** (upright / flat) + z**upright) ** (-1 / upright)
    axes = rng.uniform(0.4, 1.0, 3)
    return body_of(warped(direction * radius[:, None] * axes / axes.max() * 0.8, rng), faces)


def crystal(rng: np.random.Generator, count: int) -> Body:
    """A body bounded by planes: a prism with a tip, or an irregular splinter."""
    direction, faces = _sphere(count)
    if rng.random() < 0.5:
        sides = int(rng.integers(3, 9))
        angle = np.arange(sides) * 2 * np.pi / sides
        wall = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
        rise = np.array([0, 0, rng.uniform(0.4, 1.2)])
        tip = np.concatenate([wall + rise, wall - rise])
        normals = np.concatenate([wall, tip / np.linalg.norm(tip, axis=1, keepdims=True)])
        thick, tall = rng.uniform(0.28, 0.5) * rng.uniform(0.8, 1.1, sides), rng.uniform(0.6, 0.9, 2 * sides)
        apart = np.concatenate([thick, tall])
    else:
        normals = _directions(rng, int(rng.integers(7, 26)))
        apart = rng.uniform(0.4, 0.9, len(normals))
    radius = np.min(apart / np.maximum(direction @ normals.T, 1e-3), axis=1)
    return body_of(direction * np.minimum(radius, 1.6)[:, None], faces)


def pillow(rng: np.random.Generator, count: int) -> Body:
    """A flat piece with rounded rim: coin, biscuit, board, tile, lentil."""
    side = max(8, round(np.sqrt(count / 2)))
    # Vertices crowd at the rim, where the surface turns.
    line = np.sign(t := np.linspace(-1, 1, side)) * (1 - (1 - np.abs(t)) ** 1.25)
    u, v = (grid.ravel() for grid in np.meshgrid(line, line, indexing="ij"))
    power, edge = rng.choice([2.0, 2.0, 4.0, 12.0]), rng.choice([2.0, 6.0, 20.0, 40.0])
    inner = np.maximum(np.abs(u), np.abs(v))
    shrink = inner / np.maximum((np.abs(u) ** power + np.abs(v) ** power) ** (1 / power), 1e-9)
    height = rng.uniform(0.06, 0.35) * np.sqrt(np.clip(1 - inner**edge, 0, 1))
    x, y = u * shrink, v * shrink * rng.uniform(0.5, 1.0)
    sag = rng.uniform(-0.25, 0.25) * (x**2 + y**2)
    faces = grid_faces(side, side, closed=False)
    top, under = np.stack([x, y, sag + height], axis=1), np.stack([x, y, sag - height], axis=1)
    return united([body_of(top, faces[:, ::-1].copy(), height.max() / 2), body_of(under, faces, height.max() / 2)])


def lathe(rng: np.random.Generator, count: int) -> Body:
    """A body of revolution with a random profile: pod, vase, spindle; fluted, threaded or toothed."""
    rows = max(8, round(np.sqrt(count / 1.6)))
    sides = max(8, count // rows)
    s = eased(rows)
    knots = np.linspace(0, 1, int(rng.integers(3, 8)))
    ends = np.clip(1 - (2 * s - 1) ** 10, 0, 1) ** 0.5
    radius = PchipInterpolator(knots, rng.uniform(0.25, 1.0, len(knots)))(s) * ends
    angle = np.arange(sides) * 2 * np.pi / sides
    lobes, turns = int(rng.integers(3, 24)), rng.uniform(-6, 6)
    wave = np.cos(lobes * angle[None] + turns * s[:, None])
    kind = rng.choice(["plain", "flutes", "teeth", "thread"])
    if kind == "thread":
        wave = 2 * np.abs(2 * ((rng.integers(6, 22) * s[:, None] - angle[None] / (2 * np.pi)) % 1) - 1) - 1
    shape = {"plain": 0 * wave, "flutes": wave, "teeth": np.tanh(5 * wave), "thread": wave}[str(kind)]
    across = radius[:, None] * (1 + rng.uniform(0.04, 0.16) * shape) * rng.uniform(0.3, 0.9)
    z = np.broadcast_to((2 * s - 1)[:, None] * rng.uniform(0.4, 1.0), across.shape)
    vertices = np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=-1).reshape(-1, 3)
    faces = grid_faces(rows, sides, closed=True)
    along, around = np.repeat(s, sides), np.tile(angle, rows)
    return _body(warped(vertices, rng), faces, along, around, float(np.median(across)) / 2)


# ---------------------------------------------------------------- swept, thin


def swept(rng: np.random.Generator, count: int) -> Body:
    """A tube along a helix, a knot or a wandering line: horn, worm, wire, string of beads, ribbon."""
    kind = rng.choice(["helix", "knot", "line", "line"])
    sides = int(np.clip(np.sqrt(count) / 3, 8, 64))
    rings = max(8, count // sides)
    t = np.linspace(0, 1, rings)
    if kind == "helix":
        turns, grow = rng.uniform(1, 6), rng.uniform(-0.6, 0.3)
        angle, wide = 2 * np.pi * turns * t, 0.6 * (1 + grow * t)
        path = np.stack([wide * np.cos(angle), wide * np.sin(angle), rng.uniform(0.6, 1.6) * (t - 0.5)], axis=1)
        girth = rng.uniform(0.06, 0.9 / (turns + 2))
    elif kind == "knot":
        p, q = ((2, 3), (3, 2), (2, 5), (3, 4))[int(rng.integers(4))]
        angle = 2 * np.pi * t
        wide = 0.6 + 0.25 * np.cos(q * angle)
        path = np.stack([wide * np.cos(p * angle), wide * np.sin(p * angle), 0.3 * np.sin(q * angle)], axis=1)
        girth = rng.uniform(0.06, 0.14)
    else:
        path = spline(np.cumsum(rng.normal(0, 0.5, (int(rng.integers(3, 7)), 3)), axis=0), rings).astype(np.float64)
        girth = rng.uniform(0.05, 0.25)
    ends = np.clip(1 - (2 * t - 1) ** 16, 0, 1) ** 0.5
    radius = girth * (1 - rng.uniform(0, 0.8) * t) * ends
    if rng.random() < 0.5:  # beads, or rings
        radius = radius * (0.55 + 0.45 * np.abs(np.sin(np.pi * rng.integers(4, 30) * t)) ** rng.uniform(0.4, 1.5))
    section = np.stack([radius, radius * rng.choice([1.0, 1.0, 0.35])], axis=1)
    limb = tube(path.astype(np.float32), section.astype(np.float32), sides)
    return _fitted(_body(limb.vertices, limb.faces, limb.along, limb.around, girth * 0.6))


def seashell(rng: np.random.Generator, count: int) -> Body:
    """A tube that grows along a logarithmic spiral: snail, horn, turret."""
    sides = max(8, round(np.sqrt(count / 3)))
    rings = max(8, count // sides)
    turns, growth, climb = rng.uniform(2, 5.5), rng.uniform(0.12, 0.3), rng.uniform(0, 2.2)
    angle = 2 * np.pi * turns * np.linspace(0, 1, rings)
    size = np.exp(growth * (angle - angle[-1]))
    path = size[:, None] * np.stack([np.cos(angle), np.sin(angle), np.full(rings, -climb)], axis=1)
    reach = (1 - np.exp(-2 * np.pi * growth)) * rng.uniform(0.5, 0.75)
    ribs = 1 + rng.uniform(0, 0.12) * np.cos(rng.integers(10, 30) * angle)
    radius = reach * size * ribs * np.clip(np.linspace(0, 60, rings), 0, 1)
    limb = tube(path.astype(np.float32), radius.astype(np.float32), sides)
    return _fitted(_body(limb.vertices, limb.faces, limb.along, limb.around, float(np.median(radius)) / 2))


def sheet(rng: np.random.Generator, count: int) -> Body:
    """A thin blade: scale, petal, shaving, strip; curved, waved, lobed."""
    columns = max(6, round(np.sqrt(count / 2)))
    rows = max(6, count // columns)
    s, across = np.linspace(0, 1, rows)[:, None], np.linspace(-1, 1, columns)[None]
    ends = np.clip(1 - np.abs(2 * s - 1) ** rng.uniform(1.5, 9), 0, 1) ** 0.6
    width = rng.uniform(0.12, 0.6) * ends * (1 + rng.uniform(0, 0.25) * np.sin(2 * np.pi * rng.integers(2, 9) * s))
    roll, curl = rng.uniform(-1.6, 1.6), rng.uniform(-1.2, 1.2)
    wave = rng.uniform(0, 0.12) * np.sin(2 * np.pi * (rng.integers(1, 5) * s + rng.uniform(0, 1.5) * across))
    bow = curl * (s - 0.5) ** 2 + wave
    x = 2 * (s - 0.5) + 0 * across
    y, z = width * np.sin(roll * across) / max(abs(roll), 0.2), bow + width * (1 - np.cos(roll * across))
    vertices = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    along, around = np.repeat(s[:, 0], columns), np.tile(np.pi * (across[0] + 1), rows)
    return _body(vertices, grid_faces(rows, columns, closed=False), along, around, 0.12)


# ---------------------------------------------------------------- parts of the above


def warped(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points [N, 3] perhaps tapered, twisted, bent along z, and swollen here and there."""
    x, y, z = points.T
    if rng.random() < 0.4:
        x, y = (1 + rng.uniform(-0.5, 0.5) * z) * np.stack([x, y])
    if rng.random() < 0.3:
        angle = rng.uniform(-1.5, 1.5) * z
        x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    if rng.random() < 0.4:
        x = x + rng.uniform(-0.4, 0.4) * z**2
    bent = np.stack([x, y, z], axis=1).astype(np.float32)
    if rng.random() < 0.6:
        lumps = fbm(bent * np.float32(rng.uniform(0.8, 2.5)), 2, int(rng.integers(1 << 20)))
        bent = bent * (1 + rng.uniform(0.1, 0.35) * lumps)[:, None]
    return bent.astype(np.float32)


def _body(vertices: np.ndarray, faces: Ints, along: np.ndarray, around: np.ndarray, girth: float) -> Body:
    arrays = [np.asarray(a, dtype=np.float32) for a in (vertices, along, around, np.full(len(vertices), girth))]
    return Body(arrays[0], faces, *arrays[1:])


def _fitted(body: Body) -> Body:
    """The body centred, and as large as the unit sphere."""
    low, high = body.vertices.min(axis=0), body.vertices.max(axis=0)
    centred = body.vertices - (low + high) / 2
    scale = 1 / float(np.linalg.norm(centred, axis=1).max())
    return replace(body, vertices=centred * np.float32(scale), girth=body.girth * np.float32(scale))


def _sphere(count: int) -> tuple[Floats, Ints]:
    return icosphere(max(4, round(np.sqrt(count / 10))))


def _directions(rng: np.random.Generator, count: int) -> np.ndarray:
    free = rng.standard_normal((count, 3))
    return free / np.linalg.norm(free, axis=1, keepdims=True)
