"""Images as the compiled loops of a CPU take them: a plane for each channel, rows of whole vectors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from methods.splatting import simd


def whole(width: int) -> int:
    """`width` rounded up to whole vectors."""
    return -(-width // simd.WIDTH) * simd.WIDTH


def planes(image: Tensor, margin: int = 0) -> np.ndarray:
    """[C, H, margin + whole width + margin] float32 of [H, W, C], zeros around the image."""
    height, width, channels = image.shape
    padded = np.zeros((channels, height, whole(width) + 2 * margin), np.float32)
    torch.from_numpy(padded)[:, :, margin : margin + width] = image.detach().permute(2, 0, 1)
    return padded


def image_of(planes: np.ndarray, width: int) -> Tensor:
    """[H, W, C] of [C, H, whole width]."""
    return torch.from_numpy(planes[:, :, :width]).permute(1, 2, 0).contiguous()
