"""nerfstudio's transforms.json as a source of poses: photographs in any format, lenses with distortion."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import store
from datasets.errors import InputError
from datasets.interchange import photographs
from datasets.interchange.distortion import Lens
from datasets.interchange.posed import Posed, Source

# nerfstudio's names of models, and the coefficients of distortion that each may have.
COEFFICIENTS = {
    "SIMPLE_PINHOLE": (),
    "PINHOLE": (),
    "SIMPLE_RADIAL": ("k1",),
    "RADIAL": ("k1", "k2"),
    "OPENCV": ("k1", "k2", "k3", "p1", "p2"),
    "OPENCV_FISHEYE": ("k1", "k2", "k3", "k4"),
}


def read(folder: Path, model: Path | None = None) -> Source:
    """What transforms.json in the folder `model`, in `folder`, or above it says.

    Split, point cloud, masks, and what our own captures add (lens, focus, background) are taken where they are.
    Raises InputError naming file and frame.
    """
    path = _find(folder, model)
    document = store.read_json(path)
    frames = document.get("frames")
    if not isinstance(frames, list) or not frames:
        raise InputError(f"{path} has no frames: a capture needs photographs.")
    views: list[Posed] = []
    paths = []
    for index, frame in enumerate(frames):
        try:
            views.append(_posed(path.parent, frame, document))
        except InputError as error:
            raise InputError(f"{path}, frame {index}: {error}") from None
        paths.append(frame["file_path"])
    names = photographs.view_names(paths)
    optics = store.read_optics(path.parent, document.get("optics"))
    return Source(
        tuple(_named(view, name) for view, name in zip(views, names, strict=True)),
        _points(path, document.get("ply_file_path")),
        _held_out(path, document, dict(zip(paths, names, strict=True))),
        optics,
        store.read_background(path.parent, document["background"]) if "background" in document else None,
        in_mm=optics is not None,
    )


def _find(folder: Path, model: Path | None) -> Path:
    places = [model] if model is not None else [folder, folder.parent]
    for place in places:
        path = place if place.suffix == ".json" else place / store.TRANSFORMS
        if path.is_file():
            return path
    raise InputError(
        f"There is no {store.TRANSFORMS} in {' or '.join(str(place) for place in places)}: name it with --model."
    )


def _posed(root: Path, frame: Any, shared: Mapping[str, Any]) -> Posed:
    if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
        raise InputError("it names no file_path.")
    path = _image(root, frame["file_path"])
    lens = _lens({**shared, **frame}, path)
    mask = frame.get("mask_path")
    focus = _number(frame, "focus_distance") if "focus_distance" in frame else None
    return Posed(path, "", lens, store.opencv_c2w(frame), focus, root / mask if isinstance(mask, str) else None)


def _named(view: Posed, name: str) -> Posed:
    return Posed(view.path, name, view.lens, view.c2w, view.focus_distance, view.mask)


def _image(root: Path, file_path: str) -> Path:
    """The file of a frame, whose suffix may be left out."""
    path = root / file_path
    if path.is_file():
        return path
    return next((p for s in photographs.SUFFIXES if (p := Path(f"{path}{s}")).is_file()), path)


def _lens(entry: Mapping[str, Any], path: Path) -> Lens:
    model = entry.get("camera_model") or "OPENCV"
    if model not in COEFFICIENTS:
        raise InputError(f"its camera_model is {model!r}, not one of {', '.join(COEFFICIENTS)}: undistort first.")
    width, height = (
        (round(_number(entry, "w")), round(_number(entry, "h")))
        if "w" in entry and "h" in entry
        else photographs.read_size(path)
    )
    if "fl_x" not in entry and "camera_angle_x" in entry:
        fx = 0.5 * width / math.tan(0.5 * _number(entry, "camera_angle_x"))
    else:
        fx = _number(entry, "fl_x")
    fy = _number(entry, "fl_y") if "fl_y" in entry else fx
    cx, cy = (
        _number(entry, key) if key in entry else middle for key, middle in (("cx", width / 2), ("cy", height / 2))
    )
    k = {key: _number(entry, key) if key in entry else 0.0 for key in store.DISTORTION}
    if unknown := [key for key in store.DISTORTION if k[key] and key not in COEFFICIENTS[model]]:
        raise InputError(f"{unknown[0]} is {k[unknown[0]]:g}, which a camera {model} does not have: undistort first.")
    pinhole = (fx, fy, cx, cy)
    if model == "OPENCV_FISHEYE":
        return Lens(model, width, height, (*pinhole, k["k1"], k["k2"], k["k3"], k["k4"]))
    if not any(k.values()):
        return Lens("PINHOLE", width, height, pinhole)
    distortion = (k["k1"], k["k2"], k["p1"], k["p2"])
    if not k["k3"]:
        return Lens("OPENCV", width, height, (*pinhole, *distortion))
    return Lens("FULL_OPENCV", width, height, (*pinhole, *distortion, k["k3"], 0.0, 0.0, 0.0))


def _number(entry: Mapping[str, Any], key: str) -> float:
    value = entry.get(key)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{key} is {value!r}, not a number.")
    return float(value)


def _points(path: Path, ply: Any) -> Any:
    if ply is None:
        return None
    if not isinstance(ply, str):
        raise InputError(f"{path}: ply_file_path is {ply!r}, not the path of a point cloud.")
    return store.read_points(path.parent / ply)


def _held_out(path: Path, document: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, ...] | None:
    """Names of the views that the file holds out for tests; None where it has no such list, or an empty one."""
    listed = document.get("test_filenames")
    if not listed:
        return None
    if not isinstance(listed, list):
        raise InputError(f"{path}: test_filenames is {listed!r}, not a list of file paths.")
    if unknown := [file for file in listed if file not in names]:
        raise InputError(f"{path} holds out {unknown[0]!r}, which is not among its frames.")
    return tuple(dict.fromkeys(names[file] for file in listed))
