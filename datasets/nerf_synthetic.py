"""Reader of NeRF-synthetic folders ("blender" layout: transforms_train.json, transforms_test.json).

Their images are RGBA and all in focus, so the photograph is its own sharp twin.
"""

from pathlib import Path
from typing import Any

import numpy as np

from datasets.cameras import Camera
from datasets.capture import BACKDROPS, Background, Capture, Truth, View
from datasets.color import linear_to_srgb, to_uint8
from datasets.digest import sha256
from datasets.errors import InputError
from datasets.images import check_size, read_png
from datasets.store import content_hash, opencv_c2w, read_json


def read(root: Path, background: Background = BACKDROPS["white"]) -> Capture:
    """Read a NeRF-synthetic folder, its RGBA images composited over `background` as the field does: in sRGB.

    Raises InputError in one sentence naming file and frame, as `datasets.store.read` does, also for an image
    without alpha.
    """
    train, test = (_views(root, part, background) for part in ("train", "test"))
    files = {path.relative_to(root).as_posix(): path for path in _files(root)}
    return Capture(
        name=root.resolve().name,
        root=root,
        content_hash=content_hash({name: sha256(path) for name, path in files.items()}),
        train=train,
        test=test,
        background=background,
    )


def _files(root: Path) -> list[Path]:
    return [
        root / name
        for part in ("train", "test")
        for name in (f"transforms_{part}.json", *(_image(f) for f in _frames(root, part)))
    ]


def _frames(root: Path, part: str) -> list[dict[str, Any]]:
    frames = read_json(root / f"transforms_{part}.json").get("frames")
    if not isinstance(frames, list) or not frames:
        raise InputError(f"{root / f'transforms_{part}.json'} has no frames.")
    return frames


def _image(frame: Any) -> str:
    if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
        raise InputError("A frame names no file_path.")
    return Path(frame["file_path"]).as_posix() + ("" if frame["file_path"].endswith(".png") else ".png")


def _views(root: Path, part: str, background: Background) -> tuple[View, ...]:
    path = root / f"transforms_{part}.json"
    angle = read_json(path).get("camera_angle_x")
    if not isinstance(angle, int | float) or not 0 < angle < np.pi:
        raise InputError(f"{path}: camera_angle_x is {angle!r}, not an angle in radians.")
    views = []
    for index, frame in enumerate(_frames(root, part)):
        try:
            views.append(_view(root, part, frame, angle, background))
        except InputError as error:
            raise InputError(f"{path}, frame {index}: {error}") from None
    return tuple(views)


def _view(root: Path, part: str, frame: dict[str, Any], angle: float, background: Background) -> View:
    path = root / _image(frame)
    height, width = _read_rgba(path).shape[:2]
    focal = 0.5 * width / np.tan(0.5 * angle)
    camera = Camera(width, height, focal, focal, width / 2, height / 2, opencv_c2w(frame))

    def truth() -> Truth:
        image = _read_rgba(path)
        check_size(image, path, (width, height))
        alpha = image[:, :, 3].astype(np.float32) / 255
        behind = to_uint8(linear_to_srgb(background.image(height, width)))  # the field composites encoded values
        sharp = image[:, :, :3] * alpha[..., None] + behind * (1 - alpha[..., None])
        return Truth(np.round(sharp).astype(np.uint8), alpha)

    return View(f"{part}_{path.stem}", camera, lambda: truth().sharp, truth)


def _read_rgba(path: Path) -> np.ndarray:
    image = read_png(path)
    if image.ndim != 3 or image.shape[2] != 4:
        raise InputError(f"The image {path} has no alpha channel, as NeRF-synthetic images have.")
    return image
