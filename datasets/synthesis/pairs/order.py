"""What decides a folder of training pairs, and what shows that no object of the benchmark is among them."""

import hashlib
import json
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from datasets import pairs, store
from datasets.errors import InputError
from datasets.synthesis import blender, catalogue

# Of the generator: to be raised whenever the same order would give other pictures.
VERSION = 1

SIZES = (16, 1024)  # px
MOST_OBJECTS = 1_000_000  # of one seed

WORKER = "datasets.synthesis.pairs.worker"

_PACKAGE = "datasets.synthesis.pairs"
_LIBRARIES = ("bpy", "numpy", "scipy", "scikit-image")  # whose versions decide what an object looks like


@dataclass(frozen=True)
class Order:
    """What decides the pictures: with `count`, all of it.

    samples: per pixel, by pass. per_object: pairs of each object. measured_every: of every so many objects the first
    pair is rendered twice, to measure its noise.
    """

    seed: int = 0
    size: int = 128
    per_object: int = 8
    samples: dict[str, int] = field(default_factory=lambda: {"sharp": 24, "defocused": 48})
    measured_every: int = 8

    def __post_init__(self) -> None:
        low, high = SIZES
        if not low <= self.size <= high:
            raise InputError(f"Pairs of {self.size} px cannot be made: the size must be from {low} to {high} px.")
        if not 0 <= self.seed < 1000:
            raise InputError(f"The seed of pairs is {self.seed}; it must be from 0 to 999.")
        if min(self.samples.values()) < 1:
            raise InputError("A pair needs at least one sample per pixel.")

    def object_seed(self, index: int) -> int:
        """The number that the object at `index` grows from."""
        return self.seed * MOST_OBJECTS + index


def identity(order: Order) -> dict[str, Any]:
    """What all pairs of a folder have in common, and what shows that none shows an object of the benchmark."""
    generator = catalogue.closure((WORKER,), (_PACKAGE, catalogue.PACKAGE))
    digests = {module: store.sha256(path) for module, path in sorted(generator.items())}
    try:
        libraries = {name: version(name) for name in _LIBRARIES}
    except PackageNotFoundError as error:
        raise InputError(blender.why_unavailable() or f"The library {error.name} is not installed.") from None
    return {
        "kind": pairs.KIND,
        "version": VERSION,
        "seed": order.seed,
        "size": order.size,
        "pairs_per_object": order.per_object,
        "measured_every": order.measured_every,
        "samples": order.samples,
        "libraries": libraries,
        "generator_hash": hashlib.sha256(json.dumps(digests).encode()).hexdigest(),
        "generator": digests,
    }


def disjoint(generator: dict[str, str]) -> dict[str, Any]:
    """The benchmark's objects by hash of their sources, and which of their modules the generator uses, too."""
    objects = {
        name: {"module": module, "source_hash": catalogue.source_hash(name), "in_generator": module in generator}
        for name, module in catalogue.OBJECTS.items()
    }
    return {"benchmark_objects": objects, "shared_tools": [m for m in generator if m.startswith(catalogue.PACKAGE)]}
