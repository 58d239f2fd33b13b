"""Engraver's capitals and digits: each a few straight strokes, and how far points lie from them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from datasets.synthesis.objects.model import Floats

# Polylines of a glyph, parted by "|"; "35" is the point 3 to the right and 5 up in a box of 4 by 6.
_GLYPHS = {
    " ": "",
    "-": "13 33",
    ".": "20 21",
    "/": "00 46",
    "0": "10 30 41 45 36 16 05 01 10",
    "1": "05 26 20|10 30",
    "2": "05 16 36 45 44 00 40",
    "3": "06 46 24 34 43 41 30 10 01",
    "4": "30 36 02 42",
    "5": "46 06 04 34 43 41 30 10 01",
    "6": "45 36 16 05 01 10 30 41 42 33 03",
    "7": "06 46 10",
    "8": "13 04 05 16 36 45 44 33 13 02 01 10 30 41 42 33",
    "9": "01 10 30 41 45 36 16 05 04 13 43",
    "A": "00 26 40|12 32",
    "C": "45 36 16 05 01 10 30 41",
    "F": "00 06 46|03 33",
    "G": "45 36 16 05 01 10 30 41 43 23",
    "K": "00 06|46 03 40",
    "L": "06 00 40",
    "O": "10 30 41 45 36 16 05 01 10",
    "P": "00 06 36 45 44 33 03",
    "T": "06 46|26 20",
    "X": "00 46|06 40",
}
_ADVANCE = 5.6  # from glyph to glyph, in sixths of the height


def strokes(text: str, height: float, centre: tuple[float, float]) -> Floats:
    """Segments [S, 2, 2] (start and end; right, up), mm, of a line of text as high as `height`, about its centre."""
    segments = []
    for place, character in enumerate(text):
        for line in filter(None, _GLYPHS[character].split("|")):
            points = [(int(pair[0]) + place * _ADVANCE, int(pair[1])) for pair in line.split()]
            segments += list(pairwise(points))
    width = (len(text) - 1) * _ADVANCE + 4
    return (np.array(segments) - [width / 2, 3.0]) * (height / 6) + np.array(centre)


def distance(right: ArrayLike, up: ArrayLike, segments: Floats) -> Floats:
    """Distance [N], mm, of points (right, up) [N] each from the nearest of segments [S, 2, 2]."""
    points = np.stack([right, up], axis=1).astype(np.float32)
    nearest = np.full(len(points), np.inf, dtype=np.float32)
    for start, end in segments.astype(np.float32):
        along = end - start
        share = np.clip(((points - start) @ along) / max(float(along @ along), 1e-12), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(points - start - share[:, None] * along, axis=1))
    return nearest


def dial(radius: float, centre: tuple[float, float], hour: float) -> Floats:
    """Segments [S, 2, 2], mm, of a mould maker's date stamp: a ring with twelve ticks and a hand at `hour`."""
    turn = np.arange(49) * (2 * np.pi / 48)
    circle = radius * np.stack([np.sin(turn), np.cos(turn)], axis=1)
    ring = np.stack([circle[:-1], circle[1:]], axis=1)
    ticks = np.stack([0.78 * circle[:-1:4], 0.98 * circle[:-1:4]], axis=1)
    tip = 0.62 * radius * np.array([np.sin(hour * np.pi / 6), np.cos(hour * np.pi / 6)])
    barb = 0.22 * radius * np.array([[np.cos(hour * np.pi / 6), -np.sin(hour * np.pi / 6)]])
    hand = np.array([[-tip, tip], [tip, 0.45 * tip + barb[0]], [tip, 0.45 * tip - barb[0]]])
    return np.concatenate([ring, ticks, hand]) + np.array(centre)
