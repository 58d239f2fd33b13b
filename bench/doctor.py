"""`bench doctor`: what this machine can do, and how to get what is missing."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from bench.environment import cores


class Finding(NamedTuple):
    """One thing looked at. fix: what to do where it is not there; empty if it is."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def examine(lpips_weights: Path | None = None) -> list[Finding]:
    """Look at everything. Takes seconds: it imports torch, and Blender in a process of its own."""
    return [
        _python(),
        _cuda(),
        _gsplat(),
        _numba_cache(),
        _blender(),
        _lpips(lpips_weights),
        _released_weights(),
        _capture(),
        _disk(),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", True, f"{version}, {cores()} cores")


def _cuda() -> Finding:
    from bench.environment import gpu

    name, driver = gpu()
    if name:
        return Finding("cuda", True, f"{name}, driver {driver}")
    return Finding("cuda", False, "no CUDA device; runs use the CPU, at small sizes", "a machine with an NVIDIA GPU")


def _gsplat() -> Finding:
    from importlib.metadata import PackageNotFoundError, version

    import torch

    try:
        found = version("gsplat")
    except PackageNotFoundError:
        return Finding("gsplat", False, "not installed", "pip install gsplat==1.5.3")
    if not torch.cuda.is_available():
        return Finding("gsplat", False, f"{found}, unused: it needs CUDA", "a machine with an NVIDIA GPU")
    code = "from gsplat.cuda._backend import _C; assert _C is not None"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode == 0:
        return Finding("gsplat", True, f"{found}, its kernels load")
    return Finding("gsplat", False, f"{found}, its kernels do not load", "install the CUDA toolkit (nvcc) and ninja")


def _numba_cache() -> Finding:
    from methods.splatting.jit import cache_folder

    compiled = (cache_folder() / "complete").exists()
    return Finding("cpu rasterizer", True, "compiled" if compiled else "compiles at first use, once")


def _blender() -> Finding:
    from datasets.synthesis.blender import why_unavailable

    reason = why_unavailable()
    if reason is None:
        from importlib.metadata import version

        return Finding("blender", True, f"bpy {version('bpy')}")
    return Finding("blender", False, "bench synth cannot render", reason)


def _lpips(weights: Path | None) -> Finding:
    from bench import lpips_backbone

    try:
        return Finding("lpips weights", True, str(lpips_backbone.locate(weights)))
    except lpips_backbone.LpipsUnavailable as error:
        return Finding("lpips weights", False, "not found", str(error))


def _released_weights() -> Finding:
    from methods.restoration import weights

    states = {name: weights.state(name) for name in weights.RELEASES}
    there = [name for name, state in states.items() if state == "present"]
    detail = f"{len(there)} of {len(states)}{': ' if there else ''}{', '.join(there)}"
    every = len(there) == len(states)
    return Finding("released weights", every, detail, "" if every else "bench weights list tells where they are")


def _capture() -> Finding:
    from datasets.captures import BUILTIN, open_capture
    from datasets.errors import InputError

    try:
        demo = open_capture("demo")
    except InputError as error:
        return Finding("demo capture", False, str(error), "install the package again")
    return Finding("demo capture", True, f"{len(demo.train)} + {len(demo.test)} views in {BUILTIN.name}/demo, intact")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return Finding("disk", free > 1, f"{free:.0f} GiB free here", "" if free > 1 else "free some space")
