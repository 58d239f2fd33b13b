"""A capture in the forms that other programs read: COLMAP's, and nerfstudio's."""

from pathlib import Path

import numpy as np

from datasets import store
from datasets.capture import Capture, Points, View
from datasets.errors import InputError
from datasets.images import write_png
from datasets.interchange import colmap, sparse
from datasets.interchange.distortion import Lens
from datasets.whole import whole

FORMATS = ("colmap", "transforms")


def export_capture(capture: Capture, kind: str, out: Path) -> None:
    """Write photographs, cameras, split and points of `capture` into the new folder `out`.

    colmap: images/ and sparse/0/ in binary, cameras PINHOLE, and sparse/0/test.txt, the names of the images held
    out. transforms: images/, transforms.json and points.ply, with the held-out views as those for validation too.
    The truth stays behind: other programs compete as contestants do.

    Raises InputError if `kind` is not one of FORMATS, or if `out` holds something or cannot be written.
    """
    if kind not in FORMATS:
        raise InputError(f"There is no format {kind}; known: {', '.join(FORMATS)}.")
    views = sorted((*capture.train, *capture.test), key=lambda view: view.name)
    with whole(out) as partial:
        (partial / "images").mkdir()
        for view in views:
            write_png(partial / "images" / f"{view.name}.png", view.photograph().image)
        if kind == "colmap":
            _write_colmap(capture, views, partial)
        else:
            _write_transforms(capture, views, partial)


def _write_colmap(capture: Capture, views: list[View], root: Path) -> None:
    folder = root / "sparse" / "0"
    folder.mkdir(parents=True)
    points = capture.points or Points(np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8))
    colmap.write(sparse.Model(tuple(_image(view) for view in views), points), folder)
    (folder / "test.txt").write_text("".join(f"{view.name}.png\n" for view in capture.test))


def _image(view: View) -> sparse.Image:
    camera = view.camera
    lens = Lens("PINHOLE", camera.width, camera.height, (camera.fx, camera.fy, camera.cx, camera.cy))
    return sparse.Image(f"{view.name}.png", lens, camera.w2c[:3])


def _write_transforms(capture: Capture, views: list[View], root: Path) -> None:
    frames = [store.frame(view.name, view.camera, view.focus_distance, view.f_number) for view in views]
    test = [view.name for view in capture.test]
    store.write_transforms(root, frames, test, capture.background, capture.optics, capture.points is not None)
    document = store.read_json(root / store.TRANSFORMS)
    # While it trains, nerfstudio looks at what is held out for validation, and stops where nothing is.
    store.write_json(root / store.TRANSFORMS, {**document, "val_filenames": document["test_filenames"]})
    if capture.points is not None:
        store.write_points(root / store.POINTS, capture.points)
