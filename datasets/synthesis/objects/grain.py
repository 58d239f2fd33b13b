"""A clump of mineral grains, about 7 mm: quartz, feldspar, garnet, olivine, basalt, mica and more, as sand holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from datasets.synthesis.objects.chitin import mix, valid
from datasets.synthesis.objects.grain_minerals import MINERALS, Mineral, Skin
from datasets.synthesis.objects.grain_packing import packed
from datasets.synthesis.objects.grain_solids import Solid, broken, random_rotations, worn
from datasets.synthesis.objects.model import Floats, Ints, Model, Part, centred
from datasets.synthesis.objects.noise import fbm, smoothstep
from datasets.synthesis.objects.surface import displaced, icosphere, joined, scattered

EXPOSURE = 1.05

GRAINS = 88
_EDGE = 0.0205  # mm between neighbouring vertices
_CRUMBS = 3600
_SILT = (0.42, 0.32, 0.22)  # linear albedo of the dust in the gaps
_FAR = 0.35  # mm: gaps are not measured farther than this
_SPHERES = [icosphere(frequency) for frequency in (2, 3, 5)]  # for small, middling and large crumbs
_MOULDS = 12  # of each size
_LUSTRES = {"glassy": (0.42, 0.5), "earthy": (0.75, 0.3), "pearly": (0.40, 0.6)}  # roughness, specular


@dataclass(frozen=True)
class _Grain:
    mineral: Mineral
    solid: Solid
    size: float  # mm


def build(seed: int) -> Model:
    """The clump of this number: the same number gives the same bytes."""
    rng = np.random.default_rng(seed)
    noise_seed = int(rng.integers(1 << 20))
    grains = _chosen(rng)
    packing = packed([grain.solid for grain in grains], rng)
    bodies, albedos = [], []
    for number, (grain, rotation, position) in enumerate(zip(grains, packing.rotation, packing.position, strict=True)):
        vertices, faces, albedo = _grown(grain, noise_seed + 1000 * number)
        bodies.append(((vertices @ rotation.T + position).astype(np.float32), faces))
        albedos.append(albedo)
    gaps = _gaps([vertices for vertices, _ in bodies])
    pieces = []
    for (vertices, faces), albedo, gap in zip(bodies, albedos, gaps, strict=True):
        pieces.append((vertices, faces, _dusted(vertices, albedo, gap, noise_seed)))
    parts = [
        Part(lustre, *joined([p for p, g in zip(pieces, grains, strict=True) if g.mineral.lustre == lustre]), *shine)
        for lustre, shine in _LUSTRES.items()
    ]
    parts.append(Part("crumbs", *_crumbs(pieces, gaps, rng, noise_seed), roughness=0.7, specular=0.3))
    return centred("grain", parts, [], EXPOSURE)


def _chosen(rng: np.random.Generator) -> list[_Grain]:
    """GRAINS grains: a third large, a third middling, the rest small, of minerals drawn by their shares."""
    sizes = np.concatenate(
        [
            rng.uniform(1.10, 1.55, GRAINS // 3),
            rng.uniform(0.65, 1.15, GRAINS // 3),
            rng.uniform(0.30, 0.65, GRAINS - 2 * (GRAINS // 3)),
        ]
    )
    shares = np.array([mineral.share for mineral in MINERALS])
    # Systematic sampling: every mineral gets its share of grains, and so is always there.
    slots = (np.arange(GRAINS) + rng.random()) / GRAINS
    kinds = np.searchsorted(np.cumsum(shares / shares.sum()), slots)
    grains = []
    for kind, size in zip(rng.permutation(kinds), sizes, strict=True):
        mineral = MINERALS[kind]
        size = min(float(size), mineral.largest * rng.uniform(0.85, 1))
        grains.append(_Grain(mineral, mineral.makers[rng.integers(len(mineral.makers))](rng, size), size))
    return grains


def _grown(grain: _Grain, seed: int) -> tuple[Floats, Ints, Floats]:
    """One grain about the origin, with its relief: vertices [V, 3] mm, faces [F, 3], albedo [V, 3]."""
    frequency = max(8, round(grain.size * 0.95 / _EDGE / 2 * 1.1))
    directions, faces = icosphere(frequency)
    points, edge, chip = grain.solid.surface(directions)
    form = (points @ np.linalg.inv(grain.solid.frame).T).astype(np.float32)
    speckle = smoothstep(-0.15, 0.15, fbm(points * 11, 4, seed, gain=0.85))
    stain = smoothstep(-0.25, 0.25, fbm(points * 1.6, 4, seed + 91, gain=0.6))
    relief, albedo = grain.mineral.paint(Skin(points, form, edge, chip, speckle, stain, seed))
    return displaced(points, faces, relief.astype(np.float32)), faces, valid(albedo)


def _gaps(bodies: Sequence[Floats]) -> list[Floats]:
    """How far, mm, each vertex of each body [V, 3] lies from any other body ([V] each); _FAR where farther."""
    centres = [vertices.mean(axis=0) for vertices in bodies]
    reaches = [float(np.linalg.norm(v - c, axis=1).max()) for v, c in zip(bodies, centres, strict=True)]
    gaps = []
    for number, vertices in enumerate(bodies):
        others = [
            other[::3]
            for index, other in enumerate(bodies)
            if index != number
            and np.linalg.norm(centres[index] - centres[number]) < reaches[index] + reaches[number] + _FAR
        ]
        distance, _ = cKDTree(np.concatenate(others)).query(vertices, distance_upper_bound=_FAR)
        gaps.append(np.minimum(distance, _FAR).astype(np.float32))
    return gaps


def _dusted(vertices: Floats, albedo: Floats, gap: Floats, seed: int) -> Floats:
    """Albedo [V, 3] with silt and rust where grains nearly meet, and a thin film of dust here and there."""
    ragged = fbm(vertices * 7, 4, seed + 71, gain=0.7)
    silt = smoothstep(0.16, 0.03, gap + 0.20 * ragged)
    film = smoothstep(0.12, 0.3, ragged + 0.5 * fbm(vertices * 0.9, 2, seed + 73))
    shade = (0.55 + 0.6 * smoothstep(-0.15, 0.15, fbm(vertices * 16, 3, seed + 75, gain=0.8)))[:, None]
    return valid(mix(albedo, np.array(_SILT) * shade, 0.70 * silt + 0.35 * film))


def _crumbs(
    pieces: Sequence[tuple[Floats, Ints, Floats]], gaps: Sequence[Floats], rng: np.random.Generator, seed: int
) -> tuple[Floats, Ints, Floats]:
    """Splinters and dust that stick to the grains, most of them in the gaps, each a bit of some other grain."""
    vertices, faces, albedo = joined(pieces)
    gap = np.concatenate(gaps)
    drift = smoothstep(-0.05, 0.25, fbm(vertices * 1.1, 3, seed + 77))
    density = 0.12 + 0.5 * drift**2 + 1.6 * smoothstep(0.25, 0.05, gap) * smoothstep(0.01, 0.03, gap)
    places, normals = scattered(vertices, faces, _CRUMBS, rng, density)
    width = np.minimum(0.022 * rng.pareto(2.2, _CRUMBS) + 0.022, 0.13)
    # Few moulds, each cast often, turned at random: nobody can tell, and it is much faster.
    mould = np.where(width < 0.055, 0, np.where(width < 0.09, 1, 2)) * _MOULDS + rng.integers(0, _MOULDS, _CRUMBS)
    turns = random_rotations(rng, _CRUMBS).astype(np.float32)
    tint = np.where(rng.random((_CRUMBS, 1)) < 0.6, albedo[rng.integers(0, len(albedo), _CRUMBS)], np.array(_SILT))
    tint = tint * rng.uniform(0.75, 1.1, (_CRUMBS, 1))
    casts = []
    for number in range(3 * _MOULDS):
        directions, triangles = _SPHERES[number // _MOULDS]
        form = (worn if number % 4 == 0 else broken)(rng, 1.0).surface(directions)[0]
        own = np.flatnonzero(mould == number)
        points = width[own, None, None] * np.einsum("cij,vj->cvi", turns[own], form)
        # Each rests on its lowest point, a little embedded.
        sunk = np.einsum("cvi,ci->cv", points, normals[own]).min(axis=1) + 0.12 * width[own]
        points = points + (places[own] - sunk[:, None] * normals[own])[:, None]
        shade = rng.uniform(0.6, 1.1, (len(own), len(form), 1))
        casts += [
            (cast.astype(np.float32), triangles, valid(colour * each))
            for cast, colour, each in zip(points, tint[own], shade, strict=True)
        ]
    return joined(casts)
