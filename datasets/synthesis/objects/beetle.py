"""A ground beetle of about 8 mm, standing: metallic punctate elytra, brown spiny legs, golden setae.

Millimetres; the head looks towards +x, +y is the beetle's left, the ground lies 1.45 mm under the margin of
the elytra, which is at z = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from datasets.synthesis.objects.hair import grown, tinted
from datasets.synthesis.objects.model import Floats, Hairs, Ints, Model, Part, centred
from datasets.synthesis.objects.noise import fbm, hash_unit, ridged, smoothstep, worley
from datasets.synthesis.objects.surface import (
    Surface,
    displaced,
    eased,
    grid_faces,
    icosphere,
    joined,
    loft,
    profile,
    scattered,
    spline,
    tube,
    vertex_normals,
)

EXPOSURE = 1.0

# Linear albedo.
_EMERALD, _GOLD, _COPPER = (0.05, 0.42, 0.17), (0.36, 0.52, 0.10), (0.62, 0.24, 0.10)
_PITCH, _BROWN, _RUST, _STRAW = (
    (0.012, 0.016, 0.016),
    (0.10, 0.040, 0.018),
    (0.36, 0.15, 0.06),
    (0.70, 0.48, 0.22),
)
_AMBER = (0.55, 0.30, 0.14)

_STRIAE = 10  # rows of punctures on each elytron
_PUNCTURE_PITCH = 0.125  # mm between punctures of a row
_GROUND = -1.45  # mm

Piece = tuple[Floats, Ints, Floats]  # vertices, faces, albedo


@dataclass
class _Body:
    """What has been built so far: pieces by material, and strands by kind."""

    rng: np.random.Generator
    seed: int  # of the noise
    shell: list[Piece] = field(default_factory=list)
    chitin: list[Piece] = field(default_factory=list)
    lenses: list[Piece] = field(default_factory=list)
    setae: list[tuple[Floats, Floats]] = field(default_factory=list)
    spines: list[tuple[Floats, Floats]] = field(default_factory=list)


def build(seed: int) -> Model:
    """The beetle grown from this number: the same number gives the same bytes."""
    rng = np.random.default_rng(seed)
    body = _Body(rng, int(rng.integers(1 << 20)))
    for side in (1, -1):
        _elytron(body, side)
        _eye(body, side)
        _mandible(body, side)
        _palps(body, side)
        _antenna(body, side)
        for leg in _LEGS:
            _leg(body, leg, side)
    _pronotum(body)
    _scutellum(body)
    _head(body)
    _underside(body)
    parts = (
        Part("shell", *joined(body.shell), roughness=0.42, specular=0.5, metallic=0.45),
        Part("chitin", *joined(body.chitin), roughness=0.48, specular=0.35),
        Part("lenses", *joined(body.lenses), roughness=0.38, specular=0.5),
    )
    hairs = (
        _strands("setae", body.setae, radius_root=0.0065, radius_tip=0.0015),
        _strands("spines", body.spines, radius_root=0.014, radius_tip=0.003),
    )
    return centred("beetle", parts, hairs, EXPOSURE)


# ------------------------------------------------------------------------------------------------ wing cases


def _elytron(body: _Body, side: int, rows: int = 520, columns: int = 220) -> None:
    """One wing case: striae of punctures, convex intervals, golden foveae, a raised rim."""
    u, v = eased(rows), np.linspace(0, 1, columns, dtype=np.float32)
    length, base = 4.45, 0.78
    half_width = profile(
        [(0, 1.02), (0.04, 1.22), (0.3, 1.42), (0.6, 1.46), (0.85, 1.02), (1, 0)], u, rounded=True
    )
    height = profile(
        [(0, 0.55), (0.04, 0.80), (0.3, 1.10), (0.55, 1.12), (0.85, 0.66), (1, 0)], u, rounded=True
    )
    floor = profile([(0, 0.0), (0.5, 0.0), (1, -0.22)], u)
    angle = v * np.radians(112)
    sine, cosine = np.sin(angle), np.cos(angle)
    y = half_width[:, None] * sine**0.9
    z = floor[:, None] + height[:, None] * np.sign(cosine) * np.abs(cosine) ** 0.95
    # The two wing cases meet at the suture, where the edges turn down into a narrow seam.
    z -= 0.05 * np.exp(-((v / 0.012) ** 2)) * (height[:, None] / 1.1)
    y = (y + 0.004) * side
    x = np.broadcast_to(base - length * u[:, None], y.shape)
    vertices = np.stack([x, y, z], axis=-1).astype(np.float32)

    arc = np.linalg.norm(np.diff(vertices, axis=1), axis=-1).sum(axis=1)[:, None]
    along = np.linalg.norm(np.diff(vertices[:, columns // 3], axis=0), axis=-1).cumsum()
    along = np.concatenate([[0], along])[:, None].astype(np.float32)
    vertices = vertices.reshape(-1, 3)
    faces = grid_faces(rows, columns, closed=False)
    faces = faces if side < 0 else faces[:, ::-1].copy()

    # Rows of punctures: across a row in mm, and along it to the nearest puncture of that row.
    row_gap = 0.88 / (_STRIAE + 0.4)
    row = np.clip(np.floor(v / row_gap - 0.2), 0, _STRIAE - 1)
    from_row = (v - (row + 0.7) * row_gap) * arc
    interval = np.maximum(row_gap * arc, 1e-3)  # nothing is left between the rows at the apex
    slot = along / _PUNCTURE_PITCH + 0.37 * row
    number = np.floor(slot)
    key = (number + 1000 * row + (50_000 if side > 0 else 0)).astype(np.int64)
    wobble = 0.3 * (hash_unit(key, body.seed) - 0.5)
    from_puncture = np.hypot((slot - number - 0.5 - wobble) * _PUNCTURE_PITCH, from_row + 0.04 * wobble)
    size = np.minimum(0.048, 0.32 * interval) * (0.8 + 0.4 * hash_unit(key, body.seed + 1))
    on_disc = (
        smoothstep(0.12, 0.3, interval / interval.max())
        * smoothstep(0.93, 0.88, v)
        * smoothstep(0.01, 0.03, u)[:, None]
    )
    puncture = (smoothstep(1.0, 0.25, from_puncture / size) * on_disc).ravel()
    groove = (np.exp(-((from_row / 0.035) ** 2)) * on_disc).ravel()
    convex = (np.clip(1 - (2 * (np.abs(from_row) - interval / 2) / interval) ** 2, 0, 1) * on_disc).ravel()
    rim = (np.exp(-(((v - 0.90) / 0.022) ** 2)) * np.ones((rows, 1))).ravel().astype(np.float32)
    seam = (np.exp(-((v / 0.035) ** 2)) * np.ones((rows, 1))).ravel().astype(np.float32)

    grain = worley(vertices, scattered(vertices, faces, 14_000, body.rng)[0])
    scale = smoothstep(0.030, 0.004, grain.f1)
    wrinkles = fbm(vertices * [9, 16, 16], 3, body.seed + 21)
    relief = 0.035 * convex - 0.045 * puncture - 0.02 * groove + 0.05 * rim + 0.012 * seam
    vertices = displaced(vertices, faces, relief + 0.006 * scale + 0.010 * wrinkles)

    mottle = smoothstep(-0.02, 0.22, fbm(vertices * [1.0, 1.9, 1.9], 5, body.seed + 23, gain=0.6))
    speckle = smoothstep(-0.3, 0.3, fbm(vertices * 8, 4, body.seed + 27, gain=0.8))
    hue = smoothstep(-0.25, 0.3, fbm(vertices * 1.4, 4, body.seed + 29))
    colour = _mix(_EMERALD, _GOLD, 0.25 * hue + 0.5 * speckle * hash_unit(grain.nearest, body.seed + 2))
    colour = _mix(colour, _COPPER, np.maximum(0.8 * rim, 0.55 * seam))
    colour = _mix(colour, _PITCH, 0.88 * mottle * (0.55 + 0.45 * speckle))
    colour = _mix(colour, _PITCH, 0.85 * puncture + 0.35 * groove)
    colour = colour * (0.55 + 0.75 * speckle * (0.5 + 0.5 * scale))[:, None]
    body.shell.append((vertices, faces, _valid(colour)))

    # A seta in every third puncture, a coat along the rim and the apex.
    normals = vertex_normals(vertices, faces)
    deepest = np.flatnonzero((from_puncture < 0.010).ravel() & (on_disc.ravel() > 0.5))
    _, first = np.unique(key.ravel()[deepest], return_index=True)
    roots = deepest[first][::2]
    _hairy(body, vertices[roots], normals[roots], 0.20, lean=(-0.9, 0, 0.1), colour=_STRAW)
    _coat(body, vertices, faces, 420, 0.26, density=rim, lean=(-0.6, 0.1 * side, 0.1), colour=_STRAW)
    apex = np.repeat(smoothstep(0.72, 0.95, u), columns)
    _coat(body, vertices, faces, 260, 0.22, density=apex, lean=(-0.8, 0, 0.1), colour=_STRAW)


# -------------------------------------------------------------------------------------------- thorax and head


def _pronotum(body: _Body) -> None:
    """The shield behind the head: close deep pits, a smooth middle line, side margins, a collar."""
    s = eased(330)
    half_width = profile(
        [(0, 0.0), (0.035, 0.86), (0.2, 0.96), (0.55, 1.12), (0.85, 0.90), (0.96, 0.74), (1, 0)],
        s,
        rounded=True,
    )
    top = profile([(0, 0.45), (0.03, 0.72), (0.25, 0.84), (0.55, 0.86), (0.9, 0.62), (1, 0.30)], s)
    bottom = profile([(0, 0.0), (0.05, -0.42), (0.5, -0.60), (0.95, -0.36), (1, 0.0)], s)
    form = loft(0.70 + 1.48 * s, half_width, top, bottom, sides=300, power=2.3)
    p, faces = form.vertices, form.faces
    upper = smoothstep(-0.15, 0.15, np.cos(form.around))
    margin = np.exp(-np.square((np.abs(np.abs(form.around - np.pi) - np.pi / 2)) / 0.07)).astype(np.float32)
    middle = np.exp(-np.square(p[:, 1] / 0.028)) * (p[:, 2] > 0)

    pits = worley(p, _even(scattered(p, faces, 2300, body.rng, density=0.25 + upper)[0]))
    pit = smoothstep(0.052, 0.012, pits.f1) * (0.35 + 0.65 * upper) * (1 - 0.8 * middle) * (1 - 0.7 * margin)
    wrinkles = ridged(p * 6, 3, body.seed + 31)
    collar = np.exp(-np.square((form.along - 0.93) / 0.02)) + np.exp(-np.square((form.along - 0.05) / 0.02))
    relief = 0.05 * margin - 0.045 * pit - 0.03 * middle + 0.03 * collar + 0.015 * wrinkles
    vertices = displaced(p, faces, (relief + 0.02 * fbm(p * 3, 3, body.seed + 33)).astype(np.float32))

    speckle = smoothstep(-0.3, 0.3, fbm(p * 8, 4, body.seed + 35, gain=0.8))
    mottle = smoothstep(0.0, 0.25, fbm(p * 1.7, 5, body.seed + 37, gain=0.6))
    colour = _mix(_EMERALD, _GOLD, 0.15 + 0.45 * speckle * hash_unit(pits.nearest, body.seed))
    colour = _mix(colour, _COPPER, 0.75 * np.maximum(margin, 0.6 * collar))
    colour = _mix(colour, _PITCH, 0.8 * mottle * (0.5 + 0.5 * speckle))
    colour = _mix(colour, _PITCH, np.maximum(0.9 * pit, 0.6 * middle))
    colour = _mix(colour * (0.6 + 0.7 * speckle)[:, None], _BROWN, 0.9 * (1 - upper))
    body.shell.append((vertices, faces, _valid(colour)))
    _coat(body, vertices, faces, 420, 0.17, density=0.35 * upper + margin, lean=(0.5, 0, 0.1), colour=_STRAW)
    _coat(body, vertices, faces, 160, 0.20, density=collar * upper, lean=(0.9, 0, 0.1), colour=_STRAW)
    _coat(body, vertices, faces, 120, 0.16, density=1 - upper, lean=(-0.5, 0, 0.0), colour=_STRAW)


def _scutellum(body: _Body) -> None:
    """The little shield between the bases of the wing cases."""
    s = eased(40)
    half_width = profile([(0, 0.0), (0.35, 0.12), (0.85, 0.22), (1, 0)], s, rounded=True)
    form = loft(0.38 + 0.42 * s, half_width, 0.92 - 0.05 * s, 0.70 + 0 * s, sides=48, power=2.6)
    _add_chitin(body, form, body.shell, fine=14.0, dark=_PITCH, light=_EMERALD)


def _head(body: _Body) -> None:
    """Frons and clypeus with coarse punctures, a groove between, the labrum before them."""
    s = eased(220)
    half_width = profile(
        [(0, 0.0), (0.06, 0.50), (0.4, 0.57), (0.62, 0.50), (0.88, 0.34), (1, 0)], s, rounded=True
    )
    top = profile([(0, 0.30), (0.1, 0.50), (0.4, 0.52), (0.7, 0.34), (0.95, 0.12), (1, 0.0)], s)
    bottom = profile([(0, 0.0), (0.1, -0.26), (0.5, -0.32), (0.9, -0.20), (1, -0.06)], s)
    form = loft(1.85 + 1.18 * s, half_width, top, bottom, sides=220, power=2.2)
    p, faces = form.vertices, form.faces
    upper = smoothstep(-0.1, 0.2, np.cos(form.around))
    pits = worley(p, _even(scattered(p, faces, 1500, body.rng)[0]))
    pit = smoothstep(0.036, 0.008, pits.f1) * (0.3 + 0.7 * upper)
    groove = np.exp(-np.square((form.along - 0.74 + 0.08 * np.cos(3 * p[:, 1] / 0.4)) / 0.014)) * upper
    furrows = np.exp(-np.square((np.abs(p[:, 1]) - 0.24) / 0.035)) * upper * smoothstep(0.3, 0.45, form.along)
    relief = -0.034 * pit - 0.035 * groove - 0.04 * furrows + 0.02 * ridged(p * 7, 3, body.seed + 41)
    vertices = displaced(p, faces, (relief + 0.02 * fbm(p * 4, 3, body.seed + 43)).astype(np.float32))
    speckle = smoothstep(-0.3, 0.3, fbm(p * 9, 4, body.seed + 45, gain=0.8))
    colour = _mix(_EMERALD, _GOLD, 0.5 * speckle)
    colour = _mix(colour, _COPPER, 0.7 * smoothstep(0.62, 0.85, form.along))
    colour = _mix(colour, _PITCH, np.maximum(0.9 * pit, 0.7 * groove))
    colour = _mix(colour * (0.55 + 0.7 * speckle)[:, None], _BROWN, 0.9 * (1 - upper))
    body.shell.append((vertices, faces, _valid(colour)))
    _coat(body, vertices, faces, 330, 0.16, density=0.4 + upper, lean=(0.6, 0, 0.1), colour=_STRAW)

    s = eased(50)
    labrum = profile([(0, 0.0), (0.2, 0.27), (0.8, 0.25), (1, 0)], s, rounded=True)
    form = loft(2.92 + 0.24 * s, labrum, 0.06 - 0.10 * s, -0.06 - 0.06 * s, sides=90, power=3.0)
    vertices, faces = _add_chitin(body, form, body.chitin, fine=12.0, dark=_BROWN, light=_RUST)
    _coat(
        body,
        vertices,
        faces,
        40,
        0.18,
        density=smoothstep(0.5, 1, form.along),
        lean=(0.9, 0, -0.2),
        colour=_STRAW,
    )


def _eye(body: _Body, side: int) -> None:
    """A compound eye: domed facets in a bulging oval, with short hairs between."""
    sphere, faces = icosphere(34)
    index = np.arange(1000) + 0.5
    polar, azimuth = np.arccos(1 - index / 500), np.pi * (1 + 5**0.5) * index
    facets = np.stack(
        [np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1
    )
    cells = worley(sphere, facets.astype(np.float32))
    dome = 1 - np.square(cells.f1 / 0.065)
    scaled = sphere * (1 + 0.055 * np.clip(dome, -0.4, 1))[:, None] * [0.21, 0.19, 0.26]
    vertices = (scaled + np.array([2.36, 0.50 * side, 0.17])).astype(np.float32)
    speckle = hash_unit(cells.nearest, body.seed + side)
    sheen = smoothstep(-0.3, 0.3, fbm(vertices * 5, 3, body.seed + 47))
    colour = _mix(_PITCH, _AMBER, np.clip(dome, 0, 1) * (0.12 + 0.5 * speckle * sheen))
    body.lenses.append((vertices, faces, _valid(colour)))
    _coat(body, vertices, faces, 50, 0.06, lean=(0, 0, 0.2), colour=_STRAW)


def _mandible(body: _Body, side: int) -> None:
    """A sickle with a tooth on the inside."""
    points = np.array([[2.85, 0.25, -0.10], [3.15, 0.34, -0.10], [3.42, 0.22, -0.12], [3.50, -0.02, -0.14]])
    tooth = np.array([[3.22, 0.27, -0.11], [3.26, 0.20, -0.11], [3.27, 0.11, -0.12]])
    for path, root, count in ((points, 0.13, 90), (tooth, 0.07, 40)):
        at = eased(count)
        radius = profile([(0, root), (0.3, 0.85 * root), (0.8, 0.35 * root), (1, 0)], at, rounded=True)
        shape = tube(spline(path * [1, side, 1], count), np.stack([0.75 * radius, radius], axis=1), 56)
        _add_chitin(body, shape, body.chitin, fine=9.0, dark=_PITCH, light=_BROWN)


def _palps(body: _Body, side: int) -> None:
    """The four-jointed feelers under the mandibles."""
    for start, knots in (
        ((2.80, 0.20, -0.22), ((0.18, 0.12, -0.10), (0.22, 0.06, -0.06), (0.20, -0.02, -0.16))),
        ((2.78, 0.09, -0.26), ((0.14, 0.04, -0.12), (0.18, 0.02, -0.10))),
    ):
        a = np.array(start, dtype=np.float32)
        for step in knots:
            b = a + np.array(step, dtype=np.float32)
            shape = _segment(body, a * [1, side, 1], b * [1, side, 1], 0.030, 0.050, 30, 28)
            vertices, faces = _add_chitin(body, shape, body.chitin, fine=12.0, dark=_BROWN, light=_RUST)
            _coat(body, vertices, faces, 16, 0.09, lean=_unit(b - a) * [1, side, 1], colour=_STRAW)
            a = b


def _antenna(body: _Body, side: int) -> None:
    """Eleven joints: a long scape, a short pedicel, and nine of the flagellum, each widening to its tip."""
    arch = np.array([[2.72, 0.42, 0.16], [3.10, 0.85, 0.45], [3.65, 1.25, 0.50], [4.25, 1.50, 0.18]]) * [
        1,
        side,
        1,
    ]
    sway = body.rng.normal(0, 0.06, (4, 3)) * np.array([0, 1, 1.4, 2])[:, None]
    path = spline(arch + sway, 400)
    walked = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    shares = np.array([1.7, 0.7, 1.25, 1.15, 1.1, 1.05, 1, 1, 1, 1, 1.25])
    ends = np.concatenate([[0], np.cumsum(shares)]) / shares.sum() * walked[-1]
    for joint, (start, stop) in enumerate(pairwise(ends)):
        a, b = (np.array([np.interp(at, walked, path[:, k]) for k in range(3)]) for at in (start, stop))
        thick = 0.085 if joint == 0 else 0.062 + 0.002 * joint
        shape = _segment(body, a, b, 0.55 * thick, thick, 34, 34)
        vertices, faces = _add_chitin(body, shape, body.chitin, fine=11.0, dark=_BROWN, light=_RUST)
        _coat(body, vertices, faces, 46, 0.085, lean=0.9 * _unit(b - a), colour=_STRAW)


def _underside(body: _Body) -> None:
    """Breast and belly: plates with hind edges, pits, and a coat of hair."""
    s = eased(360)
    half_width = profile(
        [(0, 0), (0.05, 0.55), (0.25, 1.12), (0.5, 1.36), (0.9, 1.08), (1, 0)], s, rounded=True
    )
    top = profile([(0, -0.15), (0.3, 0.4), (0.9, 0.45), (1, 0.1)], s)
    bottom = profile([(0, -0.22), (0.2, -0.42), (0.55, -0.58), (0.8, -0.66), (0.97, -0.45), (1, -0.1)], s)
    form = loft(-3.58 + 4.62 * s, half_width, top, bottom, sides=220, power=2.2)
    p, faces = form.vertices, form.faces
    edges = np.array([0.10, 0.20, 0.30, 0.41, 0.53, 0.80])
    behind = np.min(np.abs(form.along[:, None] + 0.02 * np.abs(p[:, 1:2]) - edges), axis=1)
    seam = np.exp(-np.square(behind / 0.006)).astype(np.float32)
    midline = np.exp(-np.square(p[:, 1] / 0.03)) * (form.along > 0.5)
    pits = worley(p, scattered(p, faces, 5000, body.rng)[0])
    pit = smoothstep(0.035, 0.008, pits.f1)
    relief = -0.05 * seam - 0.03 * midline - 0.02 * pit + 0.03 * fbm(p * 4, 4, body.seed + 51)
    vertices = displaced(p, faces, relief.astype(np.float32))
    speckle = smoothstep(-0.3, 0.3, fbm(p * 8, 4, body.seed + 53, gain=0.8))
    colour = _mix(_PITCH, _RUST, 0.15 + 0.55 * speckle)
    colour = _mix(colour, _PITCH, np.maximum(0.8 * seam, 0.7 * pit))
    body.chitin.append((vertices, faces, _valid(colour)))
    below = smoothstep(0.2, -0.2, np.cos(form.around))
    _coat(body, vertices, faces, 650, 0.17, density=below, lean=(-0.7, 0, -0.1), colour=_STRAW)


# ------------------------------------------------------------------------------------------------------ legs


@dataclass(frozen=True)
class _Leg:
    """A left leg: where its coxa hangs and its ankle stands (x, y, z), and how long its parts are; mm."""

    coxa: tuple[float, float, float]
    ankle: tuple[float, float, float]
    femur: float
    tibia: float
    tarsus: float
    toe: tuple[float, float]  # direction of the tarsus over the ground


_LEGS = (
    _Leg((1.50, 0.34, -0.52), (2.30, 1.78, _GROUND + 0.22), 1.22, 1.20, 0.82, (0.75, 0.65)),
    _Leg((0.42, 0.48, -0.62), (0.30, 2.25, _GROUND + 0.22), 1.36, 1.36, 0.90, (-0.25, 1.0)),
    _Leg((-0.62, 0.46, -0.60), (-2.15, 2.15, _GROUND + 0.22), 1.68, 1.72, 1.05, (-0.8, 0.6)),
)


def _leg(body: _Body, leg: _Leg, side: int) -> None:
    """Coxa, trochanter, femur, tibia with spines and spurs, five tarsal joints, two claws."""
    mirror = np.array([1, side, 1])
    coxa, ankle = np.array(leg.coxa) * mirror, np.array(leg.ankle) * mirror
    # No two legs stand alike.
    ankle[:2] += body.rng.normal(0, 0.10, 2)
    outward = _unit((ankle - coxa) * [1, 1, 0])
    hip = coxa + 0.10 * outward + [0, 0, -0.10]
    knee = _knee(hip, ankle, leg.femur, leg.tibia)
    sideways = np.cross(outward, [0, 0, 1])

    for a, b, thin, thick in (
        (coxa + np.array([0, 0, 0.22]), coxa - [0, 0, 0.12], 0.20, 0.20),
        (coxa - [0, 0, 0.06], hip + 0.22 * _unit(knee - hip), 0.09, 0.12),
    ):
        shape = _segment(body, a, b, thin, thick, 46, 48, up=sideways)
        vertices, faces = _add_chitin(body, shape, body.chitin, fine=9.0, dark=_PITCH, light=_RUST)
        _coat(body, vertices, faces, 20, 0.12, lean=(0, 0, -0.4), colour=_STRAW)

    femur = _segment(
        body, hip, knee, 0.10, 0.115, 130, 76, up=sideways, bow=0.05 * np.array([0, 0, 1]),
        swelling=[(0, 0.085), (0.12, 0.125), (0.5, 0.185), (0.85, 0.125), (1, 0.11)],
    )  # fmt: skip
    vertices, faces = _add_chitin(body, femur, body.chitin, fine=8.0, dark=_BROWN, light=_RUST, scales=900)
    _coat(body, vertices, faces, 150, 0.13, lean=0.9 * _unit(knee - hip), colour=_STRAW)

    tibia = _segment(
        body, knee, ankle, 0.07, 0.11, 130, 64, up=sideways, bow=0.04 * outward,
        swelling=[(0, 0.075), (0.08, 0.088), (0.25, 0.074), (0.8, 0.100), (0.96, 0.122), (1, 0.105)],
        flutes=7,
    )  # fmt: skip
    vertices, faces = _add_chitin(body, tibia, body.chitin, fine=8.0, dark=_BROWN, light=_RUST, scales=700)
    shin = _unit(ankle - knee)
    _coat(body, vertices, faces, 130, 0.11, lean=0.9 * shin, colour=_STRAW)
    _spiny(body, vertices, faces, 34, 0.15, density=smoothstep(0.15, 0.6, tibia.along), lean=1.1 * shin)
    _spiny(body, vertices, faces, 12, 0.20, density=smoothstep(0.95, 0.99, tibia.along), lean=1.6 * shin)

    _foot(body, leg, ankle, shin, mirror)


def _foot(body: _Body, leg: _Leg, ankle: Floats, shin: Floats, mirror: Floats) -> None:
    toe = _unit(np.array([*leg.toe, 0.0]) * mirror)
    ground = np.array([1, 1, 0]) * ankle + [0, 0, _GROUND + 0.06]
    path = spline(
        [ankle, ground + 0.22 * leg.tarsus * toe + [0, 0, 0.02], ground + 0.95 * leg.tarsus * toe], 200
    )
    walked = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    ends = np.array([0, 0.27, 0.44, 0.58, 0.70, 1.0]) * walked[-1]
    for joint, (start, stop) in enumerate(pairwise(ends)):
        a, b = (np.array([np.interp(at, walked, path[:, k]) for k in range(3)]) for at in (start, stop))
        thick = 0.052 if joint == 4 else 0.072 - 0.004 * joint
        shape = _segment(body, a, b, 0.5 * thick, thick, 32, 34)
        vertices, faces = _add_chitin(body, shape, body.chitin, fine=11.0, dark=_BROWN, light=_RUST)
        ahead = _unit(b - a)
        _coat(body, vertices, faces, 24, 0.09, lean=0.8 * ahead, colour=_STRAW)
        _spiny(
            body,
            vertices,
            faces,
            5,
            0.08,
            density=smoothstep(0.7, 0.95, shape.along),
            lean=1.2 * ahead - [0, 0, 0.4],
        )
    across = np.cross(toe, [0, 0, 1])
    for way in (-1, 1):
        tip = path[-1] + np.array([0, 0, 0.01])
        hook = [
            tip - 0.03 * toe,
            tip + 0.07 * toe + 0.05 * way * across + [0, 0, 0.025],
            tip + 0.15 * toe + 0.08 * way * across - [0, 0, 0.055],
        ]
        at = eased(26)
        claw = tube(spline(hook, 26), profile([(0, 0.026), (0.5, 0.018), (1, 0)], at, rounded=True), 20)
        _add_chitin(body, claw, body.chitin, fine=9.0, dark=_PITCH, light=_BROWN)


def _knee(hip: Floats, ankle: Floats, femur: float, tibia: float) -> Floats:
    """Where the two bones meet, the knee up: the intersection of two circles in the leg's upright plane."""
    reach = np.linalg.norm(ankle - hip)
    ahead = (ankle - hip) / reach
    upward = _unit(np.array([0, 0, 1]) - ahead * ahead[2])
    foot_point = (femur**2 - tibia**2 + reach**2) / (2 * reach)
    return hip + foot_point * ahead + np.sqrt(femur**2 - foot_point**2) * upward


# --------------------------------------------------------------------------------- what the parts are made of


def _segment(
    body: _Body,
    a: Floats,
    b: Floats,
    thin: float,
    thick: float,
    rings: int,
    sides: int,
    up: ArrayLike = (0, 0, 1),
    bow: ArrayLike = (0, 0, 0),
    swelling: Sequence[tuple[float, float]] = (),
    flutes: int = 0,
) -> Surface:
    """A joint of a limb from a to b [3] mm, rounded at both ends.

    Its radius grows from thin to thick mm or follows the knots of `swelling`; `bow` [3] mm moves its middle;
    `flutes` shallow ridges run along it.
    """
    knots = list(swelling) or [(0.0, thin), (0.15, 1.05 * thin), (0.8, thick), (1.0, 0.9 * thick)]
    at = eased(rings)
    length = float(np.linalg.norm(b - a))
    radius = profile(knots, at)
    # Quarter-ellipse caps, about as long as the limb is thick there.
    for end, cap in ((at, knots[0][1] / length), (1 - at, knots[-1][1] / length)):
        radius = radius * np.sqrt(np.clip(1 - np.square(np.clip(1 - end / min(cap, 0.45), 0, 1)), 0, 1))
    middle = (np.asarray(a) + b) / 2 + np.asarray(bow) + body.rng.normal(0, 0.006, 3)
    shape = tube(spline([a, middle, b], rings), np.stack([1.0 * radius, 0.86 * radius], axis=1), sides, up)
    if not flutes:
        return shape
    wave = (
        0.007
        * np.cos(flutes * shape.around)
        * smoothstep(0.05, 0.3, shape.along)
        * smoothstep(1, 0.9, shape.along)
    )
    return Surface(displaced(shape.vertices, shape.faces, wave), shape.faces, shape.along, shape.around)


def _add_chitin(
    body: _Body,
    shape: Surface,
    into: list[Piece],
    fine: float,
    dark: ArrayLike,
    light: ArrayLike,
    scales: int = 0,
) -> tuple[Floats, Ints]:
    """Gives a form the skin of a limb and adds it: wrinkles, granules, `scales` punctures, darker joints.

    fine: lattice cells per mm of the colour noise. Gives the displaced vertices and the faces.
    """
    p, faces = shape.vertices, shape.faces
    speckle = smoothstep(-0.3, 0.3, fbm(p * fine, 4, body.seed + 61, gain=0.8))
    stain = smoothstep(-0.3, 0.3, fbm(p * 2.2, 3, body.seed + 63))
    relief = 0.008 * ridged(p * 10, 3, body.seed + 67) + 0.008 * speckle
    joints = np.maximum(smoothstep(0.12, 0.0, shape.along), smoothstep(0.90, 1.0, shape.along))
    colour = _mix(dark, light, 0.15 + 0.45 * stain * speckle + 0.40 * speckle - 0.5 * joints)
    if scales:
        pits = worley(p, scattered(p, faces, scales, body.rng)[0])
        pit = smoothstep(0.026, 0.006, pits.f1)
        relief = relief - 0.014 * pit
        colour = _mix(colour, _PITCH, 0.75 * pit)
    vertices = displaced(p, faces, relief.astype(np.float32))
    into.append((vertices, faces, _valid(colour)))
    return vertices, faces


def _even(points: Floats) -> Floats:
    """Scattered points, the ones that crowd another left out, so that pits keep apart."""
    close = worley(points + np.float32(1e-5), points)
    order = hash_unit(np.arange(len(points)), 5)
    return points[(close.f2 > 0.045) | (order > 0.5)]


def _coat(
    body: _Body,
    vertices: Floats,
    faces: Ints,
    count: int,
    length: float,
    lean: ArrayLike,
    colour: ArrayLike,
    density: Floats | None = None,
) -> None:
    """Scatters setae over a mesh."""
    roots, normals = scattered(vertices, faces, count, body.rng, density)
    _hairy(body, roots, normals, length, lean, colour)


def _hairy(
    body: _Body, roots: Floats, normals: Floats, length: float, lean: ArrayLike, colour: ArrayLike
) -> None:
    strands = grown(roots, normals, length, body.rng, lean)
    body.setae.append((strands, tinted(colour, len(roots), body.rng)))


def _spiny(
    body: _Body, vertices: Floats, faces: Ints, count: int, length: float, density: Floats, lean: ArrayLike
) -> None:
    """Scatters stout dark spines over a mesh."""
    roots, normals = scattered(vertices, faces, count, body.rng, density)
    strands = grown(roots, normals, length, body.rng, lean, spread=0.08, curl=0.08)
    body.spines.append((strands, tinted(_BROWN, count, body.rng)))


def _strands(name: str, coats: list[tuple[Floats, Floats]], radius_root: float, radius_tip: float) -> Hairs:
    points, albedo = (np.concatenate(arrays) for arrays in zip(*coats, strict=True))
    return Hairs(name, points, albedo, radius_root, radius_tip)


def _mix(a: ArrayLike, b: ArrayLike, weight: Floats) -> Floats:
    a, b = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    return a + np.clip(weight, 0, 1).astype(np.float32)[:, None] * (b - a)


def _valid(colour: Floats) -> Floats:
    """Linear albedo kept away from perfect black and white."""
    return np.clip(colour, 0.008, 0.95).astype(np.float32)


def _unit(vector: ArrayLike) -> Floats:
    vector = np.asarray(vector, dtype=np.float64)
    return vector / np.linalg.norm(vector)
