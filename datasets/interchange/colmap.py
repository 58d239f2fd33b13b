"""COLMAP as seen from this side: its models read and written, and structure from motion, all by pycolmap.

COLMAP's conventions are ours: cameras look along +z with y down, and the centre of the first pixel is (0.5, 0.5).
"""

import json
import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from datasets import worker_process
from datasets.errors import InputError
from datasets.interchange import sparse

# What a folder with a model holds, and where one lies relative to its photographs, most likely first.
FILES = ("cameras.bin", "cameras.txt")
PLACES = ("../sparse/0", "sparse/0", "../sparse", "sparse", "../colmap/sparse/0", "colmap/sparse/0", "..", ".")

# What is going on, so far, of so many.
Progress = Callable[[str, int, int], None]


def find_model(photographs: Path, model: Path | None = None) -> Path:
    """The folder of the sparse model: `model` or a folder 0 in it, or else the first of PLACES. InputError if none."""
    places = [model, model / "0"] if model is not None else [photographs / place for place in PLACES]
    for place in places:
        if any((place / file).is_file() for file in FILES):
            return Path(os.path.normpath(place))
    where = model if model is not None else f"{photographs}/../sparse/0, {photographs}/sparse/0 or near them"
    raise InputError(f"There is no COLMAP model (cameras.bin or cameras.txt) in {where}: name its folder with --model.")


def read(model: Path) -> sparse.Model:
    """The model in a folder, text or binary. Raises InputError naming the folder if it cannot be read."""
    for name, end in ENDS.items():
        if (model / name).is_file():
            _check_whole(model / name, end)
    with tempfile.TemporaryDirectory(prefix="bench-colmap-") as folder:
        try:
            _run("read", {"model": str(model.absolute())}, Path(folder))
            return sparse.load(Path(folder))
        except _Refusal as reason:
            raise InputError(f"The COLMAP model {model} cannot be read ({reason}).") from None
        except InputError as error:
            raise InputError(f"The COLMAP model {model}: {error}") from None


def write(model: sparse.Model, out: Path) -> None:
    """Write `model` into the folder `out`, in binary. Points get no tracks: nobody knows who saw them."""
    with tempfile.TemporaryDirectory(prefix="bench-colmap-") as folder:
        sparse.save(model, Path(folder))
        try:
            _run("write", {"model": str(out.absolute())}, Path(folder))
        except _Refusal as reason:
            raise InputError(f"The COLMAP model {out} cannot be written ({reason}).") from None


def compute(
    photographs: list[Path], work: Path, focal_length_px: float | None, size: tuple[int, int], progress: Progress
) -> sparse.Model:
    """Structure from motion over `photographs`, all of `size` (width, height) and in one folder, in folder `work`.

    One camera SIMPLE_RADIAL for all, begun from `focal_length_px` where that is known. The model has the
    photographs that could be registered, none if nothing fits together; its world has no unit.
    """
    params = [] if focal_length_px is None else [focal_length_px, size[0] / 2, size[1] / 2, 0.0]
    job = {
        "images": str(photographs[0].parent.absolute()),
        "photographs": [path.name for path in photographs],
        "lens": {"model": "SIMPLE_RADIAL", "params": params},
        "threads": -1,
    }
    try:
        _run("compute", job, work, progress)
    except _Refusal as reason:
        raise InputError(f"Structure from motion failed ({reason}).") from None
    return sparse.load(work)


def _check_whole(path: Path, end: Callable[[bytes, int], int]) -> None:
    """Raise InputError unless `path` holds as many entries as its first number says, and nothing else.

    pycolmap itself reads on past the end of a file, and fills the memory with what it takes for numbers.
    """
    data = path.read_bytes()
    try:
        (count,) = struct.unpack_from("<Q", data)
        place = 8
        for _ in range(count):
            place = end(data, place)
    except (struct.error, ValueError):
        place = -1
    except KeyError as error:
        raise InputError(f"{path} has a camera model {error}, which is not known here: undistort first.") from None
    if place != len(data):
        raise InputError(f"{path} does not end where it should; it may be truncated.")


def _camera_end(data: bytes, start: int) -> int:
    """Past id, model, width, height, and the parameters."""
    (model,) = struct.unpack_from("<i", data, start + 4)
    return start + 24 + 8 * PARAMETERS[model]


def _image_end(data: bytes, start: int) -> int:
    """Past id, rotation, translation, camera, name, and the points seen: x, y and id each."""
    name_end = data.index(b"\0", start + 64) + 1
    (seen,) = struct.unpack_from("<Q", data, name_end)
    return name_end + 8 + 24 * seen


def _point_end(data: bytes, start: int) -> int:
    """Past id, position, colour, error, and the track: image and index each."""
    (track,) = struct.unpack_from("<Q", data, start + 43)
    return start + 51 + 8 * track


# Parameters of a camera by the number that binary files have for its model.
PARAMETERS = dict(enumerate((3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12, 16, 4, 5, 3, 4, 6, 2)))

# Where an entry of a binary file ends.
ENDS = {"cameras.bin": _camera_end, "images.bin": _image_end, "points3D.bin": _point_end}


class _Refusal(Exception):
    """What pycolmap said."""


def _run(verb: str, job: dict[str, Any], folder: Path, progress: Progress | None = None) -> None:
    """Have the worker do `job` in `folder`. Raises _Refusal with its reason."""
    (folder / "job.json").write_text(json.dumps(job))
    worker = worker_process.start("datasets.interchange.pycolmap_worker", [verb, str(folder)], subprocess.DEVNULL)
    try:
        _follow(worker.stdout or [], progress)
        code = worker.wait()
    finally:
        worker.kill()
        worker.wait()
        for pipe in filter(None, (worker.stdin, worker.stdout)):
            pipe.close()
    if code == 0:
        return
    error = folder / "error.txt"
    if code == 1 and error.is_file():
        raise _Refusal(re.sub(r"[.!?:](?=\s|$)", "", error.read_text().strip()))
    raise _Refusal(f"pycolmap ended with signal {-code}" if code < 0 else f"pycolmap ended with code {code}")


def _follow(lines: Iterable[str], progress: Progress | None) -> None:
    for line in lines:
        event = json.loads(line)
        if progress is not None:
            progress(event["what"], event["done"], event["total"])
