"""Measuring in a process of its own, as what one measurement leaves in memory would hide what the next one needs."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.environment import ROOT


def run_alone(module: str, *arguments: str) -> Any:
    """What `python -m MODULE ARGUMENTS` prints in its last line, as JSON. Raises RuntimeError if it fails."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"measuring {' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def growth_of_peak(work: Callable[[], object], device: str) -> float:
    """By how many MB the peak memory of this process, or of the CUDA allocator, grows when `work` is done."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        allocated = torch.cuda.memory_allocated() / 1e6
        work()
        return torch.cuda.max_memory_allocated() / 1e6 - allocated
    now, before = _memory()
    # Up to the peak of the imports, growth would not show.
    ballast = np.ones(max(0, int((before - now) * 1e6)), np.uint8)
    work()
    growth = _memory()[1] - before
    del ballast
    return growth


def _memory() -> tuple[float, float]:
    """Memory of this process in MB, now and at its peak."""
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 1e6 if sys.platform == "darwin" else 1e3
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        return peak, peak
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return tuple(float(lines[key].split()[0]) * 1024 / 1e6 for key in ("VmRSS", "VmHWM"))  # type: ignore[return-value]
