"""The locust's head: capsule, compound eyes, antennae and mouthparts (see `locust` for the axes)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from datasets.synthesis.objects.chitin import PITCH, Growth, add_skin, bump, mix, segment, spaced, unit, valid
from datasets.synthesis.objects.limbs import add_hairs, joints
from datasets.synthesis.objects.locust_skin import BARK, OCHRE, PALE, clothe, mottled
from datasets.synthesis.objects.noise import fbm, hash_unit, ridged, smoothstep, worley
from datasets.synthesis.objects.surface import displaced, eased, icosphere, loft, profile, scattered, spline


def add_head(growth: Growth) -> None:
    """A capsule whose face falls straight down: frontal ridge, furrow under the eye, clypeus, cheeks, three ocelli."""
    s = eased(250)
    half_width = profile(
        [(0, 0), (0.05, 0.30), (0.18, 0.52), (0.4, 0.63), (0.62, 0.65), (0.82, 0.55), (0.95, 0.37), (1, 0)],
        s,
        rounded=True,
    )
    face = profile([(0, 2.80), (0.05, 3.06), (0.12, 3.19), (0.25, 3.23), (0.6, 3.14), (0.85, 3.02), (1, 2.86)], s)
    nape = profile([(0, 2.66), (0.06, 2.36), (0.3, 2.20), (0.7, 2.22), (0.92, 2.42), (1, 2.66)], s)
    form = loft(1.80 * s, half_width, face, nape, sides=230, power=2.2)
    # The loft grew along x: turn it so that it hangs from the crown, its top to the front.
    p = np.stack([form.vertices[:, 2], form.vertices[:, 1], 0.86 - form.vertices[:, 0]], axis=1)
    faces = form.faces
    y, z = np.abs(p[:, 1]), p[:, 2]
    front = smoothstep(0.2, 0.7, np.cos(form.around))
    aside = smoothstep(0.3, 0.7, np.abs(np.sin(form.around)))
    spread_of_ridge = profile([(-0.9, 0.17), (-0.4, 0.13), (0.1, 0.10), (0.35, 0.12), (0.7, 0.16)], z)
    brow = smoothstep(-0.50, -0.40, z)
    ridge = bump(y - spread_of_ridge, 0, 0.040) * front * brow
    trough = smoothstep(0.02, -0.05, y - spread_of_ridge) * front * brow * smoothstep(0.72, 0.5, z)
    cheek_line = bump(y + 0.12 * (z + 0.1), 0.40, 0.022) * smoothstep(-0.5, -0.4, z) * smoothstep(0.1, 0.0, z) * front
    suture = np.maximum(bump(z + 0.06 * np.cos(7 * y), -0.46, 0.022), 0.8 * bump(z, -0.66, 0.018)) * front
    jaw = bump(p[:, 0] + 0.25 * (z + 0.5), 2.86, 0.020) * aside * smoothstep(-0.35, -0.5, z)
    temple = bump(p[:, 0] + 0.1 * np.sin(4 * z), 2.42, 0.025) * aside
    ocelli = np.maximum(bump(np.hypot(y, z - 0.20), 0, 0.042), bump(np.hypot(y - 0.22, z - 0.46), 0, 0.038)) * front
    pits = worley(p, spaced(scattered(p, faces, 2600, growth.rng)[0], 0.045))
    pit = smoothstep(0.026, 0.010, pits.f1) * (0.35 + 0.65 * hash_unit(pits.nearest, growth.seed + 1))
    relief = (
        0.050 * ridge - 0.02 * trough + 0.035 * cheek_line - 0.045 * suture - 0.04 * jaw - 0.03 * temple
        + 0.035 * ocelli - 0.014 * pit
        + 0.012 * ridged(p * 8, 3, growth.seed + 11) + 0.03 * fbm(p * 3, 3, growth.seed + 13)
    )  # fmt: skip
    vertices = displaced(p, faces, relief)

    coat = mottled(growth, p, 0.45)
    stripe = smoothstep(0.10, 0.04, np.abs(p[:, 0] - 2.72 - 0.10 * z + 0.06 * fbm(p * 6, 2, growth.seed + 15)))
    coat = mix(coat, BARK, 0.75 * stripe * aside * smoothstep(0.25, 0.1, z))  # a dark tear below the eye
    coat = mix(coat, OCHRE, 0.7 * smoothstep(0.30, 0.18, y) * smoothstep(0.62, 0.74, z))
    coat = mix(coat, PALE, 0.6 * np.maximum(ridge, cheek_line) + 0.5 * bump(y, 0.0, 0.05) * smoothstep(0.6, 0.75, z))
    coat = mix(coat, OCHRE, 0.5 * smoothstep(-0.45, -0.6, z) * front)
    coat = mix(coat, BARK, 0.8 * np.maximum.reduce([suture, jaw, 0.5 * temple]))
    coat = mix(coat, (0.62, 0.52, 0.30), 0.9 * ocelli)
    clothe(growth, vertices, faces, coat, 420, (0.4, 0, -0.5), pit)


def add_eye(growth: Growth, side: int) -> None:
    """A large upright oval of close domed facets, clouded and barred, dark where one seems to look into it."""
    sphere, faces = icosphere(42)
    facets = 2400
    index = np.arange(facets) + 0.5
    polar, azimuth = np.arccos(1 - 2 * index / facets), np.pi * (1 + 5**0.5) * index
    centres = np.stack([np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1)
    cells = worley(sphere, centres.astype(np.float32))
    dome = np.clip(1 - np.square(cells.f1 / 0.042), -0.4, 1)
    oval = np.array([0.30, 0.235, 0.42])
    tilt = np.radians(14)
    turn = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    shape = (sphere * (1 + 0.035 * dome)[:, None] * oval) @ turn.T
    vertices = (shape + np.array([2.80, 0.475 * side, 0.37])).astype(np.float32)
    own = hash_unit(cells.nearest, growth.seed + side)
    bars = smoothstep(-0.3, 0.5, np.sin(17 * sphere[:, 0] + 2.5 * fbm(sphere * 2, 3, growth.seed + 19)))
    pupil = bump(np.linalg.norm(sphere - np.array([0.35, 0.90 * side, 0.05]), axis=1), 0, 0.20)
    tone = np.clip(dome, 0, 1) * (0.30 + 0.35 * own + 0.45 * bars) - 0.5 * pupil
    colour = mix((0.05, 0.026, 0.014), (0.60, 0.36, 0.17), tone)
    growth.lenses.append((vertices, faces, valid(colour)))


def add_antenna(growth: Growth, side: int) -> None:
    """A scape, a pedicel and twenty short joints of the flagellum, ringed paler."""
    arch = np.array([[3.14, 0.16, 0.36], [3.40, 0.36, 0.80], [3.72, 0.72, 1.25], [4.20, 1.12, 1.42]])
    sway = growth.rng.normal(0, 0.07, (4, 3)) * np.array([0, 0.5, 1.2, 2.2])[:, None]
    path = spline((arch + sway) * [1, side, 1], 400)
    shares = np.concatenate([[1.7, 0.9], np.linspace(0.85, 1.15, 19), [1.5]])
    for joint, (a, b) in enumerate(joints(path, shares)):
        thick = (0.088, 0.066)[joint] if joint < 2 else 0.056 - 0.0009 * joint
        knots = [(0, 0.62 * thick), (0.2, 0.85 * thick), (0.75, thick), (1, 0.78 * thick)]
        form = segment(growth, a, b, knots, 22, 28)
        dark = 0.8 * hash_unit(np.full(len(form.vertices), joint), growth.seed + 9 + side) + 0.25 * (joint > 15)
        coat = mix(mottled(growth, form.vertices, 0.25), BARK, dark)
        coat = mix(coat, PALE, 0.5 * smoothstep(0.75, 0.95, form.along))
        skin = add_skin(growth, form, growth.chitin, 0.5 * coat, coat, pits=14)
        add_hairs(growth, growth.setae, skin, PALE, 16, 0.045, 1.0 * unit(b - a))


def add_mouth(growth: Growth, side: int) -> None:
    """One side of the mouth: half the cleft labrum, a mandible's edge below it, the two palps."""
    mirror = np.array([1, side, 1])
    lip = segment(growth, np.array([3.00, 0.13, -0.62]) * mirror, np.array([2.96, 0.12, -0.94]) * mirror,
                  [(0, 0.15), (0.6, 0.155), (1, 0.12)], 70, 80, up=(0, 1, 0))  # fmt: skip
    coat = mix(mottled(growth, lip.vertices, 0.4), OCHRE, 0.4 * np.ones(len(lip.vertices)))
    skin = add_skin(growth, lip, growth.chitin, 0.5 * coat, coat, pits=90)
    add_hairs(growth, growth.setae, skin, PALE, 40, 0.09, (0.3, 0, -0.7))
    jaw = segment(growth, np.array([2.76, 0.36, -0.55]) * mirror, np.array([2.84, 0.14, -1.00]) * mirror,
                  [(0, 0.17), (0.6, 0.15), (1, 0.07)], 70, 70, up=(1, 0, 0))  # fmt: skip
    add_skin(growth, jaw, growth.chitin, PITCH, OCHRE, pits=80)
    maxillary = np.array(
        [[2.62, 0.32, -0.78], [2.66, 0.40, -0.96], [2.78, 0.44, -1.08], [2.94, 0.40, -1.14], [3.06, 0.33, -1.24]]
    )
    labial = np.array([[2.56, 0.12, -0.84], [2.62, 0.18, -1.02], [2.74, 0.19, -1.14], [2.84, 0.15, -1.24]])
    for points in (maxillary, labial):
        points[1:] += np.cumsum(growth.rng.normal(0, 0.014, (len(points) - 1, 3)), axis=0)
        for a, b in pairwise(points * mirror):
            form = segment(growth, a, b, [(0, 0.036), (0.2, 0.042), (0.8, 0.054), (1, 0.046)], 40, 40)
            coat = mottled(growth, form.vertices, 0.3)
            skin = add_skin(growth, form, growth.chitin, 0.5 * coat, coat)
            add_hairs(growth, growth.setae, skin, PALE, 12, 0.05, unit(b - a))
