"""What minerals look like through a macro lens: micro-relief and colour, from clear quartz sand to mica.

Each painter takes a `Skin` and gives the height of its relief [V] mm and its linear albedo [V, 3].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from datasets.synthesis.objects.chitin import mix
from datasets.synthesis.objects.grain_solids import (
    Maker,
    blocky,
    broken,
    columnar,
    dodecahedral,
    octahedral,
    platy,
    rhombic,
    worn,
)
from datasets.synthesis.objects.model import Floats
from datasets.synthesis.objects.noise import fbm, ridged, smoothstep, worley

_RUST, _IRON = (0.40, 0.17, 0.055), (0.16, 0.055, 0.02)
_WHITE, _BLACK = (0.80, 0.76, 0.70), (0.018, 0.017, 0.018)


@dataclass(frozen=True)
class Skin:
    """The surface of one grain, in its own frame, and the noise that all minerals share.

    points [V, 3] mm; form [V, 3]: the same before the
    body was stretched to mm; edge, chip [V] in 0..1, as `Solid.surface` gives them; speckle [V] in 0..1: grains of
    20 to 90 micrometres; stain [V] in 0..1: patches of some 0.4 mm; seed: of this grain's noise.
    """

    points: Floats
    form: Floats
    edge: Floats
    chip: Floats
    speckle: Floats
    stain: Floats
    seed: int

    def rng(self) -> np.random.Generator:
        """Random numbers of this grain."""
        return np.random.default_rng(self.seed)


Painter = Callable[[Skin], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Mineral:
    """A kind of grain: how its body forms, how its skin is painted, how common it is, how large at most (mm).

    lustre: "glassy", "earthy" or "pearly", the material that it is rendered with.
    """

    makers: tuple[Maker, ...]
    paint: Painter
    share: float
    lustre: str
    largest: float = 1.6


def quartz(skin: Skin) -> tuple[Floats, Floats]:
    """Milky, smoky, rosy or honey-coloured; clouds, white healed cracks, rust in the open ones, dark needles."""
    p, rng = skin.points, skin.rng()
    tint = np.array([(0.66, 0.62, 0.56), (0.33, 0.27, 0.215), (0.70, 0.46, 0.40), (0.70, 0.50, 0.25)])
    body = tint[rng.choice(4, p=(0.42, 0.2, 0.16, 0.22))] * rng.uniform(0.8, 1.1)
    cloud = smoothstep(-0.22, 0.24, fbm(p * 2.4, 4, skin.seed + 1, gain=0.6))
    frost = ridged(p * 13, 2, skin.seed + 2)
    colour = mix(0.62 * body, _WHITE * (0.40 + 0.60 * body / body.max()), 0.85 * cloud)
    healed, open_ = _cracks(skin, 3, 0.016), _cracks(skin, 2, 0.010, first=7)
    colour = mix(colour, _WHITE, 0.75 * healed * skin.speckle)
    colour = mix(colour, _RUST, open_ * (0.5 + 0.5 * skin.stain))
    colour = mix(colour, _RUST, 0.75 * smoothstep(0.62, 0.95, skin.stain) * (0.3 + 0.7 * skin.speckle))
    needles = _inclusions(skin, 40, 0.030, stretch=(1, 1, 0.25))
    colour = mix(colour, _BLACK, 0.85 * needles)
    bruise = smoothstep(0.45, 0.9, skin.edge) * smoothstep(0.3, 0.7, skin.speckle)
    colour = mix(colour, _WHITE, 0.55 * bruise) * (0.62 + 0.52 * skin.speckle)[:, None]
    # Worn faces are frosted by a thousand small blows; fresh chips are smooth.
    relief = 0.012 * fbm(p * 3, 3, skin.seed + 3) + (0.008 * frost + 0.007 * skin.speckle) * (1 - 0.7 * skin.chip)
    return relief - 0.014 * open_ - 0.010 * bruise, colour


def feldspar(skin: Skin) -> tuple[Floats, Floats]:
    """Salmon or cream cleavage blocks: terraces, wavy white lamellae (perthite), clay in the weathered parts."""
    p, rng = skin.points, skin.rng()
    body = np.array([(0.66, 0.31, 0.195), (0.72, 0.58, 0.42), (0.52, 0.50, 0.46), (0.58, 0.24, 0.13)])
    body = body[rng.choice(4, p=(0.42, 0.25, 0.13, 0.20))] * rng.uniform(0.8, 1.05)
    steps, riser = _terraces(skin, axis=0, count=9, height=0.040)
    wander = 0.05 * fbm(p * 5, 2, skin.seed + 1)
    lamellae = smoothstep(0.1, 0.75, np.sin((skin.form[:, 1] * 0.5 + skin.form[:, 2] * 0.12 + wander) * 70))
    lamellae = lamellae * smoothstep(-0.1, 0.15, fbm(p * 4, 2, skin.seed + 2))
    clay = smoothstep(0.02, 0.22, fbm(p * 3.2, 4, skin.seed + 3, gain=0.65))
    colour = mix(body, np.array((0.80, 0.68, 0.56)), 0.65 * lamellae)
    colour = mix(colour, (0.62, 0.52, 0.40), 0.65 * clay * (0.4 + 0.6 * skin.speckle))
    colour = mix(colour, _IRON, 0.8 * riser * skin.stain + 0.7 * _cracks(skin, 2, 0.012))
    colour = mix(colour, _BLACK, 0.8 * _inclusions(skin, 26, 0.045))
    colour = colour * (0.50 + 0.65 * skin.speckle)[:, None]
    pits = clay * smoothstep(0.45, 0.15, skin.speckle)
    return steps - 0.016 * pits + 0.007 * skin.speckle + 0.004 * lamellae, colour


def garnet(skin: Skin) -> tuple[Floats, Floats]:
    """Wine-red faces with growth steps, paler bruised edges, cracks, a film of rust in places."""
    p, rng = skin.points, skin.rng()
    deep, light = (
        np.array([(0.105, 0.010, 0.016), (0.150, 0.022, 0.010)])[rng.integers(2)],
        np.array((0.50, 0.10, 0.055)),
    )
    growth = ridged(p * [3.0, 3.0, 3.0], 3, skin.seed + 1)
    colour = mix(deep, light, 0.10 + 0.75 * skin.speckle * smoothstep(0.3, 0.9, growth) + 0.25 * skin.chip)
    colour = mix(colour, (0.62, 0.34, 0.25), 0.6 * smoothstep(0.55, 0.95, skin.edge) * skin.speckle)
    colour = mix(colour, _RUST, 0.7 * smoothstep(0.60, 0.9, skin.stain) * (0.3 + 0.7 * skin.speckle))
    cracks = _cracks(skin, 4, 0.010)
    colour = mix(colour, _BLACK, 0.8 * cracks)
    colour = mix(colour, (0.6, 0.55, 0.5), 0.7 * _inclusions(skin, 24, 0.03))
    relief = 0.012 * smoothstep(0.4, 0.6, growth) + 0.006 * skin.speckle - 0.014 * cracks
    return relief, colour * (0.65 + 0.6 * skin.speckle)[:, None]


def olivine(skin: Skin) -> tuple[Floats, Floats]:
    """Bottle to yellow-green glass, ribbed fractures, brown iddingsite along cracks and edges."""
    p, rng = skin.points, skin.rng()
    body = np.array([(0.17, 0.235, 0.045), (0.30, 0.33, 0.075), (0.11, 0.19, 0.055)])[rng.integers(3)]
    depth = smoothstep(-0.2, 0.2, fbm(p * 3.0, 4, skin.seed + 1, gain=0.6))
    colour = mix(0.45 * body, 1.9 * body, 0.25 * depth + 0.7 * depth * skin.speckle)
    cracks = _cracks(skin, 5, 0.012)
    altered = smoothstep(0.50, 0.85, skin.stain + 0.3 * skin.edge)
    colour = mix(colour, _RUST, 0.8 * altered * (0.35 + 0.65 * skin.speckle))
    colour = mix(colour, _IRON, 0.85 * cracks)
    colour = mix(colour, (0.62, 0.64, 0.36), 0.55 * smoothstep(0.5, 0.9, skin.edge) * skin.speckle)
    colour = mix(colour, _BLACK, 0.9 * _inclusions(skin, 22, 0.035))
    relief = 0.012 * fbm(p * 4, 3, skin.seed + 2) + 0.007 * skin.speckle * (0.4 + altered) - 0.013 * cracks
    return relief, colour * (0.6 + 0.55 * skin.speckle)[:, None]


def epidote(skin: Skin) -> tuple[Floats, Floats]:
    """Pistachio-green columns, striated along their length."""
    furrow, colour = _striated(skin, (0.060, 0.082, 0.014), (0.30, 0.31, 0.085))
    return furrow, mix(colour, (0.55, 0.46, 0.30), 0.5 * smoothstep(0.6, 0.95, skin.stain) * skin.speckle)


def tourmaline(skin: Skin) -> tuple[Floats, Floats]:
    """Black columns, striated along their length, with grey scuffs."""
    furrow, colour = _striated(skin, (0.020, 0.020, 0.022), (0.16, 0.155, 0.15))
    return furrow, mix(colour, _RUST, 0.6 * smoothstep(0.66, 0.95, skin.stain) * skin.speckle)


def basalt(skin: Skin) -> tuple[Floats, Floats]:
    """Dark grey to brown lava: bubbles, pale feldspar laths, a few green olivines."""
    p, rng = skin.points, skin.rng()
    warm = rng.uniform(0, 1)
    dark, light = (
        mix((0.035, 0.036, 0.040), (0.055, 0.034, 0.026), [warm]),
        mix((0.17, 0.17, 0.17), (0.24, 0.14, 0.10), [warm]),
    )
    colour = mix(dark, light, 0.15 + 0.65 * skin.speckle * (0.4 + 0.6 * skin.stain))
    bubbles = worley(p, _seeds(skin, 70))
    size = 0.035 + 0.05 * rng.random(70).astype(np.float32)[bubbles.nearest]
    bubble = smoothstep(1.0, 0.65, bubbles.f1 / size)
    colour = mix(colour, 0.35 * dark, bubble)
    colour = mix(
        colour, (0.50, 0.47, 0.42), 0.6 * smoothstep(1.25, 1.0, bubbles.f1 / size) * (1 - bubble) * skin.speckle
    )
    laths = _inclusions(skin, 170, 0.020, stretch=(1, 0.22, 0.8))
    colour = mix(colour, (0.62, 0.60, 0.55), 0.85 * laths * (1 - bubble))
    colour = mix(colour, (0.30, 0.36, 0.08), 0.85 * _inclusions(skin, 16, 0.07, first=3) * (1 - bubble))
    relief = 0.016 * fbm(p * 6, 3, skin.seed + 5) + 0.012 * skin.speckle - 0.055 * bubble + 0.004 * laths
    return relief, colour


def granite(skin: Skin) -> tuple[Floats, Floats]:
    """A scrap of rock: interlocked grains of quartz, feldspar and black mica."""
    cells = worley(skin.points + 0.03 * _shake(skin, 9), _seeds(skin, 90))
    kinds = np.array(
        [(0.56, 0.54, 0.50), (0.70, 0.62, 0.52), (0.62, 0.36, 0.25), (0.030, 0.026, 0.022)], dtype=np.float32
    )
    kind = skin.rng().choice(4, 90, p=(0.34, 0.26, 0.18, 0.22))[cells.nearest]
    seam = smoothstep(0.012, 0.0, cells.border)
    colour = mix(kinds[kind] * (0.55 + 0.6 * skin.speckle)[:, None], _IRON, 0.7 * seam)
    proud = np.array((0.012, 0.004, 0.0, -0.014), dtype=np.float32)[kind]
    return proud - 0.012 * seam + 0.008 * skin.speckle, colour


def jasper(skin: Skin) -> tuple[Floats, Floats]:
    """Brick-red to ochre chert: wavy bands, white quartz veins, small pits."""
    p, rng = skin.points, skin.rng()
    red, ochre = np.array((0.20, 0.045, 0.028)), np.array([(0.36, 0.17, 0.085), (0.30, 0.085, 0.05)])[rng.integers(2)]
    wave = skin.form @ rng.normal(0, 1, 3).astype(np.float32) * 1.6 + 0.7 * fbm(p * 2.2, 3, skin.seed + 1)
    band = smoothstep(-0.35, 0.6, np.sin(5 * wave) + 0.6 * np.sin(13 * wave + 1))
    colour = mix(red, ochre, 0.6 * band)
    vein = _cracks(skin, 2, 0.030)
    colour = mix(colour, _WHITE, 0.9 * vein)
    pit = _inclusions(skin, 160, 0.028)
    colour = mix(colour, _IRON, 0.8 * pit) * (0.50 + 0.70 * skin.speckle)[:, None]
    return 0.010 * fbm(p * 5, 3, skin.seed + 2) - 0.020 * pit + 0.006 * skin.speckle, colour


def calcite(skin: Skin) -> tuple[Floats, Floats]:
    """Honey or white rhombs: cleavage steps along two directions, white bruises, a few brown films."""
    p, rng = skin.points, skin.rng()
    body = np.array([(0.70, 0.50, 0.25), (0.74, 0.68, 0.60), (0.62, 0.36, 0.14)])[rng.integers(3)]
    first, riser = _terraces(skin, axis=0, count=11, height=0.034)
    second, other = _terraces(skin, axis=1, count=9, height=0.030)
    riser = np.maximum(riser, other)
    cloud = smoothstep(-0.2, 0.2, fbm(p * 3, 4, skin.seed + 3, gain=0.6))
    colour = mix(0.55 * body, body, cloud)
    lines = smoothstep(0.75, 0.95, np.sin((skin.form @ np.array((1, 1, 0.2), dtype=np.float32)) * 55))
    colour = mix(colour, _WHITE, 0.5 * riser + 0.35 * lines * skin.stain)
    colour = mix(colour, _WHITE, 0.6 * smoothstep(0.5, 0.9, skin.edge) * skin.speckle)
    colour = mix(colour, _IRON, 0.65 * smoothstep(0.66, 0.92, skin.stain) * (0.3 + 0.7 * skin.speckle))
    return first + second + 0.005 * skin.speckle, colour * (0.52 + 0.55 * skin.speckle)[:, None]


def magnetite(skin: Skin) -> tuple[Floats, Floats]:
    """Iron-grey octahedra with triangular growth steps and rust."""
    steps, riser = _terraces(skin, axis=2, count=8, height=0.03)
    colour = mix((0.030, 0.031, 0.035), (0.24, 0.235, 0.235), 0.15 + 0.7 * skin.speckle * (0.4 + 0.6 * skin.edge))
    colour = mix(colour, _RUST, 0.85 * smoothstep(0.50, 0.85, skin.stain) * (0.35 + 0.65 * skin.speckle))
    return steps + 0.007 * skin.speckle, mix(colour, (0.35, 0.34, 0.33), 0.4 * riser)


def biotite(skin: Skin) -> tuple[Floats, Floats]:
    """Brown-black mica with bronze flashes."""
    return _leaved(skin, (0.030, 0.020, 0.013), (0.33, 0.20, 0.09))


def muscovite(skin: Skin) -> tuple[Floats, Floats]:
    """Silver to pale straw mica."""
    return _leaved(skin, (0.22, 0.19, 0.135), (0.72, 0.66, 0.52))


MINERALS = (
    Mineral((broken, broken, worn), quartz, 0.27, "glassy"),
    Mineral((blocky, blocky, worn), feldspar, 0.15, "earthy"),
    Mineral((dodecahedral,), garnet, 0.10, "glassy", largest=1.25),
    Mineral((broken, worn), olivine, 0.09, "glassy", largest=1.3),
    Mineral((worn, broken), basalt, 0.08, "earthy"),
    Mineral((worn,), granite, 0.06, "earthy"),
    Mineral((worn, broken), jasper, 0.06, "earthy", largest=1.4),
    Mineral((rhombic,), calcite, 0.07, "glassy"),
    Mineral((octahedral,), magnetite, 0.03, "pearly", largest=0.8),
    Mineral((columnar,), epidote, 0.03, "glassy", largest=1.2),
    Mineral((columnar,), tourmaline, 0.02, "glassy", largest=1.2),
    Mineral((platy,), biotite, 0.025, "pearly", largest=1.3),
    Mineral((platy,), muscovite, 0.025, "pearly", largest=1.3),
)


def _striated(skin: Skin, dark: ArrayLike, light: ArrayLike) -> tuple[Floats, Floats]:
    """A column furrowed along its third axis."""
    furrow = fbm(skin.form * [16, 16, 0.7] + skin.points[:1], 3, skin.seed + 1, gain=0.7)
    groove = smoothstep(-0.25, 0.25, furrow)
    colour = mix(
        dark, light, 0.08 + 0.75 * groove * skin.speckle + 0.3 * smoothstep(0.5, 0.9, skin.edge) * skin.speckle
    )
    cracks = smoothstep(0.93, 0.99, np.sin(skin.form[:, 2] * 11 + 2.5 * fbm(skin.points * 3, 2, skin.seed + 2)))
    return 0.020 * groove + 0.005 * skin.speckle - 0.015 * cracks, mix(colour, _BLACK, 0.7 * cracks)


def _leaved(skin: Skin, dark: ArrayLike, light: ArrayLike) -> tuple[Floats, Floats]:
    """A book of leaves across the third axis: some torn back on the faces, all seen as lines on the sides."""
    leaves = smoothstep(-0.3, 0.3, fbm(skin.form * [0.8, 0.8, 40], 2, skin.seed))
    level = 5 * smoothstep(-0.3, 0.3, fbm(skin.points * 1.7, 3, skin.seed + 1))
    torn, tear = np.floor(level), smoothstep(0.85, 0.97, level - np.floor(level))
    side = smoothstep(0.5, 0.8, np.linalg.norm(skin.form[:, :2], axis=1))
    flash = smoothstep(-0.1, 0.25, fbm(skin.points * [4, 4, 9], 3, skin.seed + 2, gain=0.65))
    colour = mix(dark, light, 0.06 + 0.55 * flash * (0.4 + 0.6 * skin.speckle) + 0.3 * side * leaves + 0.4 * tear)
    colour = mix(colour, _RUST, 0.4 * smoothstep(0.66, 0.95, skin.stain) * skin.speckle)
    return 0.006 * torn + 0.030 * side * leaves + 0.003 * skin.speckle, colour * (0.7 + 0.4 * skin.speckle)[:, None]


def _terraces(skin: Skin, axis: int, count: int, height: float) -> tuple[Floats, Floats]:
    """Cleavage steps: height [V] mm, and where the risers between steps are ([V] in 0..1)."""
    across = np.full(3, 1.5)
    across[axis] = 0.5
    level = count * (0.5 + 0.5 * fbm(skin.form * across + skin.points[:1], 3, skin.seed + 31 + axis))
    fraction = level - np.floor(level)
    step = np.floor(level) + smoothstep(0.90, 1.0, fraction)
    return height * (step - step.mean()), smoothstep(0.80, 0.95, fraction)


def _cracks(skin: Skin, count: int, width: float, first: int = 0) -> Floats:
    """Where wandering cracks come to the surface, [V] in 0..1; width in mm."""
    rng = np.random.default_rng([skin.seed, first])
    reach = np.linalg.norm(skin.form, axis=1).mean()
    scale = np.linalg.norm(skin.points - skin.points.mean(axis=0), axis=1).mean() / reach
    wander = 0.22 * fbm(skin.points * 3.5, 3, skin.seed + 41 + first)
    ragged = 0.6 + 0.8 * skin.speckle
    total = np.zeros(len(skin.points), dtype=np.float32)
    for normal, offset in zip(rng.normal(0, 1, (count, 3)), rng.uniform(-0.6, 0.6, count), strict=True):
        across = (skin.form @ (normal / np.linalg.norm(normal)).astype(np.float32) - offset + wander) * scale
        # A crack ends somewhere: on the side of a second plane through the grain.
        reaches = smoothstep(-0.1, 0.1, skin.form @ rng.normal(0, 1, 3).astype(np.float32) + 0.3)
        total = np.maximum(total, smoothstep(1.0, 0.4, np.abs(across) / (width * ragged)) * reaches)
    return total


def _inclusions(skin: Skin, count: int, radius: float, stretch: ArrayLike = (1, 1, 1), first: int = 0) -> Floats:
    """Where foreign crystals lie at the surface, [V] in 0..1; radius in mm, divided by `stretch` per axis."""
    places = _seeds(skin, count, first)
    size = radius * np.random.default_rng([skin.seed, first, 1]).uniform(0.4, 1.2, count)
    cells = worley(skin.points * np.asarray(stretch, np.float32), places * np.asarray(stretch, np.float32))
    return smoothstep(1.0, 0.7, cells.f1 / size[cells.nearest].astype(np.float32))


def _seeds(skin: Skin, count: int, first: int = 0) -> Floats:
    """Random points [count, 3] mm of the surface."""
    rng = np.random.default_rng([skin.seed, first, 2])
    return skin.points[rng.choice(len(skin.points), count, replace=False)]


def _shake(skin: Skin, frequency: float) -> Floats:
    """Noise [V, 3] in -1..1 that makes straight boundaries ragged."""
    return np.stack([fbm(skin.points * frequency, 2, skin.seed + 51 + k) for k in range(3)], axis=1)
