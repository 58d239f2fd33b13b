"""What a connector is made of: boxes with rounded edges, stamped contacts, dust.

Along x the rows of contacts run; y points across them, z up; mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d

from datasets.synthesis.objects.chitin import Piece, bump, mix, speckles, valid
from datasets.synthesis.objects.model import Floats, Ints
from datasets.synthesis.objects.noise import fbm, hash_unit, ridged, smoothstep, worley
from datasets.synthesis.objects.surface import displaced, grid_faces, icosphere, scattered

# Linear albedo.
_GOLD, _GOLD_DARK, _NICKEL = (0.92, 0.64, 0.21), (0.36, 0.19, 0.045), (0.56, 0.52, 0.44)
_TIN, _TIN_DARK, _ROSIN = (0.66, 0.65, 0.61), (0.27, 0.265, 0.25), (0.36, 0.185, 0.045)

# The middle line of a contact (y, z): the post, under the floor of the housing, the tail, its foot on the board.
_COURSE = ((0.56, 0.98), (0.56, -0.93), (1.86, -0.93), (2.02, -1.30), (2.44, -1.32))
BLADE = (0.27, 0.15)  # mm, width and thickness of the stamped strip


def rounded_box(size: ArrayLike, radius: float, spacing: float) -> tuple[Floats, Ints]:
    """A closed box [V, 3], [F, 3] about the origin, `size` [3] mm, its edges rounded, vertices `spacing` mm apart."""
    half = np.asarray(size, dtype=np.float64) / 2
    arc = radius * np.tan(np.linspace(0, np.pi / 4, 4))
    lines = []
    for h in half:
        flat = np.linspace(radius - h, h - radius, max(2, round((2 * h - 2 * radius) / spacing) + 1))
        lines.append(np.concatenate([-(h - radius) - arc[:0:-1], flat, h - radius + arc[1:]]))
    counts = [len(line) for line in lines]
    vertices, faces, keys, start = [], [], [], 0
    for axis in range(3):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        grid = np.meshgrid(np.arange(counts[one]), np.arange(counts[two]), indexing="ij")
        for end in (0, counts[axis] - 1):
            index = np.empty((grid[0].size, 3), dtype=np.int64)
            index[:, axis], index[:, one], index[:, two] = end, grid[0].ravel(), grid[1].ravel()
            sheet = grid_faces(counts[one], counts[two], closed=False) + start
            faces.append(sheet[:, ::-1] if end else sheet)
            keys.append((index[:, 0] * counts[1] + index[:, 1]) * counts[2] + index[:, 2])
            vertices.append(np.stack([lines[k][index[:, k]] for k in range(3)], axis=1))
            start += len(index)
    # The sides share the vertices on the edges of the box: weld them.
    _, first, welded = np.unique(np.concatenate(keys), return_index=True, return_inverse=True)
    points = np.concatenate(vertices)[first]
    core = np.clip(points, radius - half, half - radius)
    off = points - core
    rounded = core + radius * off / np.linalg.norm(off, axis=1, keepdims=True)
    return rounded.astype(np.float32), welded[np.concatenate(faces)].astype(np.int32)


@dataclass(frozen=True)
class Strip:
    """A stamped strip: vertices [V, 3], faces [F, 3], and where each vertex was on the flat sheet, mm, [V] each:

    along from its first end, across its width, through its thickness; tail: 1 where it is tinned, 0 where gilt.
    """

    vertices: Floats
    faces: Ints
    along: Floats
    across: Floats
    through: Floats
    tail: Floats


def bent_strip(course: ArrayLike, width: float, thick: float, spacing: float, sharpness: float, tinned: float) -> Strip:
    """A strip bent along `course` [K, 2] (y, z), mm, its width along x.

    sharpness: radius of the bends, about, mm; tinned: length from the first end after which it is tinned.
    """
    corners = np.asarray(course, dtype=np.float64)
    legs = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    walked = np.concatenate([[0], np.cumsum(legs)])
    fine = np.linspace(0, walked[-1], 600)
    middle = np.stack([np.interp(fine, walked, corners[:, k]) for k in range(2)], axis=1)
    middle = gaussian_filter1d(middle, sharpness / (fine[1] - fine[0]), axis=0, mode="nearest")
    direction = np.gradient(middle, axis=0)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)

    flat, faces = rounded_box((walked[-1], width, thick), 0.022, spacing)
    along = flat[:, 0] + walked[-1] / 2
    # The tip is coined to a blunt wedge; the end of the foot is sheared square.
    wedge = smoothstep(0.0, 0.30, along)
    across, through = flat[:, 1] * (0.62 + 0.38 * wedge), flat[:, 2] * (0.42 + 0.58 * wedge)
    y, z, ty, tz = (np.interp(along, fine, values) for values in (*middle.T, *direction.T))
    vertices = np.stack([across, y + through * tz, z - through * ty], axis=1).astype(np.float32)
    tail = smoothstep(tinned - 0.03, tinned + 0.03, along)
    return Strip(vertices, faces, along.astype(np.float32), flat[:, 1], flat[:, 2], tail)


def contact(spacing: float = 0.021) -> Strip:
    """One contact of the row at +y, around x = 0: a gilt blade that stands in the housing, and a tinned tail."""
    return bent_strip(_COURSE, *BLADE, spacing, sharpness=0.045, tinned=3.0)


def hold_down(spacing: float = 0.026) -> Strip:
    """The tinned tab that anchors an end of the housing to the board, at +y around x = 0."""
    return bent_strip(((0.0, -0.28), (0.0, -1.24), (0.48, -1.30)), 1.25, 0.14, spacing, sharpness=0.05, tinned=-1.0)


def metal_skin(strip: Strip, placed: Floats, key: int, seed: int) -> Piece:
    """Gives a strip, moved to `placed` [V, 3] mm, its rolling lines, sheared edges, wear and stains."""
    p = placed
    own = np.array([0.37 * key, 5.1 * key, 1.7 * key], dtype=np.float32)
    sheet = np.stack([strip.along, strip.across, strip.through], axis=1) + own
    half_width = np.abs(strip.across).max()
    sheared = smoothstep(half_width - 0.018, half_width - 0.004, np.abs(strip.across))
    torn = sheared * smoothstep(0.02, -0.01, strip.through + 0.03 * fbm(sheet * 9, 2, seed + 1))
    rolled = fbm(sheet * np.array([2.2, 34, 34], dtype=np.float32), 3, seed + 2, gain=0.8)
    drawn = fbm(sheet * np.array([46, 8, 3], dtype=np.float32), 2, seed + 3) * sheared
    grit = fbm(p * 30 + own, 2, seed + 4, gain=0.8)
    relief = 0.004 * rolled + 0.009 * drawn + 0.010 * torn * (grit - 0.2) - 0.006 * torn + 0.003 * grit
    relief = relief + strip.tail * 0.012 * fbm(p * 7 + own, 3, seed + 5)
    vertices = displaced(p, strip.faces, relief.astype(np.float32))

    speckle = speckles(p, seed + 6)
    tarnish = smoothstep(-0.05, 0.30, fbm(p * 2.6 + own, 3, seed + 7))
    gold = mix(_GOLD_DARK, _GOLD, 0.74 + 0.80 * rolled + 0.50 * (speckle - 0.5) - 0.34 * tarnish)
    gold = mix(gold, _GOLD_DARK, 0.75 * torn * (0.6 + 0.8 * grit) + 0.4 * sheared * smoothstep(0, 0.3, drawn))
    # Where a mating contact slid down the blade, the gold is scratched through to the nickel.
    track = bump(strip.across, 0.03 * np.cos(key), 0.055) * smoothstep(0.20, 0.30, strip.along)
    track = track * smoothstep(1.15 + 0.3 * np.cos(3 * key), 0.85, strip.along) * (1 - sheared)
    gold = mix(gold, _NICKEL, track * smoothstep(-0.10, 0.15, rolled) * 0.9)
    gold = mix(gold, _ROSIN, 0.75 * smoothstep(0.20, 0.34, fbm(p * 4 + own, 3, seed + 8)))

    spangles = worley(p, scattered(p, strip.faces, 260, np.random.default_rng(seed + key))[0])
    tone = 0.55 * hash_unit(spangles.nearest, seed) + 0.45 * speckle + 0.3 * rolled
    tin = mix(_TIN_DARK, _TIN, 0.20 + 0.85 * tone - 0.35 * bump(spangles.border, 0, 0.010))
    tin = mix(tin, _TIN_DARK, 0.8 * torn)
    flux = smoothstep(0.02, 0.24, fbm(p * 3.3 + own, 4, seed + 9))
    tin = mix(tin, _ROSIN, 0.85 * flux * (0.45 + 0.55 * speckle))
    return vertices, strip.faces, valid(mix(gold, tin, strip.tail))


def dust(roots: Floats, normals: Floats, rng: np.random.Generator) -> Piece:
    """Grains of 15 to 60 micrometres that lie on a surface at roots [S, 3] mm: grey, pale, and rusty crumbs."""
    ball, faces = icosphere(2)
    count = len(roots)
    size = 0.008 * np.exp(rng.gamma(1.5, 0.35, count))
    shape = rng.uniform(0.6, 1.3, (count, 1, 3)) * (1 + 0.22 * rng.standard_normal((count, len(ball), 1)))
    points = roots[:, None] + 0.5 * size[:, None, None] * normals[:, None] + size[:, None, None] * shape * ball
    kinds = np.array([(0.62, 0.60, 0.55), (0.20, 0.19, 0.18), (0.38, 0.21, 0.10), (0.80, 0.78, 0.74)])
    colour = kinds[rng.integers(0, len(kinds), count)] * rng.uniform(0.6, 1.1, (count, 1))
    many = (faces[None] + len(ball) * np.arange(count)[:, None, None]).reshape(-1, 3).astype(np.int32)
    tint = np.repeat(colour, len(ball), axis=0) * rng.uniform(0.7, 1.15, (count * len(ball), 1))
    return points.reshape(-1, 3).astype(np.float32), many, valid(tint)


def fibres(roots: Floats, normals: Floats, rng: np.random.Generator, joints: int = 16) -> tuple[Floats, Floats]:
    """Lint that settled on a surface at roots [S, 3] mm: strands [S, joints, 3] mm and their albedo [S, 3]."""
    count = len(roots)
    length = 0.25 * np.exp(rng.normal(0.6, 0.55, count)).clip(0.6, 4.4)
    first = np.cross(normals, rng.standard_normal((count, 3)))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normals, first)
    turn = np.cumsum(rng.normal(0, 0.12, (count, 1)) + rng.normal(0, 0.28, (count, joints)), axis=1)
    stride = np.cos(turn)[..., None] * first[:, None] + np.sin(turn)[..., None] * second[:, None]
    walk = np.cumsum(stride, axis=1) * (length / joints)[:, None, None]
    rise = 0.010 + rng.uniform(0.0, 0.10, (count, 1)) * np.sin(np.linspace(0, np.pi, joints)) * length[:, None]
    points = roots[:, None] + walk + rise[..., None] * normals[:, None]
    kinds = np.array(
        [(0.78, 0.77, 0.74), (0.10, 0.16, 0.36), (0.42, 0.07, 0.06), (0.07, 0.07, 0.07), (0.60, 0.55, 0.45)]
    )
    return points.astype(np.float32), kinds[rng.integers(0, len(kinds), count)].astype(np.float32)


def scratches(roots: Floats, normals: Floats, rng: np.random.Generator) -> Floats:
    """Points [N, 3] mm, 12 micrometres apart, along straight scratches that start at roots [S, 3] mm."""
    lines = []
    for root, normal in zip(roots, normals, strict=True):
        ahead = np.cross(normal, rng.standard_normal(3))
        ahead /= np.linalg.norm(ahead)
        side = np.cross(normal, ahead)
        t = np.arange(0, rng.uniform(0.25, 1.6), 0.012)[:, None]
        lines.append(root + t * ahead + rng.normal(0, 0.12) * t**2 * side)
    return np.concatenate(lines).astype(np.float32)


def engraved(points: Floats, seed: int) -> Floats:
    """The sparkle [V] in 0..1 of a spark-eroded mould in the plastic: pits of some 30 micrometres."""
    return ridged(points * 21, 2, seed)
