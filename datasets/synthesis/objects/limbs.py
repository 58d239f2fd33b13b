"""What the limbs of jointed animals share: joints along a path, bent knees, claws, thorns, hairs of any colour."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from datasets.synthesis.objects.chitin import Growth, add_skin, mix, speckles, unit, valid
from datasets.synthesis.objects.hair import grown, tinted
from datasets.synthesis.objects.model import Floats, Ints
from datasets.synthesis.objects.noise import smoothstep
from datasets.synthesis.objects.surface import eased, profile, scattered, spline, tube


def joints(path: Floats, shares: ArrayLike) -> Iterator[tuple[Floats, Floats]]:
    """Start and end [3] mm of each joint of a limb that shares out a path [P, 3] by length."""
    shares = np.asarray(shares, dtype=np.float64)
    walked = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    ends = np.concatenate([[0], np.cumsum(shares)]) / shares.sum() * walked[-1]
    return pairwise(np.stack([np.interp(ends, walked, path[:, k]) for k in range(3)], axis=1))


def knee(hip: Floats, ankle: Floats, femur: float, tibia: float, towards: ArrayLike) -> Floats:
    """Where a femur and a tibia of these lengths (mm) meet: the tip of their triangle points `towards` [3]."""
    reach = min(float(np.linalg.norm(ankle - hip)), 0.98 * (femur + tibia))
    ahead = unit(ankle - hip)
    upward = unit(np.asarray(towards) - ahead * (ahead @ np.asarray(towards)))
    foot_point = (femur**2 - tibia**2 + reach**2) / (2 * reach)
    return hip + foot_point * ahead + np.sqrt(femur**2 - foot_point**2) * upward


def add_claws(growth: Growth, tip: Floats, toe: Floats, size: float, dark: ArrayLike, light: ArrayLike) -> None:
    """Two hooks of `size` mm that spread from the tip of a tarsus along `toe` [3] and bend to the ground."""
    across = unit(np.cross(toe, [0, 0, 1]))
    for way in (-1, 1):
        hook = tip + size * np.array(
            [
                -0.2 * toe,
                0.45 * toe + 0.3 * way * across + [0, 0, 0.16],
                1.0 * toe + 0.5 * way * across - [0, 0, 0.3],
            ]
        )
        radius = profile([(0, 0.15 * size), (0.5, 0.1 * size), (1, 0)], eased(26), rounded=True)
        add_skin(growth, tube(spline(hook, 26), radius, 16), growth.chitin, dark, light)


def add_thorn(growth: Growth, root: Floats, tip: Floats, radius: float, pale: ArrayLike, dark: ArrayLike) -> None:
    """A stout spine, `radius` mm at its root, pale with a dark tip; it bends a little back."""
    sag = 0.08 * np.linalg.norm(tip - root) * unit(growth.rng.normal(size=3))
    path = spline(np.stack([root, (root + tip) / 2 + sag, tip]), 20)
    form = tube(
        path, profile([(0, radius), (0.5, 0.62 * radius), (1, 0)], eased(20), rounded=True), 12, (0.3, 0.5, 0.8)
    )
    tone = smoothstep(0.45, 0.75, form.along + 0.2 * (speckles(form.vertices, growth.seed + 71) - 0.5))
    growth.chitin.append((form.vertices, form.faces, valid(mix(pale, dark, tone))))


def add_hairs(
    growth: Growth,
    into: list[tuple[Floats, Floats]],
    skin: tuple[Floats, Ints],
    colour: ArrayLike,
    count: int,
    length: float,
    lean: ArrayLike,
    density: Floats | None = None,
    spread: float = 0.2,
    curl: float = 0.3,
) -> None:
    """Scatters `count` hairs of `length` mm over a skin (vertices, faces), likelier where density [V] is higher.

    colour: linear albedo [3], or [V, 3] of the vertex nearest to the root; lean, spread, curl: see `grown`.
    """
    vertices, faces = skin
    roots, normals = scattered(vertices, faces, count, growth.rng, density)
    tone = np.asarray(colour, dtype=np.float32)
    if tone.ndim == 2:
        tone = tone[cKDTree(vertices).query(roots)[1]]
    points = grown(roots, normals, length, growth.rng, lean, spread=spread, curl=curl)
    into.append((points, tinted(tone, count, growth.rng)))
