"""A locust nymph of about 9 mm, standing: saddled pronotum, faceted eyes, veined wing pads, jumping legs.

Millimetres while it is built; the head looks towards +x, +y is the locust's left, z = 0 is the middle of the body.
"""

from __future__ import annotations

import numpy as np

from datasets.synthesis.objects.chitin import (
    Growth,
    add_skin,
    bump,
    mix,
    segment,
    spaced,
    strands,
)
from datasets.synthesis.objects.limbs import add_hairs
from datasets.synthesis.objects.locust_head import add_antenna, add_eye, add_head, add_mouth
from datasets.synthesis.objects.locust_limbs import LEGS, add_jumping_leg, add_walking_leg
from datasets.synthesis.objects.locust_skin import BARK, OCHRE, OLIVE, PALE, clothe, mottled
from datasets.synthesis.objects.model import Floats, Model, Part, centred
from datasets.synthesis.objects.noise import fbm, hash_unit, ridged, smoothstep, worley
from datasets.synthesis.objects.surface import displaced, eased, joined, loft, profile, scattered

EXPOSURE = 1.25

# Where each ring of the abdomen ends, as a share of its length, front to back.
_RINGS = np.array([0.10, 0.22, 0.335, 0.445, 0.55, 0.65, 0.745, 0.83, 0.905, 0.96], dtype=np.float32)


def build(seed: int) -> Model:
    """The locust grown from this number: the same number gives the same bytes."""
    rng = np.random.default_rng(seed)
    growth = Growth(rng, seed=int(rng.integers(1 << 20)))
    add_head(growth)
    _add_pronotum(growth)
    _add_thorax(growth)
    _add_abdomen(growth)
    for side in (1, -1):
        add_eye(growth, side)
        _add_wing_pads(growth, side)
        add_antenna(growth, side)
        add_mouth(growth, side)
        for leg in LEGS:
            add_walking_leg(growth, leg, side)
        add_jumping_leg(growth, side)
    parts = (
        Part("shell", *joined(growth.shell), roughness=0.5, specular=0.35),
        Part("chitin", *joined(growth.chitin), roughness=0.48, specular=0.35),
        Part("lenses", *joined(growth.lenses), roughness=0.40, specular=0.5),
    )
    hairs = strands("setae", growth.setae, radius_root=0.0042, radius_tip=0.0015)
    return centred("locust", parts, [hairs], EXPOSURE)


def _add_pronotum(growth: Growth) -> None:
    """The saddle behind the head: a keel cut by three furrows, pitted flaps down both sides, a lobed hind edge."""
    s = eased(280)
    half_width = profile(
        [(0, 0), (0.02, 0.74), (0.12, 0.80), (0.45, 0.72), (0.75, 0.66), (0.95, 0.66), (1, 0)], s, rounded=True
    )
    top = profile([(0, 0.55), (0.02, 0.84), (0.2, 0.90), (0.5, 0.80), (0.8, 0.84), (0.97, 0.90), (1, 0.6)], s)
    bottom = profile([(0, -0.3), (0.03, -0.62), (0.5, -0.70), (0.95, -0.58), (1, -0.3)], s)
    form = loft(1.00 + 1.46 * s, half_width, top, bottom, sides=260, power=2.3)
    p = form.vertices.copy()
    upright = np.cos(form.around)
    # The hind edge runs out to a blunt point on the back, the front edge laps a little over the head.
    p[:, 0] -= (1 - form.along) * 0.42 * np.clip(upright, 0, 1) ** 2
    p[:, 0] += form.along * 0.10 * np.clip(upright, 0, 1) ** 3
    faces = form.faces
    y, z, x = np.abs(p[:, 1]), p[:, 2], p[:, 0]
    edge = -0.47 + 0.16 * np.square((form.along - 0.45) / 0.5)  # lower edge of the flaps
    flap = smoothstep(-0.03, 0.03, z - edge)
    hem = bump(z - edge, 0.045, 0.035)
    keel = bump(y, 0, 0.045) * smoothstep(0.2, 0.6, upright)
    shoulders = bump(y - profile([(0, 0.50), (0.45, 0.36), (1, 0.44)], form.along), 0, 0.045) * smoothstep(0.2, 0.5, z)
    wave = 0.025 * np.sin(5 * y + 1.0)
    furrows = np.maximum.reduce([bump(form.along + wave, at, 0.013) for at in (0.42, 0.58, 0.72)]) * flap
    collar = np.maximum(bump(form.along, 0.95, 0.022), bump(form.along, 0.045, 0.02)) * flap
    cells = worley(p, spaced(scattered(p, faces, 6500, growth.rng, 0.2 + flap)[0], 0.05))
    pit = smoothstep(0.030, 0.010, cells.f1) * (0.4 + 0.6 * hash_unit(cells.nearest, growth.seed + 2))
    pit = pit * flap * (1 - keel) * (0.5 + 0.5 * smoothstep(0.45, 0.2, form.along))
    relief = (
        0.05 * flap + 0.03 * hem + 0.10 * keel + 0.035 * shoulders - 0.06 * furrows + 0.03 * collar - 0.030 * pit
        + 0.010 * ridged(p * 9, 3, growth.seed + 21) + 0.03 * fbm(p * 2.5, 3, growth.seed + 23)
    )  # fmt: skip
    vertices = displaced(p, faces, relief)
    coat = mottled(growth, p, 0.55)
    panel = smoothstep(0.12, 0.0, np.abs(z - 0.28) + 0.15 * fbm(p * 5, 3, growth.seed + 25) - 0.05) * flap
    coat = mix(coat, BARK, 0.9 * panel * smoothstep(0.25, 0.40, form.along))
    coat = mix(coat, PALE, np.maximum.reduce([0.75 * hem * flap, 0.6 * shoulders, 0.35 * collar]))
    back = smoothstep(0.34, 0.22, y + 0.15 * fbm(p * 5, 3, growth.seed + 27)) * smoothstep(0.2, 0.6, upright)
    coat = mix(coat, OCHRE, 0.7 * back)
    coat = mix(coat, BARK, 0.6 * keel)
    coat = mix(coat, BARK, np.maximum(0.7 * furrows, 0.6 * bump(z - edge, -0.02, 0.03)))
    coat = mix(0.7 * mix(OCHRE, OLIVE, 0.5 * np.ones(len(x))), coat, flap)
    clothe(growth, vertices, faces, coat, 420, (0.3, 0, 0), pit)


def _add_thorax(growth: Growth) -> None:
    """Middle and hind breast: oblique plates with sunken seams, and the flat sternum between the legs."""
    s = eased(180)
    half_width = profile([(0, 0), (0.05, 0.60), (0.4, 0.74), (0.85, 0.66), (0.96, 0.5), (1, 0)], s, rounded=True)
    top = profile([(0, 0.2), (0.05, 0.60), (0.5, 0.74), (0.95, 0.66), (1, 0.2)], s)
    bottom = profile([(0, -0.2), (0.06, -0.60), (0.4, -0.76), (0.8, -0.74), (0.95, -0.60), (1, -0.2)], s)
    form = loft(-0.22 + 2.45 * s, half_width, top, bottom, sides=200, power=2.6)
    p, faces = form.vertices, form.faces
    side = smoothstep(0.4, 0.75, np.abs(np.sin(form.around)))
    slope = p[:, 0] + 0.30 * p[:, 2] + 0.03 * fbm(p * 4, 2, growth.seed + 31)
    seam = np.maximum.reduce([bump(slope, at, 0.022) for at in (0.02, 0.33, 0.62, 0.92, 1.25)]) * side
    below = smoothstep(-0.45, -0.75, np.cos(form.around))
    seam = np.maximum(seam, below * np.maximum.reduce([bump(p[:, 0], at, 0.02) for at in (0.1, 0.75, 1.35)]))
    plates = side * np.cos(2 * np.pi * (slope - 0.02) / 0.30)
    pits = worley(p, scattered(p, faces, 4200, growth.rng)[0])
    pit = smoothstep(0.026, 0.010, pits.f1)
    relief = -0.05 * seam - 0.025 * plates - 0.016 * pit + 0.012 * ridged(p * 8, 3, growth.seed + 33)
    vertices = displaced(p, faces, relief + 0.03 * fbm(p * 3, 3, growth.seed + 35))
    coat = mix(mottled(growth, p, 0.6), PALE, 0.45 * side * smoothstep(0.2, -0.6, plates))
    coat = mix(coat, OCHRE, 0.6 * below)
    coat = mix(coat, BARK, 0.8 * seam)
    clothe(growth, vertices, faces, coat, 420, (-0.3, 0, -0.3), 0.7 * pit)


def _add_abdomen(growth: Growth) -> None:
    """Ten rings that slide into each other, with a keel, a fold and a row of breathing holes; the tail's valves."""
    s = eased(360)
    half_width = profile(
        [(0, 0), (0.03, 0.58), (0.12, 0.70), (0.4, 0.66), (0.7, 0.48), (0.9, 0.29), (0.97, 0.20), (1, 0)],
        s,
        rounded=True,
    )
    top = profile([(0, 0.2), (0.04, 0.62), (0.3, 0.66), (0.65, 0.48), (0.92, 0.24), (1, 0.06)], s)
    bottom = profile([(0, -0.2), (0.05, -0.58), (0.3, -0.60), (0.7, -0.44), (0.94, -0.24), (1, -0.06)], s)
    form = loft(0.42 - 3.65 * s, half_width, top, bottom, sides=220)
    p, faces = form.vertices.copy(), form.faces
    p[:, 1] += growth.rng.normal(0, 0.09) * np.square(form.along)
    p[:, 2] += growth.rng.uniform(0.0, 0.22) * np.square(form.along)
    around = np.cos(form.around)
    shifted = form.along + 0.010 * fbm(p * 3, 2, growth.seed + 41) - 0.012 * around
    ring = np.searchsorted(_RINGS, shifted)
    starts, ends = np.concatenate([[-0.02], _RINGS]), np.concatenate([_RINGS, [1.03]])
    share = ((shifted - starts[ring]) / (ends - starts)[ring]).astype(np.float32)
    lip = smoothstep(0.0, 0.75, share) * smoothstep(1.0, 0.96, share)
    fold = bump(around + 0.38, 0, 0.07)
    keel = bump(p[:, 1], p[:, 1].mean(), 0.05) * smoothstep(0.5, 0.9, around)
    hole = bump(np.hypot((share - 0.42) * 0.42, (around + 0.16) * 0.5), 0, 0.035)
    pits = worley(p, scattered(p, faces, 5200, growth.rng)[0])
    pit = smoothstep(0.024, 0.009, pits.f1) * hash_unit(pits.nearest, growth.seed + 4)
    relief = (
        0.065 * lip - 0.04 * fold + 0.04 * keel * lip - 0.045 * hole - 0.012 * pit
        + 0.010 * ridged(p * 9, 3, growth.seed + 43) + 0.02 * fbm(p * 3.5, 3, growth.seed + 45)
    )  # fmt: skip
    vertices = displaced(p, faces, relief)

    grain = fbm(p * 3.5, 4, growth.seed + 47)
    coat = mottled(growth, p, 0.5)
    flank = smoothstep(0.42, 0.12, np.abs(around - 0.28 + 0.5 * grain))
    coat = mix(coat, BARK, 0.9 * flank * smoothstep(0.05, 0.35, share + 0.4 * grain))
    back = smoothstep(0.10, 0.03, np.abs(p[:, 1]) - 0.14 + 0.15 * grain) * smoothstep(0.4, 0.8, around)
    coat = mix(coat, OCHRE, 0.7 * back)
    beads = bump(np.mod(form.around * 4.6, 1), 0.5, 0.22) * smoothstep(0.66, 0.8, share)
    coat = mix(coat, PALE, 0.65 * beads * smoothstep(-0.5, -0.2, around))
    coat = mix(coat, mix(OCHRE, OLIVE, smoothstep(-0.1, 0.2, grain)), 0.75 * smoothstep(-0.3, -0.55, around))
    gap = np.maximum(smoothstep(0.10, 0.0, share), smoothstep(0.965, 1.0, share))
    coat = mix(coat, BARK, np.maximum.reduce([0.9 * gap, 0.8 * hole, 0.4 * fold]))
    clothe(growth, vertices, faces, coat, 700, (-0.9, 0, 0.1), pit)
    last = smoothstep(0.6, 0.9, form.along)
    add_hairs(growth, growth.setae, (vertices, faces), PALE, 160, 0.13, (-0.9, 0, 0), last)

    tail = vertices[form.along > 0.985].mean(axis=0).astype(np.float64)
    for side in (1, -1):
        for a, b, thick in (
            ((0.16, 0.14, 0.09), (-0.20, 0.21, 0.12), 0.062),  # cercus
            ((0.10, 0.05, 0.04), (-0.30, 0.06, 0.16), 0.078),  # upper valve
            ((0.12, 0.05, -0.06), (-0.24, 0.06, -0.16), 0.078),  # lower valve
        ):
            ends_of_valve = (tail + np.array(a) * [1, side, 1], tail + np.array(b) * [1, side, 1])
            knots = [(0, thick), (0.5, 0.85 * thick), (1, 0.25 * thick)]
            valve = segment(growth, *ends_of_valve, knots, 60, 48)
            skin = add_skin(growth, valve, growth.chitin, BARK, OCHRE, pits=30)
            add_hairs(growth, growth.setae, skin, PALE, 26, 0.09, (-0.8, 0, 0))
    plate = segment(
        growth,
        tail + np.array([0.25, 0, 0.13]),
        tail + np.array([-0.12, 0, 0.06]),
        [(0, 0.13), (0.5, 0.11), (1, 0.05)],
        60,
        70,
    )
    add_skin(growth, plate, growth.chitin, OLIVE, OCHRE, pits=40)


def _add_wing_pads(growth: Growth, side: int) -> None:
    """The two wings to be, folded over the flank: thick blades with a fan of raised veins; the hind one on top."""
    for length, root, height, spread, lift, tint in (
        (1.36, 1.20, 56.0, 20.0, 0.02, 0.25),
        (1.62, 1.02, 44.0, 25.0, 0.07, 0.55),
    ):
        s = eased(130)
        half_width = profile([(0, 0), (0.06, 0.60), (0.35, 1.0), (0.65, 0.86), (0.92, 0.36), (1, 0)], s, rounded=True)
        form = loft(s, half_width, 1 + 0 * s, -1 + 0 * s, sides=110)
        along, across = form.along, form.vertices[:, 1]
        thick = 0.030 * np.cos(form.around) * np.sqrt(np.clip(half_width, 0, 1)).repeat(110)
        # Blades bend around the body: from the top by this angle, the tip drawn up towards the back.
        angle = np.radians(height - 10 * along - spread * across)
        out = lift * smoothstep(0.1, 0.5, along) + thick - 0.05 * smoothstep(0.4, 0, along)
        girth = 0.78 - 0.09 * along
        x = root - length * along + 0.10 * across * (1 - along)
        centre = np.stack([x, side * (girth + out) * np.sin(angle), (girth + out) * np.cos(angle) ** 0.9], axis=1)
        p = centre.astype(np.float32)
        faces = form.faces if side > 0 else form.faces[:, ::-1].copy()
        fan = across / np.maximum(0.55 + 0.45 * along, 0.3)
        phase = 5.2 * fan + 0.35 * fbm(p * 3, 2, growth.seed + 51)
        vein = bump(phase - np.round(phase), 0, 0.13) * smoothstep(0.02, 0.15, along)
        net = worley(np.stack([3.2 * along, 0.55 * across, 0 * along], axis=1), _net(growth, 260))
        cross = smoothstep(0.030, 0.008, net.border)
        rim = smoothstep(0.80, 1.0, np.abs(np.sin(form.around)) ** 4)
        vertices = displaced(
            p, faces, 0.022 * vein + 0.010 * cross + 0.016 * rim + 0.014 * fbm(p * 7, 3, growth.seed + 53)
        )
        coat = mix(mottled(growth, p, tint), OLIVE, 0.4 * np.ones(len(p)))
        coat = mix(coat, BARK, 0.6 * smoothstep(0.0, 0.2, fbm(p * 3, 3, growth.seed + 55)))
        coat = mix(coat, PALE, np.maximum.reduce([0.75 * vein, 0.35 * cross, 0.6 * rim]))
        clothe(growth, vertices, faces, coat, 90, (-0.6, 0, 0))


def _net(growth: Growth, count: int) -> Floats:
    """Points [count, 3] in the plane of a blade, among which its cross veins run."""
    flat = growth.rng.random((count, 3)) * [3.4, 1.4, 0]
    return (flat - [0.1, 0.7, 0]).astype(np.float32)
