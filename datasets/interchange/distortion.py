"""Lenses with distortion, in COLMAP's terms, and photographs as a pinhole would have taken them."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from datasets.errors import InputError


class Model(NamedTuple):
    """How a camera model writes its parameters: focal lengths, cx, cy, and the first so many coefficients.

    Coefficients are in OpenCV's order: k1 k2 p1 p2 k3 k4 k5 k6, or k1 k2 k3 k4 of the angle for a fisheye.
    """

    focal_lengths: int
    coefficients: int
    fisheye: bool = False


MODELS = {
    "SIMPLE_PINHOLE": Model(1, 0),
    "PINHOLE": Model(2, 0),
    "SIMPLE_RADIAL": Model(1, 1),
    "RADIAL": Model(1, 2),
    "OPENCV": Model(2, 4),
    "FULL_OPENCV": Model(2, 8),
    "SIMPLE_FISHEYE": Model(1, 0, True),
    "FISHEYE": Model(2, 0, True),
    "SIMPLE_RADIAL_FISHEYE": Model(1, 1, True),
    "RADIAL_FISHEYE": Model(1, 2, True),
    "OPENCV_FISHEYE": Model(2, 4, True),
}

# Inverting a polynomial of distortion: to 1e-12 of the focal length, and told apart from failure at 0.01 px.
ITERATE = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 200, 1e-12)
TOLERANCE_PX = 0.01


@dataclass(frozen=True)
class Lens:
    """A camera without its pose: one of MODELS, its size and its parameters in px; pixel i covers [i, i + 1).

    Raises InputError for another model, for parameters too many or too few, or that are not finite.
    """

    model: str
    width: int
    height: int
    params: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise InputError(f"The camera model {self.model} is not known here ({', '.join(MODELS)}): undistort first.")
        model = MODELS[self.model]
        wanted = model.focal_lengths + 2 + model.coefficients
        if len(self.params) != wanted or not np.isfinite(self.params).all():
            raise InputError(f"A camera {self.model} takes {wanted} finite numbers, not {list(self.params)}.")

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy in px."""
        n = MODELS[self.model].focal_lengths
        return self.params[0], self.params[n - 1], self.params[n], self.params[n + 1]

    @property
    def coefficients(self) -> np.ndarray:
        """[1..8] float64, as OpenCV takes them; at least four, zeros where the model has fewer."""
        model = MODELS[self.model]
        found = self.params[model.focal_lengths + 2 :]
        return np.array([*found, *[0.0] * (4 - len(found))])

    @property
    def is_pinhole(self) -> bool:
        return not MODELS[self.model].fisheye and not self.coefficients.any()

    def resized(self, width: int, height: int) -> "Lens":
        """The same lens before `width` x `height` pixels."""
        sx, sy = width / self.width, height / self.height
        fx, fy, cx, cy = self.intrinsics
        n = MODELS[self.model].focal_lengths
        # One focal length stays one, as nearly square pixels are meant to be square.
        focal = (fx * sx,) if n == 1 else (fx * sx, fy * sy)
        return Lens(self.model, width, height, (*focal, cx * sx, cy * sy, *self.params[n + 2 :]))


def pinhole(lens: Lens) -> Lens:
    """The PINHOLE that sees as much of `lens` as fits into a rectangle without a blank pixel.

    Focal lengths stay, so that the middle of the photograph is resampled at its own scale; the size changes,
    to at most twice the lens's. Raises InputError if the distortion cannot be undone.
    """
    fx, fy, cx, cy = lens.intrinsics
    if lens.is_pinhole:
        return Lens("PINHOLE", lens.width, lens.height, (fx, fy, cx, cy))
    width, height = lens.width, lens.height
    x, y = np.linspace(0, width, 65), np.linspace(0, height, 65)
    left, right = (_undistorted(lens, np.stack([np.full(65, edge), y], axis=1))[:, 0] for edge in (0.0, width))
    top, bottom = (_undistorted(lens, np.stack([x, np.full(65, edge)], axis=1))[:, 1] for edge in (0.0, height))
    # A hair of tolerance, so that an edge that does not move is not lost to rounding.
    x0, y0 = (int(np.ceil(max(side.max() - 1e-6, -0.5 * n))) for side, n in ((left, width), (top, height)))
    x1, y1 = (int(np.floor(min(side.min() + 1e-6, 1.5 * n))) for side, n in ((right, width), (bottom, height)))
    if x1 <= x0 or y1 <= y0:
        raise _hopeless(lens)
    return Lens("PINHOLE", x1 - x0, y1 - y0, (fx, fy, cx - x0, cy - y0))


def undistort(image: np.ndarray, lens: Lens) -> np.ndarray:
    """What `pinhole(lens)` sees, from `image` [H, W, 3] uint8 that `lens` took; the image itself if that is one."""
    if lens.is_pinhole:
        return image
    return cv2.remap(image, *_maps(lens), interpolation=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=1)  # photographs of one lens come one after another, and the maps are as large as they are
def _maps(lens: Lens) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of `pinhole(lens)` lies in the photograph: x and y [H, W] float32, pixel centres at 0."""
    seen = pinhole(lens)
    size = (seen.width, seen.height)
    # OpenCV counts from the centre of the first pixel.
    matrices = _matrix(lens, shift=0.5), _matrix(seen, shift=0.5)
    build = cv2.fisheye.initUndistortRectifyMap if MODELS[lens.model].fisheye else cv2.initUndistortRectifyMap
    found = build(matrices[0], lens.coefficients, np.eye(3), matrices[1], size, cv2.CV_32FC1)
    return found[0], found[1]


def _matrix(lens: Lens, shift: float = 0.0) -> np.ndarray:
    fx, fy, cx, cy = lens.intrinsics
    return np.array([[fx, 0, cx - shift], [0, fy, cy - shift], [0, 0, 1.0]])


def _undistorted(lens: Lens, pixels: np.ndarray) -> np.ndarray:
    """Where a pinhole of the same intrinsics sees what `lens` sees at `pixels` [P, 2]; InputError if nowhere."""
    matrix, coefficients = _matrix(lens), lens.coefficients
    points = pixels[:, None]
    if MODELS[lens.model].fisheye:
        rays = cv2.fisheye.undistortPoints(points, matrix, coefficients, criteria=ITERATE)
        again = cv2.fisheye.distortPoints(rays, matrix, coefficients)
    else:
        rays = cv2.undistortPointsIter(points, matrix, coefficients, np.eye(3), np.eye(3), ITERATE)
        again = cv2.projectPoints(cv2.convertPointsToHomogeneous(rays), np.zeros(3), np.zeros(3), matrix, coefficients)[
            0
        ]
    if not (np.abs(again - points) < TOLERANCE_PX).all():
        raise _hopeless(lens)
    return rays[:, 0] @ matrix[:2, :2] + matrix[:2, 2]


def _hopeless(lens: Lens) -> InputError:
    return InputError(
        f"The distortion of a camera {lens.model} ({', '.join(f'{value:g}' for value in lens.coefficients)}) cannot be "
        "undone all over its photographs: calibrate it anew."
    )
