"""Paint: random palettes, and random patterns of them over a surface, fine enough for blur to destroy something."""

from __future__ import annotations

from collections.abc import Callable
from colorsys import hsv_to_rgb

import numpy as np

from datasets.synthesis.objects.model import Floats
from datasets.synthesis.objects.noise import fbm, hash_unit, ridged, smoothstep, worley
from datasets.synthesis.objects.surface import scattered
from datasets.synthesis.pairs.bodies import Body

Mark = Callable[[Body, np.random.Generator], np.ndarray]  # how much of another colour [V], 0..1

DARKEST, BRIGHTEST = 0.012, 0.92  # of an albedo


def palette(rng: np.random.Generator, count: int = 5) -> np.ndarray:
    """Linear albedos [count, 3] that go together: earthen, gray, of one hue, of two, or of any."""
    kind = rng.choice(["earthen", "gray", "one hue", "two hues", "any"], p=[0.24, 0.1, 0.26, 0.2, 0.2])
    hue = rng.random()
    hues = {
        "earthen": rng.uniform(0.02, 0.16, count),
        "gray": np.full(count, hue),
        "one hue": hue + rng.normal(0, 0.03, count),
        "two hues": hue + 0.5 * (rng.random(count) < 0.4) + rng.normal(0, 0.02, count),
        "any": rng.random(count),
    }[str(kind)]
    most = {"earthen": 0.7, "gray": 0.08}.get(str(kind), 1.0)
    saturations = rng.uniform(0.2, 1.0, count) * most * rng.uniform(0.4, 1.0)
    # Brightness by sRGB's steps, not by linear ones: dark colours are as many as bright ones.
    values = np.linspace(rng.uniform(0.08, 0.4), rng.uniform(0.6, 0.97), count) ** 2.2
    colours = [hsv_to_rgb(h % 1, s, v) for h, s, v in zip(hues, saturations, rng.permutation(values), strict=True)]
    return np.clip(colours, DARKEST, BRIGHTEST)


def painted(body: Body, pattern: Floats, rng: np.random.Generator) -> Floats:
    """Linear albedo [V, 3] of a body whose relief has the `pattern` [V]."""
    colours = palette(rng)
    cloud = fbm(_scaled(body, rng, 0.8, 5), 5, _seed(rng), gain=rng.uniform(0.5, 0.85))
    edge = rng.uniform(0.08, 0.5)
    colour = _mix(colours[0], colours[1], smoothstep(-edge, edge, cloud))
    for mark, other in zip(
        rng.choice(len(MARKS), int(rng.choice(4, p=[0.1, 0.3, 0.35, 0.25])), replace=False), colours[2:], strict=False
    ):
        colour = _mix(colour, other, MARKS[mark](body, rng) * rng.uniform(0.5, 1.0))
    if rng.random() < 0.5:  # dirt or dust in what lies deep
        colour = _mix(colour, colours[-1] * rng.choice([0.3, 1.0]), (1 - pattern) ** 2 * rng.uniform(0.3, 1.0))
    grain = fbm(_scaled(body, rng, 12, 45), 2, _seed(rng), gain=0.8)
    speckle = 1 + rng.uniform(0.2, 2.0) * grain
    patch = 1 + rng.uniform(0.0, 0.9) * fbm(_scaled(body, rng, 0.7, 2), 2, _seed(rng))
    return np.clip(colour * (speckle * patch)[:, None], DARKEST, BRIGHTEST).astype(np.float32)


# ---------------------------------------------------------------- marks


def _stripes(body: Body, rng: np.random.Generator) -> np.ndarray:
    shake = rng.uniform(0, 4) * fbm(body.vertices * np.float32(1.7), 3, _seed(rng))
    lengthwise, across = 2 * np.pi * rng.uniform(3, 22) * body.along, rng.integers(3, 24) * body.around
    phase = lengthwise if rng.random() < 0.5 else across
    return smoothstep(-0.2, 0.2, np.sin(phase + shake) - rng.uniform(-0.6, 0.8))


def _spots(body: Body, rng: np.random.Generator) -> np.ndarray:
    features = scattered(body.vertices, body.faces, int(rng.integers(30, 700)), rng)[0]
    cells = worley(body.vertices, features)
    size = np.median(cells.f1) * rng.uniform(0.5, 1.0) * (0.4 + hash_unit(cells.nearest, _seed(rng)))
    ring = rng.choice([0.0, 0.0, 0.5])
    return smoothstep(1.1, 0.9, cells.f1 / size) * smoothstep(ring - 0.1, ring, cells.f1 / size)


def _cells(body: Body, rng: np.random.Generator) -> np.ndarray:
    """Fields of one colour each, as in a mosaic or a gravel."""
    cells = worley(body.vertices, scattered(body.vertices, body.faces, int(rng.integers(20, 900)), rng)[0])
    return hash_unit(cells.nearest, _seed(rng)) ** rng.choice([1.0, 4.0])


def _veins(body: Body, rng: np.random.Generator) -> np.ndarray:
    """A net of lines, or lines that wander."""
    if rng.random() < 0.5:
        cells = worley(body.vertices, scattered(body.vertices, body.faces, int(rng.integers(20, 300)), rng)[0])
        return smoothstep(0.35, 0.1, cells.border / np.median(cells.border))
    return smoothstep(0.86, 0.95, ridged(_scaled(body, rng, 1, 5), 3, _seed(rng)))


def _patches(body: Body, rng: np.random.Generator) -> np.ndarray:
    """Clear-cut areas: lichen, flaking paint, rust."""
    level = fbm(_scaled(body, rng, 0.8, 4), 4, _seed(rng), gain=0.6)
    edge = rng.uniform(-0.15, 0.25)
    return smoothstep(edge, edge + 0.04, level)


def _checks(body: Body, rng: np.random.Generator) -> np.ndarray:
    u, v = _plane(body, rng)
    size = rng.uniform(4, 18)
    lines = np.sin(size * u), np.sin(size * v)
    kind = rng.integers(3)
    if kind == 0:
        return (lines[0] * lines[1] > 0).astype(np.float64)
    if kind == 1:  # a grid of thin lines
        return smoothstep(0.95, 0.98, np.maximum(np.abs(lines[0]), np.abs(lines[1])))
    return smoothstep(0.5, 0.6, np.abs(lines[0] * lines[1]))  # dots


def _print(body: Body, rng: np.random.Generator) -> np.ndarray:
    """Lines of invented letters, stamped on the body from one side."""
    u, v = _plane(body, rng)
    height = rng.uniform(0.07, 0.3)  # of a line, in object radii
    width, leading = 0.72 * height, 1.35 * height
    column, row = np.floor(u / width).astype(np.int64), np.floor(v / leading).astype(np.int64)
    x, y = u / width - column, (v / leading - row) * 1.35
    key = hash_unit(column * 7919 + row * 104729, _seed(rng))
    atlas = _alphabet(rng)
    letter = (key * len(atlas) * 1.2).astype(np.int64)  # every sixth place is empty
    inside = (letter < len(atlas)) & (y < 1)
    rows, columns = atlas.shape[1:]
    ink = atlas[
        np.minimum(letter, len(atlas) - 1),
        np.clip(y * rows, 0, rows - 1).astype(np.int64),
        np.clip(x * columns, 0, columns - 1).astype(np.int64),
    ]
    return np.where(inside, ink, 0.0)


MARKS: tuple[Mark, ...] = (_stripes, _spots, _cells, _veins, _patches, _checks, _print, _print)


# ---------------------------------------------------------------- parts of the above


def _alphabet(rng: np.random.Generator, letters: int = 24, rows: int = 40, columns: int = 28) -> np.ndarray:
    """Letters [letters, rows, columns] in 0..1: a few strokes each between the points of a grid of 3 x 4."""
    y, x = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    place = np.stack([x, y], axis=-1)
    pen = rng.uniform(0.06, 0.11)
    made = np.zeros((letters, rows, columns))
    for letter in made:
        for _ in range(int(rng.integers(2, 5))):
            ends = np.stack([rng.integers(0, 3, 2) / 2 * 0.6 + 0.15, rng.integers(0, 4, 2) / 3 * 0.7 + 0.15], axis=1)
            along = ends[1] - ends[0]
            t = np.clip((place - ends[0]) @ along / max(float(along @ along), 1e-9), 0, 1)
            far = np.linalg.norm(place - ends[0] - t[..., None] * along, axis=-1)
            np.maximum(letter, far < pen, out=letter)
    return made


def _mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.asarray(a + np.clip(weight, 0, 1)[:, None] * (b - a))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 20))


def _scaled(body: Body, rng: np.random.Generator, low: float, high: float) -> Floats:
    return body.vertices * np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))


def _plane(body: Body, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    return body.vertices @ axes[0], body.vertices @ axes[1]
