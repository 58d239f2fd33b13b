"""Speed and memory, side by side in one run. Each module has `measure(repeats, progress, devices)` and
`table(result)`."""

import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

BENCHMARKS = {name: f"bench.perf.{name}" for name in ("rasterizer", "blur", "train", "synth", "restore")}
DEVICES = ("cpu", "cuda")


def why_not(device: str, devices: Sequence[str]) -> str | None:
    """Why nothing is measured on `device` where `devices` are asked for; None if it can be. Imports torch."""
    import torch

    if device not in devices:
        return "not asked for"
    return "needs a CUDA device" if device == "cuda" and not torch.cuda.is_available() else None


def here(devices: Sequence[str]) -> list[str]:
    """Those of `devices` that there are. Imports torch."""
    return [device for device in devices if why_not(device, devices) is None]


def measured(
    names: Iterable[str], repeats: int, devices: Sequence[str] = DEVICES
) -> Iterator[tuple[str, dict[str, Any], list[dict[str, str]]]]:
    """Name, result and table of each benchmark in `names` on `devices`, as soon as it is done.

    One that fails has an "error" for its result and no table, and standard error has its traceback.
    """
    for name in names:
        try:
            module = import_module(BENCHMARKS[name])
            result = module.measure(
                repeats=repeats, progress=lambda line: print(line, file=sys.stderr), devices=devices
            )
            yield name, result, module.table(result)
        except Exception as error:
            traceback.print_exc()
            yield name, {"benchmark": name, "error": f"{type(error).__name__}: {error}"}, []
