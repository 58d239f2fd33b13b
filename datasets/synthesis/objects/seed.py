"""A reticulate seed, about 6 mm: cells walled by thin ridges, with grainy floors, like a tobacco seed."""

from __future__ import annotations

import numpy as np

from datasets.synthesis.objects.hair import grown, tinted
from datasets.synthesis.objects.model import Floats, Hairs, Ints, Model, Part, centred
from datasets.synthesis.objects.noise import Cells, fbm, hash_unit, ridged, smoothstep, worley
from datasets.synthesis.objects.surface import displaced, icosphere, scattered

EXPOSURE = 1.0

_FREQUENCY = 205  # 840,500 triangles, edges of about 13 micrometres
_CELLS = 430
_GRAINS = 60_000
_HAIRS = 420

# Linear albedo.
_FLOOR, _FLOOR_DARK = np.array([0.20, 0.105, 0.055]), np.array([0.075, 0.035, 0.02])
_WALL, _CREST = np.array([0.46, 0.26, 0.12]), np.array([0.80, 0.58, 0.34])
_GRAIN = np.array([0.58, 0.42, 0.27])
_HAIR = (0.62, 0.50, 0.36)


def build(seed: int) -> Model:
    """The seed grown from this number: the same number gives the same bytes."""
    rng = np.random.default_rng(seed)
    noise_seed = int(rng.integers(1 << 20))
    sphere, faces = icosphere(_FREQUENCY)
    body = _body(sphere, rng, noise_seed)

    # The walls wander a little: the cells are looked up at points shaken by slow noise.
    shake = np.stack([fbm(body * 3.0, 2, noise_seed + k) for k in (1, 2, 3)], axis=1)
    cells = worley(body + 0.10 * shake, _cell_centres(rng, body))
    grains = worley(body, scattered(body, faces, _GRAINS, rng)[0])
    relief, wall, crest, grain = _relief(body, cells, grains, noise_seed)
    vertices = displaced(body, faces, relief)
    albedo = _albedo(body, cells, grains, wall, crest, grain, noise_seed)
    coat = _coat(vertices, faces, crest, rng)
    skin = Part("seed coat", vertices, faces, albedo, roughness=0.7, specular=0.25)
    return centred("seed", [skin], [coat], EXPOSURE)


def _body(sphere: Floats, rng: np.random.Generator, noise_seed: int) -> Floats:
    """An egg [V, 3] mm, blunt at one end, bent like a bean, and dented where it hung on its stalk."""
    width, height = rng.uniform(0.60, 0.68), rng.uniform(0.54, 0.62)
    taper, bend = rng.uniform(0.14, 0.24), rng.uniform(0.06, 0.14)
    x, y, z = sphere.T
    girth = 1 - taper * x - 0.06 * x**2
    body = 3.0 * np.stack([x, y * width * girth, z * height * girth - bend * x**2 + bend / 3], axis=1)
    hilum = np.exp(-np.square(np.linalg.norm(sphere - [0.93, 0.1, -0.35], axis=1) / 0.22))
    lumps = fbm(sphere * 1.6, 3, noise_seed)
    return (body * (1 + 0.05 * lumps - 0.10 * hilum)[:, None]).astype(np.float32)


def _cell_centres(rng: np.random.Generator, body: Floats) -> Floats:
    """Centres [_CELLS, 3] mm of cells of like size: random, then moved to the middle of their cells (Lloyd)."""
    sample = body[rng.choice(len(body), 24_000, replace=False)]
    centres = sample[:_CELLS]
    for _ in range(3):
        nearest = worley(sample, centres).nearest
        count = np.maximum(np.bincount(nearest, minlength=len(centres)), 1)
        centres = np.stack(
            [np.bincount(nearest, weights=sample[:, k], minlength=len(centres)) / count for k in range(3)],
            axis=1,
        )
    return centres.astype(np.float32)


def _relief(body: Floats, cells: Cells, grains: Cells, noise_seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Height [V] mm above the body, and where walls, their crests and grains are ([V] in 0..1 each)."""
    thickness = 0.046 + 0.03 * fbm(body * 4, 2, noise_seed + 5)
    wall = smoothstep(1, 0, cells.border / (2.2 * thickness))
    crest = smoothstep(1, 0, cells.border / (0.75 * thickness))
    grain = smoothstep(0.026, 0.006, grains.f1) * (0.35 + 0.65 * hash_unit(grains.nearest, noise_seed + 3))
    ragged = ridged(body * 7, 3, noise_seed + 7)
    sag = -0.07 * smoothstep(0.0, 0.30, cells.border)
    # The sides of the walls are pleated from the crest down to the floor.
    pleats = fbm(np.stack([cells.f1, cells.f2, cells.border], axis=1) * [22, 22, 2], 2, noise_seed + 9)
    height = (
        (0.13 + 0.07 * (ragged - 0.7)) * wall**1.4
        + sag
        + 0.022 * pleats * wall * (1 - crest)
        + 0.020 * grain * (1 - 0.6 * wall)
        + 0.012 * fbm(body * 14, 3, noise_seed + 11)
    )
    return height, wall, crest, grain


def _albedo(
    body: Floats, cells: Cells, grains: Cells, wall: Floats, crest: Floats, grain: Floats, noise_seed: int
) -> Floats:
    """Linear albedo [V, 3]: dark floors, straw-coloured walls, pale crests and grains, stains over all."""
    stain = smoothstep(-0.2, 0.25, fbm(body * 1.3, 4, noise_seed + 13))
    speckle = smoothstep(-0.16, 0.16, fbm(body * 9, 4, noise_seed + 17, gain=0.75))
    per_cell = hash_unit(cells.nearest, noise_seed)
    per_grain = hash_unit(grains.nearest, noise_seed + 1)
    floor = _mix(_FLOOR_DARK, _FLOOR, 0.55 * speckle + 0.45 * per_cell)
    colour = _mix(floor, _GRAIN, 0.9 * grain * per_grain)
    colour = _mix(colour, _WALL * [1.0, 0.9, 0.8], (0.45 + 0.4 * speckle) * wall)
    colour = _mix(colour, _CREST, crest * (0.35 + 0.65 * speckle))
    colour = colour * (0.55 + 0.40 * stain + 0.60 * (speckle - 0.4))[:, None]
    return np.clip(colour, 0.012, 0.95).astype(np.float32)


def _coat(vertices: Floats, faces: Ints, crest: Floats, rng: np.random.Generator) -> Hairs:
    """A few fine hairs, most of them on the walls."""
    roots, normals = scattered(vertices, faces, _HAIRS, rng, density=0.1 + crest)
    points = grown(roots, normals, 0.26, rng, lean=(-0.5, 0.0, 0.2), spread=0.45, curl=0.5)
    return Hairs("seed hairs", points, tinted(_HAIR, _HAIRS, rng), radius_root=0.006, radius_tip=0.002)


def _mix(a: Floats, b: Floats, weight: Floats) -> Floats:
    return a + np.clip(weight, 0, 1)[:, None] * (b - a)
