"""A picture of who knows the blur: one photograph, and what every model of the blur makes of it."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from bench.comparison import object_box, save, sheet
from bench.evaluate import read_coc
from bench.kernel_accuracy import surface
from bench.metrics import psnr
from datasets.capture import Capture, View
from datasets.images import read_rgb

LEVELS = 32
"""8-bit levels of difference at which the colours of a re-blurred photograph's error are full."""

BACKDROP = 24
"""Gray of pixels that no map speaks of."""


def write_blur_maps(path: Path, capture: Capture, view: View, models: Sequence[tuple[str, Path]]) -> bool:
    """Write a PNG with a row for each of `models`, given as (label, folder of a track of kernel accuracy).

    From left to right: photograph, the sharp twin re-blurred with its PSNR, their signed difference, the estimated
    CoC radius, its signed error, the true CoC radius. The maps of one sheet share their scales, which their labels
    tell. False, and nothing written, if the truth is not known or no model has a map of the view.
    """
    models = [(label, folder) for label, folder in models if (folder / f"{view.name}.exr").exists()]
    if not capture.has_truth or not models or (true := view.truth().coc) is None:
        return False
    photograph, known, box = view.photograph().image, surface(view.truth()), object_box(view)
    size = np.abs(true)
    span = max(1.0, float(np.ceil(size[known].max(initial=0))))
    reach = span / 4
    scale = f"0 to {span:.0f} px"
    cells = []
    for label, folder in models:
        coc = np.abs(read_coc(folder / f"{view.name}.exr", view))
        reblurred = read_rgb(folder / f"{view.name}.png", (view.camera.width, view.camera.height))
        difference = (reblurred.astype(np.float32) - photograph).mean(axis=-1)
        cells += [
            (f"{view.name}: photograph", photograph),
            (f"{label}  {psnr(reblurred.astype(np.float32) / 255, photograph / np.float32(255)):.1f} dB", reblurred),
            (f"its error, blue -{LEVELS}, red +{LEVELS} of 255", diverging(difference / LEVELS)),
            (f"its CoC radius, {scale}", sequential(coc / span, known)),
            (f"error, blue -{reach:g}, red +{reach:g} px", diverging((coc - size) / reach, known)),
            (f"true CoC radius, {scale}", sequential(size / span, known)),
        ]
    save(sheet([(label, image[box]) for label, image in cells], columns=6), path)
    return True


def sequential(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values [H, W], 0..1 and clipped there, in the colours of viridis; [H, W, 3] uint8."""
    levels = np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return np.where(known[..., None], colours, np.uint8(BACKDROP))


def diverging(values: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Values [H, W], -1..1 and clipped there, from blue over white to red; [H, W, 3] uint8."""
    values = np.clip(values, -1, 1)[..., None]
    ends = np.where(values < 0, np.array([33, 82, 196]), np.array([196, 40, 33]))
    colours = np.round(255 + np.abs(values) * (ends - 255)).astype(np.uint8)
    return colours if known is None else np.where(known[..., None], colours, np.uint8(BACKDROP))
