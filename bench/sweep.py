"""A grid of recipes: captures that differ in what is varied, for one contest over all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.comparison import save
from datasets.errors import InputError
from datasets.synthesis import catalogue, recipes, rig

COC = "coc"
"""The key that stands for the f-number at which the largest circle of confusion has this diameter in px."""


def grid(variations: Sequence[str]) -> list[dict[str, Any]]:
    """Every combination of values of "KEY=VALUE,VALUE,...", as changes by key; one without changes for none.

    Values are YAML, so `focus.range=[0, 0.5],[0.4, 0.4]` has two. Raises InputError for anything else.
    """
    import yaml

    values: dict[str, list[Any]] = {}
    for text in variations:
        key, equals, listed = text.partition("=")
        try:
            found = yaml.safe_load(f"[{listed}]")
        except yaml.YAMLError:
            found = None
        if not equals or not key or not found:
            raise InputError(f"--vary {text} is not KEY=VALUE,VALUE,... with a key of a recipe, such as lens.f_number.")
        if key in values:
            raise InputError(f"--vary names {key} twice.")
        values[key] = found
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


def varied(base: recipes.Recipe, changes: Mapping[str, Any]) -> recipes.Recipe:
    """`base` with `changes` by dotted key; `coc` comes last, as what else is changed decides about it.

    Raises InputError for unknown keys and values that make no recipe.
    """
    document = base.as_json()
    for key, value in changes.items():
        if key == COC:
            continue
        *path, last = key.split(".")
        inner = document
        for name in path:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise InputError(f"--vary {key}: {name} of a recipe holds no keys.")
        inner[last] = value
    recipe = recipes.from_json(document)
    if base.model is not None and recipe.model is not None:
        recipe = replace(recipe, model=replace(recipe.model, path=base.model.path))
    return with_coc(recipe, changes[COC]) if COC in changes else recipe


def with_coc(recipe: recipes.Recipe, diameter: object) -> recipes.Recipe:
    """`recipe` at the f-number, to four digits, at which the largest |CoC| on the object in any view has `diameter`
    px. It falls as 1 / N, so one number tells it. Raises InputError unless `diameter` is a positive number."""
    if isinstance(diameter, bool) or not isinstance(diameter, int | float) or not diameter > 0:
        raise InputError(f"--vary coc={diameter}: the diameter of a circle of confusion in px must be greater than 0.")
    if recipe.model is not None:
        raise InputError("--vary coc cannot know the surface of a model's file: vary lens.f_number.")
    points, radius = _surface(recipe.object, recipe.seed)
    largest = max(
        float(np.abs(view.lens.coc_radius(view.camera.depth(points))).max()) for view in rig.shots(recipe, radius)
    )
    document = recipe.as_json()
    document["lens"]["f_number"] = float(f"{recipe.lens.f_number * 2 * largest / diameter:.4g}")
    return recipes.from_json(document)


@cache
def _surface(name: str, seed: int) -> tuple[np.ndarray, float]:
    """Vertices [P, 3] mm and bounding radius of an object."""
    model = import_module(catalogue.OBJECTS[name]).build(seed)
    return np.concatenate([part.vertices for part in model.parts]), float(model.radius)


def label(name: str, changes: Mapping[str, Any]) -> str:
    """A capture's name: "beetle-demo-coc8-views16"."""
    parts = [f"{key.rpartition('.')[2]}{value}" for key, value in changes.items()]
    return "-".join([name, *(re.sub(r"[^A-Za-z0-9.+_-]+", "_", part).strip("_") for part in parts)])


def plot(path: Path, rows: Sequence[Mapping[str, Any]], score: str) -> None:
    """Write a PNG: `score` with its interval against the largest CoC diameter in px, a line for each method, of rows
    as `reports.sweep.table` makes them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for method in dict.fromkeys(row["method"] for row in rows):
        own = sorted(
            (row for row in rows if row["method"] == method and row[score] is not None and row["coc_px"] is not None),
            key=lambda row: row["coc_px"],
        )
        if not own:
            continue
        x, y = ([row[key] for row in own] for key in ("coc_px", score))
        down, up = (
            [abs(row[score] - (row[score] if row[end] is None else row[end])) for row in own] for end in ("low", "high")
        )
        axes.errorbar(x, y, yerr=(down, up), marker="o", markersize=4, capsize=3, label=method)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("largest circle of confusion on the object, diameter in px")
    axes.set_ylabel({"psnr": "PSNR of held-out views, dB"}.get(score, score))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    canvas.draw()
    save(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]), path)
