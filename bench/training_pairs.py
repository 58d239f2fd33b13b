"""`bench synth pairs` at the terminal."""

import json
from functools import partial
from pathlib import Path
from typing import Any

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
    folder = out or Path("pairs")
    per_pixel = None if samples is None else {"sharp": samples, "defocused": 2 * samples}
    said: dict[str, Any] = {"seed": seed, "size": size, "samples": per_pixel}
    order = Order(**{name: value for name, value in said.items() if value is not None})
    with telling() as say:
        result = make_pairs(count, folder, order, cores() if jobs is None else jobs, partial(say, folder))
    if as_json:
        print(json.dumps({"path": str(folder), "pairs": result.count, "outcome": result.outcome}))
    elif result.outcome == "already there":
        print(f"{folder} holds {result.count} pairs already; nothing to do.")
    else:
        print(f"{folder} holds {result.count} pairs.")
    return 0
