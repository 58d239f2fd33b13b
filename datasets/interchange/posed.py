"""What every source of poses comes down to: photographs as files, each with its lens and its pose."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.capture import Background, Optics, Points
from datasets.interchange.distortion import Lens


@dataclass(frozen=True, eq=False)
class Posed:
    """A photograph that is still a file, in whatever size, depth of bits and distortion it was taken.

    name: what the view is called in a capture. c2w: [4, 4] OpenCV camera-to-world, in the source's own units.
    focus_distance: in the same units, where the source knows it. mask: image of the object's coverage.
    """

    path: Path
    name: str
    lens: Lens
    c2w: np.ndarray
    focus_distance: float | None = None
    mask: Path | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """Posed photographs and what else their source knows.

    test: names of the views that it holds out; None where it says nothing of a split. in_mm: whether its
    world is known to be in millimetres.
    """

    views: tuple[Posed, ...]
    points: Points | None = None
    test: tuple[str, ...] | None = None
    optics: Optics | None = None
    background: Background | None = None
    in_mm: bool = False
