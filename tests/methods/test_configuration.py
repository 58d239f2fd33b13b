"""Configurations are frozen files that say only what exists."""

from dataclasses import dataclass, field

import pytest

from datasets.errors import InputError
from methods import configuration
from methods.contestants import builtin
from methods.registry import load


@dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclass(frozen=True)
class Outer:
    steps: int
    pair: tuple[float, float] = (0.0, 1.0)
    inner: Inner = field(default_factory=Inner)


@pytest.mark.parametrize("preset", configuration.PRESETS)
def test_every_contestant_has_a_configuration_for_every_preset(preset: str) -> None:
    for entry in builtin():
        for family, values in configuration.resolve(entry.configs, preset, entry.changes).items():
            assert configuration.build(load(configuration.KINDS[family]), values)


def test_a_contestant_changes_what_the_files_say_and_leaves_the_rest() -> None:
    plain = configuration.resolve(("3dgs", "rl"), "smoke")
    changed = configuration.resolve(("3dgs", "rl"), "smoke", {"3dgs": {"light": "linear"}})
    assert changed["3dgs"] == plain["3dgs"] | {"light": "linear"}
    assert changed["rl"] == plain["rl"]


def test_a_contestant_changes_only_families_that_it_has() -> None:
    for entry in builtin():
        assert set(entry.changes) <= set(entry.configs), entry.name


def test_an_unknown_setting_gets_the_nearest_one() -> None:
    with pytest.raises(InputError, match="did you mean steps"):
        configuration.build(Outer, {"step": 3})


def test_an_unknown_preset_gets_the_nearest_one() -> None:
    with pytest.raises(InputError, match="did you mean paper"):
        configuration.read("3dgs", "papre")


def test_lists_become_tuples_and_mappings_the_parts_they_describe() -> None:
    assert configuration.build(Outer, {"steps": 2, "pair": [3, 4], "inner": {"size": 5}}) == Outer(2, (3, 4), Inner(5))


def test_the_digest_depends_on_values_and_not_on_their_order() -> None:
    assert configuration.digest({"a": {"x": 1, "y": 2}}) == configuration.digest({"a": {"y": 2, "x": 1}})
    assert configuration.digest({"a": {"x": 1}}) != configuration.digest({"a": {"x": 2}})
