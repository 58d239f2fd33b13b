"""Captures at a glance: a row for each, sharp | photograph | depth | circles of confusion; and training pairs."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from bench.blur_maps import diverging, sequential
from bench.comparison import SIDE, most_defocused, save, sheet
from datasets.capture import Capture, View
from datasets.errors import InputError
from datasets.pairs import Pairs

PAIRS_SHOWN = 24


def write_contact_sheet(path: Path, captures: Sequence[Capture], view: str | None, side: int = SIDE) -> None:
    """Write a PNG with a row for each of `captures`, of the view called `view` (None: the most defocused one).

    Depth runs from the nearest point of the object (dark) to the farthest (bright); circles of confusion are signed,
    blue before the focal plane, white in focus, red behind it, and the label tells how large they are where colours
    are full. Cells are squares of `side` px. Raises InputError for a capture without sharp twins, depth and CoC, and
    for an unknown view.
    """
    cells = [cell for capture in captures for cell in _row(capture, _chosen(capture, view))]
    save(sheet([(label, _squared(image, side)) for label, image in cells], columns=4), path)


def write_pairs_sheet(path: Path, pairs: Pairs, side: int = SIDE) -> None:
    """Write a PNG of up to 24 training pairs from all over the folder, two in a row: sharp, photograph, CoC."""
    cells = []
    for index in np.unique(np.linspace(0, len(pairs) - 1, PAIRS_SHOWN).round().astype(int)):
        pair = pairs[int(index)]
        most = max(1.0, float(np.ceil(np.abs(pair.coc).max())))
        cells += [
            (f"object {pair.facts['object_seed']}: sharp", pair.sharp),
            (f"photograph {pair.facts['take']}, f/{pair.facts['f_number']:.1f}", pair.photograph),
            (f"CoC radius, -{most:.0f} to {most:.0f} px", diverging(pair.coc / most, pair.mask > 0)),
        ]
    save(sheet([(label, _squared(image, side)) for label, image in cells], columns=6), path)


def _chosen(capture: Capture, name: str | None) -> View:
    if not capture.has_truth:
        raise InputError(f"The capture {capture.name} has no sharp twins, so there is nothing to show beside them.")
    views = {view.name: view for view in (*capture.train, *capture.test)}
    if name is None:
        return most_defocused(list(views.values()))
    if name not in views:
        raise InputError(f"The capture {capture.name} has no view {name}; it has {', '.join(sorted(views))}.")
    return views[name]


def _row(capture: Capture, view: View) -> list[tuple[str, np.ndarray]]:
    truth = view.truth()
    if truth.depth is None or truth.coc is None:
        raise InputError(f"The capture {capture.name} has no maps of depth and of circles of confusion.")
    known = truth.depth > 0
    near, far = (float(end(truth.depth[known])) if known.any() else 0.0 for end in (np.min, np.max))
    most = max(1.0, float(np.ceil(np.abs(truth.coc[known]).max(initial=0))))
    return [
        (f"{capture.name}: sharp", truth.sharp),
        (f"photograph {view.name}", view.photograph().image),
        (f"depth, {near:.1f} to {far:.1f} mm", sequential((truth.depth - near) / max(far - near, 1e-6), known)),
        (f"CoC radius, -{most:.0f} to {most:.0f} px", diverging(truth.coc / most, known)),
    ]


def _squared(image: np.ndarray, side: int) -> np.ndarray:
    """[side, side, 3]: the image, as large as it fits, in the middle of a black square."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Enlarged pixels stay what they are; made smaller, they are averaged.
    drawn = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA)
    square = np.zeros((side, side, 3), dtype=np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = drawn
    return square
