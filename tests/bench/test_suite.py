"""A suite of captures at a time: who is rendered where, and what becomes of the others where one fails."""

import json
import os
import threading
from pathlib import Path

import pytest

from bench import suite
from datasets.errors import InputError
from datasets.synthesis import catalogue
from datasets.synthesis.synthesize import Progress, SynthesisResult


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """In place of the synthesizer: notes what it is asked, and fails for what stands in it."""
    asked: dict[str, object] = {"most": 0, "now": 0, "cores": [], "failing": {}}
    lock = threading.Lock()
    rendezvous = threading.Barrier(2, timeout=20)

    def synthesize(recipe, folder, progress, cores):  # type: ignore[no-untyped-def]
        with lock:
            asked["now"] += 1  # type: ignore[operator]
            asked["most"] = max(asked["most"], asked["now"])  # type: ignore[type-var]
            asked["cores"] += cores  # type: ignore[operator]
        rendezvous.wait()  # passes only if two are at work at once
        progress(Progress(1, recipe.views, "view 000: 1.0 s"))
        with lock:
            asked["now"] -= 1  # type: ignore[operator]
        if error := asked["failing"].get(recipe.object):  # type: ignore[attr-defined]
            raise error
        return SynthesisResult(folder, "already there" if recipe.object == "seed" else "created")

    monkeypatch.setattr(suite, "synthesize", synthesize)
    monkeypatch.setattr(suite, "cores", lambda: 4)
    monkeypatch.setitem(catalogue.SUITES, "pair", ("beetle", "seed"))
    return asked


def test_the_suite_of_eight_is_eight_objects() -> None:
    assert len(set(catalogue.SUITES["macro8"])) == 8
    assert set(catalogue.SUITES["macro8"]) <= set(catalogue.OBJECTS)


def test_objects_are_rendered_side_by_side_and_share_the_cores(studio, tmp_path: Path, capsys) -> None:
    assert suite.render("pair", "small", tmp_path, 2, as_json=False) == 0
    assert studio["most"] == 2
    assert sorted(studio["cores"]) == sorted(os.sched_getaffinity(0))
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{tmp_path / 'beetle-small'} is done.",
        f"{tmp_path / 'seed-small'} was there already, whole.",
        f"Let contestants compete on them: bench run {tmp_path / 'beetle-small'} {tmp_path / 'seed-small'}",
    ]
    assert f"{tmp_path / 'seed-small'}: 1/48 view 000: 1.0 s" in told.err


def test_one_that_is_refused_does_not_keep_the_others(studio, tmp_path: Path, capsys) -> None:
    studio["failing"]["beetle"] = InputError("It is in use.")
    assert suite.render("pair", None, tmp_path, None, as_json=True) == 2
    told = capsys.readouterr()
    assert json.loads(told.out) == [{"path": str(tmp_path / "seed-demo"), "outcome": "already there"}]
    assert told.err.splitlines()[-1] == "Error: beetle-demo: It is in use."


def test_what_is_nobodys_mistake_is_raised_after_all_have_ended(studio, tmp_path: Path) -> None:
    studio["failing"]["seed"] = RuntimeError("The Blender worker failed.")
    with pytest.raises(RuntimeError, match="worker failed"):
        suite.render("pair", None, tmp_path, 2, as_json=False)
    assert studio["now"] == 0


def test_a_wrong_preset_is_told_before_anything_is_rendered(studio, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean small"):
        suite.render("pair", "smal", tmp_path, 2, as_json=False)
    assert studio["most"] == 0
