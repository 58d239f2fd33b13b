"""The table of contestants: what is declared, what is found, and what other packages and files bring."""

from pathlib import Path

import pytest

from datasets.errors import InputError
from methods import configuration, contestants
from methods.contestant import Setting
from methods.registry import Registry

OWN = """
from methods.contestant import Entry


def fit(photographs, setting):
    return "fitted"

ENTRY = Entry("own", "t", "__file__:fit", ("deblur",), (), "c", "l", "nothing", "ours", "1")
"""


def test_every_builtin_contestant_can_be_imported() -> None:
    for entry in contestants.builtin():
        assert callable(contestants.fit_of(entry)), entry.name


def test_a_restorer_enters_twice_and_a_control_once() -> None:
    names = [entry.name for entry in contestants.builtin()]
    assert "rl" in names
    assert "rl+3dgs" in names
    assert "input" in names
    assert "input+3dgs" not in names


def test_a_restorer_with_a_model_of_the_blur_enters_twice_and_splatting_has_none(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN.replace('("deblur",)', '("deblur", "kernel")'))
    assert contestants.find(str(path)).outputs == ("deblur", "kernel")
    assert contestants.find(f"{path}+3dgs").outputs == ("novel", "deblur")


def test_the_oracle_differs_from_the_floor_in_its_photographs_alone() -> None:
    entries = {entry.name: entry for entry in contestants.builtin()}
    floor, ceiling = entries["3dgs"], entries["sharp-3dgs"]
    assert (floor.target, floor.configs) == (ceiling.target, ceiling.configs)
    assert [entry.name for entry in contestants.builtin() if entry.oracle] == ["rl-oracle", "sharp-3dgs"]


def test_a_wrong_name_gets_the_nearest_one() -> None:
    with pytest.raises(InputError, match="did you mean sharp-3dgs"):
        contestants.find("sharp3dgs")


def test_a_file_brings_its_contestant_alone_and_with_splatting(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    assert contestants.fit_of(contestants.find(str(path)))(None, None) == "fitted"  # type: ignore[arg-type]
    both = contestants.find(f"{path}+3dgs")
    assert both.name == "own+3dgs"
    assert both.outputs == ("novel", "deblur")


WITH_SETTINGS = (
    OWN.replace(
        "from methods",
        """from dataclasses import dataclass

from methods""",
    )
    .replace(
        "def fit",
        """@dataclass(frozen=True)
class OwnConfig:
    amount: float = 1.0
    rounds: int = 3


def fit""",
    )
    .replace('"ours", "1")', '"ours", "1", settings={"own-family": "__file__:OwnConfig"})')
)


@pytest.fixture
def no_family_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "KINDS", dict(configuration.KINDS))


@pytest.mark.usefixtures("no_family_stays")
@pytest.mark.parametrize("suffix", ["", "+3dgs"])
def test_a_file_has_settings_of_its_own_that_can_be_changed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(WITH_SETTINGS)
    for _ in range(2):  # as each verb and each job finds it anew
        entry = contestants.find(f"{path}{suffix}")
    assert "own-family" in entry.configs
    configs = configuration.resolve(entry.configs, "quick", entry.changes)
    assert configs["own-family"] == {}
    changed = configuration.parse_changes(["own-family.amount=2"])["own-family"]
    configuration.check("own-family", changed)
    setting = Setting(0, "cpu", {**configs, "own-family": changed}, "quick", lambda *_: None, {})
    setting.config("own-family", configuration.kind_of("own-family"))
    assert setting.resolved["own-family"] == {"amount": 2.0, "rounds": 3}
    with pytest.raises(InputError, match="did you mean amount"):
        configuration.parse_changes(["own-family.amont=2"])
    with pytest.raises(InputError, match="is no int"):
        configuration.check("own-family", {"rounds": "many"})


@pytest.mark.usefixtures("no_family_stays")
@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"own-family"', '"3dgs"', "a family of configurations 3dgs already"),
        ('"own-family"', '"own.family"', "letters, digits, _ and -"),
        ("frozen=True", "frozen=False", "no frozen dataclass"),
        ("__file__:OwnConfig", "__file__:Nowhere", "does not import"),
        ("__file__:OwnConfig", "nowhere:OwnConfig", "does not import"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(WITH_SETTINGS.replace(old, new))
    with pytest.raises(InputError, match=complaint):
        contestants.find(str(path))


def test_another_package_brings_its_contestants_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bench.methods]\ntheirs = their_methods:ENTRY\n")
    (tmp_path / "their_methods.py").write_text(OWN.replace('"own"', '"theirs"').replace("__file__", "their_methods"))
    monkeypatch.syspath_prepend(tmp_path)
    assert {"theirs", "theirs+3dgs"} <= set(contestants.registry().names())
    assert contestants.fit_of(contestants.find("theirs"))(None, None) == "fitted"  # type: ignore[arg-type]


def test_a_name_is_given_once() -> None:
    entry = contestants.builtin()[0]
    with pytest.raises(InputError, match="two methods"):
        Registry("method", [entry, entry])
