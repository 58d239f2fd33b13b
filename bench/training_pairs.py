"""`bench synth pairs` at the terminal."""

import json
import os
from pathlib import Path

from rich.console import Console

from datasets.errors import InputError
from datasets.synthesis.pairs.making import Order, Progress, make_pairs


def render_pairs(ordered: dict[str, int | None], preset: str | None, out: Path | None, as_json: bool) -> int:
    """Fill the folder `out` with pairs and say where they are; the exit code.

    ordered: count, size, seed and jobs; None where the user has said nothing.
    """
    count, jobs = ordered["count"], ordered["jobs"]
    if preset is not None:
        raise InputError("Training pairs have no preset: give --count, and --size for another size than 128 px.")
    if count is None:
        raise InputError("How many training pairs shall it be? Say --count N.")
    usual, seed, size = Order(), ordered["seed"], ordered["size"]
    order = Order(usual.seed if seed is None else seed, usual.size if size is None else size)
    console = Console(stderr=True)

    def say(progress: Progress) -> None:
        line = f"{progress.done}/{progress.total} pairs: {progress.text}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    cores = len(os.sched_getaffinity(0))
    result = make_pairs(count, out or Path("pairs"), order, cores if jobs is None else jobs, say)
    if as_json:
        print(json.dumps({"path": str(result.path), "pairs": result.count, "outcome": result.outcome}))
    elif result.outcome == "already there":
        print(f"{result.path} holds {result.count} pairs already; nothing to do.")
    else:
        print(f"{result.path} holds {result.count} pairs.")
    return 0
