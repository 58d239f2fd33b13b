"""sRGB and linear light for tensors (IEC 61966-2-1), differentiable everywhere in 0..1."""

import torch
from torch import Tensor


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """Decode sRGB (any shape, 0..1) to linear light."""
    curve = ((srgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(srgb <= 0.04045, srgb / 12.92, curve)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Encode linear light (any shape) to sRGB; values beyond 0..1 follow the curve, so gradients survive."""
    curve = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curve)
