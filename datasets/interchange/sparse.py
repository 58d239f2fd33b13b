"""A sparse model, COLMAP's form of cameras and points, as plain numbers and as the files between two processes."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from datasets.capture import Points
from datasets.interchange.distortion import Lens


@dataclass(frozen=True, eq=False)
class Image:
    """One registered image: relative path as the model has it, its camera, [3, 4] OpenCV world-to-camera."""

    path: str
    lens: Lens
    w2c: np.ndarray


@dataclass(frozen=True, eq=False)
class Model:
    """Registered images by path, and the sparse cloud, which may be empty."""

    images: tuple[Image, ...]
    points: Points


def save(model: Model, folder: Path) -> None:
    """Write `model` into the folder `folder`: model.json, xyz.npy [P, 3] and rgb.npy [P, 3]."""
    images = [{"path": i.path, "lens": asdict(i.lens), "w2c": np.asarray(i.w2c).tolist()} for i in model.images]
    (folder / "model.json").write_text(json.dumps(images))
    np.save(folder / "xyz.npy", model.points.xyz)
    np.save(folder / "rgb.npy", model.points.rgb)


def load(folder: Path) -> Model:
    """The model that `save` left in `folder`. Raises InputError for a camera that is not known here."""
    images = []
    for entry in json.loads((folder / "model.json").read_text()):
        lens = Lens(**{**entry["lens"], "params": tuple(entry["lens"]["params"])})
        images.append(Image(entry["path"], lens, np.array(entry["w2c"])))
    points = Points(np.load(folder / "xyz.npy"), np.load(folder / "rgb.npy"))
    return Model(tuple(images), points)
