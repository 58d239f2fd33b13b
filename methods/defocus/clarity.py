"""Where a photograph is in focus: the clarity mask of the seed paper (arXiv 2510.01640, Eq. 12).

    M = GF(I, |I - MF(I)|)

MF is a mean filter, GF a guided filter (He et al. 2013) with the photograph I as guide. What the paper leaves open is
taken from the focus measure that it cites (Qiu et al., Guided filter-based multi-focus image fusion through focus
region detection, Signal Processing: Image Communication 2019): luminance, a 7 x 7 mean with replicated borders, a
guided filter of radius 5 whose boxes count only pixels inside the image, eps = 0.3. A guided filter overshoots, so M
is clamped at 0; its scale depends on the texture, so M is divided by its 99th percentile.
"""

from dataclasses import dataclass

import cv2
import numpy as np

ROUNDING = 1e-5  # a clarity below this comes from the arithmetic: one 8-bit step makes some 0.004


@dataclass(frozen=True)
class ClarityConfig:
    """mean_size: px, side of the mean filter. radius: px, the guided filter's boxes are 2 radius + 1 wide.
    eps: of the guided filter, for luminance in 0..1. quantile: of M that becomes 1."""

    mean_size: int = 7
    radius: int = 5
    eps: float = 0.3
    quantile: float = 0.99


def clarity(image: np.ndarray, config: ClarityConfig | None = None) -> np.ndarray:
    """Clarity mask M [H, W] float32 of a photograph [H, W, 3] uint8 sRGB: 0 where flat or blurred, 1 at its 99th
    percentile and above 1 beyond. All 0 for an image without any contrast."""
    config = config or ClarityConfig()
    gray = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    size = (config.mean_size, config.mean_size)
    detail = np.abs(gray - cv2.blur(gray, size, borderType=cv2.BORDER_REPLICATE))
    mask = np.maximum(guided_filter(gray, detail, config.radius, config.eps), 0)
    # The percentile of an image that is flat almost everywhere may be 0 where its maximum is not.
    scale = np.quantile(mask, config.quantile) or mask.max()
    return mask / np.float32(scale) if scale > ROUNDING else np.zeros_like(mask)


def guided_filter(guide: np.ndarray, image: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """`image` [H, W] smoothed along the edges of `guide` [H, W] (He et al. 2013, Eq. 5, 6 and 8), float32."""

    def mean(of: np.ndarray) -> np.ndarray:
        return box_sum(of, radius) / count

    count = box_sum(np.ones_like(guide), radius)
    mean_guide, mean_image = mean(guide), mean(image)
    slope = (mean(guide * image) - mean_guide * mean_image) / (mean(guide * guide) - mean_guide**2 + eps)
    return mean(slope) * guide + mean(mean_image - slope * mean_guide)


def box_sum(image: np.ndarray, radius: int) -> np.ndarray:
    """Sum of `image` [H, W] over the box of 2 radius + 1 px around each pixel, as far as it lies inside."""
    size = (2 * radius + 1, 2 * radius + 1)
    return cv2.boxFilter(image, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
