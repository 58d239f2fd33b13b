"""Training pairs on disk: photographs with their sharp twins, of random objects; no benchmark object is among them.

FOLDER/shard-00017.npz   all pairs of one object: photograph and sharp [n, H, W, 3] uint8 sRGB, mask [n, H, W] uint8
                         coverage by anything that has a depth, coc [n, H, W] float16 signed radius of the circle of
                         confusion in px (> 0 behind the focal plane, 0 where nothing is), facts: JSON, a list of n
FOLDER/manifest.json     seed, size, the SHA-256 of every shard, its object's seed and digest, the noise floor
FOLDER/timing.json       what it took; the only file that differs between two runs

No two shards show the same object, so shards are what to hold out for validation: `held_out`.
"""

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np

from datasets import store
from datasets.errors import InputError

KIND = "training pairs"
MANIFEST = store.MANIFEST

_ARRAYS = {"photograph": np.uint8, "sharp": np.uint8, "mask": np.uint8, "coc": np.float16}


@dataclass(frozen=True, eq=False)
class Pair:
    """A photograph [H, W, 3] uint8 sRGB with its sharp twin, mask [H, W] uint8, and coc [H, W] float16 px.

    facts: f_number, focus_distance (mm), fx (px), backdrop, sensor, object_seed and the like.
    """

    photograph: np.ndarray
    sharp: np.ndarray
    mask: np.ndarray
    coc: np.ndarray
    facts: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Shard:
    """All pairs of one object, stacked: the arrays of `Pair` with a first axis more; a `Pair`'s facts for each."""

    photograph: np.ndarray
    sharp: np.ndarray
    mask: np.ndarray
    coc: np.ndarray
    facts: tuple[dict[str, Any], ...]

    def __len__(self) -> int:
        return len(self.facts)

    def pair(self, index: int) -> Pair:
        """The pair at `index` of this shard."""
        return Pair(self.photograph[index], self.sharp[index], self.mask[index], self.coc[index], self.facts[index])


@dataclass(frozen=True, eq=False)
class Pairs(Sequence[Pair]):
    """The pairs of a folder, or of some of its shards, in their order; read from disk when asked for.

    Reading pair after pair opens each shard once; for random access take whole shards: `read_shard`.
    content_hash: of all shards of the folder, for the records of what was trained on them.
    """

    root: Path
    size: int
    shards: tuple[tuple[str, int], ...]  # name and number of pairs
    manifest: dict[str, Any]

    def __len__(self) -> int:
        return sum(count for _, count in self.shards)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | list[Pair]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"There are {len(self)} pairs, and no pair {index}.")
        for number, (_, count) in enumerate(self.shards):
            if position < count:
                return self.read_shard(number).pair(position)
            position -= count
        raise AssertionError("unreachable: position < len(self)")

    def __iter__(self) -> Iterator[Pair]:
        for number in range(len(self.shards)):
            shard = self.read_shard(number)
            yield from (shard.pair(i) for i in range(len(shard)))

    @property
    def content_hash(self) -> str:
        """One hash over the names and hashes of the shards that are in use here."""
        hashes = self.manifest["shards"]
        return store.content_hash({name: hashes[name]["sha256"] for name, _ in self.shards})

    def read_shard(self, number: int) -> Shard:
        """The shard at `number`. Raises InputError naming the file if it is missing or damaged."""
        name, count = self.shards[number]
        return _read_shard(self.root / name, count, self.size)

    def held_out(self, every: int = 10) -> tuple["Pairs", "Pairs"]:
        """For training, and for validation: every `every`-th shard, from the first on. They share no object.

        Raises InputError if either would be empty.
        """
        validation = self.shards[::every]
        training = tuple(shard for i, shard in enumerate(self.shards) if i % every)
        if not training or not validation:
            raise InputError(
                f"{self.root} holds pairs of {len(self.shards)} object(s), too few to hold out every {every}th one."
            )
        return replace(self, shards=training), replace(self, shards=validation)


def open_pairs(root: str | Path, verify: bool = False) -> Pairs:
    """The pairs in the folder `root`; `verify` compares each shard with its hash in the manifest.

    A folder that is still being filled gives the pairs that are finished. Raises InputError in one sentence if there
    are none, if `root` is anything else, or if files are missing or, where verified, have changed.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"There is no folder {root}; `bench synth pairs --out {root}` makes it.")
    manifest = read_manifest(root, f"The folder {root} holds no training pairs.")
    shards = manifest["shards"]
    if not shards:
        raise InputError(f"The folder {root} holds no finished pairs yet.")
    if damage := damaged(root, {name: entry["sha256"] for name, entry in shards.items()}, verify):
        raise InputError(
            f"The training pairs in {root} are damaged ({'; '.join(damage[:3])}): delete the shards named, and the "
            "command that made them makes them anew."
        )
    return Pairs(root, manifest["size"], tuple((name, shards[name]["pairs"]) for name in sorted(shards)), manifest)


def holds_pairs(root: str | Path) -> bool:
    """Whether the folder `root` says of itself that it holds training pairs."""
    path = Path(root) / MANIFEST
    return path.is_file() and store.read_json(path).get("kind") == KIND


def read_manifest(root: Path, foreign: str) -> dict[str, Any]:
    """The manifest of the training pairs in `root`, its "size" and "shards" as they should be.

    Raises InputError: `foreign` if there is none, or one of something else.
    """
    if not (root / MANIFEST).is_file():
        raise InputError(foreign)
    manifest = store.read_json(root / MANIFEST)
    if manifest.get("kind") != KIND:
        raise InputError(foreign)
    shards = manifest.get("shards")
    whole = isinstance(manifest.get("size"), int) and isinstance(shards, dict)
    for entry in shards.values() if isinstance(shards, dict) else ():
        whole &= isinstance(entry, dict) and isinstance(entry.get("sha256"), str)
        whole &= isinstance(entry, dict) and isinstance(entry.get("pairs"), int)
    if not whole:
        raise InputError(f"{root / MANIFEST} is damaged: it does not tell of each shard what it should.")
    return manifest


def damaged(root: Path, hashes: dict[str, str], verify: bool) -> list[str]:
    """What is wrong with the files named in `hashes`, one clause each."""
    missing = [f"{name} is missing" for name in hashes if not (root / name).is_file()]
    if not verify:
        return missing
    there = [name for name in hashes if (root / name).is_file()]
    return missing + [f"{name} has changed" for name in there if store.sha256(root / name) != hashes[name]]


def write_shard(path: Path, shard: Shard) -> None:
    """Write `shard`: equal shards give equal bytes, as NumPy dates all members of its archives alike."""
    arrays = {name: np.asarray(getattr(shard, name), dtype=kind) for name, kind in _ARRAYS.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays, facts=np.array(json.dumps(shard.facts, allow_nan=False)))


@lru_cache(maxsize=4)
def _read_shard(path: Path, count: int, size: int) -> Shard:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
            facts = tuple(json.loads(str(file["facts"])))
    except FileNotFoundError:
        raise InputError(f"{path} is missing.") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as a shard of training pairs; it may be truncated.") from error
    for name, kind in _ARRAYS.items():
        shape = (count, size, size, *((3,) if name in ("photograph", "sharp") else ()))
        if arrays[name].shape != shape or arrays[name].dtype != kind:
            raise InputError(f"{path} is damaged: {name} is {arrays[name].dtype} {arrays[name].shape}, not {shape}.")
        arrays[name].setflags(write=False)
    if len(facts) != count:
        raise InputError(f"{path} is damaged: it tells of {len(facts)} pairs and holds {count}.")
    return Shard(**arrays, facts=facts)
