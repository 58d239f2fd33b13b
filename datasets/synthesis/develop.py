"""From Blender's renders to the files of a capture: photographs, ground truth, points, difficulty."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.capture import Background, Points
from datasets.color import linear_to_srgb, to_uint8
from datasets.images import read_exr, read_png, read_rgb, write_exr, write_png
from datasets.optics import ThinLens
from datasets.synthesis.rig import Shot

# CoC radii are rounded to this (px): an error of at most half of it, and files of half the size.
COC_STEP = 1 / 512

POINTS = 2000
POINT_NOISE = 0.005  # standard deviation per axis, in object radii
POINT_COC = 0.5  # px; structure from motion finds its points where the photograph is sharp
POINTS_RECIPE = (
    f"{POINTS} pixels drawn from those of all training depth maps that lie wholly on the object and within "
    f"{POINT_COC} px of CoC radius; unprojected through the pixel centre; Gaussian noise of {POINT_NOISE} "
    "object radii per axis; colours from the photographs"
)


def read_render(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RGB [H, W, 3] premultiplied linear light, alpha [H, W] and planar depth [H, W] mm (0 where nothing is).

    Blender writes one part per pass into its multilayer EXR. Raises RuntimeError if the file is truncated,
    of which Blender itself says nothing.
    """
    import OpenEXR

    planes = {}
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            for part in file.parts:
                for name, channel in part.channels.items():
                    planes[name.split(".", 1)[-1]] = np.asarray(channel.pixels, dtype=np.float32)
    except Exception as error:  # the binding raises many kinds
        raise RuntimeError(f"Blender left no readable render in {path}: {error}") from error
    if missing := {"Combined.R", "Combined.G", "Combined.B", "Combined.A", "Depth.Z"} - set(planes):
        raise RuntimeError(f"Blender's render {path} is truncated: it lacks {', '.join(sorted(missing))}.")
    rgb = np.stack([planes[f"Combined.{channel}"] for channel in "RGB"], axis=-1)
    depth = planes["Depth.Z"]
    return rgb, planes["Combined.A"], np.where(depth < 1e9, depth, np.float32(0))


def exposed(render: tuple[np.ndarray, ...], exposure: float, background: Background) -> np.ndarray:
    """[H, W, 3] float32 linear light as the sensor sees it: the render, `exposure` times, on the backdrop."""
    rgb, alpha = render[:2]
    return rgb * np.float32(exposure) + (1 - alpha[:, :, None]) * background.image(*alpha.shape)


def encoded(linear: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 sRGB."""
    return to_uint8(linear_to_srgb(linear))


def coc_map(depth: np.ndarray, lens: ThinLens) -> np.ndarray:
    """Signed CoC radius [H, W] float32 px of a depth map [H, W] mm, to COC_STEP; 0 where depth is 0."""
    radius = lens.coc_radius(np.where(depth > 0, depth, lens.focus_distance))
    return (np.round(radius / COC_STEP) * COC_STEP).astype(np.float32)


def files_of(
    shot: Shot, sharp: Path, defocused: Path, exposure: float, background: Background, linear: bool
) -> dict[str, Callable[[Path], None]]:
    """Writers of all files of one view, by path within the capture, from its two renders."""
    sharp_render, defocused_render = read_render(sharp), read_render(defocused)
    photograph = exposed(defocused_render, exposure, background)
    twin = encoded(exposed(sharp_render, exposure, background))
    mask, depth = to_uint8(sharp_render[1]), sharp_render[2]
    coc, name = coc_map(depth, shot.lens), shot.name
    writers: dict[str, Callable[[Path], None]] = {
        f"images/{name}.png": lambda path: write_png(path, encoded(photograph)),
        f"sharp/{name}.png": lambda path: write_png(path, twin),
        f"mask/{name}.png": lambda path: write_png(path, mask),
        f"depth/{name}.exr": lambda path: write_exr(path, depth),
        f"coc/{name}.exr": lambda path: write_exr(path, coc),
    }
    if linear:
        half = np.minimum(photograph, np.finfo(np.float16).max).astype(np.float16)
        writers[f"linear/{name}.exr"] = lambda path: write_exr(path, half, "RGB")
    return writers


# ---------------------------------------------------------------- over all views


def initial_points(root: Path, train: Sequence[Shot], radius: float, rng: np.random.Generator) -> Points:
    """A cloud as structure from motion would give, by POINTS_RECIPE, from the finished files in `root`."""
    places, colors = [], []
    for shot in train:
        depth, coc = (read_exr(root / kind / f"{shot.name}.exr") for kind in ("depth", "coc"))
        mask = read_png(root / "mask" / f"{shot.name}.png")
        row, column = np.nonzero((depth > 0) & (mask == 255) & (np.abs(coc) <= POINT_COC))
        centres = np.stack([column, row], axis=1) + 0.5
        places.append(shot.camera.unproject(centres, depth[row, column]))
        colors.append(read_rgb(root / "images" / f"{shot.name}.png")[row, column])
    place, color = np.concatenate(places), np.concatenate(colors)
    chosen = np.sort(rng.permutation(len(place))[:POINTS])
    noise = rng.normal(0, POINT_NOISE * radius, (len(chosen), 3))
    return Points((place[chosen] + noise).astype(np.float32), color[chosen])


def difficulty(root: Path, shots: Sequence[Shot], repeats: dict[str, Path]) -> dict[str, Any]:
    """How hard the capture in `root` is, for its manifest; PSNRs in dB of 8-bit sRGB, radii in px.

    `repeats`: names of views to second photographs of other render noise; the noise floor is the PSNR
    between the two plus 3.01 dB, since each holds half of the difference, on the object.
    """
    whole, on_object, radii, floors = [], [], [], []
    for shot in shots:
        photograph, sharp = (read_rgb(root / kind / f"{shot.name}.png") for kind in ("images", "sharp"))
        mask = read_png(root / "mask" / f"{shot.name}.png").astype(np.float32) / 255
        depth, coc = (read_exr(root / kind / f"{shot.name}.exr") for kind in ("depth", "coc"))
        whole.append(psnr(photograph, sharp))
        on_object.append(psnr(photograph, sharp, mask))
        radii.append(np.abs(coc[depth > 0]))
        if shot.name in repeats:
            floors.append(psnr(photograph, read_rgb(repeats[shot.name]), mask) + 10 * math.log10(2))
    all_radii = np.concatenate(radii)
    median, ninety, largest = np.quantile(all_radii, [0.5, 0.9, 1.0]) if len(all_radii) else (0.0, 0.0, 0.0)
    return {
        "psnr_photograph_sharp": _mean(whole),
        "psnr_photograph_sharp_on_object": _mean(on_object),
        "coc_radius_px": {"median": _round(median), "q90": _round(ninety), "max": _round(largest)},
        "noise_floor_on_object": _mean(floors),
        "object_share_of_pixels": _round(len(all_radii) / sum(s.camera.width * s.camera.height for s in shots)),
    }


def psnr(a: np.ndarray, b: np.ndarray, weight: np.ndarray | None = None) -> float:
    """PSNR in dB of two [H, W, 3] uint8 images, weighted by `weight` [H, W] if given; inf if equal."""
    squared = np.square(a.astype(np.float64) - b).mean(axis=-1)
    error = np.average(squared, weights=weight) if weight is None or weight.any() else 0.0
    return 10 * math.log10(255**2 / error) if error > 0 else math.inf


def _mean(decibels: Sequence[float]) -> float | None:
    """Mean of the finite values; None (JSON knows no inf) if there are none."""
    finite = [value for value in decibels if math.isfinite(value)]
    return _round(sum(finite) / len(finite)) if finite else None


def _round(value: float) -> float:
    return round(float(value), 4)
