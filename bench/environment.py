"""What the numbers were made with: packages, processor, GPU, revision of the source."""

import hashlib
import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "macro-deblurring-benchmark",
    "gsplat",
    "lpips",
    "numba",
    "numpy",
    "opencv-python-headless",
    "scikit-image",
    "scipy",
    "torch",
)
# The source that can change what a contestant leaves behind, or how it is scored.
SOURCES = (
    "datasets/*.py",
    "methods/**/*.py",
    "bench/evaluate.py",
    "bench/in_focus.py",
    "bench/job.py",
    "bench/kernel_accuracy.py",
    "bench/lpips_backbone.py",
    "bench/metrics.py",
    "bench/metric_table.py",
)


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that numbers depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def source_hash() -> str:
    """SHA-256 over the source files that results depend on."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in SOURCES for path in ROOT.glob(pattern)}):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def git_revision() -> tuple[str | None, bool | None]:
    """Commit of the source and whether it has uncommitted changes; (None, None) outside a checkout."""
    if not (ROOT / ".git").exists():
        return None, None
    command = ["git", "-C", str(ROOT)]
    try:
        sha = subprocess.run([*command, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        status = subprocess.run([*command, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None, None
    return sha.stdout.strip(), bool(status.stdout.strip())


def cpu_name() -> str:
    """The processor's model."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpu() -> tuple[str | None, str | None]:
    """Name and driver of the CUDA device in use; (None, None) without one. Imports torch."""
    import torch

    if not torch.cuda.is_available():
        return None, None
    try:
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split("\n")[0].strip()
    except (OSError, subprocess.CalledProcessError):
        driver = None
    return torch.cuda.get_device_name(), driver


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """Threads that this process computes with."""
    return int(os.environ.get("OMP_NUM_THREADS") or cores())


def describe(device: str, rasterizer: str | None) -> dict[str, Any]:
    """The `environment` part of a record."""
    sha, dirty = git_revision()
    name, driver = gpu() if device == "cuda" else (None, None)
    return {
        "packages": package_versions(),
        "python": platform.python_version(),
        "git_sha": sha,
        "git_dirty": dirty,
        "cpu": cpu_name(),
        "gpu": name,
        "driver": driver,
        "threads": threads(),
        "device": device,
        "rasterizer": rasterizer,
    }
