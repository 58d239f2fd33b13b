"""How the kernels of this package are compiled, and where the machine code is kept.

Numba keys its disk cache on the one file that holds a function, so a change in a function that it *calls* from
another file goes unseen. Here the folder of the cache carries a hash of all kernel sources instead: stale code
cannot be loaded. The folder lies under NUMBA_CACHE_DIR if that is set, else in this package's __pycache__, else,
where that is not writable, in the user's cache folder.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba
from numba.core import config as numba_config

_HERE = Path(__file__).parent
# Its attributes are made at run time, which type checkers do not see.
config: Any = numba_config
_SOURCES = ("jit.py", "simd.py", "cpu_projection.py", "cpu_binning.py", "cpu_tiles.py", "ssim_cpu.py", "losses.py")


@functools.cache
def cache_folder() -> Path:
    """Folder of the compiled kernels of exactly these sources, versions and processor."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update((_HERE / name).read_bytes())
    versions = (numba.__version__, llvmlite.__version__, platform.python_version())
    digest.update(repr((versions, llvmlite.binding.get_host_cpu_name())).encode())
    return _base_folder() / f"splatting-{digest.hexdigest()[:16]}"


def _base_folder() -> Path:
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    beside = _HERE / "__pycache__"
    try:
        beside.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=beside):
            return beside
    except OSError:
        user = os.environ.get("XDG_CACHE_HOME")
        return (Path(user) if user else Path.home() / ".cache") / "macro-deblurring-benchmark"


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at first call, keep on disk, run without the interpreter lock.

    Strict floating point: no fast-math flag, so that images and gradients do not depend on what the optimiser of
    the day makes of an expression.
    """
    before = config.CACHE_DIR
    config.CACHE_DIR = str(cache_folder())
    try:
        compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
        return compiled
    finally:
        config.CACHE_DIR = before
