"""How long Blender takes to render the objects: seconds a view and microseconds a sample, object by object."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.environment import cores
from bench.perf import DEVICES
from bench.perf.rasterizer import environment
from datasets.synthesis import blender, catalogue, develop, recipes

SIDE = 200
"""px, width and height of a view."""

SAMPLES = recipes.Samples(sharp=256, defocused=256)

_MOST_VIEWS = 4
"""Of each object: their times differ less than those of the objects."""


def measure(
    objects: Sequence[str] | None = None,
    repeats: int = 3,
    progress: Callable[[str], None] | None = None,
    side: int = SIDE,
    samples: recipes.Samples = SAMPLES,
    devices: Sequence[str] = DEVICES,
) -> dict[str, Any]:
    """Render views of each object (by default all) with the lens of the preset `small` on all cores; their mean counts.

    Of each object one view more is rendered, first, which loads the scene and does not count; `repeats` views count,
    at most 4. Returns a JSON-able dict: "environment", "side" and "samples" of a view, and "rows" with triangles,
    strands, `build_s` (of mesh and scene), `sharp_s` and `defocused_s` a view, `coverage` (share of the frame),
    `msamples_per_core_s`, and `us_per_covered_sample`, of one core. Without Blender, or the
    CPU among `devices`, there are no rows, but a "reason".
    """
    result: dict[str, Any] = {
        "benchmark": "synth",
        "side": side,
        "samples": {"sharp": samples.sharp, "defocused": samples.defocused},
        "environment": environment(),
        "reason": blender.why_unavailable() if "cpu" in devices else "Blender renders on the CPU.",
        "rows": [],
    }
    if result["reason"] is None:
        for name in objects or catalogue.OBJECTS:
            if progress is not None:
                progress(f"{name}, {side} x {side} px")
            recipe = replace(recipes.load(name, "small"), size=(side, side), samples=samples)
            result["rows"].append(_row(recipe, min(repeats, _MOST_VIEWS)))
    return result


def table(result: dict[str, Any]) -> list[dict[str, str]]:
    """The result of `measure` as rows of text by column."""
    if result["reason"] is not None:
        return [{"object": "none", "reason": result["reason"]}]
    return [
        {
            "object": row["object"],
            "triangles": f"{row['triangles']:,}",
            "strands": f"{row['strands']:,}",
            "build s": f"{row['build_s']:.1f}",
            "view s": f"{row['sharp_s'] + row['defocused_s']:.1f}",
            "Msamples / core s": f"{row['msamples_per_core_s']:.2f}",
            "coverage": f"{row['coverage']:.2f}",
            "us / covered sample": f"{row['us_per_covered_sample']:.1f}",
        }
        for row in result["rows"]
    ]


def _row(recipe: recipes.Recipe, views: int) -> dict[str, Any]:
    """One object, its first view not counted."""
    tasks = [(view, kind) for view in range(views + 1) for kind in ("sharp", "defocused")]
    seconds: dict[str, list[float]] = {"sharp": [], "defocused": []}
    coverage, build = [], float("nan")
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, closing(blender.render(recipe, tasks, Path(folder))) as events:
        start = time.perf_counter()
        for event in events:
            if event["event"] == "ready":
                start = time.perf_counter()
            elif event["event"] == "built":
                facts, build = event, time.perf_counter() - start
            elif event["event"] == "rendered":
                if event["view"] > 0:
                    seconds[event["pass"]].append(event["seconds"])
                    coverage.append(float(np.mean(develop.read_render(Path(event["file"]))[1])))
                Path(event["file"]).unlink()
    width, height = recipe.size
    samples = width * height * (recipe.samples.sharp + recipe.samples.defocused)
    sharp, defocused = (float(np.mean(seconds[kind])) for kind in ("sharp", "defocused"))
    core_seconds = (sharp + defocused) * cores()
    covered = float(np.mean(coverage))
    return {
        "object": recipe.object,
        "triangles": facts["triangles"],
        "strands": facts["strands"],
        "build_s": build,
        "sharp_s": sharp,
        "defocused_s": defocused,
        "coverage": covered,
        "msamples_per_core_s": samples / core_seconds / 1e6,
        "us_per_covered_sample": core_seconds / (samples * covered) * 1e6,
    }
