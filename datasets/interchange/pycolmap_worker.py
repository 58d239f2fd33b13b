"""pycolmap in a process of its own.

    python -m datasets.interchange.pycolmap_worker VERB FOLDER

pycolmap's library carries its own zlib and shows it to everybody: other libraries that write or read PNGs in the
same process crash. So nothing else imports it, and this process touches no image but through it. FOLDER holds
the job, job.json, and takes the answer: the files of `datasets.interchange.sparse`, or error.txt with one line.
What goes on is told a JSON line each on the standard output. The process ends when its standard input is closed,
that is, when its parent dies.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from datasets.worker_process import end_with_parent

MAX_FOCAL_LENGTH = 1000.0  # in widths of the image
MAX_COEFFICIENT = 1e6

FATAL = 3  # of pycolmap's log: all else it says to a file that nobody reads


def main(verb: str, folder: Path) -> int:
    end_with_parent()
    try:
        import pycolmap

        pycolmap.logging.minloglevel = FATAL
        VERBS[verb](json.loads((folder / "job.json").read_text()), folder)
    except Exception as error:  # pycolmap raises many kinds; the sentence around it is written on the other side
        (folder / "error.txt").write_text((str(error).splitlines() or [type(error).__name__])[0])
        return 1
    return 0


def read(job: dict[str, Any], folder: Path) -> None:
    """Read the model in job["model"], text or binary."""
    import pycolmap

    _save(pycolmap.Reconstruction(job["model"]), folder)


def write(job: dict[str, Any], folder: Path) -> None:
    """Write the model in `folder` to job["model"], in binary; views of equal lenses share a camera."""
    import pycolmap

    found = pycolmap.Reconstruction()
    images = json.loads((folder / "model.json").read_text())
    cameras: dict[str, int] = {}
    for index, image in enumerate(images):
        key = json.dumps(image["lens"], sort_keys=True)
        if key not in cameras:
            cameras[key] = len(cameras) + 1
            found.add_camera_with_trivial_rig(pycolmap.Camera(camera_id=cameras[key], **image["lens"]))
        entry = pycolmap.Image(name=image["path"], camera_id=cameras[key], image_id=index + 1)
        found.add_image_with_trivial_frame(entry, pycolmap.Rigid3d(np.array(image["w2c"])))
    xyz, rgb = np.load(folder / "xyz.npy").astype(np.float64), np.load(folder / "rgb.npy")
    for position, color in zip(xyz, rgb, strict=True):
        found.add_point3D(position, pycolmap.Track(), color)
    found.write_binary(job["model"])


def compute(job: dict[str, Any], folder: Path) -> None:
    """Structure from motion over all of job["photographs"] in job["images"], one camera for all; the largest model.

    job["lens"]: model and, where known, parameters to begin from. job["threads"]: -1 takes all cores.
    """
    import pycolmap

    names, database, images = job["photographs"], folder / "database.db", job["images"]
    pycolmap.set_random_seed(0)
    reader = pycolmap.ImageReaderOptions(camera_model=job["lens"]["model"])
    if job["lens"]["params"]:
        reader.camera_params = ",".join(map(repr, job["lens"]["params"]))
    _tell("features", 0, len(names))
    extraction = pycolmap.FeatureExtractionOptions(num_threads=job["threads"])
    pycolmap.extract_features(
        database, images, names, pycolmap.CameraMode.SINGLE, reader, extraction, pycolmap.Device.cpu
    )
    _tell("matches", 0, len(names) * (len(names) - 1) // 2)
    matching = pycolmap.FeatureMatchingOptions(num_threads=job["threads"])
    pycolmap.match_exhaustive(database, matching, device=pycolmap.Device.cpu)
    options = pycolmap.IncrementalPipelineOptions(num_threads=job["threads"], random_seed=0, min_model_size=3)
    # A macro lens sees a few degrees: its focal length is many times the image's width, and its coefficient, of
    # the angle squared, a large number that changes little. pycolmap's limits would throw such cameras out.
    for limited in (options, options.mapper, options.triangulation):
        limited.max_focal_length_ratio, limited.max_extra_param = MAX_FOCAL_LENGTH, MAX_COEFFICIENT
    (folder / "models").mkdir()
    seen = _Counter("poses", len(names))
    found = pycolmap.incremental_mapping(
        database, images, folder / "models", options, initial_image_pair_callback=seen, next_image_callback=seen
    )
    best = max(found.values(), key=lambda model: (model.num_reg_images(), model.num_points3D()), default=None)
    _save(best or pycolmap.Reconstruction(), folder)


VERBS: dict[str, Callable[[dict[str, Any], Path], None]] = {"read": read, "write": write, "compute": compute}


def _save(model: Any, folder: Path) -> None:
    """Write the registered images of a pycolmap.Reconstruction, by path, and its points."""
    images = []
    for image in sorted((model.image(i) for i in model.reg_image_ids()), key=lambda image: image.name):
        camera = image.camera
        lens = {"model": camera.model_name, "width": camera.width, "height": camera.height}
        w2c = image.cam_from_world().matrix()
        images.append({"path": image.name, "lens": lens | {"params": camera.params.tolist()}, "w2c": w2c.tolist()})
    points = [model.point3D(i) for i in sorted(model.point3D_ids())]
    (folder / "model.json").write_text(json.dumps(images))
    np.save(folder / "xyz.npy", np.array([point.xyz for point in points], np.float32).reshape(-1, 3))
    np.save(folder / "rgb.npy", np.array([point.color for point in points], np.uint8).reshape(-1, 3))


class _Counter:
    """Tells each call as one more of `total`."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.done, self.total = what, 0, total

    def __call__(self) -> None:
        self.done += 1
        _tell(self.what, self.done, self.total)


def _tell(what: str, done: int, total: int) -> None:
    print(json.dumps({"what": what, "done": done, "total": total}), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
