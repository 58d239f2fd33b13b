"""How a restorer is trained: its network's settings and all of the training's, from presets in YAML files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from datasets.errors import InputError
from methods.configuration import build
from methods.registry import load, suggestion
from methods.restoration.architectures import ARCHITECTURES

PRESETS = {
    "tiny": "seconds: proves that training works; of no other use",
    "small": "an hour on one CPU core: what ships with the package",
    "paper": "the authors' own network and budget, for a GPU",
}

_FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training but the network and the pairs.

    batch: patches of `patch` px a step. The learning rate rises over `warm_up` steps and falls to the last one on half
    a cosine. clip: largest norm of all gradients together. ema: of the moving average of the parameters, which is
    what is kept. exchange: colours are exchanged at random. again: photographs of every twin besides its own.
    balanced: patches weigh the less the more they are out of focus, in what kernel-guided restores.
    efcr: extended frequency contrastive regularisation (MPT-CataBlur); extended also re-blurs its input.
    apart: share of the steps in which networks that are parts of one are trained each for itself.
    validate_every: steps between looks at `validation` pairs of held-out objects.
    """

    steps: int
    batch: int
    patch: int
    learning_rate: float = 3e-4
    last_learning_rate: float = 1e-6
    warm_up: int = 100
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-4
    clip: float = 1.0
    ema: float = 0.999
    precision: Literal["float32", "bfloat16"] = "float32"
    exchange: bool = True
    again: int = 0
    balanced: bool = False
    efcr: Literal["none", "basic", "extended"] = "none"
    apart: float = 0.0
    validate_every: int = 1000
    validation: int = 48
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch": 1, "patch": 8, "validate_every": 1, "validation": 1}
        least |= {"warm_up": 0, "again": 0, "seed": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least {low}.")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be greater than 0.")
        for name in ("ema", "apart"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be from 0 to 1.")


class Plan(NamedTuple):
    """What to train: the network's name in ARCHITECTURES, all its settings, and the recipe."""

    architecture: str
    network: dict[str, Any]
    recipe: Recipe

    def identity(self, pairs_hash: str, extra_hash: str | None) -> str:
        """Hash of all that decides the result but the source code."""
        parts = [self.architecture, self.network, asdict(self.recipe), pairs_hash, extra_hash]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def plan(architecture: str, preset: str, changes: Sequence[str] = (), **options: Any) -> Plan:
    """The plan of `preset`, with `changes` as "network.SETTING=VALUE" or "recipe.SETTING=VALUE" (values are YAML), and
    `options` of the recipe, or `width` of the network, where they are not None.

    Raises InputError for anything unknown or of the wrong kind.
    """
    import yaml

    if architecture not in ARCHITECTURES:
        raise InputError(f"There is no restorer {architecture} to train; {suggestion(architecture, ARCHITECTURES)}")
    if preset not in PRESETS:
        raise InputError(f"There is no preset {preset} of training; {suggestion(preset, PRESETS)}")
    path = _FOLDER / f"{architecture}.yaml"
    parts: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))[preset]
    parts = {"network": parts.get("network") or {}, "recipe": parts["recipe"]}
    width = options.pop("width", None)
    if width is not None:
        parts["network"]["width"] = width
    parts["recipe"] |= {name: value for name, value in options.items() if value is not None}
    kind = load(ARCHITECTURES[architecture].config)
    known = {part: [f.name for f in fields(of)] for part, of in (("network", kind), ("recipe", Recipe))}
    for text in changes:
        name, equals, value = text.partition("=")
        part, dot, key = name.partition(".")
        if not (equals and dot and key and part in known):
            raise InputError(f"--set {text} is not of the form network.SETTING=VALUE or recipe.SETTING=VALUE.")
        if key not in known[part]:
            raise InputError(f"--set {text}: the {part} has no setting {key}; {suggestion(key, known[part])}")
        parts[part][key] = yaml.safe_load(value)
    recipe = build(Recipe, parts["recipe"])
    network = build(kind, parts["network"])
    if (kernel := getattr(network, "kernel_size", 1)) > recipe.patch:
        raise InputError(f"A kernel of {kernel} px does not fit into a patch of {recipe.patch} px.")
    if recipe.efcr != "none" and architecture not in ("mpt", "restormer"):
        raise InputError(f"EFCR is added to the mean difference, by which {architecture} is not trained.")
    return Plan(architecture, as_json(asdict(network)), recipe)


def as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a checkpoint gives them back, so that what was read compares equal to what was made."""
    read: dict[str, Any] = json.loads(json.dumps(settings))
    return read
