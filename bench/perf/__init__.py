"""Speed and memory, side by side in one run. Each module has `measure(repeats, progress)` and `table(result)`."""

import sys
import traceback
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

BENCHMARKS = {name: f"bench.perf.{name}" for name in ("rasterizer", "blur", "train", "synth", "restore")}


def measured(names: Iterable[str], repeats: int) -> Iterator[tuple[str, dict[str, Any], list[dict[str, str]]]]:
    """Name, result and table of each benchmark in `names`, as soon as it is done.

    One that fails has an "error" for its result and no table, and standard error has its traceback.
    """
    for name in names:
        try:
            module = import_module(BENCHMARKS[name])
            result = module.measure(repeats=repeats, progress=lambda line: print(line, file=sys.stderr))
            yield name, result, module.table(result)
        except Exception as error:
            traceback.print_exc()
            yield name, {"benchmark": name, "error": f"{type(error).__name__}: {error}"}, []
