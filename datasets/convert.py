"""Any capture that can be read, written in our form, smaller if wished."""

from pathlib import Path
from typing import Any

import numpy as np

from datasets import store
from datasets.capture import Capture, Optics, View
from datasets.color import linear_to_srgb, srgb_to_linear, to_uint8
from datasets.difficulty import difficulty
from datasets.errors import InputError
from datasets.images import write_exr, write_png
from datasets.whole import whole


def write(capture: Capture, out: Path, downscale: int = 1) -> dict[str, object]:
    """Write `capture` into the new folder `out`, every `downscale` x `downscale` pixels becoming one; its manifest.

    Light is averaged in linear light, as a larger photosite does; depth and circle of confusion over the pixels
    that have a surface, the latter in the new, larger pixels. The manifest's difficulty is carried along where
    no pixel changes, and else computed anew, but for the noise floor, which takes photographs made twice; what it says
    of the surface never in focus is carried along in any case.

    Raises InputError if `out` exists or cannot be written, if downscale < 1, or if it does not divide the size
    of every view.
    """
    if downscale < 1:
        raise InputError(f"--downscale {downscale} is not a whole number from 1 on.")
    if out.exists():
        raise InputError(f"{out} is there already; choose another --out.")
    views = (*capture.train, *capture.test)
    for view in views:
        size = (view.camera.width, view.camera.height)
        if any(side % downscale for side in size):
            raise InputError(f"View {view.name} is {size[0]} x {size[1]} px, which {downscale} does not divide.")
    with whole(out) as partial:
        frames = [_write_view(partial, view, downscale) for view in views]
        if capture.points is not None:
            store.write_points(partial / store.POINTS, capture.points)
        optics = capture.optics
        if optics is not None:
            optics = Optics(optics.focal_length, optics.f_number, optics.pixel_pitch * downscale)
        test = [view.name for view in capture.test]
        store.write_transforms(partial, frames, test, capture.background, optics, capture.points is not None)
        provenance: dict[str, Any] = {"made_by": "bench convert", "of": capture.content_hash, "downscale": downscale}
        if "unfocused_px" in capture.manifest:
            provenance["unfocused_px"] = capture.manifest["unfocused_px"] / downscale
        manifest = store.write_manifest(partial, provenance | _difficulty(capture, partial, downscale))
    return manifest


def _difficulty(capture: Capture, written: Path, downscale: int) -> dict[str, Any]:
    """The manifest's entry "difficulty" for what stands in the folder `written`; none where there is no truth."""
    if downscale == 1 and "difficulty" in capture.manifest:
        return {"difficulty": capture.manifest["difficulty"]}
    if not capture.has_truth:
        return {}
    smaller = store.read(written)
    return {"difficulty": difficulty((v.photograph().image, v.truth()) for v in (*smaller.train, *smaller.test))}


def _write_view(root: Path, view: View, n: int) -> dict[str, object]:
    camera = view.camera.resized(view.camera.width // n, view.camera.height // n)
    photograph = view.photograph()
    images = {"images": photograph.image}
    maps: dict[str, np.ndarray] = {}
    if view.read_truth is not None:
        truth = view.truth()
        images |= {"sharp": truth.sharp, "mask": truth.mask}
        surface = np.ones_like(truth.mask) if truth.depth is None else (truth.depth > 0).astype(np.float32)
        maps = {
            name: _mean_over(surface, array, n) / scale
            for name, array, scale in (("depth", truth.depth, 1), ("coc", truth.coc, n))
            if array is not None
        }
    for folder, image in images.items():
        (root / folder).mkdir(exist_ok=True)
        write_png(root / folder / f"{view.name}.png", smaller(image, n))
    for folder, array in maps.items():
        (root / folder).mkdir(exist_ok=True)
        write_exr(root / folder / f"{view.name}.exr", array.astype(np.float32))
    return store.frame(view.name, camera, view.focus_distance, view.f_number)


def smaller(image: np.ndarray, n: int) -> np.ndarray:
    """uint8 image from uint8 sRGB [H, W, 3], averaged in linear light, or from a float mask [H, W] in 0..1."""
    if n == 1:
        return image if image.dtype == np.uint8 else to_uint8(image)
    if image.dtype == np.uint8:
        return to_uint8(linear_to_srgb(_mean(srgb_to_linear(image / 255.0), n)))
    return to_uint8(_mean(image, n))


def _mean(array: np.ndarray, n: int) -> np.ndarray:
    """Means of blocks of n x n pixels of [H, W, ...]."""
    height, width = array.shape[0] // n, array.shape[1] // n
    return array.reshape(height, n, width, n, *array.shape[2:]).mean(axis=(1, 3))


def _mean_over(weight: np.ndarray, array: np.ndarray, n: int) -> np.ndarray:
    """Weighted means of blocks; 0 where there is no weight."""
    total = _mean(weight, n)
    return np.where(total > 0, _mean(weight * array, n) / np.where(total > 0, total, 1), 0.0)
