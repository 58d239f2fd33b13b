"""LLFF's poses_bounds.npy: one row of 17 numbers a photograph, in the order of the photographs' names.

A row is a 3 x 5 matrix and two depths. The columns of the matrix are the camera's axes in the world (down, right,
back), its position, and (height, width, focal length) in px; the principal point is the middle of the image.
"""

from pathlib import Path

import numpy as np

from datasets.errors import InputError
from datasets.interchange import photographs
from datasets.interchange.distortion import Lens
from datasets.interchange.posed import Posed, Source

FILE = "poses_bounds.npy"


def read(folder: Path, model: Path | None = None) -> Source:
    """Photographs in `folder`, with the poses of FILE in the folder `model`, in `folder`, or above it.

    Raises InputError if it is missing, is not [N, 17] finite numbers, or N is not the number of photographs.
    """
    path = _find(folder, model)
    rows = _rows(path)
    paths = photographs.find(folder)
    if len(rows) != len(paths):
        raise InputError(f"{path} has {len(rows)} poses, but {folder} holds {len(paths)} photographs.")
    names = photographs.view_names([p.name for p in paths])
    return Source(tuple(_posed(*each) for each in zip(paths, names, rows, strict=True)))


def opencv_c2w(matrix: np.ndarray) -> np.ndarray:
    """[4, 4] OpenCV camera-to-world from LLFF's [3, 4+]: axes (down, right, back) become (right, down, forward)."""
    down, right, back, position = matrix[:, :4].T
    c2w = np.eye(4)
    c2w[:3] = np.stack([right, down, -back, position], axis=1)
    return c2w


def _find(folder: Path, model: Path | None) -> Path:
    places = [model] if model is not None else [folder, folder.parent]
    for place in places:
        path = place if place.suffix == ".npy" else place / FILE
        if path.is_file():
            return path
    raise InputError(f"There is no {FILE} in {' or '.join(str(place) for place in places)}: name it with --model.")


def _rows(path: Path) -> np.ndarray:
    try:
        rows = np.load(path, allow_pickle=False)
        numbers = np.asarray(rows, dtype=np.float64)
    except Exception as error:  # numpy raises many kinds
        raise InputError(f"{path} cannot be read as an array of numbers ({type(error).__name__}).") from None
    if numbers.ndim != 2 or numbers.shape[1] != 17:
        shape = " x ".join(map(str, numbers.shape)) or "no"
        raise InputError(f"{path} holds {shape} numbers, but LLFF has a row of 17 for each photograph.")
    if not np.isfinite(numbers).all():
        raise InputError(f"{path} has numbers that are not finite, first in row {_first_bad(numbers)}.")
    return numbers


def _first_bad(numbers: np.ndarray) -> int:
    return int(np.nonzero(~np.isfinite(numbers).all(axis=1))[0][0])


def _posed(path: Path, name: str, row: np.ndarray) -> Posed:
    matrix = row[:15].reshape(3, 5)
    height, width, focal = (float(value) for value in matrix[:, 4])
    lens = Lens("SIMPLE_PINHOLE", round(width), round(height), (focal, width / 2, height / 2))
    return Posed(path, name, lens, opencv_c2w(matrix))
