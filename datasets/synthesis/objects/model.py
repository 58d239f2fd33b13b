"""What a recipe hands over: meshes and hairs in millimetres, free of any renderer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Part:
    """A triangle mesh of one material.

    vertices [V, 3] mm; faces [F, 3] counter-clockwise from outside; albedo [V, 3] linear Rec.709 in 0..1.
    roughness, specular and metallic are in 0..1 (specular 0.5 is a refractive index of 1.5).
    """

    name: str
    vertices: Floats
    faces: Ints
    albedo: Floats
    roughness: float = 0.6
    specular: float = 0.3
    metallic: float = 0.0


@dataclass(frozen=True)
class Hairs:
    """Strands of one material, thick at the root and thin at the tip.

    points [S, P, 3] mm from root to tip; albedo [S, 3] linear Rec.709 in 0..1; radii in mm.
    """

    name: str
    points: Floats
    albedo: Floats
    radius_root: float
    radius_tip: float
    roughness: float = 0.6


@dataclass(frozen=True)
class Model:
    """An object, the centre of its bounding sphere at the origin, z up.

    radius: of that sphere, mm, hairs included.
    exposure: what to multiply the linear render by (under `stage.prepare_scene`) for the 99th percentile of
    the object's pixels to lie near 0.9.
    """

    name: str
    parts: tuple[Part, ...]
    hairs: tuple[Hairs, ...]
    radius: float
    exposure: float

    @property
    def triangles(self) -> int:
        """Number of triangles of all parts."""
        return sum(len(part.faces) for part in self.parts)

    @property
    def strands(self) -> int:
        """Number of hairs."""
        return sum(len(hairs.points) for hairs in self.hairs)

    def digest(self) -> str:
        """SHA-256 of all that the model holds: equal digests render equal pictures."""
        state = hashlib.sha256()
        items: tuple[Model | Part | Hairs, ...] = (self, *self.parts, *self.hairs)
        for item in items:
            for field in fields(item):
                value = getattr(item, field.name)
                if isinstance(value, np.ndarray):
                    state.update(np.ascontiguousarray(value).tobytes())
                elif not isinstance(value, tuple):
                    state.update(f"{field.name}={value!r};".encode())
        return state.hexdigest()


def centred(name: str, parts: Sequence[Part], hairs: Sequence[Hairs], exposure: float) -> Model:
    """The model of these parts, moved so that its bounding sphere is centred at the origin."""
    points = np.concatenate([part.vertices for part in parts] + [h.points.reshape(-1, 3) for h in hairs])
    centre = bounding_sphere_centre(points)
    return Model(
        name=name,
        parts=tuple(replace(part, vertices=part.vertices - centre) for part in parts),
        hairs=tuple(replace(strands, points=strands.points - centre) for strands in hairs),
        radius=float(np.linalg.norm(points - centre, axis=1).max()),
        exposure=exposure,
    )


def bounding_sphere_centre(points: Floats, directions: int = 200, steps: int = 2000) -> Floats:
    """Centre [3] of the smallest sphere around points [N, 3], to about a thousandth of its radius.

    Badoiu and Clarkson, "Smaller core-sets for balls" (2003): step ever less towards the farthest point. Only
    the points that are extreme in some direction can touch the sphere, so only those are walked over.
    """
    index = np.arange(directions) + 0.5
    polar, azimuth = np.arccos(1 - 2 * index / directions), np.pi * (1 + 5**0.5) * index
    rays = np.stack([np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=0).astype(
        np.float32
    )
    extreme = points[np.unique([int((points @ ray).argmax()) for ray in rays.T])].astype(np.float64)
    centre = extreme.mean(axis=0)
    for step in range(1, steps + 1):
        farthest = extreme[np.square(extreme - centre).sum(axis=1).argmax()]
        centre = centre + (farthest - centre) / (step + 1)
    return centre.astype(np.float32)
