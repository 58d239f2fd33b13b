"""How long the blurs take and what memory they need, forward and backward with the gradient of the blur's width, side
by side with the same blur written as torch's unfold.

Every measurement runs in a process of its own, `python -m bench.perf.blur OPERATOR BACKEND PX K REPEATS`.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import fold, unfold

from bench.perf import DEVICES, why_not
from bench.perf.alone import growth_of_peak, run_alone
from bench.perf.rasterizer import environment
from datasets.optics import SIGMA_PER_RADIUS_LEAST_SQUARES
from methods.defocus.backends import BACKENDS
from methods.defocus.disk import scatter_disk
from methods.defocus.gauss import gather_gauss, scatter_gauss
from methods.defocus.reference import gauss_weights

OPERATORS = ("gather-gauss", "scatter-gauss", "scatter-disk")
SIZES = (128, 400, 800)
RADII = (6, 8, 12)
# Across the image, px.
SIGMA = (0.3, 3.0)

# Milliseconds of the prototype that the present CPU kernels replaced (gather-gauss, one thread of a shared EPYC with
# AVX-512, forward + backward with the gradient of sigma): a fixed point of reference, measured on another day.
PROTOTYPE_MS = {
    (128, 6): 2.5,
    (128, 8): 3.8,
    (128, 12): 7.3,
    (400, 6): 30.0,
    (400, 8): 33.0,
    (400, 12): 58.0,
    (800, 6): 94.0,
    (800, 8): 133.0,
    (800, 12): 227.0,
}
# unfold keeps about this many copies of the (2K + 1)^2 neighbours of every pixel, 4 bytes each.
_UNFOLD_COPIES = 12
_MOST_BYTES = {"cpu": 4 * 2**30, "cuda": 32 * 2**30}


def measure(
    sizes: Sequence[int] = SIZES,
    radii: Sequence[int] = RADII,
    operators: Sequence[str] = OPERATORS,
    repeats: int = 20,
    progress: Callable[[str], None] | None = None,
    devices: Sequence[str] = DEVICES,
) -> dict[str, Any]:
    """Measure every back end of `devices` that can run here; the least of `repeats` passes counts, after one that
    does not.

    Returns a JSON-able dict: "environment", and "rows" with `ms` and `peak_mb` (growth of peak memory) per back end,
    null with a sentence in `reason` where it did not run. Back ends: "cpu", "triton", and unfold on either device.
    """
    rows = []
    for operator in operators:
        for px in sizes:
            for k in radii if operator != "scatter-disk" else (None,):
                if progress is not None:
                    progress(f"{operator}, {px} x {px} px" + (f", K = {k}" if k is not None else ""))
                rows.append(_row(operator, px, k, repeats, devices))
    return {"benchmark": "blur", "repeats": repeats, "environment": environment(), "rows": rows}


def table(result: dict[str, Any]) -> list[dict[str, str]]:
    """The result of `measure` as rows of text by column."""
    lines = []
    for row in result["rows"]:
        line = {"blur": row["operator"], "px": str(row["px"]), "K": "-" if row["k"] is None else str(row["k"])}
        for backend in ("cpu", "unfold cpu", "triton", "unfold cuda"):
            ms, mb = row["ms"].get(backend), row["peak_mb"].get(backend)
            line[f"{backend} ms"] = "-" if ms is None else f"{ms:.2f}"
            line[f"{backend} MB"] = "-" if mb is None else f"{mb:.0f}"
        line["prototype ms"] = "-" if row["prototype_ms"] is None else f"{row['prototype_ms']:.1f}"
        lines.append(line)
    return lines


def by_unfold(operator: str, image: Tensor, sigma: Tensor, k: int) -> Tensor:
    """`gather_gauss` or `scatter_gauss` with every pixel's neighbours written out: what the kernels do without."""
    height, width, channels = image.shape
    side = 2 * k + 1
    axis = torch.stack(gauss_weights(sigma, k))[torch.arange(-k, k + 1).abs()]  # [side, H, W]
    weights = (axis[:, None] * axis[None, :]).reshape(side * side, -1)
    if operator == "gather-gauss":
        neighbours = unfold(image.permute(2, 0, 1)[None], side, padding=k).reshape(channels, side * side, -1)
        return (neighbours * weights).sum(1).reshape(channels, height, width).permute(1, 2, 0)
    spread = (image.reshape(-1, channels).T[:, None] * weights).reshape(1, channels * side * side, -1)
    return fold(spread, (height, width), side, padding=k)[0].permute(1, 2, 0)


def _row(operator: str, px: int, k: int | None, repeats: int, devices: Sequence[str]) -> dict[str, Any]:
    ms: dict[str, float | None] = {}
    peak: dict[str, float | None] = {}
    reason: dict[str, str] = {}
    for backend in ("cpu", "unfold cpu", "triton", "unfold cuda"):
        if left_out := _why_left_out(operator, backend, px, k, devices):
            ms[backend], peak[backend], reason[backend] = None, None, left_out
            continue
        few = min(repeats, 3) if backend.startswith("unfold") else repeats
        ms[backend], peak[backend] = run_alone(__name__, operator, backend, str(px), str(k or 0), str(few))
    known = PROTOTYPE_MS.get((px, k)) if operator == "gather-gauss" and k is not None else None
    return {
        "operator": operator,
        "px": px,
        "k": k,
        "ms": ms,
        "peak_mb": peak,
        "reason": reason,
        "prototype_ms": known,
    }


def _why_left_out(operator: str, backend: str, px: int, k: int | None, devices: Sequence[str]) -> str | None:
    device = _device(backend)
    if reason := why_not(device, devices):
        return reason
    if not backend.startswith("unfold"):
        return None
    if k is None:
        return "a disk of any radius has no fixed number of neighbours to unfold"
    needed = px * px * (2 * k + 1) ** 2 * 4 * _UNFOLD_COPIES
    if needed > _MOST_BYTES[device]:
        return f"would need about {needed / 2**30:.0f} GB"
    return None


def _device(backend: str) -> str:
    return "cuda" if backend in ("triton", "unfold cuda") else "cpu"


def _measure_here(operator: str, backend: str, px: int, k: int, repeats: int) -> tuple[float, float]:
    """Least time of a pass in ms, and the growth of peak memory in MB."""
    device = _device(backend)
    if backend in BACKENDS:
        module = "methods.defocus.disk" if operator == "scatter-disk" else "methods.defocus.gauss"
        importlib.import_module(module).warmup(device)
    # What torch loads for its first backward pass is not the blur's.
    _a_pass(operator, backend, 16, 1)()
    one_pass = _a_pass(operator, backend, px, k)

    growth = growth_of_peak(one_pass, device)
    best = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        one_pass()
        best = min(best, time.perf_counter() - start)
    return 1e3 * best, growth


def _a_pass(operator: str, backend: str, px: int, k: int) -> Callable[[], None]:
    """One forward and backward pass over an image of px x px, as a function."""
    device = _device(backend)
    random = torch.Generator().manual_seed(0)
    image = torch.rand(px, px, 3, generator=random).to(device).requires_grad_()
    upstream = torch.rand(px, px, 3, generator=random).to(device)
    opaque = torch.ones(px, px, device=device)
    sigma = torch.linspace(*SIGMA, px, device=device).repeat(px, 1)
    # The disk of the same blur, in front of the focal plane at the top and behind it at the bottom.
    radius = sigma / SIGMA_PER_RADIUS_LEAST_SQUARES
    radius[: px // 2] *= -1
    width = (radius if operator == "scatter-disk" else sigma).requires_grad_()

    def blurred() -> Tensor:
        if operator == "scatter-disk":
            return scatter_disk(image, opaque, width)[0]
        if backend.startswith("unfold"):
            return by_unfold(operator, image, width, k)
        return (gather_gauss if operator == "gather-gauss" else scatter_gauss)(image, width, k)

    def one_pass() -> None:
        image.grad = width.grad = None
        blurred().backward(upstream)
        if device == "cuda":
            torch.cuda.synchronize()

    return one_pass


if __name__ == "__main__":
    _operator, _backend, _px, _k, _repeats = sys.argv[1:]
    print(json.dumps(_measure_here(_operator, _backend, int(_px), int(_k), int(_repeats))))
