"""A young fern tuft of about 9 mm: layers of lobed leaflets with veins and sori, croziers, a chaffy rhizome.

Millimetres while it is built; z is up, the fronds rise from a crown near (0, 0, -3).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from datasets.synthesis.objects.chitin import Piece, mix, speckles, strands, unit, valid
from datasets.synthesis.objects.fern_parts import (
    CHAFF,
    CHAFF_DARK,
    STALK_OLD,
    Blade,
    bark,
    chaff,
    gathered,
    leaf_skin,
    pinna,
    sori,
)
from datasets.synthesis.objects.hair import grown, tinted
from datasets.synthesis.objects.model import Floats, Model, Part, centred
from datasets.synthesis.objects.noise import fbm, ridged, smoothstep
from datasets.synthesis.objects.surface import displaced, eased, icosphere, joined, profile, scattered, spline, tube

EXPOSURE = 1.6

_CROWN = np.array([0.0, 0.0, -2.95])
_DOWN = (0.62, 0.50, 0.30)  # linear albedo of the hairs on the stems


@dataclass(frozen=True)
class _Frond:
    """A frond: length of its stem, mm; direction it leans to and elevations it starts and ends with, radians.

    curl: turns of its coiled tip, and `uncoiled` the part of its length before them; pairs of leaflets, of which
    the longest has `reach` mm; bare: the part of the stem that has none; age 0..1; fertile: share of lobes with sori.
    """

    length: float
    azimuth: float
    start: float
    end: float
    pairs: int
    reach: float
    age: float
    curl: float = 0.0
    uncoiled: float = 1.0
    bare: float = 0.22
    fertile: float = 0.0


@dataclass
class _Tuft:
    """A fern half built."""

    rng: np.random.Generator
    seed: int  # of the noise
    blades: list[Blade] = field(default_factory=list)
    stems: list[Piece] = field(default_factory=list)
    scales: list[Piece] = field(default_factory=list)
    down: list[tuple[Floats, Floats]] = field(default_factory=list)


def build(seed: int) -> Model:
    """The fern grown from this number: the same number gives the same bytes."""
    rng = np.random.default_rng(seed)
    tuft = _Tuft(rng, seed=int(rng.integers(1 << 20)))
    for frond in _fronds(rng):
        _add_frond(tuft, frond)
    _add_rhizome(tuft)
    leaf = gathered(tuft.blades)
    vertices, faces, albedo = leaf_skin(leaf, tuft.seed)
    beads = sori(vertices, faces, np.flatnonzero(leaf.fertile >= 0), rng)
    parts = (
        Part("leaves", vertices, faces, albedo, roughness=0.55, specular=0.3),
        Part("stems", *joined(tuft.stems), roughness=0.6, specular=0.25),
        Part("chaff", *joined(tuft.scales), roughness=0.6, specular=0.25),
        Part("sporangia", *joined(beads), roughness=0.45, specular=0.35),
    )
    return centred("fern", parts, [strands("down", tuft.down, radius_root=0.0045, radius_tip=0.0015)], EXPOSURE)


def _fronds(rng: np.random.Generator) -> list[_Frond]:
    """Old fronds that arch low, younger ones above them between, a half unrolled one, and croziers in the middle."""
    fronds = []
    first = rng.uniform(0, 2 * np.pi)
    for i in range(4):
        fronds.append(
            _Frond(
                length=rng.uniform(5.4, 6.0),
                azimuth=first + i * np.pi / 2 + rng.normal(0, 0.16),
                start=rng.uniform(1.15, 1.35),
                end=rng.uniform(-0.75, -0.30),
                pairs=11,
                reach=rng.uniform(1.30, 1.48),
                age=(0.95, 0.35, 0.65, 0.50)[i],
                fertile=(0.75, 0.0, 0.6, 0.25)[i],
            )
        )
    for i in range(2):
        fronds.append(
            _Frond(
                length=rng.uniform(5.0, 5.6),
                azimuth=first + 0.8 + i * 2.6 + rng.normal(0, 0.2),
                start=rng.uniform(1.40, 1.50),
                end=rng.uniform(0.15, 0.50),
                pairs=11,
                reach=rng.uniform(1.05, 1.20),
                age=0.12 + 0.1 * i,
                fertile=0.0,
            )
        )
    turn = first + 2.0
    fronds.append(_Frond(7.0, turn, 1.45, 1.25, 10, 0.70, 0.05, curl=1.3, uncoiled=0.64))
    fronds.append(_Frond(7.2, turn + 2.2, 1.15, 1.40, 16, 0.20, 0.0, curl=1.75, uncoiled=0.47, bare=0.46))
    fronds.append(_Frond(5.4, turn + 4.4, 0.90, 1.40, 15, 0.17, 0.0, curl=1.85, uncoiled=0.40, bare=0.40))
    return fronds


def _add_frond(tuft: _Tuft, frond: _Frond, count: int = 260) -> None:
    """A stem, chaffy at its foot, with pairs of leaflets along it and one at its tip."""
    rng = tuft.rng
    s = np.linspace(0, 1, count)
    path, tangent, side, up = _course(frond, s, rng)
    girth = 0.055 + 0.020 * frond.length / 6 + 0.05 * (frond.curl > 1.5)
    radius = profile([(0, 1.5 * girth), (0.06, 1.1 * girth), (0.3, 0.85 * girth), (0.75, 0.5 * girth), (1, 0.012)], s)
    form = tube(path, np.stack([0.9 * radius, radius], axis=1), 22, up[0])
    old = smoothstep(0.32, 0.02, form.along) + 0.35 * frond.age
    vertices, faces, colour = bark(form, tuft.seed, old)
    tuft.stems.append((vertices, faces, colour))

    foot = np.square(smoothstep(0.62, 0.0, form.along)) + 0.10
    crozier = frond.curl > 1
    if crozier:
        foot = foot + 0.8
    many = 110 if crozier else 64
    roots, normals = scattered(vertices, faces, many, rng, foot)
    at = np.argmin(np.square(roots[:, None] - path[None, ::4]).sum(axis=2), axis=1) * 4
    size = np.where(s[at] < 0.3, 0.35, 0.25) * rng.uniform(0.7, 1.2, many)
    tuft.scales.append(chaff(roots, normals, tangent[at] + 0.1 * normals, size, rng))
    roots, normals = scattered(vertices, faces, 150, rng, np.full(len(vertices), 1.0, dtype=np.float32))
    tuft.down.append((grown(roots, normals, 0.11, rng, (0, 0, 0.2), spread=0.3), tinted(_DOWN, 150, rng)))

    _add_leaflets(tuft, frond, path, tangent, side, up, radius)


def _add_leaflets(
    tuft: _Tuft, frond: _Frond, path: Floats, tangent: Floats, side: Floats, up: Floats, radius: Floats
) -> None:
    """Pairs of leaflets along a stem [P, 3] mm and its frame; the younger they are, the more they are rolled up."""
    rng, count = tuft.rng, len(path)
    # Leaflets stand ever closer towards the tip, and point ever more forward.
    station = frond.bare + (1 - frond.bare) * (1 - (1 - np.arange(frond.pairs) / frond.pairs) ** 1.25)
    spacing = np.gradient(np.append(station, 1.0))[:-1] * frond.length
    shape = profile(
        [(0, 0.72), (0.15, 0.95), (0.32, 1.0), (0.65, 0.70), (0.9, 0.30), (1, 0.16)], np.linspace(0, 1, frond.pairs)
    )
    for pair in range(frond.pairs):
        for hand in (1, -1):
            where = station[pair] + 0.12 * hand * spacing[pair] / frond.length + rng.normal(0, 0.004)
            k = int(np.clip(where * (count - 1), 0, count - 2))
            young = frond.curl * float(smoothstep(frond.uncoiled - 0.25, frond.uncoiled + 0.05, where))
            lean = 0.22 + 0.75 * pair / frond.pairs + rng.normal(0, 0.09)
            ahead = hand * np.cos(lean) * side[k] + np.sin(lean) * tangent[k]
            fold = min(1.25, 0.8 * young) + rng.normal(0, 0.10)
            ahead = unit(np.cos(fold) * ahead + np.sin(fold) * up[k])
            normal = up[k] * np.cos(fold) - hand * np.sin(fold) * side[k] + rng.normal(0, 0.20, 3) + 0.15 * tangent[k]
            normal = unit(normal - ahead * (ahead @ normal))
            tuft.blades.append(
                pinna(
                    path[k] + 0.5 * radius[k] * (hand * side[k] + 0.6 * up[k]),
                    ahead,
                    normal,
                    length=max(frond.reach * float(shape[pair]), 0.14) * rng.uniform(0.9, 1.08),
                    width=max(1.22 * spacing[pair], 0.14) * rng.uniform(0.92, 1.08),
                    rng=rng,
                    bend=rng.normal(0.55 + 0.5 * frond.age, 0.2) - 2.6 * min(young, 1.0),
                    lift=rng.normal(0.30, 0.1),
                    sweep=-hand * rng.normal(0.14, 0.06),
                    twist=rng.normal(0, 0.30) - 0.1 * hand,
                    decay=np.clip(rng.normal(frond.age, 0.16), 0, 1),
                    fertile=frond.fertile * (0.15 < pair / frond.pairs < 0.8),
                )
            )
    if not frond.curl:
        tuft.blades.append(
            pinna(path[-14], tangent[-14], up[-14], 0.55, 0.30, rng, bend=0.6, lift=0.0, decay=frond.age, depth=0.6)
        )


def _course(frond: _Frond, s: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, Floats]:
    """Points [P, 3] mm along the stem and unit vectors [P, 3] there: forward, to the left, to the upper side."""
    outward = np.array([np.cos(frond.azimuth), np.sin(frond.azimuth), 0.0])
    left = np.array([-outward[1], outward[0], 0.0])
    zenith = np.array([0.0, 0.0, 1.0])
    angle = frond.start + (frond.end - frond.start) * s**1.35
    # A crozier coils towards its upper side, ever tighter.
    coil = np.clip((s - frond.uncoiled) / max(1 - frond.uncoiled, 1e-6), 0, 1)
    angle = angle + 2 * np.pi * frond.curl * (1 - (1 - coil) ** 2)
    wave = rng.normal(0, 0.10) * np.sin(np.pi * s * rng.uniform(1.0, 2.2) + rng.uniform(0, 6)) + rng.normal(0, 0.12) * s
    # Turns of a coil lie a little beside each other.
    wave = wave * (1 - 0.8 * smoothstep(0, 0.3, coil)) + 0.10 * smoothstep(0.1, 0.5, coil)
    tangent = np.cos(angle)[:, None] * outward + np.sin(angle)[:, None] * zenith + wave[:, None] * left
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    stride = frond.length / (len(s) - 1)
    start = _CROWN + 0.26 * outward - 0.12 * zenith
    path = start + np.concatenate([np.zeros((1, 3)), np.cumsum(tangent[:-1] * stride, axis=0)])
    roll = rng.normal(0, 0.35) * s
    across = left - tangent * (tangent @ left)[:, None]
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    up = np.cross(tangent, across)
    side = np.cos(roll)[:, None] * across + np.sin(roll)[:, None] * up
    return path.astype(np.float32), tangent, side, np.cross(tangent, side)


def _add_rhizome(tuft: _Tuft) -> None:
    """A short scaly rhizome with the stumps of old stems, and roots under it."""
    rng = tuft.rng
    sphere, faces = icosphere(44)
    lumps = fbm(sphere * 1.8, 3, tuft.seed + 31)
    body = sphere * np.array([1.05, 0.48, 0.32]) * (1 + 0.35 * lumps)[:, None]
    body = (body + _CROWN + np.array([-0.25, 0, -0.35])).astype(np.float32)
    relief = 0.03 * ridged(body * 5, 3, tuft.seed + 33)
    vertices = displaced(body, faces, relief)
    shade = 0.1 + 0.9 * speckles(vertices, tuft.seed + 35)
    tuft.stems.append((vertices, faces, valid(mix(CHAFF_DARK, np.multiply(STALK_OLD, 1.6), shade))))
    crown = smoothstep(-0.9, 0.6, sphere[:, 2])
    roots, normals = scattered(vertices, faces, 330, rng, 0.15 + crown)
    outward = roots - _CROWN - np.array([0, 0, -0.5])
    lean = outward / np.linalg.norm(outward, axis=1, keepdims=True) + np.array([0, 0, 0.7])
    tuft.scales.append(chaff(roots, normals, lean, 0.36, rng))

    for _ in range(9):  # stumps
        azimuth, up = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.8)
        out = np.array([np.cos(azimuth), np.sin(azimuth), 0])
        foot = body.mean(axis=0) + out * np.array([0.75, 0.5, 0])
        end = foot + out * rng.uniform(0.2, 0.5) + np.array([0, 0, up])
        radius = profile([(0, 0.12), (0.8, 0.075), (0.93, 0.085), (1, 0.01)], np.linspace(0, 1, 40))
        form = tube(spline([foot, (foot + end) / 2 + 0.1 * out, end], 40), radius, 24, up=(1, 0, 0.3))
        piece = bark(form, tuft.seed, 1.0)
        tuft.stems.append(piece)
        roots, normals = scattered(piece[0], piece[1], 12, rng)
        tuft.scales.append(chaff(roots, normals, unit(end - foot), 0.36, rng))
    for _ in range(16):  # roots
        azimuth, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.3)
        out = np.array([np.cos(azimuth), np.sin(azimuth), 0])
        foot = body.mean(axis=0) + out * np.array([0.7, 0.45, 0]) - np.array([0, 0, 0.2])
        wander = rng.normal(0, 0.12, (3, 3))
        knots = foot + np.outer([0.35, 0.7, 1.0], out * size + np.array([0, 0, -0.35])) + wander
        radius = profile([(0, 0.05), (0.7, 0.035), (1, 0.006)], eased(70))
        form = tube(spline(np.concatenate([[foot], knots]), 70), radius, 14, up=(0.1, 0.2, 1))
        piece = bark(form, tuft.seed, 1.0)
        tuft.stems.append(piece)
        roots, normals = scattered(piece[0], piece[1], 50, rng)
        tuft.down.append((grown(roots, normals, 0.09, rng, spread=0.4), tinted(CHAFF, 50, rng)))
