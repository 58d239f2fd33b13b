"""Hairs (setae) grown from a surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from datasets.synthesis.objects.model import Floats


def grown(
    roots: Floats,
    normals: Floats,
    length: ArrayLike,
    rng: np.random.Generator,
    lean: ArrayLike = (0.0, 0.0, 0.0),
    spread: float = 0.2,
    curl: float = 0.3,
    joints: int = 6,
) -> Floats:
    """Strands [S, joints, 3] mm from roots [S, 3] along normals [S, 3].

    length: mm, one or [S] of them; lean: [3] or [S, 3], added to the unit normal; spread: scatter of the
    direction; curl: how far a strand bends over towards where it leans, and sideways, relative to its length.
    """
    count = len(roots)
    direction = normals + np.asarray(lean) + spread * rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    bend = np.asarray(lean) - 0.3 * normals + 0.5 * rng.standard_normal((count, 3))
    # Hairs of one coat differ in length; a few are broken short.
    size = np.asarray(length) * rng.uniform(0.65, 1.2, count) * np.where(rng.random(count) < 0.06, 0.5, 1)
    t = np.linspace(0, 1, joints)[None, :, None]
    strands = direction[:, None] * t + curl * bend[:, None] * t**2
    # The root sits a little under the surface, so that no gap shows.
    rooted = roots[:, None] - 0.04 * size[:, None, None] * normals[:, None]
    return (rooted + size[:, None, None] * strands).astype(np.float32)


def tinted(colour: ArrayLike, count: int, rng: np.random.Generator, variation: float = 0.25) -> Floats:
    """Albedo [count, 3] of hairs that are each somewhat lighter or darker than colour [3] (linear, 0..1)."""
    return np.clip(np.asarray(colour) * rng.normal(1, variation, (count, 1)), 0.02, 1).astype(np.float32)
