"""The store of released weights: files that their authors published and the user fetched, checked, kept unchanged.

NAME is one of `architectures.RELEASES`. NAME.weights is the authors' file byte by byte; NAME.json tells its SHA-256,
what it was called, and how many parameters it holds. Importing this module costs no torch, nor what only adding a
file needs.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from datasets.digest import sha256
from datasets.errors import InputError
from methods.registry import suggestion
from methods.restoration.architectures import RELEASES, Release

if TYPE_CHECKING:
    from torch import Tensor

PICKLED = (".pth", ".pt", ".tar")  # what torch.save writes, under the names that authors give it
SAFETENSORS = ".safetensors"

State = Literal["present", "missing", "damaged"]


class Weights(NamedTuple):
    """Released weights, ready for `architectures.network`."""

    state: "dict[str, Tensor]"  # parameters of our network by name
    sha256: str  # of the authors' file
    config: dict[str, Any]  # settings of the network that they belong to


def folder() -> Path:
    """Where the store lies: BENCH_WEIGHTS, else the user's folder for the data of programs."""
    if named := os.environ.get("BENCH_WEIGHTS"):
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "macro-deblurring-benchmark" / "weights"


def find(name: str) -> Release:
    """What was released under `name`. Raises InputError with the nearest name if nothing was."""
    if name not in RELEASES:
        raise InputError(f"There are no released weights {name}; {suggestion(name, RELEASES)}")
    return RELEASES[name]


def path(name: str) -> Path:
    """Where the file of `name` lies, or would lie. Raises InputError for an unknown name."""
    find(name)
    return folder() / f"{name}.weights"


def state(name: str) -> State:
    """Whether the file of `name` is in the store as it was added; reads all of it. Raises InputError for an unknown
    name."""
    if not path(name).is_file():
        return "missing"
    return "present" if sha256(path(name)) == _note(name).get("sha256") else "damaged"


def why_missing(name: str) -> str | None:
    """Why there are no weights `name` to use, and what to do, in a sentence; None if there are.

    Raises InputError for an unknown name.
    """
    release, found = find(name), state(name)
    if found == "present":
        return None
    why = f"{path(name)} is no longer the file that was added"
    if found == "missing":
        why = f"The released weights {name} are not on this machine"
    return f"{why}: get {release.file} from {release.where}, then `bench weights add {name} FILE`."


def add(name: str, file: Path, expected: str | None = None) -> Path:
    """Check the authors' file and put it into the store, in place of what is there under `name`; where it lies then.

    Nothing in `file` is run. Unless all is well nothing is written.

    Args:
        name: one of RELEASES.
        file: .pth, .pt or .tar as torch.save writes them, or .safetensors.
        expected: its SHA-256, if known.

    Raises:
        InputError: an unknown name; a file that cannot be read, is damaged, of another hash or another network, or that
            holds more than tensors and plain values, or numbers that are not finite; a store that cannot be written.
    """
    release = find(name)
    data = _bytes(file)
    digest = hashlib.sha256(data).hexdigest()
    if expected is not None:
        _check_digest(file, digest, expected)
    config, parameters = _released(release, file, data)
    _check_parameters(release, file, config, parameters)
    note = {
        "file": file.name,
        "sha256": digest,
        "bytes": len(data),
        "parameters": sum(tensor.numel() for tensor in parameters.values()),
    }
    try:
        _store(name, data, note)
    except OSError as error:
        raise InputError(f"The store of weights, {folder()}, cannot be written: {error.strerror}.") from error
    return path(name)


def load(name: str) -> Weights:
    """The weights `name` out of the store.

    Raises InputError if they are not there, or no longer as they were added.
    """
    if problem := why_missing(name):
        raise InputError(problem)
    note = _note(name)
    config, parameters = _released(find(name), Path(note["file"]), path(name).read_bytes())
    return Weights(parameters, note["sha256"], config)


def recorded_sha256(name: str) -> str | None:
    """SHA-256 of the file of `name` as it was added, of which the file may be damaged since; None if it never was."""
    return _note(name).get("sha256")


def _note(name: str) -> dict[str, Any]:
    """NAME.json; empty if there is none or it is unreadable, so that no file agrees with it."""
    try:
        found = json.loads(path(name).with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _store(name: str, data: bytes, note: Mapping[str, Any]) -> None:
    """Write NAME.weights and NAME.json, each whole or not at all."""
    import tempfile

    folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=folder()) as partial:
        weights, facts = Path(partial) / "weights", Path(partial) / "json"
        weights.write_bytes(data)
        facts.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
        os.replace(weights, path(name))
        os.replace(facts, path(name).with_suffix(".json"))


def _bytes(file: Path) -> bytes:
    if file.suffix.lower() not in (*PICKLED, SAFETENSORS):
        raise InputError(f"{file} is no file of weights by its name; known are {', '.join((*PICKLED, SAFETENSORS))}.")
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error


def _check_digest(file: Path, digest: str, expected: str) -> None:
    if not re.fullmatch("[0-9a-fA-F]{64}", expected):
        raise InputError(f"--sha256 {expected} is no SHA-256, which has 64 hexadecimal digits.")
    if digest != expected.lower():
        raise InputError(f"{file} has the SHA-256 {digest}, not the one that --sha256 says.")


def _released(release: Release, file: Path, data: bytes) -> "tuple[dict[str, Any], dict[str, Tensor]]":
    """Settings and parameters of our network, of the content `data` of the authors' file."""
    from methods.restoration import architectures

    raw = _safetensors(file, data) if file.suffix.lower() == SAFETENSORS else _unpickled(file, data)
    if not isinstance(raw, Mapping):
        raise InputError(f"{file} holds no parameters by name.")
    try:
        return architectures.released(release, raw)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except Exception as error:  # what another network's parameters are renamed and reshaped to may fail in any way
        raise InputError(f"{file} is no checkpoint of the network {release.architecture}.") from error


def _safetensors(file: Path, data: bytes) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{file} is damaged, or no safetensors file.") from error


def _unpickled(file: Path, data: bytes) -> Any:
    import pickle

    import torch

    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{file} is damaged, or holds more than tensors and plain values, which is not read."
        ) from error
    except Exception as error:  # torch.load raises whatever its unpickler happens upon
        raise InputError(f"{file} is damaged, or nothing that torch.save wrote.") from error


def _check_parameters(release: Release, file: Path, config: Mapping[str, Any], parameters: "dict[str, Tensor]") -> None:
    import torch

    from methods.restoration import architectures
    from methods.restoration.checkpoint import mismatch

    for name, value in parameters.items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            raise InputError(f"{file} does not fit the network {release.architecture}: {name} is no array of numbers.")
    if problem := mismatch(architectures.network(release.architecture, config), parameters):
        raise InputError(f"{file} does not fit the network {release.architecture}: {problem}.")
