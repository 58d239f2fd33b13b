"""sRGB and linear light for tensors (IEC 61966-2-1), differentiable everywhere in 0..1."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

KNEE = 0.0031308  # of linear light; the curve is straight below


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """Decode sRGB (any shape, 0..1) to linear light."""
    curve = ((srgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(srgb <= 0.04045, srgb / 12.92, curve)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Encode linear light (any shape) to sRGB, differentiable once; values beyond 0..1 follow the curve, so gradients
    survive."""
    srgb: Tensor = _Encode.apply(linear)
    return srgb


class _Encode(torch.autograd.Function):
    """Its slope comes from the result, y + 0.055 over 2.4 x, which spares the backward pass a power of every pixel."""

    @staticmethod
    def forward(ctx: Any, linear: Tensor) -> Tensor:
        curve = 1.055 * linear.clamp_min(KNEE) ** (1 / 2.4) - 0.055
        srgb = torch.where(linear <= KNEE, 12.92 * linear, curve)
        ctx.save_for_backward(linear, srgb)
        return srgb

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        linear, srgb = ctx.saved_tensors
        slope = (srgb + 0.055) / (2.4 * linear.clamp_min(KNEE))
        return upstream * torch.where(linear <= KNEE, 12.92, slope)
