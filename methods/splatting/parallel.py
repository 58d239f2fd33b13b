"""Running one compiled kernel on parts of its work, on as many threads as numba is set to use."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np

_pools: dict[int, ThreadPoolExecutor] = {}


def run(function: Callable[..., Any], bounds: np.ndarray, arguments: Sequence[Any]) -> None:
    """Call `function(begin, end, *arguments)` for each part between two of the `bounds`."""
    if len(bounds) == 2:
        function(int(bounds[0]), int(bounds[1]), *arguments)
        return
    threads = numba.get_num_threads()
    pool = _pools.get(threads)
    if pool is None:
        pool = _pools.setdefault(threads, ThreadPoolExecutor(threads, thread_name_prefix="kernel"))
    futures = [
        pool.submit(function, int(begin), int(end), *arguments)
        for begin, end in itertools.pairwise(bounds)
        if end > begin
    ]
    for future in futures:
        future.result()
