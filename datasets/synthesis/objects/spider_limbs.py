"""The spider's legs, palps and chelicerae, and the colours of its fur (see `spider` for the axes)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from datasets.synthesis.objects.chitin import (
    PITCH,
    RUST,
    Growth,
    add_skin,
    bump,
    mix,
    segment,
    speckles,
    unit,
    valid,
)
from datasets.synthesis.objects.limbs import add_claws, add_hairs
from datasets.synthesis.objects.model import Floats
from datasets.synthesis.objects.noise import fbm, smoothstep
from datasets.synthesis.objects.surface import Surface, eased, profile, spline, tube

GROUND = -1.12  # mm

# Linear albedo.
SEPIA, UMBER = (0.050, 0.033, 0.022), (0.17, 0.10, 0.055)
FAWN, CREAM = (0.46, 0.31, 0.17), (0.78, 0.66, 0.47)


@dataclass
class Furred(Growth):
    """An animal whose setae are down, and that bears long bristles besides (points, albedo)."""

    bristles: list[tuple[Floats, Floats]] = field(default_factory=list)


@dataclass(frozen=True)
class Leg:
    """A left leg: where its coxa sits (x, y, z in mm), where it heads, and how its seven joints stand.

    heading: degrees from straight ahead; turn: degrees that each joint beyond the femur adds to it.
    lengths, mm, and pitches, degrees above the horizon, of coxa, trochanter, femur, patella, tibia, metatarsus,
    and tarsus; the pitches are shifted until the toe stands on the ground.
    """

    coxa: tuple[float, float, float]
    heading: float
    turn: float
    lengths: tuple[float, ...]
    pitches: tuple[float, ...]


LEGS = (
    Leg((1.16, 0.34, -0.20), 33, -3.0, (0.32, 0.12, 1.16, 0.44, 0.94, 0.96, 0.56), (-4, 16, 60, 24, -26, -57, -44)),
    Leg((0.86, 0.42, -0.22), 70, -5.0, (0.31, 0.12, 1.10, 0.42, 0.90, 0.96, 0.54), (-4, 16, 61, 22, -28, -59, -45)),
    Leg((0.54, 0.42, -0.22), 112, 3.0, (0.31, 0.12, 1.02, 0.38, 0.84, 1.00, 0.52), (-4, 16, 60, 18, -30, -59, -43)),
    Leg((0.24, 0.34, -0.20), 147, 3.0, (0.34, 0.13, 1.30, 0.45, 1.12, 1.42, 0.62), (-4, 16, 60, 20, -26, -53, -39)),
)

# Radius in mm at the start, the thickest place and the end of each joint, and where the thickest place is.
_GIRTH = (
    (0.120, 0.150, 0.125, 0.5),
    (0.100, 0.118, 0.105, 0.5),
    (0.092, 0.120, 0.066, 0.3),
    (0.062, 0.077, 0.062, 0.6),
    (0.058, 0.067, 0.050, 0.3),
    (0.044, 0.043, 0.033, 0.2),
    (0.032, 0.033, 0.022, 0.3),
)
_RINGS = (50, 40, 130, 64, 120, 130, 84)
_SIDES = (56, 50, 56, 48, 44, 34, 30)
_DOWN = (60, 24, 480, 180, 400, 360, 260)  # hairs
_BANDS = (0, 0, 3.5, 1, 2.5, 3, 0)  # dark rings on each joint


def add_leg(growth: Furred, leg: Leg, side: int) -> None:
    """Seven joints from coxa to tarsus, ringed pale and dark, with down, bristles and long spines; two claws."""
    rng = growth.rng
    headings = leg.heading + leg.turn * np.array([0, 0, 0, 1, 2, 3, 3.5]) + np.cumsum(rng.normal(0, 2.0, 7))
    lengths = np.array(leg.lengths) * rng.normal(1, 0.015)
    pitches = np.array(leg.pitches) + rng.normal(0, 2.5, 7) * [0, 0, 1, 1, 1, 1, 1]
    path = _standing(np.array(leg.coxa), headings, lengths, pitches) * [1, side, 1]
    for joint in range(7):
        a, b = path[joint], path[joint + 1]
        ahead = unit(b - a)
        sideways = unit(np.cross(ahead, [0, 0, 1]))
        start, thick, end, place = _GIRTH[joint]
        form = segment(
            growth, a - 0.25 * start * ahead, b + 0.25 * end * ahead,
            [(0, start), (place, thick), (1, end)], _RINGS[joint], _SIDES[joint],
            sideways, bow=[0, 0, 0.045 if joint in (2, 5) else 0.0],
        )  # fmt: skip
        coat = _ringed(growth, form, _BANDS[joint], 0.15 * joint)
        skin = add_skin(growth, form, growth.chitin, 0.45 * coat, coat, pits=90 if joint == 2 else 0)
        add_hairs(growth, growth.setae, skin, frosted(coat, 0.15), _DOWN[joint], 0.065, 1.8 * ahead, spread=0.3)
        add_hairs(growth, growth.bristles, skin, SEPIA, _DOWN[joint] // 9, 0.12, 1.2 * ahead)
        if joint > 3:  # sense hairs, erect and very fine
            over = smoothstep(0.2, 0.8, np.einsum("vk,k->v", skin[0] - (a + b) / 2, np.cross(sideways, ahead)) / thick)
            add_hairs(growth, growth.setae, skin, CREAM, 7, 0.22, (0, 0, 0.2), over, spread=0.1, curl=0.1)
        if joint in (2, 4, 5):
            count = {2: 6, 4: 11, 5: 11}[joint]
            middle = smoothstep(0.05, 0.2, form.along) * smoothstep(1.0, 0.9, form.along)
            add_hairs(growth, growth.spines, skin, SEPIA, count, 0.33, 1.0 * ahead, middle, spread=0.1, curl=0.12)
    # A brush under the tarsus and a tuft around the claws give the spider its grip.
    below = smoothstep(0.0, 0.02, path[6, 2] + (path[7, 2] - path[6, 2]) * form.along - skin[0][:, 2])
    add_hairs(growth, growth.setae, skin, UMBER, 70, 0.07, 0.6 * ahead - [0, 0, 0.4], below)
    add_hairs(growth, growth.bristles, skin, SEPIA, 26, 0.10, 1.2 * ahead, smoothstep(0.88, 0.97, form.along))
    add_claws(growth, path[-1], unit(ahead * [1, 1, 0.3]), 0.11, PITCH, UMBER)


def _standing(coxa: Floats, headings: Floats, lengths: Floats, pitches: Floats) -> Floats:
    """The ends [8, 3] mm of a left leg's joints, their pitches shifted alike until the toe is on the ground."""

    def ends(shift: float) -> Floats:
        turn, rise = np.radians(headings), np.radians(pitches + shift * np.array([0, 0.5, 1, 1, 1, 1, 1]))
        step = np.stack([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)], axis=1)
        return np.concatenate([[coxa], coxa + np.cumsum(lengths[:, None] * step, axis=0)])

    low, high = -45.0, 45.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if ends(middle)[-1, 2] < GROUND else (low, middle)
    return ends(low)


def _ringed(growth: Furred, form: Surface, rings: float, phase: float) -> Floats:
    """Colour [V, 3] of a joint: fawn, clouded, with ragged dark rings, and dark at the knees."""
    p = form.vertices
    cloud = fbm(p * 4, 3, growth.seed + 81)
    wave = np.cos(2 * np.pi * (rings * form.along + phase) + 3.0 * cloud)
    dark = smoothstep(-0.1, 0.5, wave) if rings else np.zeros(len(p), dtype=np.float32)
    colour = mix(FAWN, CREAM, 0.55 * smoothstep(-0.1, 0.25, cloud))
    return mix(0.75 * colour + 0.25 * np.array(RUST), SEPIA, 0.80 * dark)


def frosted(colour: Floats, share: float) -> Floats:
    """Colours [V, 3] of the hairs over skin of this colour: a share of cream in it."""
    return (1 - share) * colour + share * np.array(CREAM, dtype=np.float32)


def add_palp(growth: Furred, side: int) -> None:
    """A pedipalp: a broad coxa beside the mouth and five joints like a short leg, held before the face."""
    ends = np.array(
        [[1.30, 0.24, -0.26], [1.58, 0.30, -0.30], [1.70, 0.38, -0.26], [2.16, 0.50, 0.06], [2.40, 0.47, 0.02],
         [2.66, 0.41, -0.22], [2.92, 0.33, -0.62]]
    )  # fmt: skip
    ends[2:] += np.cumsum(growth.rng.normal(0, 0.022, (5, 3)), axis=0)
    ends = ends * [1, side, 1]
    girths = ((0.13, 0.15), (0.085, 0.09), (0.075, 0.088), (0.078, 0.085), (0.078, 0.085), (0.085, 0.055))
    for joint, (start, end) in enumerate(girths):
        a, b = ends[joint], ends[joint + 1]
        ahead = unit(b - a)
        form = segment(growth, a - 0.2 * start * ahead, b + 0.2 * end * ahead,
                       [(0, start), (0.5, 1.06 * max(start, end)), (1, end)], 64, 44)  # fmt: skip
        coat = _ringed(growth, form, 1.2 if joint == 2 else 0, 0.3)
        skin = add_skin(growth, form, growth.chitin, 0.45 * coat, coat)
        add_hairs(growth, growth.setae, skin, frosted(coat, 0.3), 110, 0.10, 1.1 * ahead, spread=0.3)
        add_hairs(growth, growth.bristles, skin, SEPIA, 16, 0.19, 0.8 * ahead)
    add_hairs(growth, growth.bristles, skin, SEPIA, 70, 0.13, 0.9 * ahead, smoothstep(0.2, 0.8, form.along))


def add_chelicera(growth: Furred, side: int) -> None:
    """A stout jaw under the face, teeth along its inner edge, its fang folded inward."""
    mirror = np.array([1, side, 1])
    a, b = np.array([1.60, 0.185, 0.16]) * mirror, np.array([1.86, 0.175, -0.60]) * mirror
    knots = [(0, 0.13), (0.25, 0.175), (0.6, 0.165), (1, 0.105)]
    form = segment(growth, a, b, knots, 130, 110, up=(0, 1, 0), bow=(0.05, 0, 0))
    p = form.vertices
    speckle = speckles(p, growth.seed + 91)
    coat = mix(SEPIA, RUST, 0.30 + 0.4 * smoothstep(-0.1, 0.2, fbm(p * 3, 3, growth.seed + 93)))
    coat = mix(coat, PITCH, 0.7 * smoothstep(0.75, 0.95, form.along))
    coat = mix(coat, FAWN, 0.6 * bump(form.along, 0.3, 0.14) * speckle)
    skin = add_skin(growth, form, growth.chitin, 0.4 * coat, coat, pits=200)
    add_hairs(growth, growth.setae, skin, FAWN, 300, 0.12, (0.3, 0, -0.8), smoothstep(0.95, 0.7, form.along))
    add_hairs(growth, growth.bristles, skin, SEPIA, 70, 0.20, (0.2, 0, -0.6), smoothstep(0.3, 0.8, form.along))
    add_hairs(growth, growth.setae, skin, RUST, 90, 0.10, (0, -0.9 * side, -0.6), smoothstep(0.85, 0.97, form.along))
    fang = b + np.array([[0.0, 0.05, 0.05], [0.02, 0.05, -0.09], [-0.01, -0.04, -0.15], [-0.05, -0.12, -0.12]]) * mirror
    radius = profile([(0, 0.056), (0.4, 0.042), (0.8, 0.019), (1, 0)], eased(70), rounded=True)
    add_skin(growth, tube(spline(fang, 70), radius, 40), growth.chitin, PITCH, (0.20, 0.05, 0.02))
    for step in range(3):
        root = b + np.array([-0.03 - 0.05 * step, -0.06, 0.10 - 0.06 * step]) * mirror
        tooth = spline(np.stack([root, root + np.array([0, -0.08, -0.08]) * mirror]), 16)
        cone = profile([(0, 0.028), (0.5, 0.02), (1, 0)], eased(16), rounded=True)
        form = tube(tooth, cone, 14)
        tone = mix(PITCH, UMBER, speckles(form.vertices, growth.seed + 95))
        growth.chitin.append((form.vertices, form.faces, valid(tone)))
