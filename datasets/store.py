"""A capture on disk: nerfstudio's transforms.json with our additions beside it.

transforms.json   cameras (OpenGL camera-to-world), split, per-frame "focus_distance", "optics", "background"
images/NAME.png   photographs, 8-bit sRGB
sharp/ mask/      ground-truth twins, 8-bit;   depth/ coc/   float EXR, mm and px
linear/NAME.exr   optional half floats in linear light: R, G, B defocused
points.ply        initial points
manifest.json     recipe, difficulty, and the SHA-256 of every other file
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from datasets.cameras import OPENGL_FROM_OPENCV, Camera
from datasets.capture import Background, Capture, Optics, Points, Truth, View, split
from datasets.digest import sha256
from datasets.errors import InputError
from datasets.images import check_size, read_exr, read_png, read_rgb

TRANSFORMS = "transforms.json"
MANIFEST = "manifest.json"
POINTS = "points.ply"

# What may stand beside images/NAME.png: the folder of each twin, and its suffix.
TWINS = {"sharp": ".png", "mask": ".png", "depth": ".exr", "coc": ".exr", "linear": ".exr"}

# Of captures made elsewhere: what nerfstudio calls a lens without distortion, and its coefficients of distortion.
PINHOLES = ("PINHOLE", "SIMPLE_PINHOLE", "OPENCV")
DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")

# Where transforms.json says nothing of a split, every so many photographs one is held out.
TEST_EVERY = 8


# ---------------------------------------------------------------- files, hashes


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from `path`. Raises InputError naming the file if it is missing, broken or no object."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); it may be truncated.") from None
    if not isinstance(document, dict):
        raise InputError(f"{path} holds no JSON object.")
    return document


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write `document` whole or not at all (temporary file, then rename)."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def file_hashes(root: Path) -> dict[str, str]:
    """SHA-256 of every file under `root` but the manifest, by relative POSIX path, sorted."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    names = {path.relative_to(root).as_posix(): path for path in files}
    return {name: sha256(path) for name, path in names.items() if name != MANIFEST}


def content_hash(hashes: Mapping[str, str]) -> str:
    """One hash over names and hashes of files: the identity of a capture's bytes."""
    lines = "".join(f"{name} {hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def write_manifest(root: Path, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Hash all files under `root`, write manifest.json with `provenance`, and return it."""
    hashes = file_hashes(root)
    manifest = {**provenance, "content_hash": content_hash(hashes), "files": hashes}
    write_json(root / MANIFEST, manifest)
    return manifest


def verify(root: Path) -> list[str]:
    """What differs from the manifest, one clause per file; empty if the capture is whole."""
    manifest = read_json(root / MANIFEST)
    expected = manifest.get("files")
    if not isinstance(expected, dict) or content_hash(expected) != manifest.get("content_hash"):
        return [f"{MANIFEST} does not agree with itself"]
    found = {name: sha256(root / name) for name in expected if (root / name).is_file()}
    missing = [f"{name} is missing" for name in expected if name not in found]
    changed = [f"{name} has changed" for name in expected if name in found and found[name] != expected[name]]
    return missing + changed


# ---------------------------------------------------------------- writing


def frame(name: str, camera: Camera, focus_distance: float | None, f_number: float | None = None) -> dict[str, Any]:
    """One entry of "frames" in transforms.json. f_number: where it is another than that of the capture's optics."""
    entry: dict[str, Any] = {
        "file_path": f"images/{name}.png",
        "transform_matrix": (camera.c2w @ OPENGL_FROM_OPENCV).tolist(),
        "w": camera.width,
        "h": camera.height,
        "fl_x": camera.fx,
        "fl_y": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
    }
    if focus_distance is not None:
        entry["focus_distance"] = focus_distance
    if f_number is not None:
        entry["f_number"] = f_number
    return entry


def write_transforms(
    root: Path,
    frames: list[dict[str, Any]],
    test: list[str],
    background: Background,
    optics: Optics | None = None,
    has_points: bool = True,
) -> None:
    """Write transforms.json for `frames` (made by `frame`), of which those named in `test` are held out."""
    paths = [entry["file_path"] for entry in frames]
    held_out = [f"images/{name}.png" for name in test]
    document: dict[str, Any] = {
        "camera_model": "OPENCV",
        "train_filenames": [path for path in paths if path not in set(held_out)],
        "val_filenames": [],
        "test_filenames": held_out,
        "background": asdict(background),
        "frames": frames,
    }
    if has_points:
        document["ply_file_path"] = POINTS
    if optics is not None:
        document["optics"] = {**asdict(optics), "unit": "mm"}
    write_json(root / TRANSFORMS, document)


def write_points(path: Path, points: Points) -> None:
    """Write a binary PLY with x, y, z, red, green, blue."""
    from plyfile import PlyData, PlyElement

    table = np.empty(
        len(points.xyz),
        dtype=[(axis, "f4") for axis in "xyz"] + [(color, "u1") for color in ("red", "green", "blue")],
    )
    for i, axis in enumerate("xyz"):
        table[axis] = points.xyz[:, i]
    for i, color in enumerate(("red", "green", "blue")):
        table[color] = points.rgb[:, i]
    PlyData([PlyElement.describe(table, "vertex")]).write(str(path))


# ---------------------------------------------------------------- reading


def read_points(path: Path) -> Points:
    """Read a PLY point cloud. Raises InputError naming the file; colours default to gray."""
    from plyfile import PlyData

    try:
        vertex = PlyData.read(str(path))["vertex"]
        xyz = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float32)
        if {"red", "green", "blue"} <= {prop.name for prop in vertex.properties}:
            rgb = np.stack([vertex[color] for color in ("red", "green", "blue")], axis=1).astype(np.uint8)
        else:
            rgb = np.full(xyz.shape, 128, dtype=np.uint8)
    except Exception as error:  # plyfile raises many kinds
        raise InputError(f"The point cloud {path} cannot be read as a PLY ({error}).") from None
    if not np.isfinite(xyz).all():
        raise InputError(f"The point cloud {path} has coordinates that are not finite.")
    return Points(xyz, rgb)


def read(root: Path) -> Capture:
    """Read the capture in folder `root`, checking every file against its manifest where it has one.

    Raises InputError in one sentence that names the file and frame: JSON missing or truncated, an image
    missing, unreadable or of another size, a pose that is not rigid, a lens with distortion, no views, no
    test views, files that do not match the manifest.
    """
    document = read_json(root / TRANSFORMS)
    has_manifest = (root / MANIFEST).exists()
    if has_manifest and (damage := verify(root)):
        shown = "; ".join(damage[:8]) + (f"; and {len(damage) - 8} more" if len(damage) > 8 else "")
        raise InputError(f"The capture {root} is damaged: {shown}.")
    manifest = read_json(root / MANIFEST) if has_manifest else {}
    optics = read_optics(root, document.get("optics"))
    frames = document.get("frames")
    if not isinstance(frames, list) or not frames:
        raise InputError(f"{root / TRANSFORMS} has no frames: a capture needs photographs.")
    views = {}
    for index, entry in enumerate(frames):
        try:
            view = _view(root, document, entry, optics)
        except InputError as error:
            raise InputError(f"{root / TRANSFORMS}, frame {index}: {error}") from None
        if view.name in views:
            raise InputError(f"{root / TRANSFORMS} names the photograph {view.name} twice.")
        views[view.name] = view
    test_names = _test_names(root, document, list(views))
    if unknown := [name for name in test_names if name not in views]:
        raise InputError(f"{root / TRANSFORMS} holds out {unknown[0]}, which is not among its frames.")
    held_out = set(test_names)
    train = tuple(view for name, view in views.items() if name not in held_out)
    if not held_out:
        raise InputError(f"{root / TRANSFORMS} has no test views (test_filenames): nothing could be scored.")
    if not train:
        raise InputError(f"{root / TRANSFORMS} has no training views: every frame is held out.")
    points = document.get("ply_file_path")
    if points is not None and not isinstance(points, str):
        raise InputError(f"{root / TRANSFORMS}: ply_file_path is {points!r}, not the path of a point cloud.")
    images = [entry["file_path"] for entry in frames]
    return Capture(
        name=root.resolve().name,
        root=root,
        content_hash=manifest.get("content_hash") or content_hash(_own_hashes(root, images, points)),
        train=train,
        test=tuple(views[name] for name in test_names),
        background=read_background(root, document.get("background")),
        points=read_points(root / points) if points else None,
        optics=optics,
        manifest=manifest,
    )


def _name(file_path: object) -> str:
    return Path(str(file_path)).stem


def _test_names(root: Path, document: Mapping[str, Any], names: list[str]) -> list[str]:
    """The views that `document` holds out; where it has no key of a split, every TEST_EVERY-th by name."""
    if not any(f"{part}_filenames" in document for part in ("train", "val", "test")):
        return split(sorted(names), TEST_EVERY)[1]
    paths = document.get("test_filenames") or []
    if not isinstance(paths, list):
        raise InputError(f"{root / TRANSFORMS}: test_filenames is {paths!r}, not a list of file paths.")
    return list(dict.fromkeys(_name(path) for path in paths))


def _own_hashes(root: Path, images: Iterable[str], points: str | None) -> dict[str, str]:
    """SHA-256 of what belongs to a capture without manifest: TRANSFORMS, `images`, their twins, and `points`.

    Whatever else its folder holds (runs, notes, the camera's raw files) is not the capture.
    """
    names = {TRANSFORMS, points or TRANSFORMS}
    for image in images:
        names |= {image, *(f"{kind}/{_name(image)}{suffix}" for kind, suffix in TWINS.items())}
    return {Path(name).as_posix(): sha256(root / name) for name in names if (root / name).is_file()}


def _number(entry: Mapping[str, Any], shared: Mapping[str, Any], key: str) -> float:
    value = entry.get(key, shared.get(key))
    if not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise InputError(f"{key} is {value!r}, not a number.")
    return float(value)


def _view(root: Path, shared: Mapping[str, Any], entry: Any, optics: Optics | None) -> View:
    if not isinstance(entry, dict) or not isinstance(entry.get("file_path"), str):
        raise InputError("it names no file_path.")
    _check_undistorted(entry, shared)
    width, height = (int(_number(entry, shared, key)) for key in ("w", "h"))
    fx, fy, cx, cy = (_number(entry, shared, key) for key in ("fl_x", "fl_y", "cx", "cy"))
    camera = Camera(width, height, fx, fy, cx, cy, opencv_c2w(entry))
    name, size = _name(entry["file_path"]), (width, height)
    path = root / entry["file_path"]
    read_rgb(path, size)  # now, so that a bad photograph is named here and not in the middle of a run
    focus, f_number = (_positive(entry, key) for key in ("focus_distance", "f_number"))
    if optics is not None and focus is not None:
        optics.lens(focus)  # raises InputError where no real image forms

    def truth() -> Truth:
        sharp = read_rgb(root / "sharp" / f"{name}.png", size)
        mask_path = root / "mask" / f"{name}.png"
        mask = read_png(mask_path) if mask_path.exists() else np.full(sharp.shape[:2], 255, np.uint8)
        if mask.ndim != 2:
            raise InputError(f"The mask {mask_path} has colours where plain gray is expected.")
        check_size(mask, mask_path, size)
        depth, coc = (_read_map(root / kind / f"{name}.exr", size) for kind in ("depth", "coc"))
        return Truth(sharp, mask.astype(np.float32) / 255, depth, coc)

    has_truth = (root / "sharp" / f"{name}.png").exists()
    return View(name, camera, lambda: read_rgb(path, size), truth if has_truth else None, focus, f_number)


def opencv_c2w(entry: Mapping[str, Any]) -> np.ndarray:
    """[4, 4] camera-to-world of a frame, whose "transform_matrix" is OpenGL's. Raises InputError if it is none."""
    try:
        opengl_c2w = np.array(entry.get("transform_matrix"), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError("its transform_matrix is not a 4 x 4 matrix of numbers.") from None
    if opengl_c2w.shape != (4, 4):
        raise InputError("its transform_matrix is not 4 x 4.")
    return opengl_c2w @ OPENGL_FROM_OPENCV


def _check_undistorted(entry: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
    model = entry.get("camera_model", shared.get("camera_model"))
    if model is not None and model not in PINHOLES:
        raise InputError(
            f"its camera_model is {model!r}, not one of {', '.join(PINHOLES)}: undistort the photographs first."
        )
    for key in DISTORTION:
        if (key in entry or key in shared) and (value := _number(entry, shared, key)):
            raise InputError(f"{key} is {value:g}, but lenses with distortion are not known here: undistort first.")


def _positive(entry: Mapping[str, Any], key: str) -> float | None:
    if key not in entry:
        return None
    value = _number(entry, {}, key)
    if value <= 0:
        raise InputError(f"{key} is {value}, not a positive number.")
    return value


def _read_map(path: Path, size: tuple[int, int]) -> np.ndarray | None:
    if not path.exists():
        return None
    values = read_exr(path)
    check_size(values, path, size)
    return values


def read_background(root: Path, value: Any) -> Background:
    if value is None:
        return Background()
    try:
        colors = {key: tuple(float(c) for c in value[key]) for key in ("top", "bottom")}
    except (TypeError, KeyError, ValueError, OverflowError):
        raise InputError(f'{root / TRANSFORMS}: "background" needs "top" and "bottom", RGB each.') from None
    if any(len(c) != 3 or not all(0 <= x <= 1 for x in c) for c in colors.values()):
        raise InputError(f'{root / TRANSFORMS}: "background" must be linear-light RGB in 0..1.')
    return Background(**colors)  # type: ignore[arg-type]


def read_optics(root: Path, value: Any) -> Optics | None:
    if value is None:
        return None
    try:
        optics = Optics(*(float(value[key]) for key in ("focal_length", "f_number", "pixel_pitch")))
    except (TypeError, KeyError, ValueError, OverflowError):
        raise InputError(f'{root / TRANSFORMS}: "optics" needs focal_length, f_number and pixel_pitch in mm.') from None
    try:
        optics.lens(2 * optics.focal_length)
    except InputError as error:  # values that no lens has
        raise InputError(f"{root / TRANSFORMS}: {error}") from None
    return optics
