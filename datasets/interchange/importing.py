"""A capture in our form, without ground truth, from photographs and whatever tells their poses."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from datasets import store
from datasets.cameras import Camera
from datasets.capture import Background, Optics, Points, split
from datasets.convert import smaller
from datasets.errors import InputError
from datasets.images import write_png
from datasets.interchange import colmap, distortion, exif, llff, nerfstudio, photographs, sparse
from datasets.interchange.posed import Posed, Source
from datasets.whole import whole

POSES = ("colmap", "transforms", "llff", "compute")

# Structure from motion has failed if it registers fewer photographs, or less than this share of them.
FEWEST_REGISTERED = 3
SHARE_REGISTERED = 0.5

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Imported:
    """What was made: its folder, how many views, how many of them held out, and the unit of its world in words."""

    path: Path
    views: int
    held_out: int
    unit: str


def import_capture(
    photos: Path,
    poses: str,
    out: Path,
    *,
    model: Path | None = None,
    masks: Path | None = None,
    scale_mm: float | None = None,
    downscale: int = 1,
    warn: Warn = lambda sentence: None,
    progress: colmap.Progress = lambda what, done, total: None,
) -> Imported:
    """Write the capture of the photographs in the folder `photos` into the new folder `out`.

    poses: one of POSES. model: where the poses lie, if not at or near `photos`. masks: folder of masks, white on
    the object; what they hide is black. scale_mm: mm of one unit of the poses; without it their world stays as
    it is. downscale: so many pixels a side become one. warn: is told, in a sentence each, what was left out.

    Raises InputError in one sentence for whatever is wrong with any of these; then nothing is left behind.
    """
    _check_numbers(poses, scale_mm, downscale)
    if not photos.is_dir():
        raise InputError(f"There is no folder {photos}.")
    if masks is not None and not masks.is_dir():
        raise InputError(f"There is no folder {masks} of masks.")
    folder = photographs_in(photos)
    with whole(out) as partial:
        source = _source(folder, poses, model, masks, partial / "work", warn, progress)
        source = _scaled(_with_masks(source, folder, masks), scale_mm)
        source = _with_sizes(source, warn)
        source, notes = _with_exif(source, warn)
        if source.points is None:
            warn("There are no sparse points: contestants begin from a random cloud.")
        test = _held_out(source)
        (partial / "images").mkdir()
        frames = []
        for index, view in enumerate(source.views):
            progress("photographs", index, len(source.views))
            frames.append(_write_view(partial, view, downscale))
        optics = source.optics and replace(source.optics, pixel_pitch=source.optics.pixel_pitch * downscale)
        if source.points is not None:
            store.write_points(partial / store.POINTS, source.points)
        background = source.background or Background()
        store.write_transforms(partial, frames, test, background, optics, source.points is not None)
        unit = "mm" if source.in_mm else "arbitrary"
        provenance = {"made_by": "bench import", "poses": poses, "unit": unit, "scale_mm": scale_mm}
        store.write_manifest(partial, {**provenance, "downscale": downscale, "exif": notes})
    return Imported(out, len(source.views), len(test), _unit_in_words(source, poses, scale_mm))


def photographs_in(photos: Path) -> Path:
    """The folder of photographs that a user means by `photos`: itself, or images/ in it where it holds none itself."""
    inner = photos / "images"
    return inner if inner.is_dir() and not photographs.listed(photos) else photos


# ---------------------------------------------------------------- where poses come from


def _source(
    folder: Path, poses: str, model: Path | None, masks: Path | None, work: Path, warn: Warn, progress: colmap.Progress
) -> Source:
    if poses == "transforms":
        return nerfstudio.read(folder, model)
    if poses == "llff":
        return llff.read(folder, model)
    if poses == "colmap":
        return _from_model(colmap.read(place := colmap.find_model(folder, model)), folder, place, warn)
    return _computed(folder, masks, work, warn, progress)


def _from_model(found: sparse.Model, folder: Path, model: Path, warn: Warn) -> Source:
    """The registered images of a COLMAP model, whose photographs lie under `folder`."""
    if not found.images:
        raise InputError(f"The COLMAP model {model} has no registered images: run its mapper, or choose another model.")
    missing = [image.path for image in found.images if not (folder / image.path).is_file()]
    if missing:
        others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(f"The COLMAP model {model} has the image {missing[0]}{others}, which {folder} does not hold.")
    known = {image.path for image in found.images}
    if left := [path.name for path in photographs.listed(folder) if path.name not in known]:
        warn(f"The COLMAP model knows no pose of {len(left)} photographs, first {left[0]}: they are left out.")
    ordered = sorted(found.images, key=lambda image: image.path)
    names = photographs.view_names([image.path for image in ordered])
    views = [
        Posed(folder / image.path, name, image.lens, _c2w(image.w2c))
        for name, image in zip(names, ordered, strict=True)
    ]
    return Source(tuple(views), found.points if len(found.points.xyz) else None)


def _c2w(w2c: np.ndarray) -> np.ndarray:
    """[4, 4] from a rigid [3, 4], whose rotation is made one to the last bit."""
    u, _, vt = np.linalg.svd(w2c[:, :3])
    rotation = u @ vt
    c2w = np.eye(4)
    c2w[:3, :3], c2w[:3, 3] = rotation.T, -rotation.T @ w2c[:, 3]
    return c2w


def _computed(folder: Path, masks: Path | None, work: Path, warn: Warn, progress: colmap.Progress) -> Source:
    """Structure from motion over the photographs in `folder`, black where `masks` hide them."""
    paths = photographs.find(folder)
    if len(paths) < FEWEST_REGISTERED:
        raise InputError(f"{folder} holds {len(paths)} photographs; structure from motion takes {FEWEST_REGISTERED}.")
    names = photographs.view_names([path.name for path in paths])
    sizes = {path: photographs.read_size(path) for path in paths}
    size = sizes[paths[0]]
    if other := next((path for path in paths if sizes[path] != size), None):
        raise InputError(
            f"The photographs {paths[0].name} ({size[0]} x {size[1]} px) and {other.name} ({sizes[other][0]} x "
            f"{sizes[other][1]} px) are not of one size, as structure from motion with one camera needs them."
        )
    (work / "images").mkdir(parents=True)
    copies = []
    for name, path in zip(names, paths, strict=True):
        image = photographs.read(path)
        if masks is not None:
            image = photographs.masked(image, photographs.read_mask(photographs.find_mask(masks, path.name), size))
        copies.append(work / "images" / f"{name}.png")
        # Scratch, and compression is what takes the time.
        copies[-1].write_bytes(cv2.imencode(".png", image[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
    focal = exif.read(paths[0]).focal_length_px
    found = colmap.compute(copies, work, focal, size, progress)
    least = max(FEWEST_REGISTERED, int(np.ceil(SHARE_REGISTERED * len(paths))))
    if len(found.images) < least:
        raise InputError(
            f"Structure from motion registered {len(found.images)} of {len(paths)} photographs, fewer than {least}: "
            "take more of them, closer together and with more texture in focus, or compute the poses elsewhere."
        )
    try:
        distortion.pinhole(found.images[0].lens)
    except InputError:
        raise InputError(
            "Structure from motion found a distortion that no lens has: hide what does not turn with the object "
            "(--masks), or compute the poses elsewhere."
        ) from None
    by_copy = {copy.name: path for copy, path in zip(copies, paths, strict=True)}
    images = tuple(replace(image, path=by_copy[image.path].name) for image in found.images)
    shutil.rmtree(work)
    return _from_model(replace(found, images=images), folder, folder, warn)


# ---------------------------------------------------------------- what is made of them


def _check_numbers(poses: str, scale_mm: float | None, downscale: int) -> None:
    if poses not in POSES:
        raise InputError(f"There are no poses {poses}; known: {', '.join(POSES)}.")
    if scale_mm is not None and not (np.isfinite(scale_mm) and scale_mm > 0):
        raise InputError(f"--scale-mm {scale_mm:g} is not a positive number of mm.")
    if downscale < 1:
        raise InputError(f"--downscale {downscale} is not a whole number from 1 on.")


def _with_masks(source: Source, folder: Path, masks: Path | None) -> Source:
    if masks is None:
        return source
    views = []
    for view in source.views:
        inside = view.path.is_relative_to(folder)
        name = view.path.relative_to(folder).as_posix() if inside else view.path.name
        views.append(replace(view, mask=photographs.find_mask(masks, name)))
    return replace(source, views=tuple(views), background=Background())


def _scaled(source: Source, scale_mm: float | None) -> Source:
    """`source` with all lengths of its world in mm, where `scale_mm` tells how many mm are one unit."""
    if scale_mm is None:
        return source
    views = []
    for view in source.views:
        c2w = view.c2w.copy()
        c2w[:3, 3] *= scale_mm
        focus = None if view.focus_distance is None else view.focus_distance * scale_mm
        views.append(replace(view, c2w=c2w, focus_distance=focus))
    points = source.points and Points(source.points.xyz * np.float32(scale_mm), source.points.rgb)
    return replace(source, views=tuple(views), points=points, in_mm=True)


def _with_sizes(source: Source, warn: Warn) -> Source:
    """`source` with each lens before the pixels of its photograph: all as the lens says, or all by one factor off.

    Raises InputError naming the photograph whose size does not go with its camera.
    """
    sizes = [photographs.read_size(view.path) for view in source.views]
    first = source.views[0].lens
    factor = sizes[0][0] / first.width
    views = []
    for view, (width, height) in zip(source.views, sizes, strict=True):
        wide, high = view.lens.width * factor, view.lens.height * factor
        if abs(width - wide) > (factor != 1) or abs(height - high) > (factor != 1):
            raise InputError(
                f"The photograph {view.path} is {width} x {height} px, but its camera says {view.lens.width} x "
                f"{view.lens.height}."
            )
        views.append(replace(view, lens=view.lens.resized(width, height)))
    if factor != 1:
        warn(f"The photographs are {factor:.4g} times as wide as their cameras say: the intrinsics are scaled so.")
    return replace(source, views=tuple(views))


def _with_exif(source: Source, warn: Warn) -> tuple[Source, dict[str, dict[str, float]]]:
    """`source` with the lens that EXIF tells, unless it knows its own; and all that EXIF told, by view.

    Focus distances are places in the world, so they are hints only where the world is in mm.
    """
    found = [exif.read(view.path) for view in source.views]
    for clause in dict.fromkeys(clause for each in found for clause in each.ignored):
        names = [view.name for view, each in zip(source.views, found, strict=True) if clause in each.ignored]
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        warn(f"EXIF of {names[0]}{others} tells {clause} which cannot be: it is ignored.")
    notes = {view.name: each.known for view, each in zip(source.views, found, strict=True) if each.known}
    if source.optics is not None:
        return source, notes
    optics, why_not = exif.optics(found)
    if why_not:
        warn(f"EXIF gives no lens: {why_not}.")
    views = source.views
    if source.in_mm:
        views = tuple(
            replace(v, focus_distance=each.focus_distance if v.focus_distance is None else v.focus_distance)
            for v, each in zip(views, found, strict=True)
        )
    elif any(each.focus_distance is not None for each in found):
        warn("EXIF tells focus distances, but the world has no unit: they count only with --scale-mm.")
    return replace(source, views=_reachable(views, optics, warn), optics=optics), notes


def _reachable(views: Sequence[Posed], optics: Optics | None, warn: Warn) -> tuple[Posed, ...]:
    """`views` without those focus distances at which the lens forms no image."""
    found = []
    for view in views:
        if optics is not None and view.focus_distance is not None and view.focus_distance <= optics.focal_length:
            warn(f"The focus distance of {view.name} is within the focal length: it is ignored.")
            view = replace(view, focus_distance=None)
        found.append(view)
    return tuple(found)


def _held_out(source: Source) -> list[str]:
    """The split of the source, or every TEST_EVERY-th view. Raises InputError if nothing is left on either side."""
    names = [view.name for view in source.views]
    if source.test is not None and len(set(source.test)) < len(names):
        return list(source.test)
    if len(names) < 2:
        raise InputError(f"There is {len(names)} photograph with a pose; a capture takes at least two.")
    return split(names, store.TEST_EVERY)[1]


def _write_view(root: Path, view: Posed, n: int) -> dict[str, object]:
    """Write the photograph of `view`, undistorted, masked, and n times smaller, into `root`; its frame."""
    image = photographs.read(view.path)
    if view.mask is not None:
        image = photographs.masked(image, photographs.read_mask(view.mask, (image.shape[1], image.shape[0])))
    image = distortion.undistort(image, view.lens)
    seen = distortion.pinhole(view.lens)
    width, height = seen.width // n, seen.height // n
    if not width or not height:
        raise InputError(f"The photograph {view.path} has fewer than {n} pixels a side, as many as become one.")
    write_png(root / "images" / f"{view.name}.png", smaller(image[: height * n, : width * n], n))
    fx, fy, cx, cy = (value / n for value in seen.intrinsics)
    try:
        camera = Camera(width, height, fx, fy, cx, cy, view.c2w)
    except InputError as error:
        raise InputError(f"The photograph {view.path}: {error}") from None
    return store.frame(view.name, camera, view.focus_distance)


def _unit_in_words(source: Source, poses: str, scale_mm: float | None) -> str:
    if scale_mm is not None:
        return f"its world is in mm, {scale_mm:g} to each unit of the poses"
    if source.in_mm:
        return "its world is in mm, as its source says"
    maker = {"colmap": "COLMAP", "compute": "structure from motion", "llff": "LLFF"}.get(poses, "the poses")
    return f"its world has no unit, only that of {maker}; --scale-mm tells how many mm one is"
