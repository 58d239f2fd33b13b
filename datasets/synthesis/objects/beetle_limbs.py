"""The beetle's legs, antennae, palps and mandibles (see `beetle` for the axes)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from datasets.synthesis.objects.chitin import (
    BROWN,
    PITCH,
    RUST,
    Growth,
    add_skin,
    coat,
    segment,
    spines,
    unit,
)
from datasets.synthesis.objects.model import Floats
from datasets.synthesis.objects.noise import smoothstep
from datasets.synthesis.objects.surface import eased, profile, spline, tube

GROUND = -1.62  # mm


@dataclass(frozen=True)
class Leg:
    """A left leg: where its coxa hangs and its ankle stands (x, y, z), and how long its parts are; mm.

    toe: direction of the tarsus over the ground; splay: how far the knee leans outward from straight up.
    """

    coxa: tuple[float, float, float]
    ankle: tuple[float, float, float]
    femur: float
    tibia: float
    tarsus: float
    toe: tuple[float, float]
    splay: float


LEGS = (
    Leg((1.48, 0.32, -0.50), (2.30, 1.74, GROUND + 0.26), 1.20, 1.22, 0.92, (0.85, 0.50), 0.3),
    Leg((0.46, 0.46, -0.58), (0.10, 2.34, GROUND + 0.26), 1.32, 1.34, 1.02, (-0.45, 0.9), 0.3),
    Leg((-0.66, 0.44, -0.58), (-2.02, 2.20, GROUND + 0.26), 1.60, 1.66, 1.15, (-0.90, 0.40), 1.0),
)


def add_leg(growth: Growth, leg: Leg, side: int) -> None:
    """Coxa, trochanter, femur, tibia with spines and spurs, five tarsal joints, two claws."""
    mirror = np.array([1, side, 1])
    coxa, ankle = np.array(leg.coxa) * mirror, np.array(leg.ankle) * mirror
    ankle[:2] += growth.rng.normal(0, 0.10, 2)  # no two legs stand alike
    outward = unit((ankle - coxa) * [1, 1, 0])
    hip = coxa + 0.14 * outward + np.array([0, 0, -0.12])
    knee = _knee(hip, ankle, leg, side)
    thigh, shin = unit(knee - hip), unit(ankle - knee)
    sideways = np.cross(outward, [0, 0, 1])

    ball = segment(growth, coxa + np.array([0, 0, 0.25]), coxa - [0, 0, 0.16], [(0, 0.22), (1, 0.19)], 46, 48, sideways)
    ring = segment(growth, coxa - [0, 0, 0.08], hip + 0.2 * thigh, [(0, 0.09), (1, 0.13)], 46, 48, sideways)
    for form in (ball, ring):
        vertices, faces = add_skin(growth, form, growth.chitin, PITCH, RUST, pits=120)
        coat(growth, vertices, faces, 10, 0.09, lean=(0, 0, -0.4))

    club = [(0, 0.075), (0.12, 0.115), (0.45, 0.175), (0.85, 0.112), (1, 0.100)]
    femur = segment(growth, hip, knee, club, 130, 76, sideways, bow=(0, 0, 0.05))
    vertices, faces = add_skin(growth, femur, growth.chitin, BROWN, RUST, pits=620)
    coat(growth, vertices, faces, 100, 0.085, lean=1.3 * thigh)

    shaft = [(0, 0.070), (0.07, 0.082), (0.25, 0.066), (0.8, 0.088), (0.96, 0.110), (1, 0.095)]
    tibia = segment(growth, knee, ankle, shaft, 130, 64, sideways, bow=0.04 * outward, flutes=7)
    vertices, faces = add_skin(growth, tibia, growth.chitin, BROWN, RUST, pits=520)
    coat(growth, vertices, faces, 80, 0.075, lean=1.3 * shin)
    spines(growth, vertices, faces, 26, 0.12, 1.3 * shin, smoothstep(0.15, 0.6, tibia.along))
    spines(growth, vertices, faces, 9, 0.17, 1.8 * shin, smoothstep(0.95, 0.99, tibia.along))
    _add_foot(growth, ankle, leg.tarsus, unit(np.array([*leg.toe, 0.0]) * mirror))


def _add_foot(growth: Growth, ankle: Floats, length: float, toe: Floats) -> None:
    """Five tarsal joints, heart-shaped but for the long last one, flat on the ground; two hooked claws."""
    under = np.array([ankle[0], ankle[1], GROUND + 0.06])
    bend = under + 0.22 * length * toe + np.array([0, 0, 0.03])
    path = spline([ankle, bend, under + 0.95 * length * toe], 200)
    for joint, (a, b) in enumerate(_joints(path, np.array([0.27, 0.17, 0.14, 0.12, 0.30]))):
        thick = 0.050 if joint == 4 else 0.070 - 0.004 * joint
        knots = [(0, 0.45 * thick), (0.2, 0.55 * thick), (0.85, thick), (1, 0.8 * thick)]
        form = segment(growth, a, b, knots, 32, 34)
        vertices, faces = add_skin(growth, form, growth.chitin, BROWN, RUST)
        ahead = unit(b - a)
        coat(growth, vertices, faces, 14, 0.07, lean=1.1 * ahead)
        down = 1.2 * ahead - np.array([0, 0, 0.4])
        spines(growth, vertices, faces, 4, 0.07, down, smoothstep(0.7, 0.95, form.along))
    across = np.cross(toe, [0, 0, 1])
    for way in (-1, 1):
        hook = path[-1] + np.array(
            [
                -0.03 * toe,
                0.08 * toe + 0.05 * way * across + [0, 0, 0.03],
                0.17 * toe + 0.09 * way * across - [0, 0, 0.05],
            ]
        )
        radius = profile([(0, 0.026), (0.5, 0.018), (1, 0)], eased(30), rounded=True)
        add_skin(growth, tube(spline(hook, 30), radius, 20), growth.chitin, PITCH, BROWN)


def _knee(hip: Floats, ankle: Floats, leg: Leg, side: int) -> Floats:
    """Where femur and tibia meet: they form a triangle on the line from hip to ankle, its tip up and outward."""
    reach = float(np.linalg.norm(ankle - hip))
    ahead = (ankle - hip) / reach
    upward = np.array([0, leg.splay * side, 1])
    upward = unit(upward - ahead * (ahead @ upward))
    foot_point = (leg.femur**2 - leg.tibia**2 + reach**2) / (2 * reach)
    return hip + foot_point * ahead + np.sqrt(leg.femur**2 - foot_point**2) * upward


def add_antenna(growth: Growth, side: int) -> None:
    """Eleven joints: a long scape, a short pedicel, nine of the flagellum; the first few nearly bare."""
    arch = np.array([[2.70, 0.40, 0.14], [3.08, 0.86, 0.40], [3.26, 1.50, 0.50], [3.02, 2.14, 0.34]])
    sway = growth.rng.normal(0, 0.05, (4, 3)) * np.array([0, 1, 1.4, 2])[:, None]
    path = spline((arch + sway) * [1, side, 1], 400)
    shares = np.array([1.7, 0.7, 1.25, 1.15, 1.1, 1.05, 1, 1, 1, 1, 1.25])
    for joint, (a, b) in enumerate(_joints(path, shares)):
        thick = 0.082 if joint == 0 else 0.058 + 0.0015 * joint
        knots = [(0, 0.45 * thick), (0.15, 0.6 * thick), (0.8, thick), (1, 0.85 * thick)]
        form = segment(growth, a, b, knots, 36, 36)
        vertices, faces = add_skin(growth, form, growth.chitin, BROWN, RUST)
        coat(growth, vertices, faces, 12 if joint < 3 else 52, 0.06, lean=1.3 * unit(b - a))
        coat(growth, vertices, faces, 4, 0.13, 0.6 * unit(b - a), smoothstep(0.8, 0.95, form.along))


def add_mandible(growth: Growth, side: int) -> None:
    """A sickle with a tooth on the inside; the left one closes over the right."""
    lift = 0.015 * side
    sickle = [[2.84, 0.24, -0.10], [3.14, 0.31, -0.10], [3.40, 0.20, -0.12 + lift], [3.54, -0.03, -0.14 + lift]]
    tooth = [[3.20, 0.26, -0.11], [3.26, 0.19, -0.11], [3.29, 0.10, -0.12]]
    for points, root, rings in ((sickle, 0.125, 90), (tooth, 0.07, 40)):
        radius = profile([(0, root), (0.3, 0.8 * root), (0.75, 0.4 * root), (1, 0)], eased(rings), rounded=True)
        path = spline(np.array(points) * [1, side, 1], rings)
        form = tube(path, np.stack([0.75 * radius, radius], axis=1), 56)
        add_skin(growth, form, growth.chitin, PITCH, BROWN)


def add_palps(growth: Growth, side: int) -> None:
    """The jointed feelers under the mandibles: one of the maxilla, one of the labium."""
    maxillary = np.array([[2.80, 0.20, -0.22], [2.98, 0.32, -0.32], [3.20, 0.38, -0.38], [3.40, 0.36, -0.54]])
    labial = np.array([[2.78, 0.09, -0.26], [2.92, 0.13, -0.38], [3.10, 0.15, -0.48]])
    for points in (maxillary, labial):
        for a, b in pairwise(points * [1, side, 1]):
            form = segment(growth, a, b, [(0, 0.028), (0.2, 0.032), (0.8, 0.050), (1, 0.042)], 32, 30)
            vertices, faces = add_skin(growth, form, growth.chitin, BROWN, RUST)
            coat(growth, vertices, faces, 12, 0.06, lean=unit(b - a))


def _joints(path: Floats, shares: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Start and end [3] of each joint of a limb that shares out a path [P, 3] by length."""
    walked = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    ends = np.concatenate([[0], np.cumsum(shares)]) / shares.sum() * walked[-1]
    knots = np.stack([np.interp(ends, walked, path[:, k]) for k in range(3)], axis=1)
    return pairwise(knots)
