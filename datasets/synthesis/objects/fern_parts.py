"""What a fern is made of: lobed leaf sheets with two surfaces, chaff, sori, stems.

A sheet is a flat tube: each of its rings runs over the upper surface from margin to margin and back along the
lower one, so that the leaf has a thickness, a rounded edge, and outward normals on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from datasets.synthesis.objects.chitin import Piece, bump, mix, speckles, valid
from datasets.synthesis.objects.model import Floats, Ints
from datasets.synthesis.objects.noise import fbm, ridged, smoothstep
from datasets.synthesis.objects.surface import (
    Surface,
    displaced,
    grid_faces,
    icosphere,
    profile,
    vertex_normals,
)

# Linear albedo.
DEEP, FRESH, YELLOW = (0.022, 0.085, 0.012), (0.135, 0.300, 0.036), (0.46, 0.43, 0.07)
BELOW, VEIN = (0.200, 0.330, 0.110), (0.40, 0.50, 0.16)
SCORCHED, DEAD = (0.105, 0.040, 0.014), (0.42, 0.23, 0.085)
CHAFF_DARK, CHAFF = (0.105, 0.042, 0.016), (0.62, 0.36, 0.15)
SPORANGIUM_DARK, SPORANGIUM = (0.085, 0.030, 0.010), (0.50, 0.235, 0.070)
STALK, STALK_OLD = (0.30, 0.34, 0.085), (0.16, 0.075, 0.030)

_THICKNESS = 0.030  # mm, of a grown leaf between its veins
_TEETH = 3  # on the margin of each lobe
_BEADS = 9  # sporangia in a sorus
_SLENDER = 0.16  # half the width of a scale over its length


@dataclass(frozen=True)
class Blade:
    """One leaf sheet or many, before they are given their skin: per vertex [V] each, but for `faces` [F, 3].

    u: 0..1 from base to tip; v: -1..1 from margin to margin; across: mm from the midrib; margin: mm from the edge;
    slot: -0.5..0.5 across the lobe; pitch: width of a lobe, mm; upper: 1 on the upper surface and -1 below;
    decay: 0 fresh .. 1 withering; fertile: the number of the sorus seated there, or -1.
    """

    vertices: Floats
    faces: Ints
    u: Floats
    v: Floats
    across: Floats
    margin: Floats
    slot: Floats
    pitch: Floats
    upper: Floats
    decay: Floats
    fertile: Ints


def gathered(blades: Sequence[Blade]) -> Blade:
    """Many sheets as one."""
    starts = np.cumsum([0] + [len(blade.vertices) for blade in blades[:-1]])
    arrays = {field.name: [getattr(blade, field.name) for blade in blades] for field in fields(Blade)}
    arrays["faces"] = [faces + start for faces, start in zip(arrays["faces"], starts, strict=True)]
    return Blade(**{name: np.concatenate(values) for name, values in arrays.items()})


def ring(columns: int) -> tuple[Floats, Floats]:
    """Where the vertices of a ring lie across the sheet (-1..1), and on which side (1 upper, -1 lower)."""
    over = np.sin(np.linspace(-1, 1, columns) * np.pi / 2) * 0.35 + np.linspace(-1, 1, columns) * 0.65
    v = np.concatenate([over, over[-2:0:-1]])
    upper = np.concatenate([np.ones(columns), -np.ones(columns - 2)])
    return v.astype(np.float32), upper.astype(np.float32)


def pinna(
    base: ArrayLike,
    ahead: ArrayLike,
    normal: ArrayLike,
    length: float,
    width: float,
    rng: np.random.Generator,
    bend: float = 0.5,
    lift: float = 0.2,
    sweep: float = 0.0,
    twist: float = 0.0,
    decay: float = 0.0,
    fertile: float = 0.0,
    depth: float = 0.8,
) -> Blade:
    """A leaflet cut into lobes, from its base [3] mm along `ahead`, its upper side towards `normal`.

    length, width: mm; bend: how far its midrib turns down from base to tip, lift: how far up it starts, twist:
    how far it turns about its midrib, all in radians; sweep: sideways bend towards the tip of the frond, as a
    part of the length; fertile: share of the lobes that bear a sorus; depth: of the cuts between the lobes, 0..1.
    """
    lobes = max(3, round(length / (0.30 * width + 0.02)))
    columns = int(np.clip(width / 0.0205, 9, 29))
    per_lobe = int(np.clip(length / lobes / 0.0138, 7, 15))
    step = (np.arange(lobes * per_lobe + 1) / per_lobe).astype(np.float32)
    phase = step - 0.5 * np.sin(2 * np.pi * step) / (2 * np.pi)  # rows crowd into the cuts, where the outline is steep
    u = phase / lobes
    u = u * (1.25 - 0.25 * u)  # lobes shrink towards the tip
    v, upper = ring(columns)

    angle = lift - bend * u - 0.25 * bend * np.sin(2 * np.pi * u * rng.uniform(0.7, 1.3))
    ahead, normal = np.asarray(ahead), np.asarray(normal)
    tangent = np.cos(angle)[:, None] * ahead + np.sin(angle)[:, None] * normal
    up = -np.sin(angle)[:, None] * ahead + np.cos(angle)[:, None] * normal
    side = np.cross(ahead, normal)
    stride = np.concatenate([[0], np.diff(u)])[:, None] * length
    midrib = base + np.cumsum(tangent * stride, axis=0) + sweep * length * np.square(u)[:, None] * side
    roll = (twist * u)[:, None]
    lateral, up = np.cos(roll) * side + np.sin(roll) * up, np.cos(roll) * up - np.sin(roll) * side

    number = np.minimum(np.floor(phase), lobes - 1).astype(int)
    slot = phase - number - 0.5
    outline = profile([(0, 0.62), (0.06, 0.94), (0.25, 1.0), (0.6, 0.74), (0.88, 0.36), (1, 0)], u, rounded=True)
    rounded = np.clip(1 - np.abs(2 * slot) ** 2.8, 0, 1) ** 0.5
    cut = depth * (1 - smoothstep(0.55, 1.0, u))
    toothed = 1 + 0.06 * np.cos(2 * np.pi * _TEETH * slot) * rounded
    # Each lobe of each side has its own length, droop and tilt; the first towards the tip of the frond is longest.
    size, droop, tilt = (
        rng.uniform(0.85, 1.1, (2, lobes)),
        rng.uniform(0.1, 1.0, (2, lobes)),
        rng.normal(0, 0.3, (2, lobes)),
    )
    size[:, 0] *= (1.12, 0.95)
    half = (v < 0).astype(int)
    half_width = 0.5 * width * outline[:, None] * size[half][:, number].T
    half_width = 0.003 + half_width * ((1 - cut * (1 - rounded)) * toothed)[:, None]
    y = v * half_width
    far = np.abs(y)
    pitch = length / lobes * (1.25 - 0.5 * u)
    height = (
        0.30 * far
        - droop[half][:, number].T * 1.5 * far**2 / width
        + tilt[half][:, number].T * (slot * pitch)[:, None] * smoothstep(0.1, 0.5, far / width)
        - 0.012 * smoothstep(0.7, 1.0, np.abs(v))
    )
    closing = np.sqrt(np.clip(np.minimum(u / 0.04, (1 - u) / 0.08), 0.02, 1))[:, None]
    full = min(_THICKNESS, 0.12 * width)
    thick = full * closing * np.clip(1 - np.abs(v) ** 5, 0, 1) ** 0.5
    height = (
        height + 0.5 * upper * thick - 1.1 * full * (upper < 0) * bump(y, 0, 0.022) * closing * (1 - 0.6 * u[:, None])
    )
    points = (
        midrib[:, None]
        + (y[..., None] * lateral[:, None])
        + 0.5 * far[..., None] * tangent[:, None]
        + height[..., None] * up[:, None]
    )
    shape = y.shape

    def spread(per_row: Floats) -> Floats:
        return np.broadcast_to(np.asarray(per_row, dtype=np.float32)[:, None], shape).ravel()

    seats = np.full(shape, -1, dtype=np.int32)
    below = np.flatnonzero((upper < 0) & (np.abs(np.abs(v) - 0.52) == np.abs(np.abs(v[upper < 0]) - 0.52).min()))
    chosen = rng.random((len(below), lobes)) < fertile
    for column, bearing in zip(below, chosen, strict=True):
        for lobe in np.flatnonzero(bearing[: int(0.8 * lobes)]):
            seats[lobe * per_lobe + per_lobe // 2, column] = 1
    return Blade(
        vertices=points.reshape(-1, 3).astype(np.float32),
        faces=grid_faces(len(u), len(v), closed=True),
        u=spread(u),
        v=np.tile(v, shape[0]),
        across=y.ravel().astype(np.float32),
        margin=((1 - np.abs(v)) * half_width).ravel().astype(np.float32),
        slot=spread(slot),
        pitch=spread(pitch),
        upper=np.tile(upper, shape[0]),
        decay=np.full(points.size // 3, decay, dtype=np.float32),
        fertile=seats.ravel(),
    )


def leaf_skin(leaf: Blade, seed: int) -> Piece:
    """Gives sheets their veins, cells and undulations in relief, and their colours: green, paler below, brown edges."""
    p, upper = leaf.vertices, leaf.upper > 0
    cells = fbm(p * 26, 2, seed + 1, gain=0.8)  # the puckers between stomata, some 40 micrometres
    swell = fbm(p * 2.3, 2, seed + 3)
    far = np.abs(leaf.across)
    sprig = far - 1.1 * np.abs(leaf.slot) * leaf.pitch
    veinlet = np.abs(sprig / 0.052 - np.floor(sprig / 0.052) - 0.5) * 0.052
    inside = smoothstep(0.0, 0.03, leaf.margin)
    vein = np.maximum.reduce(
        [
            bump(leaf.across, 0, 0.017),
            bump(leaf.slot * leaf.pitch, 0, 0.011) * inside,
            0.75 * bump(veinlet, 0, 0.009) * inside,
        ]
    )
    relief = np.where(upper, -0.009, 0.011) * vein + 0.006 * cells * inside
    vertices = displaced(p, leaf.faces, relief.astype(np.float32))
    vertices[:, 2] += 0.05 * swell  # both surfaces together: the sheet undulates

    speckle = smoothstep(-0.22, 0.22, fbm(p * 19, 3, seed + 5, gain=0.9))
    patch = smoothstep(-0.2, 0.2, fbm(p * 1.1, 3, seed + 7))
    mottle = smoothstep(-0.35, 0.35, cells)
    colour = mix(DEEP, FRESH, 0.05 + 0.42 * speckle + 0.28 * patch + 0.25 * mottle - 0.1 * leaf.decay)
    colour = np.where(upper[:, None], colour, mix(DEEP, BELOW, 0.35 + 0.7 * speckle * mottle + 0.15 * patch))
    colour = mix(colour, VEIN, vein * np.where(upper, 0.62, 0.60) * (0.5 + 0.5 * speckle))

    # Withering creeps in from the edges and the tips, yellow first, then brown, in blots.
    blot = fbm(p * 3.1, 4, seed + 11, gain=0.6)
    reach = leaf.decay * (0.11 + 0.16 * smoothstep(0.5, 1.0, leaf.u)) + 0.16 * blot - 0.055
    yellow = smoothstep(-0.09, 0.04, reach - leaf.margin)
    brown = smoothstep(-0.02, 0.02, reach - 0.045 - leaf.margin)
    colour = mix(colour, YELLOW, 0.75 * yellow * (0.4 + 0.6 * speckle) * np.where(upper, 1, 0.8))
    colour = mix(colour, mix(SCORCHED, DEAD, 0.1 + 0.8 * speckle), 0.93 * brown)
    spot = smoothstep(0.24, 0.30, fbm(p * 6.0, 2, seed + 13)) * (0.3 + 0.7 * leaf.decay)
    colour = mix(colour, SCORCHED, 0.8 * spot * (1 - brown))
    colour = colour * (0.62 + 0.52 * speckle + 0.18 * mottle)[:, None]
    return vertices, leaf.faces, valid(colour)


def sori(vertices: Floats, faces: Ints, seats: Ints, rng: np.random.Generator) -> list[Piece]:
    """A heap of sporangia under each of the vertices `seats`: beads of some 40 micrometres, ripe and unripe."""
    normals = vertex_normals(vertices, faces)[seats]
    first = np.cross(normals, rng.standard_normal((len(seats), 3)))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normals, first)
    bead, bead_faces = icosphere(2)
    pieces = []
    index = np.arange(_BEADS)
    out = 0.060 * np.sqrt((index + 0.4) / _BEADS)
    for seat in range(len(seats)):
        turn = index * 2.39996 + rng.uniform(0, 6.28)
        size = rng.uniform(0.75, 1.15)
        spot = out * size * rng.uniform(0.85, 1.15, _BEADS)
        rise = 0.022 + 0.030 * (1 - (out / 0.062) ** 2) + rng.normal(0, 0.004, _BEADS)
        centres = (
            vertices[seats[seat]]
            + (spot * np.cos(turn))[:, None] * first[seat]
            + (spot * np.sin(turn))[:, None] * second[seat]
            + rise[:, None] * normals[seat]
        )
        radius = rng.uniform(0.018, 0.027, _BEADS)
        ripe = np.clip(rng.normal(0.55, 0.25), 0, 1)
        tone = np.clip(ripe + rng.normal(0, 0.25, _BEADS), 0, 1)
        # A ring of thick cells, the annulus, runs over each bead like the crest of a helmet.
        axes = rng.standard_normal((_BEADS, 3))
        axes /= np.linalg.norm(axes, axis=1, keepdims=True)
        crest = bump(axes @ bead.T, 0, 0.28)
        points = centres[:, None] + (radius[:, None] * (0.93 + 0.16 * crest))[..., None] * bead
        shade = (0.25 + 0.9 * tone[:, None] - 0.55 * crest + 0.12 * rng.standard_normal(crest.shape)).ravel()
        many = (bead_faces[None] + len(bead) * index[:, None, None]).reshape(-1, 3).astype(np.int32)
        pieces.append((points.reshape(-1, 3).astype(np.float32), many, valid(mix(SPORANGIUM_DARK, SPORANGIUM, shade))))
    return pieces


def chaff(
    roots: Floats, normals: Floats, towards: Floats, length: ArrayLike, rng: np.random.Generator, rows: int = 9
) -> Piece:
    """Papery scales from roots [S, 3] mm that point along `towards` ([3] or [S, 3]) and curl off the stem.

    length: mm, one or [S]; each scale is lanceolate, cupped, twisted, and ragged towards its tip.
    """
    count = len(roots)
    v, upper = ring(5)
    s = np.linspace(0, 1, rows, dtype=np.float32)
    length = np.broadcast_to(np.asarray(length, dtype=np.float64), (count,)) * rng.uniform(0.55, 1.2, count)
    ahead = _unit(np.asarray(towards) + 0.22 * normals + rng.normal(0, 0.28, (count, 3)))
    side = _unit(np.cross(ahead, normals))
    out = np.cross(side, ahead)
    half_width = profile([(0, 0.45), (0.12, 0.95), (0.3, 1.0), (0.65, 0.5), (1, 0.02)], s)
    ragged = 1 + 0.25 * rng.standard_normal((count, rows)) * (s > 0.3)
    y = _SLENDER * length[:, None, None] * (half_width * ragged)[..., None] * v
    curl = rng.normal(0.25, 0.3, (count, 1, 1)) * np.square(s)[:, None] * length[:, None, None]
    height = curl - 1.6 * np.square(y) / (_SLENDER * length[:, None, None]) + 0.004 * upper * (1 - v**2)
    sway = rng.normal(0, 0.22, (count, 1)) * np.square(s) * length[:, None]
    turn = rng.normal(0, 0.6, (count, 1, 1)) * s[:, None]
    across, rise = y * np.cos(turn) - height * np.sin(turn) + sway[..., None], height * np.cos(turn) + y * np.sin(turn)
    points = (
        (roots - 0.01 * normals)[:, None, None]
        + (length[:, None] * s)[:, :, None, None] * ahead[:, None, None]
        + across[..., None] * side[:, None, None]
        + rise[..., None] * out[:, None, None]
    )
    tone = rng.uniform(0.25, 1.0, (count, 1, 1)) + 0.22 * rng.standard_normal((count, rows, len(v)))
    shade = tone * (0.45 + 0.55 * np.abs(v)) * (0.6 + 0.5 * s[:, None])
    one = grid_faces(rows, len(v), closed=True)
    faces = (one[None] + rows * len(v) * np.arange(count)[:, None, None]).reshape(-1, 3).astype(np.int32)
    return points.reshape(-1, 3).astype(np.float32), faces, valid(mix(CHAFF_DARK, CHAFF, shade.ravel()))


def bark(form: Surface, seed: int, old: ArrayLike) -> Piece:
    """Gives a stem its furrows, warts and streaks; old: [V] or one number, 0 green .. 1 brown."""
    p = form.vertices
    streak = fbm(np.stack([4 * form.around, 2.5 * np.sin(form.around), 14 * form.along], axis=1), 2, seed + 21)
    speckle = speckles(p, seed + 23)
    relief = 0.007 * np.cos(5 * form.around) + 0.010 * streak + 0.010 * ridged(p * 11, 2, seed + 25)
    thin = np.clip(np.linalg.norm(p - _axis(form), axis=1) / 0.09, 0.05, 1).astype(np.float32)
    vertices = displaced(p, form.faces, (relief * thin).astype(np.float32))
    young = mix(np.multiply(STALK, 0.5), STALK, 0.25 + 0.75 * speckle + 0.8 * streak)
    aged = mix(np.multiply(STALK_OLD, 0.4), np.multiply(STALK_OLD, 1.7), 0.1 + 0.8 * speckle + streak)
    blotch = smoothstep(0.1, 0.25, fbm(p * 5, 2, seed + 27))
    colour = mix(young, aged, np.clip(np.asarray(old) + 0.5 * blotch, 0, 1))
    return vertices, form.faces, valid(colour)


def _axis(form: Surface) -> Floats:
    """For each vertex of a tube the centre [V, 3] of its ring."""
    sides = int(np.count_nonzero(form.along == form.along[0]))
    return np.repeat(form.vertices.reshape(-1, sides, 3).mean(axis=1), sides, axis=0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
