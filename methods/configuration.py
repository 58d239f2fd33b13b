"""Frozen configurations: one YAML file per family and preset, the same for every capture."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from datasets.errors import InputError
from methods.registry import load, suggestion

ROOT = Path(__file__).parent / "configs"
PRESETS = {
    "smoke": "seconds: proves that everything runs; its numbers mean nothing",
    "quick": "a minute on one CPU thread; the default without CUDA",
    "paper": "30,000 steps as in the papers; the default with CUDA",
}

# The dataclass that a family's files fill; `add` adds those of entries from elsewhere.
KINDS = {
    "3dgs": "methods.splatting.config:SplattingConfig",
    "joint": "methods.joint.method:JointConfig",
    "joint-optics": "methods.joint_optics.formation:JointOpticsConfig",
    "learned": "methods.restoration.learned:LearnedConfig",
    "rl": "methods.restoration.richardson_lucy:RichardsonLucyConfig",
    "told": "methods.restoration.restorers:ToldConfig",
}

T = TypeVar("T")


def add(family: str, kind: str) -> None:
    """Let there be a family without files, whose dataclass is "module:class", not imported yet.

    Raises InputError if there is another of that name.
    """
    if KINDS.setdefault(family, kind) != kind:
        raise InputError(f"There is a family of configurations {family} already.")


def kind_of(family: str) -> type[Any]:
    """The frozen dataclass of a family. Raises InputError if it does not import, or is none."""
    try:
        kind = load(KINDS[family])
    except (ImportError, AttributeError) as error:
        raise InputError(f"The settings {family} are {KINDS[family]}, which does not import: {error}.") from error
    if not (isinstance(kind, type) and is_dataclass(kind) and kind.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise InputError(f"The settings {family} are {KINDS[family]}, which is no frozen dataclass.")
    return kind


def read(family: str, preset: str) -> dict[str, Any]:
    """What FAMILY/PRESET.yaml says, or FAMILY/any.yaml where a family does not depend on the budget; nothing of a
    family without files.

    Raises InputError for an unknown preset.
    """
    import yaml

    if preset not in PRESETS:
        raise InputError(f"There is no preset {preset}; {suggestion(preset, PRESETS)}")
    if family not in KINDS:
        raise InputError(f"There is no family of configurations {family}; {suggestion(family, KINDS)}")
    path = ROOT / family / f"{preset}.yaml"
    path = path if path.exists() else path.with_name("any.yaml")
    if not path.parent.exists():
        return {}
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})


def resolve(
    families: tuple[str, ...], preset: str, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, dict[str, Any]]:
    """Configurations of all `families` of a contestant for `preset`, with its own `changes` to them."""
    return {family: read(family, preset) | dict((changes or {}).get(family, {})) for family in families}


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
        known = [f.name for f in fields(kind_of(family))]
        if key not in known:
            raise InputError(f"--set {text}: {family} has no setting {key}; {suggestion(key, known)}")
        changes.setdefault(family, {})[key] = yaml.safe_load(value)
    return changes


def check(family: str, values: Mapping[str, Any]) -> None:
    """Raise InputError, in one sentence, if `values` are no configuration of `family`."""
    build(kind_of(family), values)


def digest(configs: Mapping[str, Mapping[str, Any]]) -> str:
    """SHA-256 of configurations, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(configs, sort_keys=True).encode()).hexdigest()


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """A frozen dataclass `kind` from `values`; parts that are dataclasses themselves are mappings there.

    Raises InputError for a key that it does not have, or a value of another type.
    """
    assert is_dataclass(kind)
    types = get_type_hints(kind)
    for key in values:
        if key not in types:
            raise InputError(f"{kind.__name__} has no setting {key}; {suggestion(key, types)}")
    return kind(**{key: _checked(f"{kind.__name__}.{key}", types[key], value) for key, value in values.items()})


def _checked(name: str, kind: Any, value: Any) -> Any:
    """`value` as the type `kind` of a field: a dataclass, Literal, tuple, bool, int, float or str."""
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise InputError(f"{name} = {value!r} is no mapping of settings.")
        return build(kind, value)  # type: ignore[arg-type]
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise InputError(f"There is no {name} {value}; {suggestion(str(value), map(str, get_args(kind)))}")
        return value
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        parts = (parts[0],) * len(value) if isinstance(value, list | tuple) and parts[1:] == (...,) else parts
        if not isinstance(value, list | tuple) or len(value) != len(parts):
            raise InputError(f"{name} = {value!r} is no list of {len(parts)}.")
        return tuple(_checked(name, part, item) for part, item in zip(parts, value, strict=True))
    if kind is float and isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return float(value)  # YAML takes 1e-3 for a text
        except ValueError:
            pass
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise InputError(f"{name} = {value!r} is no {kind.__name__}.")
    return value
