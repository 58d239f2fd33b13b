"""One object, from its seed to its shard: rendered by a worker, developed here."""

import json
import math
import os
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from datasets import pairs, store
from datasets.capture import Background
from datasets.color import to_uint8
from datasets.difficulty import psnr
from datasets.optics import ThinLens
from datasets.synthesis import blender, develop
from datasets.synthesis.pairs.order import WORKER, Order
from datasets.synthesis.recipes import Sensor


def name_of(index: int) -> str:
    """The file of the object at `index`."""
    return f"shard-{index:05d}.npz"


def make_shard(
    order: Order, index: int, takes: int, scratch: Path, stop: Event, cores: Sequence[int]
) -> tuple[int, dict[str, Any], float]:
    """Have a worker on these `cores` build and photograph an object, and write its shard; the index, its entry,
    CPU-seconds.

    Ends at the next event of the worker, without a shard, once `stop` is set.
    """
    folder = (scratch / f"{index:05d}").absolute()
    folder.mkdir()
    seed = order.object_seed(index)
    job = {
        "seed": seed,
        "size": order.size,
        "takes": takes,
        "measured": [0] if index % order.measured_every == 0 else [],
        "samples": order.samples,
        "cores": list(cores),
        "folder": str(folder),
    }
    (folder / "job.json").write_text(json.dumps(job))
    made: list[pairs.Pair] = []
    entry: dict[str, Any] = {"pairs": takes, "object_seed": seed}
    seconds = 0.0
    with closing(blender.events(WORKER, [str(folder / "job.json")], folder / "blender.log")) as events:
        for event in events:
            if stop.is_set():
                raise InterruptedError("another object has failed, or the user has stopped")
            if event["event"] == "built":
                entry["digest"] = event["digest"]
            if event["event"] == "rendered":
                pair, floors = _developed(seed, event)
                made.append(pair)
                if floors:
                    entry["noise_floor_db"] = floors
            if event["event"] == "done":
                seconds = event["cpu_seconds"]
    arrays = {name: np.stack([getattr(pair, name) for pair in made]) for name in ("photograph", "sharp", "mask", "coc")}
    shard = pairs.Shard(**arrays, facts=tuple(pair.facts for pair in made))
    pairs.write_shard(scratch / name_of(index), shard)
    shutil.rmtree(folder)
    entry["largest_coc_px"] = [pair.facts["largest_coc_px"] for pair in made]
    entry["sha256"] = store.sha256(scratch / name_of(index))
    return index, entry, seconds


def _developed(seed: int, event: dict[str, Any]) -> tuple[pairs.Pair, dict[str, float]]:
    """The pair of a take that was rendered, and the noise floors of its passes where they were rendered twice."""
    facts = event["facts"]
    renders = {kind: develop.read_render(Path(path)) for kind, path in event["files"].items()}
    for path in event["files"].values():
        os.unlink(path)
    backdrop = Background(**{end: tuple(colour) for end, colour in facts["backdrop"].items()})
    sensor = None if facts["sensor"] is None else Sensor(**facts["sensor"])
    lens = ThinLens(*(facts[name] for name in ("focal_length", "f_number", "focus_distance", "pixel_pitch")))
    exposure = _exposure(*renders["sharp"][:2], facts["brightness"])
    light = {kind: develop.exposed(render, exposure, backdrop) for kind, render in renders.items()}
    _, alpha, depth = renders["sharp"]
    mask, coc = to_uint8(alpha), develop.coc_map(depth, lens)
    photograph = develop.sensed(light["defocused"], sensor, np.random.default_rng([seed, 2, event["take"]]))
    plain = {kind: develop.encoded(image) for kind, image in light.items()}
    floors = {
        kind: round(psnr(plain[kind], plain[f"{kind} again"], mask) + 10 * math.log10(2), 2)
        for kind in ("sharp", "defocused")
        if f"{kind} again" in plain
    }
    largest = float(2 * np.quantile(np.abs(coc[depth > 0]), 0.99)) if depth.any() else 0.0
    facts = {"object_seed": seed, "take": event["take"], **facts, "largest_coc_px": round(largest, 2)}
    pair = pairs.Pair(develop.encoded(photograph), plain["sharp"], mask, coc.astype(np.float16), facts)
    return pair, floors


def _exposure(rgb: np.ndarray, alpha: np.ndarray, brightness: float) -> float:
    """What to multiply a render [H, W, 3] by for the 99th percentile of its brightest channel to be `brightness`."""
    solid = rgb[alpha > 0.5]
    return brightness / max(float(np.quantile(solid.max(axis=1), 0.99)), 1e-4) if len(solid) else brightness
