"""What an insect is made of: skins of wrinkled, pitted, mottled chitin, limb joints, setae and spines.

`Growth` collects the pieces of an animal while its recipe runs; the functions add to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from datasets.synthesis.objects.hair import grown, tinted
from datasets.synthesis.objects.model import Floats, Hairs, Ints
from datasets.synthesis.objects.noise import fbm, hash_unit, ridged, smoothstep, worley
from datasets.synthesis.objects.surface import Surface, displaced, eased, profile, scattered, spline, tube

# Linear albedo.
PITCH, BROWN, RUST = (0.012, 0.014, 0.016), (0.085, 0.032, 0.015), (0.44, 0.155, 0.055)
STRAW = (0.66, 0.44, 0.20)

Piece = tuple[Floats, Ints, Floats]  # vertices [V, 3] mm, faces [F, 3], albedo [V, 3]


@dataclass
class Growth:
    """An animal half built: pieces by material, and coats of strands (points, albedo) by kind."""

    rng: np.random.Generator
    seed: int  # of the noise
    shell: list[Piece] = field(default_factory=list)
    chitin: list[Piece] = field(default_factory=list)
    lenses: list[Piece] = field(default_factory=list)
    setae: list[tuple[Floats, Floats]] = field(default_factory=list)
    spines: list[tuple[Floats, Floats]] = field(default_factory=list)


def strands(name: str, coats: Sequence[tuple[Floats, Floats]], radius_root: float, radius_tip: float) -> Hairs:
    """All coats of one kind as one set of hairs."""
    points, albedo = (np.concatenate(arrays) for arrays in zip(*coats, strict=True))
    return Hairs(name, points, albedo, radius_root, radius_tip)


def segment(
    growth: Growth,
    a: ArrayLike,
    b: ArrayLike,
    swelling: Sequence[tuple[float, float]],
    rings: int,
    sides: int,
    up: ArrayLike = (0, 0, 1),
    bow: ArrayLike = (0, 0, 0),
    flutes: int = 0,
) -> Surface:
    """One joint of a limb from a to b [3] mm, rounded at both ends, somewhat flattened across.

    swelling: its radius, mm, as (position 0..1, radius) knots. bow: how far its middle is moved, [3] mm.
    flutes: number of shallow ridges that run along it.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    at = eased(rings)
    length = float(np.linalg.norm(b - a))
    radius = profile(swelling, at)
    # Quarter-ellipse caps, about as long as the limb is thick there.
    for end, cap in ((at, swelling[0][1] / length), (1 - at, swelling[-1][1] / length)):
        radius = radius * np.sqrt(1 - np.square(np.clip(1 - end / min(cap, 0.45), 0, 1)))
    middle = (a + b) / 2 + np.asarray(bow) + growth.rng.normal(0, 0.006, 3)
    section = np.stack([radius, 0.86 * radius], axis=1)
    form = tube(spline([a, middle, b], rings), section, sides, up)
    if not flutes:
        return form
    middle_part = smoothstep(0.05, 0.3, form.along) * smoothstep(1.0, 0.9, form.along)
    wave = (0.007 * np.cos(flutes * form.around) * middle_part).astype(np.float32)
    return Surface(displaced(form.vertices, form.faces, wave), form.faces, form.along, form.around)


def add_skin(
    growth: Growth,
    form: Surface,
    into: list[Piece],
    dark: ArrayLike,
    light: ArrayLike,
    pits: int = 0,
) -> tuple[Floats, Ints]:
    """Gives a form the skin of a limb and adds it to `into`; gives its final vertices and faces.

    Wrinkles and granules, `pits` small punctures, colour between dark and light, darker towards the joints.
    """
    p, faces = form.vertices, form.faces
    speckle = speckles(p, growth.seed + 61)
    stain = smoothstep(-0.16, 0.16, fbm(p * 2.2, 3, growth.seed + 63))
    relief = 0.010 * ridged(p * 9, 3, growth.seed + 67) + 0.006 * speckle
    joints = np.maximum(smoothstep(0.16, 0.02, form.along), smoothstep(0.86, 0.98, form.along))
    colour = mix(dark, light, 0.08 + 0.45 * stain + 0.5 * speckle - 0.6 * joints)
    if pits:
        cells = worley(p, scattered(p, faces, pits, growth.rng)[0])
        pit = smoothstep(0.028, 0.010, cells.f1)
        relief = relief - 0.015 * pit
        colour = mix(colour, PITCH, 0.6 * pit)
    vertices = displaced(p, faces, relief)
    into.append((vertices, faces, valid(colour)))
    return vertices, faces


def speckles(points: Floats, seed: int) -> Floats:
    """Fine mottling [N] in 0..1: grains of some 20 to 90 micrometres, which the least defocus washes out."""
    return smoothstep(-0.15, 0.15, fbm(points * 11, 4, seed, gain=0.85))


def spaced(points: Floats, distance: float) -> Floats:
    """Scattered points [N, 3], thinned until few lie nearer to each other than `distance` mm."""
    for turn in range(3):
        close = worley(points, points).f2 < distance
        points = points[~close | (hash_unit(np.arange(len(points)), turn) > 0.6)]
    return points


def coat(
    growth: Growth,
    vertices: Floats,
    faces: Ints,
    count: int,
    length: float,
    lean: ArrayLike,
    density: Floats | None = None,
) -> None:
    """Scatters `count` setae over a mesh, likelier where density [V] is higher."""
    plant(growth, *scattered(vertices, faces, count, growth.rng, density), length, lean)


def plant(growth: Growth, roots: Floats, normals: Floats, length: float, lean: ArrayLike) -> None:
    """Grows a seta from each root [S, 3] mm."""
    points = grown(roots, normals, length, growth.rng, lean)
    growth.setae.append((points, tinted(STRAW, len(roots), growth.rng)))


def spines(
    growth: Growth, vertices: Floats, faces: Ints, count: int, length: float, lean: ArrayLike, density: Floats
) -> None:
    """Scatters `count` stout dark spines over a mesh."""
    roots, normals = scattered(vertices, faces, count, growth.rng, density)
    points = grown(roots, normals, length, growth.rng, lean, spread=0.08, curl=0.08)
    growth.spines.append((points, tinted(BROWN, count, growth.rng)))


def mix(a: ArrayLike, b: ArrayLike, weight: ArrayLike) -> Floats:
    """Colours [V, 3] between a and b ([3] or [V, 3] each) by weight [V], clipped to 0..1."""
    a, b = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    return a + np.clip(weight, 0, 1).astype(np.float32)[:, None] * (b - a)


def valid(colour: Floats) -> Floats:
    """Linear albedo kept away from perfect black and white."""
    return np.clip(colour, 0.008, 0.95).astype(np.float32)


def unit(vector: ArrayLike) -> Floats:
    """The vector [3] scaled to length 1."""
    vector = np.asarray(vector, dtype=np.float64)
    return vector / np.linalg.norm(vector)


def bump(x: ArrayLike, centre: float, width: float) -> Floats:
    """A Gaussian ridge of height 1 over x."""
    return np.exp(-np.square((np.asarray(x) - centre) / width)).astype(np.float32)
