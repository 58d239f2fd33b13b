"""More photographs of what training pairs show: of the twin, by our own lens, with another aperture and focal plane.

The signed radius of the circle of confusion is K (1/d0 - 1/d), so through any other lens it is s r + t of what it was:
a twin with its radii is all that a photograph needs (`methods.defocus.disk`). A render costs seconds, this tens of
milliseconds, and it is free of the noise that a path tracer leaves where thousands of photographs must be cheap. What
that tracer left in the twin is spread like any texture.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from datasets.capture import Background
from datasets.color import linear_to_srgb, srgb_to_linear, to_uint8
from datasets.optics import outlined
from datasets.pairs import Pair, Shard
from datasets.synthesis.develop import sensed
from datasets.synthesis.recipes import Sensor
from methods.defocus.disk import photographed

# Of the largest circle of confusion, as a share of the image's width; 0.7 and 12 px of radius at 128 px.
SMALLEST, LARGEST = 0.0055, 0.094
# Pairs that show less than this share of something are not photographed again.
SHOWN = 0.03
# Shares of photographs that are noisy, and that stand before black whatever stood there.
NOISY, BLACK = 0.25, 0.3
FOCUSED_INSIDE = 0.8  # share that is focused at something in the picture


def photographed_again(
    shard: Shard,
    times: int,
    random: np.random.Generator,
    device: str = "cpu",
) -> Shard:
    """`times` other photographs of every pair of `shard` that shows enough, with twins, masks and radii.

    Colours are mixed at random, which a lens blurs alike; a quarter of the photographs has a sensor's noise.
    """
    pairs = [pair for pair in map(shard.pair, range(len(shard))) if shows_enough(pair)]
    again = [taken_again(pair, random, device) for pair in pairs for _ in range(times)]
    arrays = {
        name: np.array([getattr(pair, name) for pair in again], dtype=kept.dtype).reshape(-1, *kept.shape[1:])
        for name in ("photograph", "sharp", "mask", "coc")
        for kept in [getattr(shard, name)]
    }
    return Shard(**arrays, facts=tuple(pair.facts for pair in again))


def photograph(
    pair: Pair,
    radius: np.ndarray,
    mixed: np.ndarray | None = None,
    backdrop: Background | None = None,
    device: str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """The twin of `pair` [H, W, 3] under disks of signed `radius` [H, W] px, and the twin; both linear light 0..1.

    mixed: [3, 3] makes other colours of linear RGB. backdrop: another than the pair's own.
    """
    alpha = pair.mask.astype(np.float32) / 255
    mixed = np.eye(3, dtype=np.float32) if mixed is None else mixed.astype(np.float32)
    own = _backdrop(pair.facts).image(*alpha.shape)
    light = srgb_to_linear(pair.sharp.astype(np.float32) / 255).astype(np.float32)
    color = np.maximum(light - (1 - alpha)[..., None] * own, 0) * (alpha > 0)[..., None] @ mixed.T
    behind = own @ mixed.T if backdrop is None else backdrop.image(*alpha.shape)
    blurred = photographed(color, alpha, radius, behind, device)
    return np.clip(blurred, 0, 1), np.clip(color + (1 - alpha)[..., None] * behind, 0, 1)


def radii(pair: Pair) -> np.ndarray:
    """[H, W] px signed, of all that is covered: the centre of a pixel on the outline may lie beside what covers it."""
    return outlined(pair.coc.astype(np.float32), pair.coc != 0)


def shows_enough(pair: Pair) -> bool:
    """Whether it is worth while to photograph the twin again."""
    return bool((pair.mask > 127).mean() >= SHOWN)


def taken_again(pair: Pair, random: np.random.Generator, device: str = "cpu") -> Pair:
    """`pair` with another photograph, through a random lens, of a twin in other colours."""
    size, radius = pair.mask.shape[1], radii(pair)
    shown = radius[pair.mask > 127]
    focus = random.choice(shown) if random.random() < FOCUSED_INSIDE else random.uniform(shown.min(), shown.max())
    most = max(float(np.quantile(np.abs(shown - focus), 0.99)), 1e-3)
    scale = np.exp(random.uniform(np.log(SMALLEST * size), np.log(LARGEST * size))) / most
    # The few px that are far beyond all others would cost more than they are worth.
    radius = np.clip(scale * (radius - focus), -2 * LARGEST * size, 2 * LARGEST * size)
    mixed, backdrop = _mix(random), Background() if random.random() < BLACK else None
    blurred, sharp = photograph(pair, radius, mixed, backdrop, device)
    sensor = None
    if random.random() < NOISY:
        sensor = Sensor(float(np.exp(random.uniform(np.log(1000), np.log(30000)))), float(random.uniform(1, 8)))
    return replace(
        pair,
        photograph=to_uint8(linear_to_srgb(sensed(blurred, sensor, random))),
        sharp=to_uint8(linear_to_srgb(sharp)),
        coc=np.where(pair.mask > 0, radius, 0).astype(np.float16),
        facts={name: pair.facts[name] for name in ("object_seed", "take") if name in pair.facts},
    )


def _mix(random: np.random.Generator) -> np.ndarray:
    """[3, 3] other colours of RGB: exchanged, towards one another, darker or brighter."""
    towards = random.uniform(0, 0.4)
    mixed: np.ndarray = (1 - towards) * np.eye(3)[random.permutation(3)] + towards * random.dirichlet((1, 1, 1), 3)
    return mixed * random.uniform(0.6, 1.1)


def _backdrop(facts: dict[str, Any]) -> Background:
    """What stood behind; black where the pair does not tell."""
    told = facts.get("backdrop")
    return Background(tuple(told["top"]), tuple(told["bottom"])) if told else Background()
