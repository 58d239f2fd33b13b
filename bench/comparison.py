"""One picture that shows what a leaderboard means: a held-out view as every contestant renders it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.in_focus import sharpness
from datasets.capture import Capture, View
from datasets.images import read_rgb

SIDE = 256  # px of the longer side of a cell, to be legible
LARGEST = 1024  # px of the longer side of a cell; a row of photographs as cameras take them would be no picture
GAP, LABEL = 6, 22  # px
BACKDROP = (24, 24, 24)


def write_comparison(path: Path, capture: Capture, renders: Sequence[tuple[str, Path]]) -> bool:
    """Write a PNG of `shown_view`: photograph, renders in the given order as (label, folder of the job), and the sharp
    twin if any. False, and nothing written, if nobody has renders.
    """
    renders = [(label, folder) for label, folder in renders if (folder / "novel").is_dir()]
    if not renders:
        return False
    view = shown_view(capture)
    cells = [("photograph", view.photograph().image)]
    cells += [(label, read_rgb(folder / "novel" / f"{view.name}.png")) for label, folder in renders]
    if capture.has_truth:
        box = object_box(view)
        cells = [(label, image[box]) for label, image in [*cells, ("sharp twin", view.truth().sharp)]]
    save(sheet(cells), path)
    return True


def shown_view(capture: Capture) -> View:
    """The held-out view whose photograph is the most defocused, or, without truth to tell, the least sharp."""
    return most_defocused(capture.test) if capture.has_truth else least_sharp(capture.test)


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG so that a reader finds the old file or the new one."""
    partial = path.with_name(f".{path.name}")
    picture.save(partial, format="PNG")
    partial.replace(path)


def most_defocused(views: Sequence[View]) -> View:
    """The view whose photograph differs the most from its sharp twin, in the mean square."""
    return max(
        views, key=lambda view: float(((view.photograph().image - view.truth().sharp.astype(float)) ** 2).mean())
    )


def least_sharp(views: Sequence[View]) -> View:
    """The view whose photograph looks the least sharp on the whole."""
    return min(views, key=lambda view: float(sharpness(view.photograph().image).mean()))


def object_box(view: View) -> tuple[slice, slice]:
    """Rows and columns of the object with a margin; all where nothing is masked."""
    rows, columns = np.nonzero(view.truth().mask > 0.5)
    if not len(rows):
        return slice(None), slice(None)
    margin = 6 + max(view.camera.width, view.camera.height) // 40
    return (
        slice(max(0, rows.min() - margin), rows.max() + margin + 1),
        slice(max(0, columns.min() - margin), columns.max() + margin + 1),
    )


def sheet(cells: Sequence[tuple[str, np.ndarray]], columns: int | None = None) -> Image.Image:
    """Images [H, W, 3] uint8 of one size with their labels, enlarged to be legible or reduced to fit, in so many
    columns (None: in as few rows as fit, evenly filled)."""
    height, width = cells[0][1].shape[:2]
    longer = max(height, width)
    scale = min(max(1, round(SIDE / longer)), LARGEST / longer)
    height, width = max(1, round(scale * height)), max(1, round(scale * width))
    # Whole-number enlargement without interpolation, so that pixels stay what they are.
    resampling = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    rows = -(-len(cells) // (columns or max(3, 1600 // (width + GAP))))
    columns = columns or -(-len(cells) // rows)
    size = (columns * (width + GAP) + GAP, rows * (height + LABEL + GAP) + GAP)
    picture = Image.new("RGB", size, BACKDROP)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=14)
    for index, (label, image) in enumerate(cells):
        left = GAP + index % columns * (width + GAP)
        top = GAP + index // columns * (height + LABEL + GAP)
        draw.text((left, top + 2), label, fill=(230, 230, 230), font=font)
        picture.paste(
            Image.fromarray(np.ascontiguousarray(image)).resize((width, height), resampling), (left, top + LABEL)
        )
    return picture
