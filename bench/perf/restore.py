"""How long restorers take for a photograph, in seconds per megapixel, and what memory they need.

Speed does not depend on the values of weights, so networks without any are measured with random ones. Every measurement
runs in a process of its own, `python -m bench.perf.restore NAME PX DEVICE REPEATS`.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.perf import DEVICES, here
from bench.perf.alone import growth_of_peak, run_alone
from bench.perf.rasterizer import environment
from methods.configuration import build
from methods.contestants import registry
from methods.restoration import architectures, checkpoint, references
from methods.restoration.architectures import RELEASES
from methods.restoration.learned import LearnedConfig, applied, made

# Those of which there are weights in this package at all sizes, the authors' larger ones at the first.
SIZES = (256, 400, 800)


def measure(
    names: Sequence[str] | None = None,
    sizes: Sequence[int] = SIZES,
    repeats: int = 3,
    progress: Callable[[str], None] | None = None,
    devices: Sequence[str] = DEVICES,
) -> dict[str, Any]:
    """Time every restorer on each of `devices` that is here; the least of `repeats` photographs counts, after one that
    does not.

    names: contestants that restore photographs; None is all but the control. sizes: sides of photographs in px.

    Returns a JSON-able dict: "environment", and "rows" with `seconds` a photograph, `s_per_mp` and `peak_mb` (by how
    much memory grows, weights included).
    """
    chosen = names if names is not None else _restorers()
    rows = []
    for device in here(devices):
        for name in chosen:
            for px in sizes if device == "cuda" or not _is_released(name) else sizes[:1]:
                if progress is not None:
                    progress(f"{device}, {name}, {px} x {px} px")
                seconds, mb = run_alone(__name__, name, str(px), device, str(repeats))
                per_megapixel = seconds / px**2 * 1e6
                row = {"device": device, "restorer": name, "px": px}
                rows.append({**row, "seconds": seconds, "s_per_mp": per_megapixel, "peak_mb": mb})
    return {"benchmark": "restore", "repeats": repeats, "environment": environment(), "rows": rows}


def table(result: dict[str, Any]) -> list[dict[str, str]]:
    """The result of `measure` as rows of text by column."""
    return [
        {
            "restorer": row["restorer"],
            "device": row["device"],
            "px": str(row["px"]),
            "s a photograph": f"{row['seconds']:.2f}",
            "s per megapixel": f"{row['s_per_mp']:.1f}",
            "peak MB": f"{row['peak_mb']:.0f}",
        }
        for row in result["rows"]
    ]


def _restorers() -> list[str]:
    """Contestants that restore photographs, one for each network: what differs in weights alone takes the same time."""
    found = [entry.name for entry in registry() if "novel" not in entry.outputs and entry.status != "control"]
    return [name for name in found if name not in ("mpt-efcr", "mpt-efcr-ex")]


def _is_released(name: str) -> bool:
    """Whether the contestant is an authors' network, so a large one."""
    named = references.named_in(registry().get(name).changes)
    return any(weights.startswith(references.RELEASED) for weights in named)


def restorer(name: str, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """What the contestant `name` makes of a photograph [H, W, 3] float32 sRGB 0..1."""
    if name == "rl":
        from methods.restoration.richardson_lucy import RichardsonLucyConfig, restore

        return lambda image: restore(image, RichardsonLucyConfig()).image
    config = build(LearnedConfig, registry().get(name).changes["learned"])
    if references.why_missing(config.weights) is None:
        return made(config, device).restore
    release = RELEASES[config.weights.removeprefix(references.RELEASED)]
    network = checkpoint.ready(architectures.network(release.architecture, {}), device)
    return applied(network, release.patch, config).restore


def _measure_here(name: str, px: int, device: str, repeats: int) -> tuple[float, float]:
    """Least time of a photograph in seconds, and the growth of peak memory in MB."""
    photograph = np.random.default_rng(0).random((px, px, 3), dtype=np.float32)
    restore: list[Callable[[np.ndarray], np.ndarray]] = []

    def first() -> None:
        restore.append(restorer(name, device))
        restore[0](photograph)

    growth = growth_of_peak(first, device)
    best = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        restore[0](photograph)
        best = min(best, time.perf_counter() - start)
    return best, growth


if __name__ == "__main__":
    _name, _px, _device, _repeats = sys.argv[1:]
    print(json.dumps(_measure_here(_name, int(_px), _device, int(_repeats))))
