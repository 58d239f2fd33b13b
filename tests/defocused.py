"""Photographs with known defocus, made independently of the code under test."""

import cv2
import numpy as np
import torch
from skimage import data
from torch import Tensor
from torch.nn import functional

from datasets.color import linear_to_srgb, srgb_to_linear, to_uint8


def photograph(linear: np.ndarray) -> np.ndarray:
    """8-bit sRGB photograph [H, W, 3] float32 (0..1) of linear light."""
    return to_uint8(linear_to_srgb(linear)).astype(np.float32) / 255


def scene(name: str, size: int = 128) -> np.ndarray:
    """A photograph that scikit-image ships, square, shrunk (so that it is sharp), in linear light [size, size, 3]."""
    image = getattr(data, name)()
    image = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    linear = srgb_to_linear(image[top : top + side, left : left + side] / 255)
    return cv2.resize(linear, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)


def on_black(linear: np.ndarray) -> np.ndarray:
    """The scene cut to a star on black."""
    size = len(linear)
    y, x = np.mgrid[:size, :size] / size - 0.5
    inside = np.hypot(x, y) < 0.33 + 0.06 * np.cos(5 * np.arctan2(y, x))
    return linear * inside[..., None]


def disk(radius: float) -> np.ndarray:
    reach, fine = int(np.ceil(radius)), 25
    t = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    inside = (t[:, None] ** 2 + t**2 <= radius**2).astype(float)
    kernel = inside.reshape(2 * reach + 1, fine, 2 * reach + 1, fine).mean(axis=(1, 3))
    return kernel / kernel.sum()


def defocus(linear: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
    """Blur by a disk of `radius` px, one for all pixels or a map [H, W] (to the nearest quarter of a pixel)."""
    steps = np.broadcast_to(np.round(np.asarray(radius) * 4), linear.shape[:2])
    blurred = linear.copy()
    for step in np.unique(steps[steps > 0]):
        where = steps == step
        blurred[where] = cv2.filter2D(linear, -1, disk(step / 4), borderType=cv2.BORDER_REFLECT)[where]
    return blurred


def step_edge(blur: np.ndarray, angle: float, size: int = 64, fine: int = 8) -> np.ndarray:
    """A straight edge [size, size, 3] through the centre, linear light 0.1 to 0.6, blurred before it meets the pixels.

    `blur` is a kernel on a raster `fine` times as dense as the pixels.
    """
    t = (np.arange(size * fine) + 0.5) / fine - size / 2
    bright = (np.cos(angle) * t + np.sin(angle) * t[:, None] > 0).astype(np.float32)
    blurred = cv2.filter2D(bright, -1, blur, borderType=cv2.BORDER_REPLICATE)
    pixels = 0.1 + 0.5 * blurred.reshape(size, fine, size, fine).mean(axis=(1, 3))
    return np.repeat(pixels[..., None], 3, axis=2)


def gaussian(sigma: float) -> np.ndarray:
    t = np.arange(-int(4 * sigma) - 1, int(4 * sigma) + 2)
    kernel = np.exp(-0.5 * (t / sigma) ** 2)
    return np.outer(kernel, kernel) / kernel.sum() ** 2


def ramp(size: int, widest: float) -> np.ndarray:
    """Radii [size, size] from `widest` / 2 on the left through 0 to `widest` on the right."""
    return np.broadcast_to(widest * np.abs(np.linspace(-0.5, 1.0, size)), (size, size))


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((image - reference) ** 2)))


def blurred_noise(height: int = 32, width: int = 32, count: int = 2) -> tuple[Tensor, Tensor]:
    """Photographs and what they show, [B, 3, H, W] in 0..1: noise that is blurred a little, and noise."""
    sharp = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))
    return functional.avg_pool2d(functional.pad(sharp, (1, 1, 1, 1), mode="replicate"), 3, stride=1), sharp
