"""Weights come into the store only if they are what they are said to be, and out of it only unchanged."""

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from datasets.errors import InputError
from methods.restoration import architectures, weights
from methods.restoration.architectures import Architecture, Release

RELEASED = {"width": 2}


@dataclass(frozen=True)
class LittleConfig:
    width: int = 5


class Little(nn.Module):
    """Stands for a network whose authors' files are under "params" and say "convolution" for what we call "conv"."""

    def __init__(self, config: LittleConfig) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, config.width, 1)


def released(raw: Mapping[str, Any]) -> dict[str, Tensor]:
    parameters = raw.get("params", raw)
    return {name.replace("convolution", "conv"): value for name, value in parameters.items()}


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store that knows weights called little."""
    monkeypatch.setitem(
        architectures.ARCHITECTURES, "little", Architecture(f"{__name__}:Little", f"{__name__}:LittleConfig", "nobody")
    )
    monkeypatch.setitem(weights.RELEASES, "little", Release("little", "little.pth", "the authors' page", "nothing"))
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "store"))
    return tmp_path / "store"


def theirs() -> dict[str, Tensor]:
    """What the authors' file holds."""
    return {
        "convolution.weight": torch.arange(6.0).reshape(2, 3, 1, 1),
        "convolution.bias": torch.tensor([0.5, -0.5]),
    }


def pickled(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def old_pickled(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fetched.pth"
    path.write_bytes(pickled({"params": theirs(), "epoch": 3}))
    return path


CONTENTS: list[tuple[str, Callable[[], bytes]]] = [
    ("a.pth", lambda: pickled(theirs())),
    ("b.PT", lambda: pickled({"params": theirs()})),
    ("c.pth.tar", lambda: old_pickled(theirs())),
    ("d.safetensors", lambda: save(theirs())),
]


@pytest.mark.parametrize(("name", "content"), CONTENTS, ids=[name for name, _ in CONTENTS])
def test_what_was_added_comes_out_as_the_networks_parameters(
    tmp_path: Path, name: str, content: Callable[[], bytes]
) -> None:
    path = tmp_path / name
    path.write_bytes(content())
    weights.add("little", path)
    found = weights.load("little")
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.config == RELEASED
    network = architectures.network("little", found.config)
    network.load_state_dict(found.state, strict=True)
    assert torch.equal(network.conv.weight, theirs()["convolution.weight"])


def test_the_file_is_kept_byte_by_byte_with_a_note_without_dates(file: Path, store: Path) -> None:
    assert weights.add("little", file) == weights.path("little") == store / "little.weights"
    assert weights.path("little").read_bytes() == file.read_bytes()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert json.loads((store / "little.json").read_text()) == {
        **{"file": "fetched.pth", "sha256": digest, "bytes": file.stat().st_size, "parameters": 8}
    }
    assert sorted(os.listdir(store)) == ["little.json", "little.weights"]


def test_a_known_hash_is_accepted_in_either_case(file: Path) -> None:
    weights.add("little", file, hashlib.sha256(file.read_bytes()).hexdigest().upper())
    assert weights.state("little") == "present"


def test_adding_again_replaces(file: Path, tmp_path: Path) -> None:
    weights.add("little", file)
    other = tmp_path / "other.safetensors"
    other.write_bytes(save({name: value + 1 for name, value in theirs().items()}))
    weights.add("little", other)
    assert torch.equal(weights.load("little").state["conv.bias"], torch.tensor([1.5, 0.5]))


class Trap:
    """Unpickled by an unwary reader, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def other(**changes: object) -> bytes:
    """The authors' file with some parameters changed, or left out where None."""
    changed = theirs() | {f"convolution.{name}": value for name, value in changes.items()}
    return pickled({name: value for name, value in changed.items() if value is not None})


REFUSED: list[tuple[str, bytes, str]] = [
    ("a.pth", other(bias=None), r"the parameter conv\.bias is missing"),
    ("a.pth", other(extra=torch.zeros(1)), r"the parameter conv\.extra is unknown"),
    ("a.pth", other(weight=torch.zeros(2, 3, 3, 3)), r"conv\.weight is \[2, 3, 3, 3\], not \[2, 3, 1, 1\]"),
    ("a.pth", other(bias=torch.tensor([0.5, float("nan")])), r"conv\.bias has values that are not finite"),
    ("a.pth", other(bias=torch.tensor([0.5, float("-inf")])), r"conv\.bias has values that are not finite"),
    ("a.pth", other(bias="0.5"), r"conv\.bias is no array of numbers"),
    ("a.pth", other(bias=torch.ones(2).to_sparse()), r"conv\.bias is no array of numbers"),
    ("a.pth", pickled([1, 2]), "holds no parameters by name"),
    ("a.pth", pickled({3: torch.zeros(1)}), "is no checkpoint of the network little"),
    ("a.pth", pickled({"params": torch.zeros(1)}), "is no checkpoint of the network little"),
    ("a.pth", pickled(theirs())[:-300], "is damaged"),
    ("a.pth", old_pickled(theirs())[:-30], "is damaged"),
    ("a.pth", b"<html>Sign in to download</html>", "is damaged"),
    ("a.pth", b"", "is damaged"),
    ("a.pth", save(theirs()), "is damaged"),
    ("a.safetensors", save(theirs())[:-3], "is damaged"),
    ("a.safetensors", pickled(theirs()), "is damaged"),
    ("a.safetensors", b"", "is damaged"),
    ("a.zip", pickled(theirs()), "is no file of weights by its name; known are .pth, .pt, .tar, .safetensors"),
    ("a", pickled(theirs()), "is no file of weights by its name"),
]


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize(("name", "content", "says"), REFUSED, ids=[says for _, _, says in REFUSED])
def test_what_is_not_the_authors_file_is_refused_and_leaves_nothing(
    tmp_path: Path, store: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=says) as refusal:
        weights.add("little", path)
    assert str(refusal.value).startswith(str(path))
    assert not store.exists()


@pytest.mark.parametrize("write", [pickled, old_pickled])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, store: Path, write: Callable[[object], bytes]) -> None:
    path = tmp_path / "trap.pth"
    path.write_bytes(write({**theirs(), "trap": Trap(tmp_path / "sprung")}))
    with pytest.raises(InputError, match="holds more than tensors and plain values"):
        weights.add("little", path)
    assert not (tmp_path / "sprung").exists()
    assert not store.exists()


@pytest.mark.parametrize(("expected", "says"), [("0" * 64, "not the one that --sha256 says"), ("abc", "64 hex")])
def test_another_hash_is_refused(file: Path, store: Path, expected: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        weights.add("little", file, expected)
    assert not store.exists()


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        weights.add("little", tmp_path / "missing.pth")
    (tmp_path / "folder.pth").mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        weights.add("little", tmp_path / "folder.pth")


def test_a_store_that_cannot_be_written_is_a_sentence(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_WEIGHTS", str(file / "store"))
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        weights.add("little", file)
    full = tmp_path / "full"
    monkeypatch.setenv("BENCH_WEIGHTS", str(full))

    def replace(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        weights.add("little", file)
    assert os.listdir(full) == []


def test_a_refused_file_does_not_harm_what_is_there(file: Path, tmp_path: Path) -> None:
    weights.add("little", file)
    (tmp_path / "bad.pth").write_bytes(other(bias=None))
    with pytest.raises(InputError):
        weights.add("little", tmp_path / "bad.pth")
    assert weights.state("little") == "present"


def test_an_unknown_name_is_answered_with_the_nearest(file: Path) -> None:
    for ask in (weights.path, weights.state, weights.why_missing, weights.load, lambda name: weights.add(name, file)):
        with pytest.raises(InputError, match="did you mean little"):
            ask("litle")


def test_why_weights_are_missing_tells_where_to_get_them(file: Path) -> None:
    says = weights.why_missing("little")
    assert says is not None
    assert says.endswith("get little.pth from the authors' page, then `bench weights add little FILE`.")
    with pytest.raises(InputError, match="are not on this machine"):
        weights.load("little")
    weights.add("little", file)
    assert weights.why_missing("little") is None


@pytest.mark.parametrize(
    "harm",
    [
        lambda store: (store / "little.weights").write_bytes((store / "little.weights").read_bytes() + b"x"),
        lambda store: (store / "little.json").unlink(),
        lambda store: (store / "little.json").write_text("{"),
        lambda store: (store / "little.json").write_text("[]"),
    ],
    ids=["other bytes", "no note", "half a note", "another note"],
)
def test_what_was_changed_in_the_store_is_not_loaded(file: Path, store: Path, harm: Callable[[Path], object]) -> None:
    weights.add("little", file)
    harm(store)
    assert weights.state("little") == "damaged"
    with pytest.raises(InputError, match=r"little\.weights is no longer the file that was added: get little\.pth"):
        weights.load("little")
    weights.add("little", file)
    assert weights.state("little") == "present"


def test_the_store_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BENCH_WEIGHTS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert weights.folder() == tmp_path / "macro-deblurring-benchmark/weights"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.folder() == tmp_path / ".local/share/macro-deblurring-benchmark/weights"
    monkeypatch.setenv("BENCH_WEIGHTS", "~/mine")
    assert weights.folder() == tmp_path / "mine"
