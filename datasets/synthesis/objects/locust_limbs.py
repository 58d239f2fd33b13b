"""The locust's legs (see `locust` for the axes)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.synthesis.objects.chitin import PITCH, RUST, Growth, add_skin, bump, mix, segment, speckles, unit, valid
from datasets.synthesis.objects.limbs import add_claws, add_hairs, add_thorn, joints, knee
from datasets.synthesis.objects.locust_skin import BARK, OCHRE, PALE, mottled
from datasets.synthesis.objects.model import Floats
from datasets.synthesis.objects.noise import fbm, smoothstep, worley
from datasets.synthesis.objects.surface import Surface, displaced, eased, profile, scattered, spline, tube

GROUND = -1.62  # mm


@dataclass(frozen=True)
class Leg:
    """A left walking leg: where its coxa hangs and its ankle stands (x, y, z), and how long its parts are; mm.

    toe: direction of the tarsus over the ground; towards: where the knee points.
    """

    coxa: tuple[float, float, float]
    ankle: tuple[float, float, float]
    femur: float
    tibia: float
    toe: tuple[float, float]
    towards: tuple[float, float, float]


LEGS = (
    Leg((1.86, 0.44, -0.58), (2.75, 1.22, GROUND + 0.13), 1.05, 1.05, (0.85, 0.5), (0.3, 0.8, 1.0)),
    Leg((1.12, 0.52, -0.68), (0.95, 1.86, GROUND + 0.13), 1.08, 1.12, (0.1, 1.0), (-0.3, 0.5, 1.0)),
)


def _banded(growth: Growth, form: Surface, rings: float, green: float) -> Floats:
    """Colour [V, 3] of a limb, with that many ragged dark rings along it."""
    p = form.vertices
    wave = np.cos(2 * np.pi * rings * form.along + 5 * fbm(p * 3, 3, growth.seed + 111))
    return mix(mottled(growth, p, green), BARK, 0.7 * smoothstep(0.2, 0.7, wave) if rings else 0 * wave)


def add_walking_leg(growth: Growth, leg: Leg, side: int) -> None:
    """Coxa, trochanter, femur, tibia with two rows of thorns, a foot of three joints."""
    mirror = np.array([1, side, 1])
    coxa, ankle = np.array(leg.coxa) * mirror, np.array(leg.ankle) * mirror
    ankle[:2] += growth.rng.normal(0, 0.13, 2)
    outward = unit((ankle - coxa) * [1, 1, 0])
    hip = coxa + 0.16 * outward + np.array([0, 0, -0.14])
    bend = knee(hip, ankle, leg.femur, leg.tibia, np.array(leg.towards) * mirror)
    thigh, shin = unit(bend - hip), unit(ankle - bend)
    sideways = unit(np.cross(outward, [0, 0, 1]))
    pieces = (
        (coxa + np.array([0, 0, 0.2]), coxa - [0, 0, 0.14], [(0, 0.21), (1, 0.17)], 50, 60, 0.0, 20),
        (coxa - [0, 0, 0.06], hip + 0.12 * thigh, [(0, 0.10), (1, 0.125)], 44, 50, 0.0, 12),
        (hip, bend + 0.04 * thigh, [(0, 0.085), (0.3, 0.135), (0.85, 0.088), (1, 0.092)], 100, 48, 2.5, 90),
        (bend, ankle, [(0, 0.078), (0.12, 0.070), (0.8, 0.062), (1, 0.074)], 110, 40, 2.5, 90),
    )
    for a, b, knots, rings, sides, bands, hairs in pieces:
        form = segment(growth, a, b, knots, rings, sides, sideways, flutes=6 if rings > 90 else 0)
        coat = _banded(growth, form, bands, 0.5)
        skin = add_skin(growth, form, growth.chitin, 0.45 * coat, coat, pits=200 if rings > 90 else 60)
        add_hairs(growth, growth.setae, skin, PALE, hairs, 0.075, 1.0 * unit(b - a))
    inner = unit(np.cross(shin, sideways))
    inner = inner if inner @ thigh < 0 else -inner
    _add_thorns(growth, bend, ankle, inner, sideways, count=5, length=0.16, radius=0.062, last=2)
    _add_foot(growth, ankle, 0.62, unit(np.array([*leg.toe, 0.0]) * mirror))


def add_jumping_leg(growth: Growth, side: int) -> None:
    """Hip, the thick thigh with its herring-bone, the thin shank with two rows of thorns and four spurs, the foot."""
    rng = growth.rng
    mirror = np.array([1, side, 1])
    coxa = np.array([0.30, 0.56, -0.56]) * mirror
    hip = np.array([0.20, 0.86, -0.44]) * mirror
    bend = np.array([-2.50, 1.36, 1.50]) * mirror + rng.normal(0, [0.14, 0.05, 0.07])
    ankle = np.array([-2.05 + rng.uniform(-0.5, 0.3), (1.52 + rng.normal(0, 0.08)) * side, GROUND + 0.12])
    thigh, shin = unit(bend - hip), unit(ankle - bend)
    for a, b, knots in (
        (coxa + np.array([0, -0.1 * side, 0.16]), hip - [0, 0, 0.10], [(0, 0.26), (0.6, 0.25), (1, 0.15)]),
        (hip - [0, 0, 0.06], hip + 0.25 * thigh, [(0, 0.15), (1, 0.17)]),
    ):
        form = segment(growth, a, b, knots, 56, 70, up=(1, 0, 0))
        coat = mottled(growth, form.vertices, 0.4)
        skin = add_skin(growth, form, growth.chitin, 0.45 * coat, coat, pits=140)
        add_hairs(growth, growth.setae, skin, PALE, 30, 0.08, (0, 0, -0.4))
    _add_thigh(growth, hip, bend, side)

    rings, width = 150, [(0, 0.060), (0.03, 0.105), (0.09, 0.088), (0.5, 0.066), (0.9, 0.076), (1, 0.092)]
    form = segment(growth, bend - 0.05 * shin, ankle, width, rings, 44, (0, 1, 0), bow=[0.05, 0, 0], flutes=6)
    knee_bands = np.maximum(bump(form.along, 0.05, 0.035), 0.7 * bump(form.along, 0.22, 0.04))
    coat = mix(mottled(growth, form.vertices, 0.75), BARK, 0.8 * knee_bands)
    coat = mix(coat, PALE, 0.7 * bump(form.along, 0.13, 0.035))
    coat = mix(coat, RUST, 0.6 * smoothstep(0.35, 0.8, form.along))
    skin = add_skin(growth, form, growth.chitin, 0.45 * coat, coat, pits=260)
    add_hairs(growth, growth.setae, skin, PALE, 190, 0.11, 0.8 * shin)
    back = unit(np.cross(shin, np.cross([-1.0, 0, 0], shin)))
    _add_thorns(growth, bend, ankle, back, unit(np.cross(shin, back)), count=10, length=0.19, radius=0.066, last=4)
    _add_foot(growth, ankle, 0.86, unit([-0.95, 0.35 * side, 0.0]))


def _add_thigh(growth: Growth, hip: Floats, bend: Floats, side: int, rings: int = 310, sides: int = 140) -> None:
    """The femur of the jumping leg: deep and flat, keeled above and below, chevrons of muscle between two ridges."""
    at = eased(rings)
    height = profile(
        [(0, 0), (0.015, 0.14), (0.06, 0.30), (0.22, 0.54), (0.42, 0.47), (0.66, 0.255), (0.86, 0.130), (0.945, 0.165),
         (0.985, 0.135), (1, 0)],
        at, rounded=True,
    )  # fmt: skip
    path = spline(np.stack([hip, (hip + bend) / 2 + [0.02, 0.03 * side, 0.06], bend]), rings)
    depth = height * profile([(0, 0.75), (0.2, 0.52), (0.7, 0.62), (0.9, 0.85), (1, 0.9)], at)
    form = tube(path, np.stack([height, depth], axis=1), sides)
    p, faces, around = form.vertices, form.faces, form.around
    tall = np.cos(around)  # 1 at the upper keel, -1 at the lower
    # The tube's second axis is its tangent times its first: of a limb that runs back, that is +y.
    outer = side * np.sin(around)
    length = float(np.linalg.norm(bend - hip))
    body = smoothstep(0.05, 0.14, form.along) * smoothstep(0.86, 0.76, form.along)
    field = smoothstep(0.70, 0.58, np.abs(tall)) * body
    wander = 0.10 * fbm(p * 4, 3, growth.seed + 121)
    phase = (length * form.along - 0.26 * np.abs(tall) * np.repeat(height, sides) / 0.4) / 0.128 + wander
    rib = (0.5 + 0.5 * np.cos(2 * np.pi * phase)) * field * (0.45 + 0.55 * smoothstep(-0.1, 0.3, outer))
    spine_line = bump(tall, 0.04, 0.05) * field
    carinae = (bump(np.abs(tall), 0.70, 0.07) + bump(np.abs(tall), 1.0, 0.05)) * body
    saw = bump(np.mod(length * form.along / 0.16, 1), 0.5, 0.25) * smoothstep(0.97, 0.995, tall) * body
    lobe = bump(form.along, 0.90, 0.012)
    pits = worley(p, scattered(p, faces, 3400, growth.rng)[0])
    pit = smoothstep(0.024, 0.009, pits.f1) * (1 - 0.7 * field)
    relief = 0.042 * rib - 0.03 * field - 0.02 * spine_line + 0.035 * carinae + 0.02 * saw - 0.03 * lobe - 0.012 * pit
    vertices = displaced(p, faces, (relief + 0.014 * fbm(p * 9, 3, growth.seed + 123)).astype(np.float32))

    speckle = speckles(p, growth.seed + 125)
    grain = fbm(p * 3, 4, growth.seed + 127)
    coat = mottled(growth, p, 0.6)
    bars = smoothstep(0.35, 0.75, np.cos(2 * np.pi * (form.along - 0.10 * tall) / 0.235 + 4.5 * grain))
    coat = mix(coat, BARK, 0.75 * bars * smoothstep(-0.2, 0.35, tall + 0.6 * (outer < 0)))
    coat = mix(coat, BARK, 0.65 * field * (1 - rib) * (0.5 + 0.5 * speckle))
    coat = mix(coat, PALE, np.maximum(0.50 * rib * smoothstep(-0.05, 0.2, grain), 0.55 * carinae * speckle))
    coat = mix(coat, OCHRE, 0.6 * smoothstep(-0.72, -0.9, tall) * body)
    crescent = bump(np.hypot((form.along - 0.945) / 0.035, tall / 0.8), 0.7, 0.35) * smoothstep(0.88, 0.91, form.along)
    coat = mix(coat, BARK, 0.85 * crescent)
    coat = mix(coat, PALE, 0.6 * bump(form.along, 0.865, 0.018))
    colour = mix(coat * (0.45 + 0.85 * speckle)[:, None], PITCH, 0.6 * pit)
    growth.chitin.append((vertices, faces, valid(colour)))
    add_hairs(growth, growth.setae, (vertices, faces), PALE, 300, 0.085, 1.0 * unit(bend - hip))
    edges = smoothstep(0.9, 0.98, np.abs(tall))
    add_hairs(growth, growth.setae, (vertices, faces), PALE, 150, 0.11, 0.7 * unit(bend - hip), edges)


def _add_thorns(
    growth: Growth, start: Floats, end: Floats, back: Floats, across: Floats,
    count: int, length: float, radius: float, last: int,
) -> None:  # fmt: skip
    """Two rows of `count` thorns along the side `back` of a shank, and `last` spurs at its end."""
    ahead = unit(end - start)
    for row in (-1, 1):
        outward = unit(back + 0.75 * row * across)
        for step in np.linspace(0.30, 0.93, count) + growth.rng.normal(0, 0.012, count):
            root = start + step * (end - start) + 0.72 * radius * outward
            size = length * (0.75 + 0.35 * step) * growth.rng.uniform(0.85, 1.1)
            add_thorn(growth, root, root + size * unit(outward + 0.75 * ahead), 0.022, PALE, PITCH)
    for spur in range(last):
        outward = unit((1 if spur % 2 else -1) * across + (0.7 if spur < 2 else -0.7) * back)
        root = end - 0.02 * ahead + 0.6 * radius * outward
        add_thorn(growth, root, root + 1.25 * length * unit(0.8 * outward + ahead), 0.024, PALE, PITCH)


def _add_foot(growth: Growth, ankle: Floats, length: float, toe: Floats) -> None:
    """Three tarsal joints with pads below, the last one long, an arolium between two claws."""
    under = np.array([ankle[0], ankle[1], GROUND + 0.055])
    path = spline([ankle, under + 0.2 * length * toe + [0, 0, 0.02], under + length * toe + [0, 0, 0.02]], 120)
    for joint, (a, b) in enumerate(joints(path, (0.40, 0.22, 0.42))):
        knots = [[(0, 0.062), (0.8, 0.072), (1, 0.055)], [(0, 0.048), (0.8, 0.068), (1, 0.05)],
                 [(0, 0.036), (0.5, 0.040), (0.9, 0.056), (1, 0.045)]][joint]  # fmt: skip
        form = segment(growth, a, b, knots, 46, 34)
        coat = _banded(growth, form, 1.0 if joint == 2 else 0, 0.35)
        skin = add_skin(growth, form, growth.chitin, 0.5 * coat, coat)
        add_hairs(growth, growth.setae, skin, PALE, 26, 0.075, 1.0 * unit(b - a))
        for share in (0.35, 0.8) if joint == 0 else (0.7,) if joint == 1 else ():
            heel = a + share * (b - a) - np.array([0, 0, 0.035])
            pad = segment(growth, heel - 0.06 * toe, heel + 0.05 * toe, [(0, 0.04), (0.5, 0.05), (1, 0.04)], 24, 30)
            add_skin(growth, pad, growth.chitin, OCHRE, PALE)
    sole = segment(growth, b - 0.02 * toe, b + 0.09 * toe, [(0, 0.03), (0.7, 0.052), (1, 0.04)], 24, 30)
    add_skin(growth, sole, growth.chitin, OCHRE, PALE)
    add_claws(growth, b, toe, 0.15, PITCH, OCHRE)
