"""A wolf spider, about 8 mm from toe to toe: thin banded legs with spines, eight eyes, a patterned furry coat.

Millimetres while it is built; the head looks towards +x, +y is the spider's left, z = 0 is the margin of the
carapace.
"""

from __future__ import annotations

import numpy as np

from datasets.synthesis.objects.chitin import PITCH, add_skin, bump, mix, segment, speckles, strands, unit, valid
from datasets.synthesis.objects.limbs import add_hairs
from datasets.synthesis.objects.model import Floats, Model, Part, centred
from datasets.synthesis.objects.noise import fbm, hash_unit, ridged, smoothstep, worley
from datasets.synthesis.objects.spider_limbs import (
    CREAM,
    FAWN,
    LEGS,
    SEPIA,
    UMBER,
    Furred,
    add_chelicera,
    add_leg,
    add_palp,
    frosted,
)
from datasets.synthesis.objects.surface import displaced, eased, icosphere, joined, loft, profile, scattered

EXPOSURE = 1.35

# The left eyes: a row of four small ones low on the face, above it two large ones that look ahead, and behind, on
# top of the head, two that look up and aside. Where they are sought, where they look, and their radius; mm.
EYES = (
    ((1.80, 0.085, 0.20), (1.0, 0.25, -0.05), 0.064),
    ((1.78, 0.215, 0.20), (0.9, 0.60, -0.05), 0.050),
    ((1.77, 0.165, 0.40), (1.0, 0.40, 0.25), 0.128),
    ((1.40, 0.290, 0.56), (0.2, 0.85, 0.65), 0.112),
)


def build(seed: int) -> Model:
    """The spider grown from this number: the same number gives the same bytes."""
    rng = np.random.default_rng(seed)
    growth = Furred(rng, seed=int(rng.integers(1 << 20)))
    carapace = _add_carapace(growth)
    _add_abdomen(growth)
    _add_breast(growth)
    for side in (1, -1):
        for place, look, radius in EYES:
            _add_eye(growth, carapace, np.array(place) * [1, side, 1], unit(np.array(look) * [1, side, 1]), radius)
        add_chelicera(growth, side)
        add_palp(growth, side)
        for leg in LEGS:
            add_leg(growth, leg, side)
    parts = (
        Part("body", *joined(growth.shell), roughness=0.65, specular=0.25),
        Part("chitin", *joined(growth.chitin), roughness=0.5, specular=0.35),
        Part("lenses", *joined(growth.lenses), roughness=0.36, specular=0.6),
    )
    hairs = (
        strands("down", growth.setae, radius_root=0.0040, radius_tip=0.0016),
        strands("bristles", growth.bristles, radius_root=0.0047, radius_tip=0.0015),
        strands("spines", growth.spines, radius_root=0.0115, radius_tip=0.003),
    )
    return centred("spider", parts, hairs, EXPOSURE)


def _add_carapace(growth: Furred) -> Floats:
    """The shield over head and breast: a pale band along its middle, dark flanks, furrows that meet in a groove."""
    s = eased(270)
    half_width = profile(
        [
            (0, 0),
            (0.03, 0.30),
            (0.15, 0.60),
            (0.38, 0.74),
            (0.58, 0.66),
            (0.72, 0.50),
            (0.88, 0.41),
            (0.97, 0.36),
            (1, 0),
        ],
        s,
        rounded=True,
    )
    top = profile(
        [(0, 0.0), (0.05, 0.16), (0.25, 0.46), (0.45, 0.54), (0.7, 0.58), (0.88, 0.60), (0.97, 0.50), (1, 0.22)], s
    )
    bottom = profile([(0, -0.06), (0.1, -0.22), (0.5, -0.26), (0.9, -0.12), (1, 0.06)], s)
    form = loft(-0.06 + 1.86 * s, half_width, top, bottom, sides=250, power=2.15)
    p, faces = form.vertices, form.faces
    upper = smoothstep(-0.04, 0.10, p[:, 2])
    x, y = p[:, 0] - 0.60, np.abs(p[:, 1])
    bearing, reach = np.degrees(np.arctan2(y, x)), np.hypot(x, y)
    ray = sum(
        (depth * bump(reach * np.radians(bearing - direction), 0, 0.035) for direction, depth in
         ((38, 1.0), (74, 0.7), (104, 0.75), (138, 0.7))),
        start=np.zeros(len(p), dtype=np.float32),
    )  # fmt: skip
    furrow = ray * smoothstep(0.06, 0.2, reach) * smoothstep(0.95, 0.5, reach) * upper
    groove = bump(y, 0, 0.020) * smoothstep(0.20, 0.10, np.abs(x)) * upper
    rim = bump(p[:, 2], 0.02, 0.035)
    grains = worley(p, scattered(p, faces, 9000, growth.rng)[0])
    grain = smoothstep(0.024, 0.006, grains.f1)
    lumps = fbm(p * 3, 3, growth.seed + 13)
    relief = -0.045 * furrow - 0.07 * groove + 0.02 * rim + 0.005 * grain + 0.03 * lumps
    vertices = displaced(p, faces, relief + 0.008 * ridged(p * 10, 2, growth.seed + 11))

    # The middle band is widest behind the eyes; the flanks are streaked along the furrows.
    wander = 0.05 * fbm(p * 5, 3, growth.seed + 15)
    band = smoothstep(
        0.03, -0.03, y + wander - profile([(-0.1, 0.08), (0.5, 0.13), (0.95, 0.20), (1.25, 0.16), (1.8, 0.13)], p[:, 0])
    )
    edge = smoothstep(0.16, 0.10, p[:, 2] + wander) * smoothstep(-0.10, -0.02, p[:, 2])
    streak = smoothstep(0.0, 0.25, fbm(np.stack([bearing / 7, 1.2 * reach, 0 * x], axis=1), 3, growth.seed + 17))
    speckle = speckles(p, growth.seed + 19)
    coat = mix(SEPIA, UMBER, 0.2 + 0.8 * streak)
    coat = mix(coat, FAWN, np.maximum(band, 0.75 * edge) * upper)
    coat = mix(coat, CREAM, 0.5 * band * smoothstep(0.0, 0.2, fbm(p * 4, 2, growth.seed + 21)))
    coat = mix(coat, FAWN, 0.5 * (1 - upper))
    dark_eyes = smoothstep(1.28, 1.42, p[:, 0]) * smoothstep(0.12, 0.22, p[:, 2]) * (1 - 0.8 * band)
    coat = mix(coat, PITCH, np.maximum(0.75 * dark_eyes, 0.8 * np.maximum(groove, 0.7 * furrow)))
    colour = coat * (0.40 + 1.0 * speckle * (0.7 + 0.5 * grain * hash_unit(grains.nearest, growth.seed)))[:, None]
    growth.shell.append((vertices, faces, valid(colour)))

    skin, fur = (vertices, faces), frosted(coat, 0.10)
    add_hairs(growth, growth.setae, skin, fur, 1800, 0.055, (0.9, 0, 0.05), 0.25 + upper, spread=0.35)
    add_hairs(growth, growth.setae, skin, CREAM, 600, 0.08, (0.9, 0, 0.1), np.maximum(band, edge) * upper, spread=0.3)
    face = smoothstep(1.45, 1.7, p[:, 0]) * upper
    add_hairs(growth, growth.setae, skin, CREAM, 260, 0.08, (0.5, 0, -0.3), face, spread=0.35)
    add_hairs(growth, growth.bristles, skin, SEPIA, 90, 0.28, (0.5, 0, 0.5), smoothstep(0.9, 1.5, p[:, 0]) * upper)
    return vertices


def _add_abdomen(growth: Furred) -> None:
    """An egg, clothed in fur: a spear-shaped heart mark, pale chevrons behind it, mottled flanks; the spinnerets."""
    s = eased(300)
    half_width = profile(
        [(0, 0), (0.05, 0.28), (0.25, 0.60), (0.55, 0.76), (0.8, 0.58), (0.95, 0.25), (1, 0)], s, rounded=True
    )
    top = profile([(0, 0.16), (0.06, 0.42), (0.3, 0.70), (0.55, 0.74), (0.8, 0.48), (0.95, 0.14), (1, -0.02)], s)
    bottom = profile([(0, 0.0), (0.08, -0.20), (0.4, -0.46), (0.7, -0.50), (0.92, -0.28), (1, -0.12)], s)
    form = loft(-0.04 - 2.30 * s, half_width, top, bottom, sides=270)
    p, faces = form.vertices.copy(), form.faces
    p[:, 1] += growth.rng.normal(0, 0.05) * np.square(form.along)  # held a little askew
    upper = smoothstep(-0.35, 0.15, np.cos(form.around))
    speckle, grain = speckles(p, growth.seed + 31), fbm(p * 3.5, 4, growth.seed + 33)
    dimples = sum(
        bump(np.hypot(np.abs(p[:, 1]) - 0.17, p[:, 0] + x), 0, 0.05) for x in (0.55, 0.95, 1.35)
    ) * smoothstep(0.2, 0.4, p[:, 2])  # where muscles hold the skin
    relief = 0.05 * grain + 0.014 * ridged(p * 8, 3, growth.seed + 35) - 0.04 * dimples
    vertices = displaced(p, faces, relief)

    y = np.abs(p[:, 1]) + 0.11 * grain
    along = form.along + 0.05 * fbm(p * 4, 3, growth.seed + 37)
    spear = smoothstep(0.03, -0.02, y - profile([(0, 0.06), (0.12, 0.16), (0.3, 0.13), (0.46, 0), (1, -0.3)], along))
    beside = smoothstep(0.16, 0.06, np.abs(y - profile([(0, 0.2), (0.3, 0.27), (0.6, 0.36), (1, 0.16)], along)))
    phase = (along - 0.20 * y) / 0.115
    chevron = bump(phase - np.round(phase), 0, 0.22) * smoothstep(0.40, 0.47, along) * smoothstep(0.62, 0.35, y)
    dots = bump(np.hypot(phase - np.round(phase), (y - 0.34) / 0.14), 0, 0.42) * smoothstep(0.3, 0.45, along)
    cells = worley(p, scattered(p, faces, 900, growth.rng)[0])
    tuft = smoothstep(0.4, 0.75, hash_unit(cells.nearest, growth.seed + 5)) * smoothstep(0.055, 0.025, cells.f1)
    coat = mix(SEPIA, UMBER, smoothstep(-0.15, 0.2, grain))
    coat = mix(coat, PITCH, 0.7 * beside * upper)
    coat = mix(coat, FAWN, 0.8 * tuft)
    coat = mix(coat, FAWN, 0.95 * spear * upper)
    coat = mix(coat, CREAM, 0.9 * np.maximum(0.8 * chevron, dots) * upper)
    belly = mix(FAWN, UMBER, smoothstep(0.0, 0.2, fbm(p * 3, 3, growth.seed + 39)))
    coat = mix(belly, coat, upper)
    growth.shell.append((vertices, faces, valid(coat * (0.4 + 0.95 * speckle)[:, None])))

    skin, fur = (vertices, faces), frosted(coat, 0.06)
    add_hairs(growth, growth.setae, skin, fur, 8500, 0.085, (-1.5, 0, -0.1), spread=0.3)
    pale = np.maximum(np.maximum(chevron, dots) * upper, 0.25 * tuft)
    add_hairs(growth, growth.setae, skin, CREAM, 700, 0.10, (-1.4, 0, 0), pale)
    add_hairs(growth, growth.bristles, skin, SEPIA, 420, 0.20, (-0.9, 0, 0.15), 0.25 + upper)
    front = smoothstep(0.16, 0.05, form.along) * upper
    add_hairs(growth, growth.bristles, skin, CREAM, 90, 0.30, (0.5, 0, 0.5), front)

    for x, y0, z, length, radius, spread in (
        (-2.18, 0.085, -0.20, 0.26, 0.062, 0.25),
        (-2.26, 0.075, -0.08, 0.30, 0.050, 0.40),
        (-2.22, 0.035, -0.15, 0.18, 0.036, 0.10),
    ):
        for side in (1, -1):
            root = np.array([x, side * y0, z])
            tip = root + length * unit([-0.9, side * spread, -0.15])
            pieces = [
                (root + 0.10 * unit(root - tip), root + 0.66 * (tip - root), 1.0),
                (root + 0.6 * (tip - root), tip, 0.72),
            ]
            for a, b, share in pieces:
                knots = [(0, share * radius), (0.7, 0.9 * share * radius), (1, 0.6 * share * radius)]
                spinneret = add_skin(growth, segment(growth, a, b, knots, 36, 34), growth.chitin, UMBER, FAWN)
                add_hairs(growth, growth.setae, spinneret, FAWN, 40, 0.09, (-0.9, 0, 0))


def _add_breast(growth: Furred) -> None:
    """The heart-shaped sternum, the lip before it, and the stalk to the abdomen."""
    s = eased(120)
    half_width = profile([(0, 0), (0.1, 0.16), (0.5, 0.40), (0.8, 0.36), (1, 0)], s, rounded=True)
    plate = loft(0.08 + 1.12 * s, half_width, -0.12 + 0 * s, -0.30 - 0.10 * np.sin(np.pi * s), sides=130)
    vertices, faces = add_skin(growth, plate, growth.chitin, SEPIA, FAWN, pits=160)
    below = smoothstep(0, -0.4, np.cos(plate.around))
    add_hairs(growth, growth.setae, (vertices, faces), FAWN, 320, 0.12, (0.6, 0, -0.2), below)
    lip = segment(growth, [1.12, 0, -0.26], [1.42, 0, -0.34], [(0, 0.10), (0.5, 0.11), (1, 0.06)], 50, 50)
    add_skin(growth, lip, growth.chitin, SEPIA, UMBER)
    stalk = segment(growth, [0.16, 0, 0.0], [-0.34, 0, 0.08], [(0, 0.13), (0.5, 0.10), (1, 0.14)], 50, 60)
    add_skin(growth, stalk, growth.chitin, UMBER, FAWN)


def _add_eye(growth: Furred, carapace: Floats, place: np.ndarray, look: np.ndarray, radius: float) -> None:
    """A lens on the carapace near `place` that looks along `look`: nearly black, with an amber rim; pale lashes."""
    sphere, faces = icosphere(30 if radius > 0.1 else 20)
    surface = carapace[np.square(carapace - place).sum(axis=1).argmin()]
    vertices = (surface + radius * (sphere + 0.10 * look)).astype(np.float32)
    facing = sphere @ look.astype(np.float32)
    cloud = speckles(vertices * 1.4, growth.seed + 51)
    iris = bump(facing, 0.30, 0.22) * (0.35 + 0.65 * cloud)
    colour = mix(PITCH, (0.05, 0.032, 0.022), 0.8 * cloud)
    colour = mix(colour, (0.42, 0.22, 0.08), 0.75 * iris)
    growth.lenses.append((vertices, faces, valid(colour)))
    lid = smoothstep(0.25, 0.0, facing) * smoothstep(-0.7, -0.4, facing)
    add_hairs(
        growth, growth.setae, (vertices, faces), CREAM, 14 + int(260 * radius), 0.075, 0.9 * look, lid, spread=0.3
    )
