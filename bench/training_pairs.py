"""`bench synth pairs` at the terminal."""

import json
import os
from pathlib import Path

from bench.synth import shown
from datasets.errors import InputError
from datasets.synthesis.pairs.making import make_pairs
from datasets.synthesis.pairs.order import Order


def render_pairs(ordered: dict[str, int | None], preset: str | None, out: Path | None, as_json: bool) -> int:
    """Fill the folder `out` with pairs and say where they are; the exit code.

    ordered: count, size, seed and jobs; None where the user has said nothing.
    """
    count, seed, size, jobs = (ordered[name] for name in ("count", "seed", "size", "jobs"))
    if preset is not None:
        raise InputError("Training pairs have no preset: give --count, and --size for another size than 128 px.")
    if count is None:
        raise InputError("How many training pairs shall it be? Say --count N.")
    usual, folder = Order(), out or Path("pairs")
    order = Order(usual.seed if seed is None else seed, usual.size if size is None else size)
    workers = len(os.sched_getaffinity(0)) if jobs is None else jobs
    result = shown(folder, lambda say: make_pairs(count, folder, order, workers, say))
    if as_json:
        print(json.dumps({"path": str(folder), "pairs": result.count, "outcome": result.outcome}))
    elif result.outcome == "already there":
        print(f"{folder} holds {result.count} pairs already; nothing to do.")
    else:
        print(f"{folder} holds {result.count} pairs.")
    return 0
