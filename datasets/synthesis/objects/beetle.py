"""A ground beetle of about 8 mm, standing: metallic punctate elytra, rusty spiny legs, golden setae.

Millimetres while it is built; the head looks towards +x, +y is the beetle's left, z = 0 is the side margin of
the elytra.
"""

from __future__ import annotations

import numpy as np

from datasets.synthesis.objects.beetle_limbs import LEGS, add_antenna, add_leg, add_mandible, add_palps
from datasets.synthesis.objects.chitin import (
    BROWN,
    PITCH,
    RUST,
    Growth,
    add_skin,
    bump,
    coat,
    mix,
    plant,
    spaced,
    speckles,
    strands,
    valid,
)
from datasets.synthesis.objects.model import Floats, Model, Part, centred
from datasets.synthesis.objects.noise import fbm, hash_unit, ridged, smoothstep, worley
from datasets.synthesis.objects.surface import (
    displaced,
    eased,
    grid_faces,
    icosphere,
    joined,
    loft,
    profile,
    scattered,
    vertex_normals,
)

EXPOSURE = 1.05

# Linear albedo.
_EMERALD, _GOLD, _COPPER = (0.035, 0.38, 0.15), (0.42, 0.50, 0.09), (0.66, 0.23, 0.09)
_AMBER = (0.50, 0.26, 0.12)

_STRIAE = 10  # rows of punctures on each elytron
_PITCH_OF_PUNCTURES, _PITCH_OF_FOVEAE = 0.125, 0.56  # mm along a row


def build(seed: int) -> Model:
    """The beetle grown from this number: the same number gives the same bytes."""
    rng = np.random.default_rng(seed)
    growth = Growth(rng, seed=int(rng.integers(1 << 20)))
    for side in (1, -1):
        _add_elytron(growth, side)
        _add_eye(growth, side)
        add_mandible(growth, side)
        add_palps(growth, side)
        add_antenna(growth, side)
        for leg in LEGS:
            add_leg(growth, leg, side)
    _add_pronotum(growth)
    _add_scutellum(growth)
    _add_head(growth)
    _add_underside(growth)
    parts = (
        Part("shell", *joined(growth.shell), roughness=0.45, specular=0.4, metallic=0.5),
        Part("chitin", *joined(growth.chitin), roughness=0.45, specular=0.4),
        Part("lenses", *joined(growth.lenses), roughness=0.38, specular=0.5),
    )
    hairs = (
        strands("setae", growth.setae, radius_root=0.0055, radius_tip=0.0015),
        strands("spines", growth.spines, radius_root=0.013, radius_tip=0.003),
    )
    return centred("beetle", parts, hairs, EXPOSURE)


def _add_elytron(growth: Growth, side: int, rows: int = 500, columns: int = 210) -> None:
    """One wing case: striae of punctures, faintly convex intervals, coppery foveae, a raised rim."""
    u, v = eased(rows), np.linspace(0, 1, columns, dtype=np.float32)
    half_width = profile(
        [(0, 0.70), (0.03, 1.02), (0.10, 1.26), (0.3, 1.40), (0.6, 1.45), (0.85, 1.02), (1, 0)], u, rounded=True
    )
    height = profile(
        [(0, 0.25), (0.03, 0.66), (0.10, 0.90), (0.3, 1.08), (0.55, 1.10), (0.85, 0.66), (1, 0)], u, rounded=True
    )
    floor = profile([(0, 0.0), (0.5, 0.0), (1, -0.22)], u)
    angle = v * np.radians(104)
    y = half_width[:, None] * np.sin(angle) ** 0.9
    z = floor[:, None] + height[:, None] * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.95
    # The two wing cases meet at the suture, where their edges turn down into a narrow seam.
    z -= 0.035 * bump(v, 0, 0.007) * (height[:, None] / 1.1)
    x = np.broadcast_to(0.80 - 4.47 * u[:, None], y.shape)
    sheet = np.stack([x, side * (y - 0.004), z], axis=-1).astype(np.float32)
    faces = grid_faces(rows, columns, closed=False)
    faces = faces if side > 0 else faces[:, ::-1].copy()

    # Where each vertex lies among the rows: all in mm, [rows, columns].
    across = np.linalg.norm(np.diff(sheet, axis=1), axis=-1).sum(axis=1)[:, None]
    steps = np.linalg.norm(np.diff(sheet[:, columns // 3], axis=0), axis=-1)
    along = np.concatenate([[0], steps.cumsum()])[:, None].astype(np.float32)
    gap = 0.88 / (_STRIAE + 0.4)
    interval = np.maximum(gap * across, 1e-3)  # nothing is left between the rows at the apex
    row = np.clip(np.floor(v / gap - 0.2), 0, _STRIAE - 1)
    from_row = (v - (row + 0.7) * gap) * across
    from_puncture, key = _from_beads(along, from_row, row, _PITCH_OF_PUNCTURES, growth.seed + side)
    size = np.minimum(0.050, 0.34 * interval) * (0.8 + 0.4 * hash_unit(key, growth.seed + 1))
    disc = smoothstep(0.93, 0.88, v) * smoothstep(0.01, 0.03, u)[:, None]
    disc = disc * smoothstep(0.12, 0.3, interval / interval.max())
    puncture = (smoothstep(1.0, 0.4, from_puncture / size) * disc).ravel()
    groove = (bump(from_row, 0, 0.03) * disc).ravel()
    convex = (np.clip(1 - np.square(2 * np.abs(from_row) / interval - 1), 0, 1) * disc).ravel()
    # Every third interval bears a row of shallow foveae, each with a coppery floor.
    third = 3 * np.clip(np.round((v / gap - 2.2) / 3), 0, 2) + 2.2
    from_fovea, _ = _from_beads(along, (v - third * gap) * across, third, _PITCH_OF_FOVEAE, growth.seed + 7 + side)
    fovea = (smoothstep(0.115, 0.045, from_fovea) * disc).ravel()
    rim = np.tile(bump(v, 0.90, 0.022), rows)
    seam = np.tile(bump(v, 0.01, 0.022), rows)

    vertices = sheet.reshape(-1, 3)
    grains = worley(vertices, scattered(vertices, faces, 14_000, growth.rng)[0])
    grain = smoothstep(0.030, 0.006, grains.f1)
    wrinkles = fbm(vertices * [9, 16, 16], 3, growth.seed + 21)
    relief = 0.024 * convex - 0.045 * puncture - 0.012 * groove - 0.040 * fovea + 0.05 * rim + 0.01 * seam
    vertices = displaced(vertices, faces, relief + 0.005 * grain + 0.014 * wrinkles)

    speckle = speckles(vertices, growth.seed + 27)
    blotch = fbm(vertices * [1.1, 2.0, 2.0], 5, growth.seed + 23, gain=0.6) + 0.05 * (speckle - 0.5)
    hue = smoothstep(-0.12, 0.18, fbm(vertices * 1.1, 4, growth.seed + 29))
    colour = mix(_EMERALD, _GOLD, 0.35 * hue + 0.5 * speckle * hash_unit(grains.nearest, growth.seed + 2))
    colour = mix(colour, _COPPER, np.maximum.reduce([0.8 * rim, 0.5 * seam, fovea * (0.4 + 0.6 * speckle)]))
    colour = mix(colour, PITCH, 0.92 * smoothstep(0.03, 0.11, blotch) * (0.7 + 0.3 * speckle) * (1 - 0.7 * fovea))
    colour = mix(colour, PITCH, 0.9 * puncture + 0.35 * groove)
    colour = colour * (0.45 + 0.80 * speckle * (0.6 + 0.4 * grain))[:, None]
    growth.shell.append((vertices, faces, valid(colour)))

    # A seta in every other puncture, a fringe along the rim, a coat on the apex.
    normals = vertex_normals(vertices, faces)
    deepest = np.flatnonzero(((from_puncture < 0.010) & (disc > 0.5)).ravel())
    _, first = np.unique(key.ravel()[deepest], return_index=True)
    roots = deepest[first][::2]
    plant(growth, vertices[roots], normals[roots], 0.15, lean=(-1.0, 0, 0.1))
    coat(growth, vertices, faces, 320, 0.19, lean=(-0.8, 0.1 * side, 0.1), density=rim)
    apex = np.repeat(smoothstep(0.75, 0.97, u), columns)
    coat(growth, vertices, faces, 240, 0.16, lean=(-0.9, 0, 0.1), density=apex)


def _from_beads(along: Floats, from_row: Floats, row: Floats, pitch: float, seed: int) -> tuple[Floats, np.ndarray]:
    """Distance, mm, to the nearest of beads strung irregularly along each row, and a number for each bead."""
    slot = along / pitch + 0.37 * row
    number = np.floor(slot)
    key = (number + 1000 * np.floor(row)).astype(np.int64)
    wobble = hash_unit(key, seed) - 0.5
    return np.hypot((slot - number - 0.5 - 0.3 * wobble) * pitch, from_row + 0.012 * wobble), key


def _add_pronotum(growth: Growth) -> None:
    """The shield behind the head: close round pits, a middle line, side margins, a collar."""
    s = eased(330)
    half_width = profile(
        [(0, 0), (0.03, 0.98), (0.2, 1.06), (0.55, 1.15), (0.85, 0.90), (0.96, 0.72), (1, 0)], s, rounded=True
    )
    top = profile([(0, 0.40), (0.03, 0.70), (0.25, 0.84), (0.55, 0.86), (0.9, 0.62), (1, 0.30)], s)
    bottom = profile([(0, 0.0), (0.05, -0.42), (0.5, -0.58), (0.95, -0.34), (1, 0.0)], s)
    form = loft(0.68 + 1.50 * s, half_width, top, bottom, sides=280, power=2.3)
    p, faces = form.vertices, form.faces
    upper = smoothstep(-0.15, 0.15, np.cos(form.around))
    margin = bump(np.abs(form.around - np.pi), np.pi / 2, 0.07)
    middle = bump(p[:, 1], 0, 0.028) * upper
    collar = bump(form.along, 0.93, 0.02) + bump(form.along, 0.05, 0.02)
    dimples = upper * (bump(np.hypot(np.abs(p[:, 1]) - 0.55, p[:, 0] - 1.0), 0, 0.16))

    centres = spaced(scattered(p, faces, 4600, growth.rng, density=0.25 + upper)[0], 0.070)
    pits = worley(p, centres)
    size = 0.036 + 0.016 * hash_unit(pits.nearest, growth.seed + 3)
    pit = smoothstep(1.0, 0.45, pits.f1 / size) * (0.4 + 0.6 * upper) * (1 - 0.8 * middle) * (1 - 0.8 * margin)
    lumps = fbm(p * 3, 3, growth.seed + 33)
    relief = 0.05 * margin - 0.05 * pit - 0.03 * middle + 0.03 * collar - 0.05 * dimples + 0.035 * lumps
    vertices = displaced(p, faces, relief + 0.010 * ridged(p * 9, 2, growth.seed + 31))

    speckle = speckles(p, growth.seed + 35)
    blotch = smoothstep(0.02, 0.12, fbm(p * 1.7, 5, growth.seed + 37, gain=0.6))
    colour = mix(_EMERALD, _GOLD, 0.08 + 0.45 * speckle * hash_unit(pits.nearest, growth.seed))
    colour = mix(colour, _COPPER, np.maximum.reduce([0.75 * margin, 0.45 * collar, 0.6 * dimples]))
    colour = mix(colour, PITCH, 0.8 * blotch * (0.6 + 0.4 * speckle))
    colour = mix(colour, PITCH, np.maximum(0.9 * pit, 0.6 * middle))
    colour = mix(colour * (0.55 + 0.65 * speckle)[:, None], BROWN, 0.9 * (1 - upper))
    growth.shell.append((vertices, faces, valid(colour)))
    coat(growth, vertices, faces, 240, 0.13, lean=(0.6, 0, 0.1), density=0.3 * upper + margin)
    coat(growth, vertices, faces, 120, 0.15, lean=(0.9, 0, 0.1), density=collar * upper)
    coat(growth, vertices, faces, 100, 0.12, lean=(-0.6, 0, 0.0), density=1 - upper)


def _add_scutellum(growth: Growth) -> None:
    """The little shield between the bases of the wing cases."""
    s = eased(50)
    half_width = profile([(0, 0), (0.35, 0.10), (0.85, 0.20), (1, 0)], s, rounded=True)
    form = loft(0.36 + 0.42 * s, half_width, 0.93 - 0.16 * s, 0.70 - 0.1 * s, sides=60, power=2.6)
    add_skin(growth, form, growth.shell, PITCH, _EMERALD, pits=60)


def _add_head(growth: Growth) -> None:
    """Frons and clypeus with coarse punctures, a groove between, furrows beside, and the labrum in front."""
    s = eased(220)
    half_width = profile([(0, 0), (0.06, 0.50), (0.4, 0.56), (0.62, 0.48), (0.88, 0.34), (1, 0)], s, rounded=True)
    top = profile([(0, 0.30), (0.1, 0.50), (0.4, 0.52), (0.7, 0.34), (0.95, 0.12), (1, 0.0)], s)
    bottom = profile([(0, 0.0), (0.1, -0.26), (0.5, -0.32), (0.9, -0.20), (1, -0.06)], s)
    form = loft(1.85 + 1.18 * s, half_width, top, bottom, sides=220, power=2.2)
    p, faces = form.vertices, form.faces
    upper = smoothstep(-0.1, 0.2, np.cos(form.around))
    pits = worley(p, spaced(scattered(p, faces, 1300, growth.rng)[0], 0.06))
    pit = smoothstep(0.036, 0.014, pits.f1) * (0.3 + 0.7 * upper)
    groove = bump(form.along + 0.08 * np.cos(7.5 * p[:, 1]), 0.74, 0.014) * upper
    furrows = bump(np.abs(p[:, 1]), 0.24, 0.035) * upper * smoothstep(0.3, 0.45, form.along)
    relief = -0.032 * pit - 0.035 * groove - 0.04 * furrows + 0.012 * ridged(p * 9, 2, growth.seed + 41)
    vertices = displaced(p, faces, relief + 0.03 * fbm(p * 4, 3, growth.seed + 43))
    speckle = speckles(p, growth.seed + 45)
    colour = mix(_EMERALD, _GOLD, 0.55 * speckle)
    colour = mix(colour, _COPPER, 0.6 * smoothstep(0.66, 0.85, form.along))
    colour = mix(colour, PITCH, np.maximum(0.9 * pit, 0.7 * groove))
    colour = mix(colour * (0.45 + 0.75 * speckle)[:, None], BROWN, 0.9 * (1 - upper))
    growth.shell.append((vertices, faces, valid(colour)))
    coat(growth, vertices, faces, 190, 0.11, lean=(0.7, 0, 0.1), density=0.5 + upper)

    s = eased(50)
    half_width = profile([(0, 0), (0.2, 0.27), (0.8, 0.25), (1, 0)], s, rounded=True)
    form = loft(2.92 + 0.24 * s, half_width, 0.06 - 0.10 * s, -0.06 - 0.06 * s, sides=90, power=3.0)
    vertices, faces = add_skin(growth, form, growth.chitin, BROWN, RUST, pits=60)
    coat(growth, vertices, faces, 36, 0.14, lean=(0.9, 0, -0.2), density=smoothstep(0.5, 1, form.along))


def _add_eye(growth: Growth, side: int) -> None:
    """A compound eye: domed facets on a bulging oval, and a few short hairs."""
    sphere, faces = icosphere(40)
    facets = 1100
    index = np.arange(facets) + 0.5
    polar, azimuth = np.arccos(1 - 2 * index / facets), np.pi * (1 + 5**0.5) * index
    centres = np.stack([np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1)
    cells = worley(sphere, centres.astype(np.float32))
    dome = np.clip(1 - np.square(cells.f1 / 0.062), -0.3, 1)
    oval = np.array([0.245, 0.21, 0.285])
    vertices = (sphere * (1 + 0.055 * dome)[:, None] * oval + np.array([2.34, 0.49 * side, 0.17])).astype(np.float32)
    sheen = smoothstep(-0.15, 0.15, fbm(vertices * 5, 3, growth.seed + 47))
    own = hash_unit(cells.nearest, growth.seed + side)
    colour = mix(PITCH, _AMBER, np.clip(dome, 0, 1) * (0.15 + 0.5 * own + 0.3 * sheen * own))
    growth.lenses.append((vertices, faces, valid(colour)))
    coat(growth, vertices, faces, 24, 0.05, lean=(0, 0, 0.2))


def _add_underside(growth: Growth) -> None:
    """Breast and belly: plates with sunken seams, pits, and a coat of hair."""
    s = eased(360)
    half_width = profile(
        [(0, 0), (0.05, 0.55), (0.25, 1.10), (0.5, 1.33), (0.85, 1.08), (0.97, 0.8), (1, 0)], s, rounded=True
    )
    top = profile([(0, -0.15), (0.3, 0.4), (0.9, 0.45), (1, 0.1)], s)
    bottom = profile([(0, -0.22), (0.2, -0.42), (0.55, -0.58), (0.8, -0.66), (0.97, -0.45), (1, -0.1)], s)
    form = loft(-3.55 + 4.59 * s, half_width, top, bottom, sides=220, power=2.2)
    p, faces = form.vertices, form.faces
    seams = np.array([0.10, 0.20, 0.30, 0.41, 0.53, 0.80])
    off_seam = np.min(np.abs(form.along[:, None] + 0.02 * np.abs(p[:, 1:2]) - seams), axis=1)
    seam = bump(off_seam, 0, 0.006)
    midline = bump(p[:, 1], 0, 0.03) * smoothstep(0.5, 0.55, form.along)
    pit = smoothstep(0.035, 0.012, worley(p, scattered(p, faces, 5000, growth.rng)[0]).f1)
    relief = -0.05 * seam - 0.03 * midline - 0.02 * pit + 0.03 * fbm(p * 4, 4, growth.seed + 51)
    vertices = displaced(p, faces, relief)
    speckle = speckles(p, growth.seed + 53)
    colour = mix(PITCH, RUST, 0.10 + 0.6 * speckle)
    colour = mix(colour, PITCH, np.maximum(0.8 * seam, 0.7 * pit))
    growth.chitin.append((vertices, faces, valid(colour)))
    below = smoothstep(0.2, -0.2, np.cos(form.around))
    coat(growth, vertices, faces, 520, 0.14, lean=(-0.8, 0, -0.1), density=below)
