"""sRGB and linear light (IEC 61966-2-1). A lens blurs linear light; files and metrics hold sRGB."""

import numpy as np


def srgb_to_linear(srgb: np.ndarray) -> np.ndarray:
    """Decode sRGB values (any shape, 0..1) to linear light (0..1)."""
    srgb = np.asarray(srgb)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """Encode linear light (any shape; clipped to 0..1, as a sensor saturates) to sRGB (0..1)."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Quantise values (any shape, clipped to 0..1) to 8 bits, rounding to nearest."""
    return np.round(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
