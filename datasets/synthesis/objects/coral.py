"""A small colony of branching stony coral, about 8 mm: forked branches set with cups, on a bored, encrusted rock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from datasets.synthesis.objects.chitin import mix, spaced, valid
from datasets.synthesis.objects.coral_colony import Branch, Corallites, branches, corallites
from datasets.synthesis.objects.hair import grown, tinted
from datasets.synthesis.objects.implicit import Blend, meshed, sampled
from datasets.synthesis.objects.model import Floats, Hairs, Ints, Model, Part, centred
from datasets.synthesis.objects.noise import fbm, ridged, smoothstep, worley
from datasets.synthesis.objects.surface import displaced, scattered, vertex_normals

EXPOSURE = 1.05

_STEP = 0.038  # mm between grid points; vertices are half as far apart
_BLEND = 0.045  # mm
_SEPTA = 6  # of the first cycle; as many shorter ones stand between them
_TURF = 420

# Linear albedo: tissue, its dark mottling, and the growing tips, of colonies of several kinds.
_LIVERIES = (
    ((0.27, 0.28, 0.105), (0.12, 0.125, 0.045), (0.74, 0.76, 0.50)),
    ((0.46, 0.22, 0.24), (0.22, 0.085, 0.12), (0.84, 0.70, 0.64)),
    ((0.40, 0.235, 0.120), (0.15, 0.078, 0.040), (0.70, 0.58, 0.70)),
    ((0.33, 0.235, 0.36), (0.15, 0.10, 0.19), (0.80, 0.74, 0.82)),
)
_SKELETON = (0.80, 0.74, 0.63)
_ROCK, _ROCK_DARK, _SAND = (0.36, 0.30, 0.23), (0.13, 0.105, 0.08), (0.66, 0.58, 0.46)
_CRUST, _CRUST_PALE, _CRUST_DARK = (0.40, 0.135, 0.19), (0.68, 0.45, 0.46), (0.17, 0.045, 0.075)
_CRUST_OCHRE = (0.42, 0.22, 0.12)
_ALGA = (0.115, 0.125, 0.035)


@dataclass(frozen=True)
class _Cup:
    """Where each vertex lies with respect to the nearest corallite, [V] each.

    off: distance from its axis over its radius; above: height over the middle of its mouth, mm; angle around the
    axis; number: which corallite; near: 1 at the corallite, 0 where it does not reach.
    """

    off: Floats
    above: Floats
    angle: Floats
    number: np.ndarray
    near: Floats


def build(seed: int) -> Model:
    """The colony of this number: the same number gives the same bytes."""
    rng = np.random.default_rng(seed)
    noise_seed = int(rng.integers(1 << 20))
    livery = _LIVERIES[int(rng.integers(len(_LIVERIES)))]
    colony = branches(rng, foot=np.array([0.0, 0.0, 0.1]))
    cups = corallites(colony, rng)
    form, faces, alive = _form(colony, cups, noise_seed)
    cup = _cup_coordinates(form, cups)
    vertices, albedo, rock = _clothed(form, faces, alive, cup, colony, cups, livery, noise_seed, rng)
    turf = _turf(vertices, faces, rock, noise_seed, rng)
    return centred("coral", [Part("coral", vertices, faces, albedo, roughness=0.6, specular=0.35)], [turf], EXPOSURE)


def _form(colony: list[Branch], cups: Corallites, seed: int) -> tuple[Floats, Ints, Floats]:
    """The blended form: vertices [V, 3] mm, faces [F, 3], and how alive each vertex is ([V], 0 rock .. 1 coral)."""
    reach = np.concatenate([cups.mouth, [[-2.8, -2.7, -2.0], [2.8, 2.7, 0.3]]])
    low, high = reach.min(axis=0) - 0.45, reach.max(axis=0) + 0.45
    nx, ny, nz = np.ceil((high - low) / _STEP).astype(int).tolist()
    shape = (nx, ny, nz)
    coral, rock = Blend(low, shape, _STEP, _BLEND), Blend(low, shape, _STEP, _BLEND)
    for branch in colony:
        for k in range(len(branch.axis) - 1):
            coral.add_cone(branch.axis[k], branch.axis[k + 1], branch.radius[k], branch.radius[k + 1])
    for k in range(len(cups.radius)):
        coral.add_cone(cups.foot[k], cups.mouth[k], 0.80 * cups.radius[k], cups.radius[k])
    _add_foot(coral, seed)
    _add_rock(rock, seed)
    total = coral.total + rock.total
    vertices, faces = meshed(-np.float32(_BLEND) * np.log(total), low, _STEP)
    lead = sampled(np.log(coral.total) - np.log(rock.total), low, _STEP, vertices) * _BLEND
    ragged = 0.05 * fbm(vertices * 2.6, 4, seed + 3, gain=0.6)
    return vertices, faces, smoothstep(-0.035, 0.035, lead + ragged)


def _add_rock(blend: Blend, seed: int) -> None:
    """The piece of rubble that it stands on: a flat lump with ledges and hollows."""

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        x, y, z = np.broadcast_arrays(x, y, z)
        points = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
        lumps = fbm(points * 0.75, 3, seed + 5) + 0.5 * (ridged(points * 1.1, 2, seed + 7) - 0.6)
        level = np.sqrt((x / 1.95) ** 2 + (y / 1.8) ** 2 + ((z + 0.66) / 0.95) ** 2)
        return ((level - 1) * 0.85 - 0.42 * lumps.reshape(x.shape)).astype(np.float32)

    blend.add((-3.0, -2.9, -2.2), (3.0, 2.9, 0.7), distance)


def _add_foot(blend: Blend, seed: int) -> None:
    """The skirt of tissue and skeleton by which the colony creeps over its rock."""

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        x, y, z = np.broadcast_arrays(x, y, z)
        points = np.stack([x.ravel(), y.ravel(), 0 * z.ravel()], axis=1)
        lobes = fbm(points * 0.9, 3, seed + 9).reshape(x.shape)
        level = np.sqrt((x / 1.45) ** 2 + (y / 1.35) ** 2 + ((z + 0.10) / 0.42) ** 2)
        return ((level - 1) * 0.42 - 0.35 * lobes).astype(np.float32)

    blend.add((-2.5, -2.4, -0.8), (2.5, 2.4, 0.7), distance)


def _cup_coordinates(vertices: Floats, cups: Corallites) -> _Cup:
    """Coordinates of all vertices [V, 3] about the corallite whose mouth is nearest."""
    away, number = cKDTree(cups.mouth).query(vertices, distance_upper_bound=0.45)
    number = np.where(np.isfinite(away), number, 0)
    axis = cups.axis[number].astype(np.float32)
    rel = vertices - cups.mouth[number].astype(np.float32)
    above = np.einsum("vk,vk->v", rel, axis)
    across = rel - above[:, None] * axis
    first = np.cross(cups.axis, np.roll(cups.axis, 1, axis=1) + np.array([0.3, -0.2, 0.1]))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(cups.axis, first)
    angle = np.arctan2(
        np.einsum("vk,vk->v", across, second[number].astype(np.float32)),
        np.einsum("vk,vk->v", across, first[number].astype(np.float32)),
    )
    size = cups.radius[number].astype(np.float32)
    near = smoothstep(0.42, 0.20, np.where(np.isfinite(away), away, 9.0))
    return _Cup(np.linalg.norm(across, axis=1) / size, above, angle.astype(np.float32), number, near)


def _clothed(
    form: Floats,
    faces: Ints,
    alive: Floats,
    cup: _Cup,
    colony: list[Branch],
    cups: Corallites,
    livery: tuple[tuple[float, float, float], ...],
    seed: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:
    """The form with its relief and colour: vertices [V, 3] mm, albedo [V, 3], and what is bare rock ([V] in 0..1)."""
    speckle = smoothstep(-0.15, 0.15, fbm(form * 12, 4, seed + 21, gain=0.85))
    blotch = smoothstep(-0.2, 0.2, fbm(form * 1.5, 4, seed + 23, gain=0.6))
    vertices, hollow, septum, rim, wall = _hollowed(form, cup, cups, speckle)
    height, colour = _tissue(form, cup, hollow, septum, rim, wall, colony, livery, speckle, blotch, seed)
    rock_height, rock_colour = _encrusted(form, faces, speckle, blotch, seed, rng)
    margin = np.clip(4 * alive * (1 - alive), 0, 1)
    colour = mix(colour, livery[2], 0.7 * margin * speckle)
    height = height * alive + rock_height * (1 - alive) + 0.02 * margin
    vertices = displaced(vertices, faces, height.astype(np.float32))
    return vertices, valid(mix(rock_colour, colour, alive)), 1 - alive


def _hollowed(
    form: Floats, cup: _Cup, cups: Corallites, speckle: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """The form with its cups hollowed out, between septa that stand in from the wall.

    Gives with the vertices [V, 3] mm how far each lies in a hollow, on a septum, on the rim and on the outer wall
    of its cup ([V] in 0..1 each).
    """
    size = cups.radius[cup.number].astype(np.float32)
    upper = smoothstep(-0.1, 0.2, cup.above / size)
    major = smoothstep(0.55, 0.9, np.cos(_SEPTA * cup.angle))
    minor = smoothstep(0.60, 0.9, -np.cos(_SEPTA * cup.angle)) * smoothstep(0.42, 0.6, cup.off)
    septum = np.maximum(major * smoothstep(0.16, 0.36, cup.off), minor)
    ragged = cup.off + 0.10 * (speckle - 0.5)
    hollow = smoothstep(0.80, 0.58, ragged) * upper
    deep = 1.25 * size * (0.6 + 0.4 * smoothstep(0.7, 0.2, cup.off)) * (1 - 0.55 * septum)
    drop = (cup.above + deep) * hollow
    # The rounded end of the tube is planed to a rim.
    planed = np.maximum(cup.above - 0.62 * size, 0) * upper * (1 - hollow) * (cup.off < 1.2)
    vertices = form - ((drop + planed)[:, None] * cups.axis[cup.number]).astype(np.float32)
    rim = upper * smoothstep(0.58, 0.72, ragged) * smoothstep(1.08, 0.92, ragged)
    wall = cup.near * (1 - upper) * smoothstep(2.0, 1.2, cup.off)
    return vertices, hollow, septum * hollow, rim, wall


def _tissue(
    form: Floats,
    cup: _Cup,
    hollow: Floats,
    septum: Floats,
    rim: Floats,
    wall: Floats,
    colony: list[Branch],
    livery: tuple[tuple[float, float, float], ...],
    speckle: Floats,
    blotch: Floats,
    seed: int,
) -> tuple[Floats, Floats]:
    """Relief [V] mm and albedo [V, 3] of the living coral: ribs on the cups, spinules between, pale tips."""
    body, dark, tip = livery
    from_tip = _from_tip(form, colony)
    youth = smoothstep(1.15, 0.15, from_tip + 0.5 * (blotch - 0.5))
    ribs = smoothstep(-0.2, 0.8, np.cos(2 * _SEPTA * cup.angle + 2 * (blotch - 0.5))) * wall
    spinules = worley(form, spaced(form[:: max(1, len(form) // 40_000)], 0.045))
    spine = smoothstep(0.027, 0.008, spinules.f1) * (1 - hollow)
    height = 0.019 * spine + 0.017 * ribs * (0.4 + 0.6 * speckle) + 0.014 * rim * speckle
    height = height + 0.004 * fbm(form * 9, 2, seed + 31) - 0.008 * (1 - spine) * (1 - speckle)

    colour = mix(dark, body, 0.05 + 0.4 * blotch + 0.65 * speckle)
    colour = mix(colour, tip, 0.85 * youth * (0.55 + 0.45 * speckle))
    colour = mix(colour, mix(body, _SKELETON, [0.62]), 0.70 * spine * (0.3 + 0.7 * speckle) + 0.30 * ribs)
    colour = mix(colour, mix(tip, _SKELETON, [0.4]), 0.75 * rim * (0.3 + 0.7 * speckle))
    polyp = mix(np.asarray(dark) * 0.75, np.asarray(body) * 0.9, speckle)
    colour = mix(colour, polyp, 0.85 * hollow * (1 - septum))
    colour = mix(colour, mix(body, tip, [0.6]), 0.7 * septum)
    return height, colour * (0.62 + 0.55 * speckle)[:, None]


def _from_tip(vertices: Floats, colony: list[Branch]) -> Floats:
    """Distance [V] along the branches to the tip that is grown to next, mm, roughly."""
    tips = np.array([branch.axis[-1] for branch in colony])
    starts = np.array([branch.axis[0] for branch in colony])
    free = [k for k, tip in enumerate(tips) if not (np.linalg.norm(starts - tip, axis=1) < 1e-9).any()]
    distance, _ = cKDTree(tips[free]).query(vertices)
    return distance.astype(np.float32)


def _encrusted(
    form: Floats, faces: Ints, speckle: Floats, blotch: Floats, seed: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Relief [V] mm and albedo [V, 3] of the rock: bored pits, crusts of coralline algae with pale margins, sand."""
    below = form[form[:, 2] < 0.5]
    lime = fbm(form * 4, 4, seed + 41, gain=0.6)
    colour = mix(_ROCK_DARK, _ROCK, 0.35 + 1.4 * lime + 0.5 * speckle)
    colour = mix(colour, _SAND, smoothstep(0.08, 0.25, fbm(form * 6, 3, seed + 43)) * speckle)
    # Each crust is a cell of its own, thick in the middle, that ends in a pale lip.
    shake = np.stack([fbm(form * 2.2, 3, seed + k) for k in (45, 46, 47)], axis=1)
    crusts = worley(form + 0.35 * shake, rng.choice(below, 46, replace=False))
    covered = (rng.random(46) < 0.70)[crusts.nearest]
    crust = smoothstep(0.015, 0.07, crusts.border) * covered
    lip = smoothstep(0.012, 0.035, crusts.border) * smoothstep(0.10, 0.05, crusts.border) * covered
    shade, hue = rng.random((2, 46))[:, crusts.nearest].astype(np.float32)
    pink = mix(mix(_CRUST_DARK, _CRUST, 0.1 + 0.4 * shade + 0.5 * speckle), _CRUST_OCHRE, 0.75 * hue**2)
    pink = mix(pink, _ROCK, 0.5 * smoothstep(-0.05, 0.2, lime) * (1 - speckle))  # where it was grazed
    warts = smoothstep(0.030, 0.012, worley(form, spaced(below[:: max(1, len(below) // 3000)], 0.09)).f1)
    pink = mix(pink, _CRUST_PALE, 0.8 * lip + 0.6 * warts * speckle)
    colour = mix(colour, pink, 0.95 * crust)
    colour = mix(colour, _ALGA, 0.75 * smoothstep(0.6, 0.9, blotch) * (1 - 0.7 * crust) * (0.4 + 0.6 * speckle))
    bores = worley(form, rng.choice(below, 110, replace=False))
    size = (0.035 + 0.085 * rng.random(110) ** 2).astype(np.float32)[bores.nearest]
    bore = smoothstep(1.0, 0.75, bores.f1 / size)
    collar = smoothstep(1.45, 1.1, bores.f1 / size) * (1 - bore)
    colour = mix(colour, _SAND, 0.5 * collar * speckle)
    colour = mix(colour * (0.62 + 0.5 * speckle)[:, None], (0.035, 0.026, 0.02), 0.85 * bore)
    height = 0.050 * crust + 0.022 * lip + 0.014 * warts * crust - 1.1 * size * bore + 0.012 * collar
    return height + 0.05 * lime * (1 - 0.6 * crust) + 0.012 * speckle, colour


def _turf(vertices: Floats, faces: Ints, rock: Floats, seed: int, rng: np.random.Generator) -> Hairs:
    """Tufts of filamentous algae on the rock."""
    tufts = smoothstep(0.05, 0.25, fbm(vertices * 2.4, 2, seed + 51))
    upward = smoothstep(-0.6, 0.1, vertex_normals(vertices, faces)[:, 2])
    roots, normals = scattered(vertices, faces, _TURF, rng, rock * upward * (0.03 + tufts))
    points = grown(roots, normals, 0.24, rng, lean=(0, 0, 0.3), spread=0.5, curl=0.6)
    return Hairs("turf", points, tinted((0.20, 0.19, 0.06), _TURF, rng, 0.35), radius_root=0.007, radius_tip=0.003)
