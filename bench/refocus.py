"""Photographs after the fact: a scene that knows its lens, at any focus and aperture."""

from pathlib import Path

import cv2
import numpy as np

from datasets.color import to_uint8
from datasets.errors import InputError
from datasets.images import write_png
from methods.joint_optics.lensed import LENS, LensedScene
from reports import records

FRAMES_PER_SECOND = 12
PREFERRED = "joint-optics"


def refocus(
    run: Path,
    out: Path | None,
    view: str | None,
    focus: float | None,
    f_number: float | None,
    focal_length: float | None,
    pull: int,
) -> list[Path]:
    """Write photographs of a training `view` (None: the first) of the scene that `run` holds, and return their paths.

    Always one that is sharp everywhere; with `focus` (mm) one focused there, at `f_number` (None: the aperture that
    was learned); with `pull` frames, a pull of the focus through the whole scene as PNGs and as MP4.

    Raises InputError for a folder without such a scene, an unknown view, a focus outside the scene, or an f-number
    where nobody knows the focal length.
    """
    folder = model_in(run)
    scene = LensedScene.load(folder)
    name = next(iter(scene.cameras)) if view is None else view
    if name not in scene.cameras:
        raise InputError(f"There is no training view {name}; known are {', '.join(scene.cameras)}.")
    camera = scene.cameras[name]
    aperture = scene.aperture
    if f_number is not None:
        if f_number <= 0:
            raise InputError(f"--f-number {f_number:g} must be greater than 0.")
        aperture = (focal_length or known_focal_length(folder)) / (2 * f_number)
    near, far = scene.depth_range(camera)
    if focus is not None and not near <= focus <= far:
        raise InputError(
            f"--focus {focus:g} mm lies outside the scene, which view {name} sees from {near:.4g} to {far:.4g} mm."
        )
    target = out or run / "refocus"
    target.mkdir(parents=True, exist_ok=True)
    written = [target / f"{name}-all-in-focus.png"]
    write_png(written[0], to_uint8(scene.render(camera)))
    stop = "" if f_number is None else f"-f{f_number:g}"
    if focus is not None:
        written.append(target / f"{name}-{focus:g}mm{stop}.png")
        write_png(written[-1], to_uint8(scene.photograph(camera, focus, aperture)))
    if pull:
        frames = [to_uint8(scene.photograph(camera, float(d), aperture)) for d in np.linspace(near, far, pull)]
        written += [target / f"{name}-pull{stop}-{index:03d}.png" for index in range(pull)]
        for path, frame in zip(written[-pull:], frames, strict=True):
            write_png(path, frame)
        written.append(target / f"{name}-pull{stop}.mp4")
        write_video(written[-1], frames)
    return written


def model_in(run: Path) -> Path:
    """The folder at or below `run` that holds a scene with its lens; of several, the first seed's of `PREFERRED`.

    Raises InputError if there is none, or several between which that does not choose.
    """
    if not run.is_dir():
        raise InputError(f"There is no folder {run}.")
    found = sorted(path.parent for path in run.rglob(LENS) if not any(p.startswith(".") for p in path.parts))
    if not found:
        raise InputError(f"{run} holds no scene with its lens; bench run --methods {PREFERRED} makes one.")
    if len(found) == 1:
        return found[0]
    # RUN/jobs/CAPTURE/METHOD/seedN/model
    preferred = [path for path in found if path.parent.parent.name == PREFERRED]
    if preferred and len({path.parents[2] for path in preferred}) == 1:
        return min(preferred, key=lambda path: (len(path.parent.name), path.parent.name))  # seed2 before seed10
    names = ", ".join(str(path.relative_to(run)) for path in found)
    raise InputError(f"{run} holds {len(found)} scenes with their lens; name one of them: {names}.")


def known_focal_length(model: Path) -> float:
    """Focal length (mm) of the lens that took the capture, as the record beside `model` has it.

    Raises InputError if it is not known: from a capture alone only the product f / N can be learned.
    """
    path = model.parent / "record.json"
    try:
        optics = records.load(path).capture.optics if path.is_file() else None
    except records.RecordError as error:
        raise InputError(
            f"The focal length of the lens is not known: {error}. Give it with --focal-length MM."
        ) from error
    if not optics:
        raise InputError(
            "The focal length of the lens is not known in the unit of the capture; give it in that with --focal-length."
        )
    return float(optics["f_mm"])


def write_video(path: Path, frames: list[np.ndarray]) -> None:
    """Write `frames` [H, W, 3] uint8 sRGB as MPEG-4, there and back again."""
    height, width = frames[0].shape[:2]
    size = (width + width % 2, height + height % 2)  # the codec wants even sides
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FRAMES_PER_SECOND, size)
    if not video.isOpened():
        raise InputError(f"{path} cannot be written as a video here.")
    for frame in [*frames, *frames[-2:0:-1]]:
        even = cv2.copyMakeBorder(frame, 0, size[1] - height, 0, size[0] - width, cv2.BORDER_REPLICATE)
        video.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))
    video.release()
