"""A pebble with checkered albedo: the cheapest object that the synthesizer's tests can photograph."""

import numpy as np

from datasets.synthesis.objects.model import Model, Part, centred
from datasets.synthesis.objects.surface import icosphere


def build(seed: int) -> Model:
    sphere, faces = icosphere(12)
    rng = np.random.default_rng(seed)
    albedo = rng.uniform(0.05, 0.9, (len(sphere), 3)).astype(np.float32)
    vertices = (sphere * np.array([2.0, 1.6, 1.2])).astype(np.float32)
    return centred("pebble", [Part("pebble", vertices, faces, albedo)], [], exposure=1.0)
