"""Reader of NeRF-synthetic folders ("blender" layout: transforms_train.json, transforms_test.json).

Their images are RGBA and all in focus, so the photograph is its own sharp twin.
"""

from pathlib import Path
from typing import Any

import numpy as np

from datasets.cameras import OPENGL_FROM_OPENCV, Camera
from datasets.capture import BACKDROPS, Background, Capture, Truth, View
from datasets.errors import InputError
from datasets.images import check_size, read_png
from datasets.store import content_hash, read_json, sha256


def read(root: Path, background: Background = BACKDROPS["white"]) -> Capture:
    """Read a NeRF-synthetic folder, its RGBA images composited over `background` as the field does: in sRGB.

    Raises InputError in one sentence naming file and frame, as `datasets.store.read` does.
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
    height, width = read_png(path).shape[:2]
    focal = 0.5 * width / np.tan(0.5 * angle)
    try:
        opengl_c2w = np.array(frame.get("transform_matrix"), dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("its transform_matrix is not a 4 x 4 matrix of numbers.") from None
    if opengl_c2w.shape != (4, 4):
        raise InputError("its transform_matrix is not 4 x 4.")
    camera = Camera(width, height, focal, focal, width / 2, height / 2, opengl_c2w @ OPENGL_FROM_OPENCV)

    def truth() -> Truth:
        image = read_png(path)
        check_size(image, path, (width, height))
        if image.ndim != 3 or image.shape[2] != 4:
            raise InputError(f"The image {path} has no alpha channel, as NeRF-synthetic images have.")
        alpha = image[:, :, 3].astype(np.float32) / 255
        # The field composites encoded values; a colour constant over the image encodes to itself at 0 and 1.
        behind = background.image(height, width) * 255
        sharp = image[:, :, :3] * alpha[..., None] + behind * (1 - alpha[..., None])
        return Truth(np.round(sharp).astype(np.uint8), alpha)

    return View(f"{part}_{path.stem}", camera, lambda: truth().sharp, truth)
