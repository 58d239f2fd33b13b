"""A capture: photographs of one object with their cameras and, where it is synthetic, the truth behind them.

`Capture` holds everything; `Photographs` is the part that a contestant may see. It has no field for sharp
twins, depth or circles of confusion, so nothing of the truth can leak by accident.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.cameras import Camera
from datasets.errors import InputError
from datasets.optics import ThinLens, outlined


@dataclass(frozen=True)
class Background:
    """What stands behind the object: a vertical gradient from `top` to `bottom`, linear-light RGB in 0..1.

    It is the same in every view (a backdrop that moves with the camera) and is known to contestants.
    """

    top: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bottom: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def image(self, height: int, width: int) -> np.ndarray:
        """[height, width, 3] float32, linear light."""
        t = (np.arange(height, dtype=np.float32)[:, None, None] + 0.5) / height
        rows = (1 - t) * np.array(self.top, np.float32) + t * np.array(self.bottom, np.float32)
        return np.broadcast_to(rows, (height, width, 3)).astype(np.float32)

    @property
    def is_black(self) -> bool:
        return not any(self.top) and not any(self.bottom)


BACKDROPS = {
    "black": Background(),
    "white": Background((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "gray": Background((0.30, 0.30, 0.30), (0.14, 0.14, 0.14)),
}


@dataclass(frozen=True, eq=False)
class Points:
    """A sparse cloud as structure from motion gives: xyz [P, 3] float32 (scene units), rgb [P, 3] uint8."""

    xyz: np.ndarray
    rgb: np.ndarray


@dataclass(frozen=True)
class Optics:
    """What is known of the lens that took the photographs: mm; the focus distance is known per view."""

    focal_length: float
    f_number: float
    pixel_pitch: float

    def lens(self, focus_distance: float) -> ThinLens:
        """The lens focused at `focus_distance` mm."""
        return ThinLens(self.focal_length, self.f_number, focus_distance, self.pixel_pitch)


@dataclass(frozen=True, eq=False)
class Photograph:
    """One photograph: image [H, W, 3] uint8 sRGB, its camera and, if known, its focus distance (mm)."""

    name: str
    image: np.ndarray
    camera: Camera
    focus_distance: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class PhotographWithCoc(Photograph):
    """What an oracle is given: coc [H, W] float32 px is the true signed radius of the circle of confusion."""

    coc: np.ndarray


@dataclass(frozen=True, eq=False)
class Photographs:
    """All that a contestant is given: the training photographs of one capture, in capture order."""

    views: tuple[Photograph, ...]
    background: Background = field(default_factory=Background)
    points: Points | None = None
    optics: Optics | None = None

    @property
    def cameras(self) -> dict[str, Camera]:
        """The camera of every photograph, by name."""
        return {view.name: view.camera for view in self.views}

    def without_optics(self) -> "Photographs":
        """The same photographs with every hint about the lens removed."""
        views = tuple(replace(view, focus_distance=None) for view in self.views)
        return replace(self, views=views, optics=None)


@dataclass(frozen=True, eq=False)
class Truth:
    """What the camera would have seen without defocus.

    sharp: [H, W, 3] uint8 sRGB. mask: [H, W] float32 in 0..1, coverage of the object.
    depth: [H, W] float32 mm along the optical axis, 0 where there is no surface; None if not known.
    coc: [H, W] float32 signed circle-of-confusion radius in px, 0 where there is no surface; None if not known.
    """

    sharp: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None = None
    coc: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class View:
    """One view of a capture; pixels are read from disk when asked for.

    f_number: where it is another than that of the capture's optics.
    """

    name: str
    camera: Camera
    read_photograph: Callable[[], np.ndarray]
    read_truth: Callable[[], Truth] | None = None
    focus_distance: float | None = None
    f_number: float | None = None

    def photograph(self) -> Photograph:
        """The photograph, read now. Raises InputError naming the file if it cannot be."""
        return Photograph(self.name, self.read_photograph(), self.camera, self.focus_distance)

    def truth(self) -> Truth:
        """The truth, read now. Raises InputError if this capture has none."""
        if self.read_truth is None:
            raise InputError(f"View {self.name} has no ground truth.")
        return self.read_truth()


@dataclass(frozen=True, eq=False)
class Capture:
    """Everything about one object: views in capture order, split into training and test.

    `content_hash` identifies the bytes of all files; `manifest` is the provenance as written by synthesis
    (empty for captures made elsewhere).
    """

    name: str
    root: Path
    content_hash: str
    train: tuple[View, ...]
    test: tuple[View, ...]
    background: Background = field(default_factory=Background)
    points: Points | None = None
    optics: Optics | None = None
    manifest: dict[str, Any] = field(default_factory=dict)

    @property
    def has_truth(self) -> bool:
        return all(view.read_truth is not None for view in (*self.train, *self.test))

    def lens(self, view: View) -> ThinLens | None:
        """The lens that took `view`, where it is known."""
        if self.optics is None or view.focus_distance is None:
            return None
        return replace(self.optics, f_number=view.f_number or self.optics.f_number).lens(view.focus_distance)

    def photographs(self) -> Photographs:
        """The training photographs, all that a contestant may see."""
        views = tuple(view.photograph() for view in self.train)
        return Photographs(views, self.background, self.points, self.optics)

    def sharp_twins(self) -> Photographs:
        """The training views as a lens of infinite depth of field had taken them; for oracles only."""
        views = tuple(replace(view.photograph(), image=view.truth().sharp) for view in self.train)
        return Photographs(views, self.background, self.points).without_optics()

    def photographs_with_coc(self) -> Photographs:
        """The training photographs, each with its true circles of confusion; for oracles only."""

        def told(view: View) -> PhotographWithCoc:
            coc = view.truth().coc
            assert coc is not None, "the capture knows of no circles of confusion"
            coc = outlined(coc, coc != 0)
            return PhotographWithCoc(view.name, view.read_photograph(), view.camera, view.focus_distance, coc=coc)

        return Photographs(tuple(told(view) for view in self.train), self.background, self.points, self.optics)


def split(names: list[str], test_every: int) -> tuple[list[str], list[str]]:
    """Training and test names: every `test_every`-th in order, starting with the first, is held out."""
    test = names[::test_every]
    held_out = set(test)
    return [name for name in names if name not in held_out], test
