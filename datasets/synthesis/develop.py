"""From Blender's renders to the files of a capture: photographs, ground truth, points, difficulty."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.capture import Background, Points, Truth
from datasets.color import linear_to_srgb, to_uint8
from datasets.difficulty import difficulty as how_hard
from datasets.difficulty import psnr
from datasets.images import read_exr, read_png, read_rgb, write_exr, write_png
from datasets.optics import ThinLens
from datasets.synthesis.recipes import Sensor
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


def sensed(linear: np.ndarray, sensor: Sensor | None, rng: np.random.Generator) -> np.ndarray:
    """[H, W, 3] float32 linear light as `sensor` reads it: photons counted, electrons added in reading, full at its
    well. Without a sensor the light itself."""
    if sensor is None:
        return linear
    electrons = rng.poisson(np.maximum(linear, 0) * sensor.full_well) + rng.normal(0, sensor.read_noise, linear.shape)
    return (np.minimum(electrons, sensor.full_well) / sensor.full_well).astype(np.float32)


def encoded(linear: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 sRGB."""
    return to_uint8(linear_to_srgb(linear))


def coc_map(depth: np.ndarray, lens: ThinLens) -> np.ndarray:
    """Signed CoC radius [H, W] float32 px of a depth map [H, W] mm, to COC_STEP; 0 where depth is 0."""
    radius = lens.coc_radius(np.where(depth > 0, depth, lens.focus_distance))
    return (np.round(radius / COC_STEP) * COC_STEP).astype(np.float32)


def files_of(
    shot: Shot, sharp: Path, photograph: np.ndarray, exposure: float, background: Background, linear: bool
) -> dict[str, Callable[[Path], None]]:
    """Writers of all files of one view, by path within the capture, from its sharp render and its `photograph`
    [H, W, 3] in linear light."""
    sharp_render = read_render(sharp)
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
    """`datasets.difficulty.difficulty` of the capture in `root`, for its manifest, with the noise floor.

    `repeats`: names of views to second photographs of other render noise; the noise floor is the PSNR
    between the two plus 3.01 dB, since each holds half of the difference, on the object.
    """

    def photograph(name: str) -> np.ndarray:
        return read_rgb(root / "images" / f"{name}.png")

    def truth(name: str) -> Truth:
        mask = read_png(root / "mask" / f"{name}.png").astype(np.float32) / 255
        depth, coc = (read_exr(root / kind / f"{name}.exr") for kind in ("depth", "coc"))
        return Truth(read_rgb(root / "sharp" / f"{name}.png"), mask, depth, coc)

    floors = [
        psnr(photograph(name), read_rgb(repeat), truth(name).mask) + 10 * math.log10(2)
        for name, repeat in repeats.items()
    ]
    return how_hard(((photograph(shot.name), truth(shot.name)) for shot in shots), floors)
