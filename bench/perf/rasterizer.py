"""How long one forward and backward pass of the rasterizers takes, side by side, on a synthetic scene."""

from __future__ import annotations

import math
import platform
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from bench.environment import cores, cpu_name
from bench.perf import DEVICES, why_not
from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import Render, Viewport, render

SIZES = ((2_000, 64), (10_000, 128), (10_000, 400), (50_000, 200), (50_000, 400), (200_000, 400))

# Milliseconds of the prototype that the present CPU rasterizer replaced (one thread of a shared EPYC with AVX-512,
# forward + backward with projection, the scene of `shell`): a fixed point of reference, measured on another day.
PROTOTYPE_MS = {
    (2_000, 64): 1.8,
    (10_000, 128): 7.3,
    (10_000, 400): 23.3,
    (50_000, 200): 36.0,
    (50_000, 400): 48.8,
    (200_000, 400): 189.0,
}
# The dense twin keeps about this many values per Gaussian and pixel for autograd.
_TWIN_VALUES = 12
_TWIN_BYTES = 4 * 2**30


def shell(n: int, size: int, seed: int = 0) -> tuple[Gaussians, Viewport]:
    """n anisotropic Gaussians in a spherical shell that fills an image of size x size px.

    Opacities are sigmoid(N(0.3, 1.5)) and widths go with 1 / sqrt(n), as on a surface that is covered once.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    direction = torch.nn.functional.normalize(normal(n, 3), dim=-1)
    radius = 0.8 + 0.2 * torch.rand(n, 1, generator=generator)
    gaussians = Gaussians(
        means=direction * radius,
        quats=normal(n, 4),
        log_scales=math.log(1.5 / math.sqrt(n)) + 0.5 * normal(n, 3),
        logit_opacities=0.3 + 1.5 * normal(n),
        sh=0.5 * normal(n, 1, 3),
    )
    w2c = torch.eye(4)
    w2c[2, 3] = 10.0
    focal = 0.45 * size * 10.0
    return gaussians, Viewport(size, size, focal, focal, size / 2, size / 2, w2c)


def measure(
    sizes: Sequence[tuple[int, int]] = SIZES,
    repeats: int = 20,
    progress: Callable[[str], None] | None = None,
    devices: Sequence[str] = DEVICES,
) -> dict[str, Any]:
    """Time every rasterizer of `devices` that can run here; the least of `repeats` passes counts, after one that
    does not.

    sizes: pairs (number of Gaussians, image side in px). Returns a JSON-able dict: "environment", and "rows" with
    `ms` per back end (null, with a sentence in `reason`, where it did not run), `ratio` against "cpu" (> 1 is slower
    than "cpu"; none without it), the prototype's published `ms`, and the growth of the process's peak memory in MB.
    """
    from methods.splatting import cpu

    if "cpu" in devices:
        cpu.warmup(progress)
    rows = []
    for n, size in sizes:
        if progress is not None:
            progress(f"{n} Gaussians, {size} x {size} px")
        ms: dict[str, float | None] = {}
        reason: dict[str, str] = {}
        peak: dict[str, float] = {}
        for backend in ("cpu", "torch", "gsplat"):
            if left_out := _why_left_out(backend, n, size, devices):
                ms[backend], reason[backend] = None, left_out
                continue
            ms[backend], peak[backend] = _time(backend, n, size, 3 if backend == "torch" else repeats)
        ours = ms["cpu"]
        ms["prototype"] = PROTOTYPE_MS.get((n, size))
        ratio = {name: value / ours for name, value in ms.items() if value is not None and ours is not None}
        rows.append({"n": n, "size": size, "ms": ms, "ratio": ratio, "reason": reason, "peak_mb": peak})
    return {"benchmark": "rasterizer", "repeats": repeats, "environment": environment(), "rows": rows}


def table(result: dict[str, Any]) -> list[dict[str, str]]:
    """The result of `measure` as rows of text by column."""
    lines = []
    for row in result["rows"]:
        line = {"Gaussians": str(row["n"]), "px": str(row["size"])}
        for name in ("cpu", "torch", "gsplat", "prototype"):
            value = row["ms"].get(name)
            line[f"{name} ms"] = f"{value:.2f}" if value else "-"
        for name in ("torch", "prototype"):
            line[f"{name}/cpu"] = f"{row['ratio'][name]:.1f}" if name in row["ratio"] else "-"
        lines.append(line)
    return lines


def _why_left_out(backend: str, n: int, size: int, devices: Sequence[str]) -> str | None:
    if reason := why_not(_device(backend), devices):
        return reason
    needed = n * size * size * 4 * _TWIN_VALUES
    if backend == "torch" and needed > _TWIN_BYTES:
        return f"dense: would need about {needed / 2**30:.0f} GB"
    return None


def _device(backend: str) -> str:
    return "cuda" if backend == "gsplat" else "cpu"


def _time(backend: str, n: int, size: int, repeats: int) -> tuple[float, float]:
    """Least time of a pass in ms, and the growth of peak memory in MB."""
    device = _device(backend)
    gaussians, viewport = shell(n, size)
    gaussians = gaussians.to(device)
    leaves = [
        getattr(gaussians, name).requires_grad_() for name in ("means", "quats", "log_scales", "logit_opacities", "sh")
    ]
    target = torch.full((size, size, 3), 0.5, device=device)

    def one_pass() -> None:
        for leaf in leaves:
            leaf.grad = None
        result: Render = render(gaussians, viewport, backend=backend)
        (torch.mean((result.color - target) ** 2) + 1e-3 * result.depth.mean()).backward()
        if device == "cuda":
            torch.cuda.synchronize()

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    before = _peak_mb(device)
    one_pass()
    best = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        one_pass()
        best = min(best, time.perf_counter() - start)
    return 1e3 * best, _peak_mb(device) - before


def _peak_mb(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def environment() -> dict[str, Any]:
    """The machine, threads and versions that times depend on."""
    import numba

    return {
        "processor": cpu_name(),
        "cores": cores(),
        "threads": {"numba": numba.get_num_threads(), "torch": torch.get_num_threads()},
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numba": numba.__version__,
        },
    }
