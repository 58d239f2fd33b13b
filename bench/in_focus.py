"""Where photographs are in focus, told from the photographs alone, so that renders can be scored without sharp twins.

A pixel counts as in focus if it belongs to the sharpest `SHARE` of all pixels of a capture. Sharpness is the energy of
the finest detail relative to that of coarser detail around it: unlike the clarity mask of the seed paper (Eq. 12),
which measures contrast, the ratio does not take a strong but blurred edge for a sharp one. The idea of a ratio between
two scales is that of Zhuo and Sim, "Defocus map estimation from a single image", Pattern Recognition 44(9), 2011.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

SHARE = 0.01
"""Of all pixels of all photographs of a capture."""

FEWEST = 20
"""Pixels; a photograph with fewer in focus tells nothing."""

FINE, COARSE, WINDOW = 1.0, 3.0, 3.0
"""Standard deviations in px: detail that a Gaussian of that width removes, averaged over such a window."""

FLOOR = 0.03
"""Contrast (standard deviation, sRGB 0..1) that counts half: below it, noise would decide."""


LEAST = 1e-3
"""Sharpness of a photograph of nothing but shades; less is rounding."""


def sharpness(image: np.ndarray) -> np.ndarray:
    """How sharp a photograph [H, W, 3] uint8 sRGB is around each pixel: [H, W] float32, about 0 where flat."""
    gray = image.astype(np.float32) @ np.array([0.2126, 0.7152, 0.0722], np.float32) / 255
    fine, coarse = (_smoothed(np.square(gray - _smoothed(gray, size)), WINDOW) for size in (FINE, COARSE))
    return np.asarray(fine / (coarse + FLOOR**2), np.float32)


def in_focus(photographs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The pixels [H, W] bool of each photograph [H, W, 3] uint8 sRGB that are in focus, by name.

    photographs: all of a capture; those without a sharp spot get no pixel, and flat pixels never count.
    """
    sharp = {name: sharpness(image) for name, image in photographs.items()}
    least = float(np.quantile(np.concatenate([each.ravel() for each in sharp.values()]), 1 - SHARE))
    return {name: (each >= max(least, LEAST)) for name, each in sharp.items()}


def _smoothed(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
