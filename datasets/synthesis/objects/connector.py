"""A shrouded board connector of about 8 mm: ivory glass-filled plastic, two rows of gilt blades, raised letters.

Millimetres while it is built; the rows of contacts run along x, the key slot is in the wall at -y, z is up.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from datasets.synthesis.objects.chitin import Piece, bump, mix, valid
from datasets.synthesis.objects.connector_parts import (
    contact,
    dust,
    engraved,
    fibres,
    hold_down,
    metal_skin,
    rounded_box,
    scratches,
)
from datasets.synthesis.objects.lettering import dial, distance, strokes
from datasets.synthesis.objects.model import Floats, Hairs, Ints, Model, Part, centred
from datasets.synthesis.objects.noise import fbm, hash_unit, smoothstep
from datasets.synthesis.objects.surface import displaced, joined, profile, scattered, tube, vertex_normals

EXPOSURE = 1.0

CONTACTS = 9  # in each of the two rows
_PITCH = 0.62
_LENGTH, _WIDTH, _BOTTOM, _TOP = 7.2, 3.5, -1.10, 1.30
_WALL, _BLOCK, _FLOOR = 0.42, 0.78, -0.32  # thickness of the long walls and of the end blocks; height of the floor

# Linear albedo.
_IVORY, _TAN, _FIBRE = (0.64, 0.50, 0.29), (0.38, 0.26, 0.12), (0.86, 0.78, 0.60)
_GRIME, _INK, _ROSIN = (0.095, 0.070, 0.045), (0.022, 0.022, 0.028), (0.40, 0.20, 0.045)


def build(seed: int) -> Model:
    """The connector of this number: the same number gives the same bytes."""
    rng = np.random.default_rng(seed)
    noise_seed = int(rng.integers(1 << 20))
    housing = _housing(rng, noise_seed)
    metal = [_placed(rng, noise_seed, place, side) for side in (1, -1) for place in range(CONTACTS)]
    metal += [_anchor(noise_seed, end) for end in (1, -1)]
    vertices, faces, _ = joined([housing, *metal])
    upward = 0.04 + smoothstep(0.2, 0.9, vertex_normals(vertices, faces)[:, 2])
    roots, normals = scattered(vertices, faces, 620, rng, upward)
    lint, tint = fibres(*scattered(vertices, faces, 56, rng, upward), rng)
    parts = (
        Part("housing", *housing, roughness=0.42, specular=0.5),
        Part("contacts", *joined(metal), roughness=0.40, specular=0.5, metallic=0.3),
        Part("dust", *dust(roots, normals, rng), roughness=0.8, specular=0.2),
    )
    return centred("connector", parts, [Hairs("lint", lint, tint, radius_root=0.006, radius_tip=0.003)], EXPOSURE)


def _housing(rng: np.random.Generator, seed: int) -> Piece:
    """The moulded body: floor, four walls, a slot and a rib for the key, pegs; its marks, wear and dirt."""
    p, faces = _body()
    normals = vertex_normals(p, faces)
    front, back = smoothstep(0.8, 0.97, -normals[:, 1]), smoothstep(0.8, 0.97, normals[:, 1])
    end = smoothstep(0.8, 0.97, np.abs(normals[:, 0]))
    top = smoothstep(0.8, 0.97, normals[:, 2])
    outer = np.maximum(front * (p[:, 1] < -0.5 * _WIDTH + 0.15), back * (p[:, 1] > 0.5 * _WIDTH - 0.15))
    inner = np.maximum(front, back) * (1 - outer) * (np.abs(p[:, 1]) > 1.0)
    edge = 1 - smoothstep(0.90, 0.995, np.abs(normals).max(axis=1))

    raised, foot, printed = _marks(p, front * outer, back * outer, end, top, rng)
    spark = engraved(p, seed + 1)
    lumps = fbm(p * 9, 3, seed + 2)
    # Slots beside the blades, notches where the tails leave, ejector marks, the parting line with its flash.
    from_blade = np.abs(p[:, 0] / _PITCH - np.round(p[:, 0] / _PITCH)) * _PITCH
    in_rows = smoothstep(_PITCH * (CONTACTS / 2), _PITCH * (CONTACTS / 2 - 0.1), np.abs(p[:, 0]))
    slots = inner * smoothstep(0.16, 0.13, from_blade) * in_rows * smoothstep(1.12, 1.06, p[:, 2])
    notch = outer * smoothstep(0.205, 0.18, from_blade) * in_rows * smoothstep(-0.74, -0.78, p[:, 2])
    ejector = np.full(len(p), 9.0, dtype=np.float32)
    for x, y in ((-3.1, 0.55), (3.1, -0.5), (-3.1, -0.75), (3.1, 0.75), (-1.24, 0.0), (1.24, 0.0)):
        ejector = np.minimum(ejector, np.hypot(p[:, 0] - x, p[:, 1] - y))
    circle = top * bump(ejector, 0.17, 0.016)
    disc = top * smoothstep(0.17, 0.15, ejector)
    flash = np.maximum(outer, end) * bump(p[:, 2] - 0.02 * fbm(p * 2, 2, seed + 3), -0.42, 0.014)
    flash = flash * (0.4 + 0.6 * smoothstep(-0.1, 0.2, fbm(p * 5, 2, seed + 4)))
    gate = end * (p[:, 0] > 3) * smoothstep(0.26, 0.20, np.hypot(p[:, 1] + 0.25, p[:, 2] - 0.35))
    ragged = fbm(p * 12, 3, seed + 5)
    draw = np.maximum.reduce([outer, inner, end]) * fbm(p * np.array([34, 34, 1.5], dtype=np.float32), 2, seed + 6)

    worn = 0.05 + outer + top + 0.5 * end
    lines = scratches(*scattered(p, faces, 60, rng, worn.astype(np.float32)), rng)
    scratch = smoothstep(0.020, 0.006, cKDTree(lines).query(p, distance_upper_bound=0.03)[0].clip(max=1.0))
    relief = (
        0.038 * raised
        - 0.050 * slots
        - 0.055 * notch
        - 0.022 * circle
        + 0.010 * disc
        + 0.018 * flash
        + gate * (0.035 + 0.06 * ragged)
        + 0.0030 * (spark - 0.6)
        + 0.0010 * lumps
        + 0.0025 * draw
        + 0.014 * fbm(p * 0.7, 2, seed + 7)
        - 0.007 * scratch
        + edge * 0.040 * np.minimum(fbm(p * 5, 2, seed + 8) + 0.22, 0)  # nicks
    )
    vertices = displaced(p, faces, relief.astype(np.float32))

    speckle = smoothstep(-0.26, 0.26, fbm(p * 27, 2, seed + 11, gain=0.9))  # grains of 20 to 40 micrometres
    flow = fbm(p * np.array([1.0, 1.6, 1.6], dtype=np.float32), 4, seed + 12, gain=0.6)
    glass = smoothstep(0.16, 0.30, fbm(p * np.array([7, 34, 34], dtype=np.float32), 2, seed + 13, gain=0.7))
    specks = smoothstep(0.30, 0.40, fbm(p * 17, 2, seed + 14))
    colour = mix(_TAN, _IVORY, 0.52 + 0.34 * (speckle - 0.4) + 0.45 * flow + 0.25 * (spark - 0.6))
    colour = mix(colour, _FIBRE, 0.60 * glass * (0.3 + 0.7 * speckle))
    colour = mix(colour, _GRIME, 0.60 * specks)
    colour = mix(colour, _TAN, 0.5 * disc * speckle + 0.55 * gate * (0.5 + ragged))

    # Grime gathers at the feet of letters and walls, flux around the tails; a thumb has touched the long walls.
    smear = smoothstep(-0.05, 0.30, fbm(p * 1.4, 4, seed + 15, gain=0.6))
    deep = smoothstep(0.9, -0.3, p[:, 2]) * (1 - np.maximum(outer, end))
    colour = mix(colour, _GRIME, (0.30 * deep + 0.45 * smear * deep) * (0.5 + 0.5 * speckle))
    colour = mix(colour, _GRIME, 0.75 * foot * (0.35 + 0.65 * speckle) + 0.8 * circle + 0.55 * flash * speckle)
    colour = mix(colour, _GRIME, 0.50 * raised * smoothstep(0.35, 0.75, speckle) + 0.65 * scratch * (speckle > 0.35))
    colour = mix(colour, _FIBRE, 0.55 * scratch * (speckle <= 0.35) + 0.30 * edge * speckle)
    splash = smoothstep(-0.08, 0.10, fbm(p * 2.2, 4, seed + 16, gain=0.6) - 0.35 * (p[:, 2] + 0.95))
    colour = mix(colour, _ROSIN, 0.75 * splash * np.maximum(outer, end) * (0.35 + 0.65 * speckle))
    whorl = np.hypot(p[:, 0] - 1.7, 1.5 * (p[:, 2] + 1.2)) + 0.25 * fbm(p * 0.9, 2, seed + 17)
    touch = np.maximum(outer, top) * smoothstep(0.1, 0.35, fbm(p * 0.8, 2, seed + 18) + 0.25)
    colour = mix(colour, _GRIME, 0.32 * touch * smoothstep(-0.1, 0.5, np.cos(whorl * (2 * np.pi / 0.30))) * speckle)
    ink = printed * smoothstep(0.30, 0.05, fbm(p * 8, 3, seed + 19) + 0.6 * scratch)
    colour = mix(colour, _INK, 0.93 * ink)
    return vertices, faces, valid(colour * (0.80 + 0.28 * speckle)[:, None])


def _body() -> tuple[Floats, Ints]:
    """The bare form [V, 3] mm of the housing, and its faces: rounded boxes that reach into each other."""
    middle, tall = (_BOTTOM + _TOP) / 2, _TOP - _BOTTOM
    lane = (_WIDTH - _WALL) / 2
    cheek = _LENGTH / 2 - 0.68
    boxes = [  # centre, size, distance of vertices
        ((0, lane, middle), (_LENGTH, _WALL, tall), 0.0205),
        ((-_LENGTH / 2 + cheek / 2, -lane, middle), (cheek, _WALL, tall), 0.0205),
        ((_LENGTH / 2 - cheek / 2, -lane, middle), (cheek, _WALL, tall), 0.0205),
        ((0, 0.035 - lane, (_BOTTOM + 0.12) / 2), (1.7, _WALL - 0.06, 0.12 - _BOTTOM), 0.0215),
        ((0, lane + 0.26, middle - 0.06), (0.55, 0.36, tall - 0.22), 0.0215),
        ((0, 0, (_BOTTOM + _FLOOR) / 2 + 0.02), (_LENGTH - 0.9, _WIDTH - 0.3, _FLOOR - _BOTTOM - 0.04), 0.030),
    ]
    for end in (1, -1):
        block = (end * (_LENGTH / 2 - 0.06 - _BLOCK / 2), 0, middle - 0.09)
        boxes.append((block, (_BLOCK, _WIDTH - 2 * _WALL + 0.10, tall - 0.14), 0.0215))
        boxes.append(((end * 2.94, -1.84, -0.98), (0.36, 0.34, 0.2), 0.022))  # stops at the board
    pieces = []
    for centre, size, spacing in boxes:
        vertices, faces = rounded_box(size, 0.05, spacing)
        pieces.append((_cut(vertices + np.array(centre, dtype=np.float32)), faces, vertices))
    for x in (-2.7, 2.7):
        z = np.linspace(-1.0, -1.62, 44)
        radius = profile([(0, 0.30), (0.8, 0.30), (0.93, 0.24), (0.99, 0.18), (1, 0.001)], np.linspace(0, 1, 44))
        peg = tube(np.stack([np.full(44, x), np.zeros(44), z], axis=1), radius, 72, up=(1, 0, 0))
        pieces.append((peg.vertices, peg.faces, peg.vertices))
    vertices, faces, _ = joined(pieces)
    return vertices, faces


def _cut(p: Floats) -> Floats:
    """Chamfers: two corners of the housing cut off at pin 1, and the mouth of the shroud widened at its top."""
    p = p.copy()
    # What is cut off is pressed almost flat onto the chamfer: quite flat, its faces would have no normals.
    for hand in (1, -1):
        excess = np.maximum(-p[:, 0] + hand * p[:, 1] - (_LENGTH + _WIDTH) / 2 + 0.52, 0) * 0.48
        p[:, 0] += excess
        p[:, 1] -= hand * excess
    mouth = np.clip(p[:, 2] - (_TOP - 0.24), 0, None) * (np.abs(p[:, 1]) < (_WIDTH - _WALL) / 2 + 0.02)
    wall = (np.abs(p[:, 1]) > _WIDTH / 2 - _WALL - 0.01) & (np.abs(p[:, 0]) < _LENGTH / 2 - _BLOCK + 0.2)
    p[:, 1] += np.sign(p[:, 1]) * np.where(wall, 0.75 * mouth, 0)
    return p


def _marks(
    p: Floats, front: Floats, back: Floats, end: Floats, top: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Where letters are raised, the foot of their flanks, and where ink is, [V] in 0..1 each."""
    x, y, z = p.T
    lot = "".join(str(digit) for digit in rng.integers(0, 10, 4))
    cavity = str(rng.integers(1, 9))
    raised, foot = np.zeros((2, len(p)), dtype=np.float32)
    groups = [
        (front, x, [strokes("KP-18", 0.46, (-1.83, 0.66)), strokes("0.62", 0.42, (-1.65, -0.06))]),
        (front, x, [strokes(lot + "L", 0.46, (2.15, -0.08)), dial(0.34, (1.45, 0.70), rng.uniform(0, 12))]),
        (front, x, [strokes("C" + cavity, 0.52, (2.65, 0.70))]),
        (end * (x < 0), -y, [strokes("A" + cavity, 0.60, (0.0, 0.25))]),
        (end * (x > 0), y, [strokes("LCP", 0.34, (0.45, -0.20))]),
    ]
    for mask, right, drawings in groups:
        chosen = np.flatnonzero(mask > 0.01)
        far = distance(right[chosen], z[chosen], np.concatenate(drawings))
        raised[chosen] = np.maximum(raised[chosen], mask[chosen] * smoothstep(0.052, 0.030, far))
        foot[chosen] = np.maximum(foot[chosen], mask[chosen] * bump(far, 0.062, 0.018))
    # The triangle at pin 1, on the wall and on the block above it.
    for mask, right, up, centre in ((front, x, z, (-2.72, -0.10)), (top * (z > 1), x, y, (-3.12, -1.0))):
        a, b = right - centre[0], up - centre[1]
        inside = 0.15 - np.maximum.reduce([-b, 0.5 * b + 0.866 * a, 0.5 * b - 0.866 * a])
        raised = np.maximum(raised, mask * smoothstep(-0.012, 0.012, inside))
        foot = np.maximum(foot, mask * bump(inside, -0.024, 0.018))

    # Printed on the other wall, whose reader's right is -x: two lines and a square code.
    lines = np.concatenate([strokes("KP18-062", 0.34, (-1.75, 0.70)), strokes("LOT " + lot, 0.34, (-1.75, 0.14))])
    printed = np.zeros(len(p), dtype=np.float32)
    chosen = np.flatnonzero(back > 0.01)
    printed[chosen] = smoothstep(0.046, 0.026, distance(-x[chosen], z[chosen], lines))
    cell, modules = 0.078, 16
    column, row = np.floor((-x - 0.95) / cell), np.floor((z + 0.18) / cell)
    inside = (column >= 0) & (column < modules) & (row >= 0) & (row < modules)
    random = hash_unit(np.where(inside, column * modules + row, 0), int(lot)) < 0.5
    solid, dashed = (column == 0) | (row == 0), (column == modules - 1) | (row == modules - 1)
    module = np.where(solid, True, np.where(dashed, (column + row) % 2 == 0, random))
    return raised, foot, back * np.maximum(printed, (inside & module).astype(np.float32))


def _placed(rng: np.random.Generator, seed: int, place: int, side: int) -> Piece:
    """A contact in its place in the row at +y or -y (side), a little out of true."""
    strip = contact()
    p = strip.vertices.copy()
    if side < 0:
        p[:, :2] *= -1
    height = np.clip(p[:, 2] - _FLOOR, 0, None) * (np.abs(p[:, 1]) < 1.2)
    bent = rng.normal(0, 0.018, 2) * (4.0 if rng.random() < 0.12 else 1.0)
    p[:, :2] += np.square(height)[:, None] * np.clip(bent, -0.09, 0.09)
    p += np.array([(place - (CONTACTS - 1) / 2) * _PITCH, 0, 0]) + rng.normal(0, 0.008, 3)
    key = place + (CONTACTS if side < 0 else 0) + 1
    return metal_skin(strip, p.astype(np.float32), key, seed + 31)


def _anchor(seed: int, end: int) -> Piece:
    """The tinned tab at an end of the housing."""
    strip = hold_down()
    x, y, z = strip.vertices.T
    p = np.stack([end * (y + _LENGTH / 2 - 0.02), -end * x, z], axis=1)
    return metal_skin(strip, p.astype(np.float32), 40 + end, seed + 31)
