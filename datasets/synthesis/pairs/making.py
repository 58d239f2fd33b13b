"""`bench synth pairs`: random objects, one after another, each photographed several times; a shard for each object."""

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Literal

import numpy as np

from datasets import pairs, store
from datasets.errors import InputError
from datasets.synthesis.pairs.order import MOST_OBJECTS, Order, disjoint, identity
from datasets.synthesis.pairs.shards import make_shard, name_of
from datasets.synthesis.synthesize import Progress
from datasets.synthesis.workfolder import locked, plain_disk_errors
from datasets.worker_process import dealt_cores

TIMING = "timing.json"


@dataclass(frozen=True)
class PairsResult:
    """The folder, how many pairs it holds, and whether this call made any of them."""

    path: Path
    count: int
    outcome: Literal["created", "already there"]


def make_pairs(
    count: int,
    out: Path,
    order: Order | None = None,
    jobs: int = 2,
    progress: Callable[[Progress], None] = lambda _: None,
) -> PairsResult:
    """Fill the folder `out` with `count` pairs, going on from what it holds of the same order.

    `jobs` processes render an object each at a time, on a core each; what comes out depends neither on them nor on
    interruptions. Of an object of which fewer pairs were wanted so far, all are made anew.

    Raises InputError in one sentence, nothing being lost, for a `count` or `jobs` below 1, if `out` holds anything
    else, pairs of another order, or damaged ones, if it is in use, unwritable or the disk is full, or if Blender
    cannot run here.
    """
    order = order or Order()
    if not 1 <= count <= MOST_OBJECTS * order.per_object:
        raise InputError(f"{count} pairs cannot be made: take a count from 1 to {MOST_OBJECTS * order.per_object}.")
    if jobs < 1:
        raise InputError(f"{jobs} jobs make no pairs: take at least 1.")
    try:
        with plain_disk_errors(out), locked(out):
            manifest = _begun(order, out)
            missing = _missing(order, count, manifest)
            if missing:
                _fill(order, missing, jobs, out, manifest, partial(_told, progress, count))
    finally:
        with suppress(OSError):
            out.rmdir()  # if nothing came of it
    return PairsResult(out, _held(manifest), "created" if missing else "already there")


# ---------------------------------------------------------------- the folder


def _begun(order: Order, out: Path) -> dict[str, Any]:
    """The manifest of what `out` holds of `order`: a new one for an empty folder."""
    mine = identity(order)
    # A first manifest that was killed in the writing is nothing yet.
    if {path.name for path in out.iterdir()} <= {f"{pairs.MANIFEST}.partial"}:
        store.write_json(out / pairs.MANIFEST, manifest := {**mine, "shards": {}})
        return manifest
    manifest = pairs.read_manifest(out, f"{out} is there already and holds no training pairs: choose another --out.")
    if other := [key for key in mine if manifest.get(key) != mine[key] and key not in ("generator", "generator_hash")]:
        words = "; ".join(f"{key}: {manifest.get(key)} there, {mine[key]} here" for key in other)
        raise InputError(f"{out} holds other training pairs ({words}): choose another --out.")
    if manifest.get("generator_hash") != mine["generator_hash"]:
        raise InputError(f"{out} holds pairs that another version of the generator made: choose another --out.")
    there = {name: entry for name, entry in manifest["shards"].items() if (out / name).is_file()}
    if damage := pairs.damaged(out, {name: entry["sha256"] for name, entry in there.items()}, verify=True):
        raise InputError(
            f"The training pairs in {out} are damaged ({'; '.join(damage[:3])}): delete the shards named, and the same "
            "command makes them anew."
        )
    for stale in out.glob("attempt-*"):
        shutil.rmtree(stale, ignore_errors=True)
    return {**manifest, "shards": there}


def _held(manifest: dict[str, Any]) -> int:
    return sum(entry["pairs"] for entry in manifest["shards"].values())


def _missing(order: Order, count: int, manifest: dict[str, Any]) -> list[tuple[int, int]]:
    """Objects to be made, by index, and how many pairs of each."""
    wanted = [
        (index, min(order.per_object, count - index * order.per_object))
        for index in range(math.ceil(count / order.per_object))
    ]
    held = {name: entry["pairs"] for name, entry in manifest["shards"].items()}
    return [(index, takes) for index, takes in wanted if held.get(name_of(index), 0) < takes]


def _told(progress: Callable[[Progress], None], count: int, manifest: dict[str, Any], text: str) -> None:
    done = _held(manifest)
    progress(Progress(done, max(done, count), text))


def _write_manifest(out: Path, manifest: dict[str, Any]) -> None:
    shards = dict(sorted(manifest["shards"].items()))
    floors = [entry["noise_floor_db"] for entry in shards.values() if "noise_floor_db" in entry]
    largest = [diameter for entry in shards.values() for diameter in entry["largest_coc_px"]]
    manifest["shards"] = shards
    manifest["count"] = _held(manifest)
    manifest["noise_floor_db"] = {
        **{kind: _mean([floor[kind] for floor in floors]) for kind in ("sharp", "defocused")},
        "pairs_measured": len(floors),
    }
    manifest["largest_coc_px"] = {
        name: round(float(np.quantile(largest, q)), 2) if largest else None
        for name, q in (("q10", 0.1), ("median", 0.5), ("q90", 0.9))
    }
    manifest["disjoint"] = disjoint(manifest["generator"])
    store.write_json(out / pairs.MANIFEST, manifest)


# ---------------------------------------------------------------- objects


def _fill(
    order: Order,
    missing: Sequence[tuple[int, int]],
    jobs: int,
    out: Path,
    manifest: dict[str, Any],
    tell: Callable[[dict[str, Any], str], None],
) -> None:
    """Make the shards of all `missing` objects in a folder of its own within `out`, which does not stay."""
    scratch = Path(tempfile.mkdtemp(prefix="attempt-", dir=out))
    try:
        # The outer guard would ask the disk after the scratch is gone, which may make room.
        with plain_disk_errors(out):
            _make_all(order, missing, jobs, out, scratch, manifest, tell)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if not manifest["shards"]:
            (out / pairs.MANIFEST).unlink(missing_ok=True)


def _make_all(
    order: Order,
    missing: Sequence[tuple[int, int]],
    jobs: int,
    out: Path,
    scratch: Path,
    manifest: dict[str, Any],
    tell: Callable[[dict[str, Any], str], None],
) -> None:
    """Have `jobs` workers at a time make the `missing` shards, and enter each into the manifest."""
    stop = Event()
    tell(manifest, f"{len(missing)} objects to build in Blender")
    with ThreadPoolExecutor(jobs) as pool:
        waiting = iter(missing)
        free = dealt_cores(jobs)
        running: dict[Future[tuple[int, dict[str, Any], float]], tuple[int, ...]] = {}
        try:
            while True:
                while len(running) < jobs and (following := next(waiting, None)):
                    cores = free.pop()
                    running[pool.submit(make_shard, order, *following, scratch, stop, cores)] = cores
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    free.append(running.pop(future))
                    index, entry, seconds = future.result()
                    _enter(name_of(index), entry, scratch, out, manifest)
                    _add_time(out, entry["pairs"], seconds)
                    tell(manifest, f"object {entry['object_seed']}: {seconds / entry['pairs']:.1f} CPU-s per pair")
        finally:
            stop.set()


def _enter(name: str, entry: dict[str, Any], scratch: Path, out: Path, manifest: dict[str, Any]) -> None:
    """Move a shard into the folder and its entry into the manifest, which at no time promises what is not there."""
    if manifest["shards"].pop(name, None):  # of fewer pairs
        _write_manifest(out, manifest)
    os.replace(scratch / name, out / name)
    manifest["shards"][name] = entry
    _write_manifest(out, manifest)


def _add_time(out: Path, count: int, seconds: float) -> None:
    """Add what the pairs of a shard took to the folder's sum, which no picture depends on."""
    path = out / TIMING
    sums = store.read_json(path) if path.is_file() else {"pairs_rendered": 0, "cpu_seconds": 0.0}
    rendered, spent = sums["pairs_rendered"] + count, round(sums["cpu_seconds"] + seconds, 2)
    per_minute = round(2 * 60 * rendered / max(spent, 1e-9), 1)
    document = {"pairs_rendered": rendered, "cpu_seconds": spent, "pairs_per_minute_on_two_free_cores": per_minute}
    store.write_json(path, document)


def _mean(decibels: Sequence[float]) -> float | None:
    return round(float(np.mean(decibels)), 2) if decibels else None
