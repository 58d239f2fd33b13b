"""Frozen configurations: one YAML file per family and preset, the same for every capture."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from datasets.errors import InputError
from methods.registry import load, suggestion

ROOT = Path(__file__).parent / "configs"
PRESETS = {
    "smoke": "seconds: proves that everything runs; its numbers mean nothing",
    "quick": "a minute on one CPU thread; the default without CUDA",
    "paper": "30,000 steps as in the papers; the default with CUDA",
}

# The dataclass that a family's files fill.
KINDS = {
    "3dgs": "methods.splatting.train:SplattingConfig",
    "rl": "methods.restoration.richardson_lucy:RichardsonLucyConfig",
}

T = TypeVar("T")


def read(family: str, preset: str) -> dict[str, Any]:
    """What FAMILY/PRESET.yaml says, or FAMILY/any.yaml where a family does not depend on the budget.

    Raises InputError for an unknown preset.
    """
    import yaml

    if preset not in PRESETS:
        raise InputError(f"There is no preset {preset}; {suggestion(preset, PRESETS)}")
    path = ROOT / family / f"{preset}.yaml"
    path = path if path.exists() else path.with_name("any.yaml")
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})


def resolve(families: tuple[str, ...], preset: str) -> dict[str, dict[str, Any]]:
    """Configurations of all `families` of a contestant for `preset`."""
    return {family: read(family, preset) for family in families}


def parse_changes(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Changes by family from texts such as "3dgs.densify=relocate"; values are YAML.

    Raises InputError for a text of another form, a family or a setting that does not exist.
    """
    import yaml

    changes: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        family, dot, key = name.partition(".")
        if not (equals and dot and key):
            raise InputError(f"--set {text} is not of the form FAMILY.SETTING=VALUE.")
        if family not in KINDS:
            raise InputError(f"--set {text}: there is no family {family}; {suggestion(family, KINDS)}")
        known = [f.name for f in fields(load(KINDS[family]))]
        if key not in known:
            raise InputError(f"--set {text}: {family} has no setting {key}; {suggestion(key, known)}")
        changes.setdefault(family, {})[key] = yaml.safe_load(value)
    return changes


def digest(configs: Mapping[str, Mapping[str, Any]]) -> str:
    """SHA-256 of configurations, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(configs, sort_keys=True).encode()).hexdigest()


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """A frozen dataclass `kind` from `values`; parts that are dataclasses themselves are mappings there.

    Raises InputError for a key that it does not have.
    """
    assert is_dataclass(kind)
    types = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    settings = {}
    for key, value in values.items():
        if key not in known:
            raise InputError(f"{kind.__name__} has no setting {key}; {suggestion(key, known)}")
        if is_dataclass(types[key]):
            value = build(types[key], value)
        settings[key] = tuple(value) if isinstance(value, list) else value
    return kind(**settings)
