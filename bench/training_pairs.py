"""`bench synth pairs` at the terminal."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.environment import cores
from bench.synth import telling
from datasets.errors import InputError
from datasets.synthesis.pairs.making import make_pairs
from datasets.synthesis.pairs.order import Order


def render_pairs(
    count: int | None,
    out: Path | None,
    as_json: bool,
    size: int | None = None,
    seed: int | None = None,
    samples: int | None = None,
    jobs: int | None = None,
) -> int:
    """Fill the folder `out` with `count` pairs and say where they are; the exit code. None is what is usual."""
    if count is None:
        raise InputError("How many training pairs shall it be? Say --count N.")
    usual, folder = Order(), out or Path("pairs")
    order = Order(usual.seed if seed is None else seed, usual.size if size is None else size)
    if samples is not None:
        order = replace(order, samples={"sharp": samples, "defocused": 2 * samples})
    with telling() as say:
        result = make_pairs(count, folder, order, cores() if jobs is None else jobs, partial(say, folder))
    if as_json:
        print(json.dumps({"path": str(folder), "pairs": result.count, "outcome": result.outcome}))
    elif result.outcome == "already there":
        print(f"{folder} holds {result.count} pairs already; nothing to do.")
    else:
        print(f"{folder} holds {result.count} pairs.")
    return 0
