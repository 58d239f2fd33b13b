"""Running one compiled kernel on parts of its work, on as many threads as numba is set to use."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np

# Parts per thread: enough that one slow part does not keep the others waiting.
_PARTS = 4
# Rows of an image, less than which in one part are not worth a thread, whose start costs about 50 us.
FEWEST_ROWS = 32
_pools: dict[int, ThreadPoolExecutor] = {}


def parts_of(work: int, fewest: int) -> int:
    """Into how many parts to divide `work`, none smaller than `fewest`: one where there is one thread."""
    threads = numba.get_num_threads()
    return max(1, min(threads * _PARTS, work // fewest)) if threads > 1 else 1


def bounds(count: int, fewest: int) -> np.ndarray:
    """Boundaries of equal parts of `count` things, none smaller than `fewest`."""
    parts = parts_of(count, fewest)
    return np.arange(parts + 1) * count // parts


def run(function: Callable[..., Any], parts: np.ndarray, arguments: Sequence[Any]) -> None:
    """Call `function(begin, end, *arguments)` for each part between two boundaries `parts`."""
    if len(parts) == 2:
        function(int(parts[0]), int(parts[1]), *arguments)
        return
    threads = numba.get_num_threads()
    pool = _pools.get(threads)
    if pool is None:
        pool = _pools.setdefault(threads, ThreadPoolExecutor(threads, thread_name_prefix="kernel"))
    futures = [
        pool.submit(function, int(begin), int(end), *arguments)
        for begin, end in itertools.pairwise(parts)
        if end > begin
    ]
    for future in futures:
        future.result()
