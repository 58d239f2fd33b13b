"""A random object: bodies put together by a random plan, with relief, paint and perhaps hair, perhaps on a ground."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.synthesis.objects.hair import grown, tinted
from datasets.synthesis.objects.model import Floats, Hairs, Model, Part, centred
from datasets.synthesis.objects.noise import fbm, smoothstep
from datasets.synthesis.objects.surface import displaced, scattered
from datasets.synthesis.pairs import bodies, implicit
from datasets.synthesis.pairs.bodies import Body, Maker, united
from datasets.synthesis.pairs.paint import painted, palette
from datasets.synthesis.pairs.relief import relief

VERTICES = 120_000  # of an object, about
GROUND_SIDE = 250  # vertices along a side of the ground

# With how likely each is, against the others.
MESHED: tuple[tuple[Maker, float], ...] = (
    (bodies.superquadric, 2.0),
    (bodies.crystal, 1.0),
    (bodies.pillow, 1.5),
    (bodies.lathe, 1.5),
    (bodies.swept, 1.0),
    (bodies.seashell, 0.7),
    (bodies.sheet, 1.2),
)
IMPLICIT: tuple[tuple[Maker, float], ...] = (
    (implicit.blend, 1.6),
    (implicit.foam, 0.7),
    (implicit.lattice, 0.5),
    (implicit.sponge, 0.6),
)
IMPLICIT_FROM = 5000  # vertices: these forms take so many at least

T = TypeVar("T")
Plan = Callable[[np.random.Generator], list[Body]]  # a body for each material


def build(seed: int) -> Model:
    """The random object of this number, in mm; a part called "ground", if it has one, is left out of its sphere."""
    rng = np.random.default_rng([seed, 0])
    turn = Rotation.from_rotvec(rng.standard_normal(3))
    whole = [body.placed(1.0, turn, np.zeros(3)) for body in _drawn(PLANS, rng)(rng)]
    reach = max(float(np.linalg.norm(body.vertices, axis=1).max()) for body in whole)
    scale = float(rng.uniform(1.2, 4.5))  # mm
    parts, hairs = [], []
    for i, body in enumerate(body.placed(1 / reach, Rotation.identity(), np.zeros(3)) for body in whole):
        height, pattern = relief(body, rng)
        body = replace(body, vertices=displaced(body.vertices, body.faces, height).astype(np.float32))
        parts.append(_part(f"part {i}", body, painted(body, pattern, rng), rng))
        if rng.random() < (0.3 if i == 0 else 0.1):
            hairs.append(_coat(f"coat {i}", body, rng))
    model = _scaled(centred("specimen", parts, hairs, exposure=1.0), scale)
    if rng.random() < 0.3:
        model = replace(model, parts=(*model.parts, _ground(model, rng)))
    return model


# ---------------------------------------------------------------- plans


def _solo(rng: np.random.Generator) -> list[Body]:
    return [_any(rng, VERTICES)]


def _studded(rng: np.random.Generator) -> list[Body]:
    """A body with many small pieces on its surface: knobs, spines, scales, beads."""
    body = _any(rng, VERTICES // 2)
    count = int(np.exp(rng.uniform(np.log(12), np.log(160))))
    places, normals = scattered(body.vertices, body.faces, count, rng)
    prototype = _any(rng, max(200, VERTICES // 2 // count))
    size = rng.uniform(0.4, 1.2) / np.sqrt(count)
    pieces = []
    for place, normal in zip(places, normals, strict=True):
        turn = Rotation.align_vectors(normal[None], [[0, 0, 1]])[0] * Rotation.from_euler("z", rng.uniform(0, 6.28))
        pieces.append(prototype.placed(size * rng.uniform(0.6, 1.2), turn, place + 0.3 * size * normal))
    return [body, united(pieces)]


def _cluster(rng: np.random.Generator) -> list[Body]:
    """Pieces of one, two or three kinds that lie against each other."""
    count = int(rng.integers(2, 22))
    prototypes = [_any(rng, VERTICES // count) for _ in range(int(rng.integers(1, 4)))]
    groups: list[list[Body]] = [[] for _ in prototypes]
    centres, sizes = np.zeros((0, 3)), np.zeros(0)
    for i in range(count):
        size = rng.uniform(0.35, 1.0) * count ** (-1 / 3)
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        # Outwards along this direction until it is free of most of what lies there.
        free = np.linalg.norm(centres[None] - np.linspace(0, 3, 60)[:, None, None] * direction, axis=2)
        clear = (free > 0.75 * (sizes + size)).all(axis=1)
        centre = 3 / 59 * int(clear.argmax()) * direction
        centres, sizes = np.concatenate([centres, centre[None]]), np.append(sizes, size)
        groups[i % len(groups)].append(prototypes[i % len(groups)].placed(size, Rotation.random(rng=rng), centre))
    return [united(group) for group in groups if group]


def _whorl(rng: np.random.Generator) -> list[Body]:
    """Copies around an axis in one to four rings, about something in the middle."""
    per_ring, rings = int(rng.integers(3, 15)), int(rng.integers(1, 5))
    prototype = _any(rng, VERTICES // (per_ring * rings + 2))
    first, tilt, size = Rotation.random(rng=rng), rng.uniform(0, 0.5), rng.uniform(0.8, 2.0) / np.sqrt(per_ring)
    pieces = []
    for ring in range(rings):
        out, up = 0.7 - 0.5 * ring / rings, rng.uniform(0.1, 0.35) * ring
        for k in range(per_ring):
            turn = Rotation.from_euler("z", 2 * np.pi * (k + ring / 2) / per_ring)
            lean = turn * Rotation.from_euler("y", -tilt * (1 + ring)) * first
            pieces.append(prototype.placed(size * (1 - 0.15 * ring), lean, turn.apply([out, 0, up])))
    middle = _any(rng, VERTICES // 4).placed(rng.uniform(0.25, 0.6), Rotation.random(rng=rng), np.zeros(3))
    return [united(pieces), middle]


def _array(rng: np.random.Generator) -> list[Body]:
    """A grid of like pieces on a base: keys, pins, studs, teeth."""
    columns, rows = int(rng.integers(2, 9)), int(rng.integers(1, 7))
    prototype = _any(rng, VERTICES * 2 // 3 // (columns * rows))
    pitch = 1.6 / max(columns, rows)
    first, jitter = Rotation.random(rng=rng), rng.choice([0.0, 0.0, 0.1, 0.4])
    pieces = []
    for row in range(rows):
        for column in range(columns):
            turn = Rotation.from_rotvec(jitter * rng.standard_normal(3)) * first
            place = pitch * np.array([column - (columns - 1) / 2, row - (rows - 1) / 2, 0.35])
            pieces.append(prototype.placed(pitch * rng.uniform(0.5, 0.6), turn, place))
    base = (bodies.pillow if rng.random() < 0.7 else bodies.superquadric)(rng, VERTICES // 3)
    return [united(pieces), base.placed(1.2, Rotation.identity(), np.array([0, 0, -0.1]))]


def _strand(rng: np.random.Generator) -> list[Body]:
    """Pieces along a curve, each a little turned and smaller than the last: chain, spike, stack, string."""
    count = int(rng.integers(3, 18))
    prototypes = [_any(rng, VERTICES // count) for _ in range(int(rng.integers(1, 3)))]
    step, turn = Rotation.from_rotvec(0.35 * rng.standard_normal(3)), Rotation.random(rng=rng)
    heading, place = Rotation.identity(), np.zeros(3)
    size, shrink = 2.2 / count, rng.uniform(0.85, 1.0)
    gap = rng.uniform(0.5, 1.3)
    groups: list[list[Body]] = [[] for _ in prototypes]
    for i in range(count):
        groups[i % len(groups)].append(prototypes[i % len(groups)].placed(size, heading * turn, place))
        place = place + gap * size * heading.apply([0, 0, 1])
        heading, size = heading * step, size * shrink
    centre = np.mean([body.vertices.mean(axis=0) for group in groups for body in group], axis=0)
    return [united(group).placed(1.0, Rotation.identity(), -centre) for group in groups]


def _bush(rng: np.random.Generator) -> list[Body]:
    """Twigs that fork again and again, with something at their tips."""
    depth = int(rng.integers(2, 5))
    twigs: list[tuple[np.ndarray, np.ndarray, float]] = []
    tips: list[tuple[np.ndarray, np.ndarray]] = []
    spread, shrink = rng.uniform(0.35, 0.9), rng.uniform(0.6, 0.85)

    def fork(base: np.ndarray, heading: np.ndarray, length: float, level: int) -> None:
        tip = base + length * heading
        twigs.append((base, tip, length))
        if level == depth:
            tips.append((tip, heading))
            return
        for _ in range(int(rng.integers(2, 4))):
            aside = heading + spread * rng.standard_normal(3)
            fork(tip, aside / np.linalg.norm(aside), length * shrink, level + 1)

    fork(np.array([0.0, 0.0, -0.8]), np.array([0.0, 0.0, 1.0]), 0.6, 0)
    thick = rng.uniform(0.05, 0.14)
    limbs = [_limb(a, b, thick * length, VERTICES // 2 // len(twigs), rng) for a, b, length in twigs]
    prototype = _any(rng, max(150, VERTICES // 2 // len(tips)))
    size = rng.uniform(0.5, 1.3) / np.sqrt(len(tips))
    fruit = [
        prototype.placed(size * rng.uniform(0.5, 1.0), Rotation.align_vectors(heading[None], [[0, 0, 1]])[0], tip)
        for tip, heading in tips
    ]
    return [united(limbs), united(fruit)]


PLANS: tuple[tuple[Plan, float], ...] = (
    (_solo, 3.0),
    (_studded, 2.0),
    (_cluster, 2.0),
    (_whorl, 1.2),
    (_array, 1.2),
    (_strand, 1.0),
    (_bush, 0.9),
)


def _any(rng: np.random.Generator, count: int) -> Body:
    """A body of any form of about `count` vertices."""
    makers = MESHED + IMPLICIT if count >= IMPLICIT_FROM else MESHED
    return _drawn(makers, rng)(rng, count)


def _drawn(choices: Sequence[tuple[T, float]], rng: np.random.Generator) -> T:
    """One of the choices, each as likely as its weight."""
    weights = np.array([weight for _, weight in choices])
    return choices[int(rng.choice(len(choices), p=weights / weights.sum()))][0]


def _limb(start: np.ndarray, end: np.ndarray, thick: float, count: int, rng: np.random.Generator) -> Body:
    """A twig between two points, a little crooked, thinner at its end."""
    sides = int(np.clip(np.sqrt(count) / 2.5, 6, 40))
    bend = (start + end) / 2 + 0.12 * np.linalg.norm(end - start) * rng.standard_normal(3)
    path = bodies.spline([start, bend, end], max(5, count // sides))
    radius = np.linspace(thick, 0.7 * thick, len(path)).astype(np.float32)
    limb = bodies.tube(path, radius, sides, up=(0.3, 1.0, 0.1))
    return Body(limb.vertices, limb.faces, limb.along, limb.around, np.full(len(limb.vertices), thick / 2, np.float32))


# ---------------------------------------------------------------- materials


def _part(name: str, body: Body, albedo: Floats, rng: np.random.Generator) -> Part:
    roughness = float(rng.uniform(0.35, 0.95))
    metallic = float(rng.random() < 0.1)
    if metallic:
        albedo = (0.35 + 0.6 * albedo).astype(np.float32)
    return Part(name, body.vertices, body.faces, albedo, roughness, float(rng.uniform(0.05, 0.6)), metallic)


def _coat(name: str, body: Body, rng: np.random.Generator) -> Hairs:
    """Fuzz, a pelt in patches, or a few stiff spines."""
    count = int(np.exp(rng.uniform(np.log(40), np.log(4000))))
    patches = smoothstep(-0.1, 0.15, fbm(body.vertices * np.float32(1.5), 2, int(rng.integers(1 << 20))))
    density = patches if rng.random() < 0.4 else None
    roots, normals = scattered(body.vertices, body.faces, count, rng, density)
    length = np.exp(rng.uniform(np.log(0.06), np.log(0.5)))
    lean = rng.normal(0, 0.4, 3)
    points = grown(roots, normals, length, rng, lean=lean, spread=rng.uniform(0.05, 0.5), curl=rng.uniform(0, 0.6))
    thick = float(np.clip(length * rng.uniform(0.01, 0.06), 0.004, 0.02))
    return Hairs(name, points, tinted(palette(rng)[0], count, rng), radius_root=thick, radius_tip=thick * 0.3)


def _ground(model: Model, rng: np.random.Generator) -> Part:
    """What the object stands on, or before: a rough textured field, wider than any view of the object."""
    line = np.linspace(-1, 1, GROUND_SIDE)
    line = 2.4 * (0.45 * line + 0.55 * line**3)  # finer below the object
    u, v = (grid.ravel() for grid in np.meshgrid(line, line, indexing="ij"))
    flat = np.stack([u, v, 0 * u], axis=1).astype(np.float32)
    faces = bodies.grid_faces(GROUND_SIDE, GROUND_SIDE, closed=False)
    girth = np.full(len(flat), 0.4, dtype=np.float32)
    body = Body(flat, faces, (flat[:, 0] + 2.4) / 4.8, (flat[:, 1] + 2.4) / 4.8 * 2 * np.float32(np.pi), girth)
    height, pattern = relief(body, rng)
    albedo = painted(body, pattern, rng)
    swell = rng.uniform(0, 0.25) * fbm(flat * np.float32(0.8), 2, int(rng.integers(1 << 20)))
    lowest = min(float(part.vertices[:, 2].min()) for part in model.parts) / model.radius
    level = lowest - rng.choice([-0.05, 0.0, 0.3]) - swell.max()
    vertices = np.stack([flat[:, 0], flat[:, 1], level + swell + height], axis=1) * model.radius
    ground = _part("ground", replace(body, vertices=vertices.astype(np.float32)), albedo, rng)
    return replace(ground, metallic=0.0)


def _scaled(model: Model, scale: float) -> Model:
    """The model, its length unit being `scale` mm."""
    factor = np.float32(scale)
    return replace(
        model,
        parts=tuple(replace(part, vertices=part.vertices * factor) for part in model.parts),
        hairs=tuple(
            replace(
                hair,
                points=hair.points * factor,
                radius_root=hair.radius_root * scale,
                radius_tip=hair.radius_tip * scale,
            )
            for hair in model.hairs
        ),
        radius=model.radius * scale,
    )
