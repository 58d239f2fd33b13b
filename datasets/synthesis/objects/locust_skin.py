"""The skin of the locust: its colours, how they mottle it, and its few short hairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from datasets.synthesis.objects.chitin import PITCH, Growth, mix, speckles, valid
from datasets.synthesis.objects.limbs import add_hairs
from datasets.synthesis.objects.model import Floats, Ints
from datasets.synthesis.objects.noise import fbm, smoothstep

# Linear albedo.
GREEN, OLIVE = (0.20, 0.30, 0.075), (0.165, 0.150, 0.055)
OCHRE, PALE, BARK = (0.38, 0.255, 0.11), (0.72, 0.62, 0.38), (0.070, 0.043, 0.025)


def mottled(growth: Growth, p: Floats, green: float) -> Floats:
    """Colour [V, 3] of skin at points p [V, 3] mm: green that turns to ochre and olive, with spots pale and dark.

    green: about how much of it is green, 0..1.
    """
    slow, middling = fbm(p * 0.9, 3, growth.seed + 101), fbm(p * 3.5, 4, growth.seed + 103)
    colour = mix(OCHRE, OLIVE, smoothstep(-0.10, 0.20, middling))
    colour = mix(colour, GREEN, 0.9 * smoothstep(-0.16, 0.12, slow + 0.25 * middling + 0.40 * (green - 0.5)))
    spots = fbm(p * 7, 3, growth.seed + 105)
    colour = mix(colour, PALE, 0.40 * smoothstep(0.13, 0.30, spots))
    return mix(colour, BARK, 0.55 * smoothstep(-0.18, -0.30, spots))


def clothe(
    growth: Growth, vertices: Floats, faces: Ints, coat: Floats, hairs: int, lean: ArrayLike, pit: Floats | float = 0.0
) -> None:
    """Adds a piece of body whose colour is `coat` [V, 3], speckled, dark in its pits, and a few short hairs."""
    speckle = speckles(vertices, growth.seed + 3)
    colour = mix(coat * (0.45 + 0.85 * speckle)[:, None], PITCH, 0.75 * pit * np.ones(len(vertices)))
    growth.shell.append((vertices, faces, valid(colour)))
    add_hairs(growth, growth.setae, (vertices, faces), PALE, hairs, 0.085, lean, spread=0.3)
