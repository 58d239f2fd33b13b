"""A picture after the seed paper's Fig. 8: photographs, and beside them the width of the blur found in them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.blur_maps import sequential
from bench.comparison import save, sheet
from bench.evaluate import read_coc
from bench.kernel_accuracy import surface
from datasets.capture import Capture
from methods.defocus.clarity import clarity

VIEWS = 4  # rows


def write_variance_maps(path: Path, capture: Capture, models: Sequence[tuple[str, Path]]) -> bool:
    """Write a PNG with a row for each of some training photographs, evenly chosen from first to last.

    From left to right: photograph, its clarity mask, the CoC radius of each of `models`, given as (label, folder of
    the track "kernel"), and the true one where it is known; all are then shown on the object alone. Radii share one
    scale, which the labels tell. False, and nothing written, if there is no model.
    """
    models = [(label, folder) for label, folder in models if folder.is_dir()]
    if not models:
        return False
    count = min(VIEWS, len(capture.train))
    rows = []
    for index in np.linspace(0, len(capture.train) - 1, count).round().astype(int):
        view = capture.train[index]
        radii = [(label, np.abs(read_coc(folder / f"{view.name}.exr", view))) for label, folder in models]
        truth = view.truth() if capture.has_truth else None
        shown = np.ones(view.photograph().image.shape[:2], bool)
        if truth is not None and truth.coc is not None:
            radii.append(("true", np.abs(truth.coc)))
            shown = surface(truth)
        rows.append((view.name, view.photograph().image, radii, shown))
    largest = max(
        1.0, *(float(np.quantile(r[shown], 0.999)) for *_, radii, shown in rows for _, r in radii if shown.any())
    )
    cells = []
    for name, image, radii, shown in rows:
        mask = np.round(255 * clarity(image).clip(0, 1)).astype(np.uint8)
        cells += [(f"{name}: photograph", image), ("clarity mask", np.repeat(mask[..., None], 3, axis=-1))]
        for label, radius in radii:
            cells.append((f"{label}, CoC 0 to {largest:.1f} px", sequential(radius / largest, shown)))
    save(sheet(cells, columns=len(cells) // count), path)
    return True
