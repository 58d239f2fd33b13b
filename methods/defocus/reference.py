"""Slow and obvious versions of the blur operators in plain torch, on any device and in any precision.

They define what the fused kernels compute, and differentiate by autograd. Memory and time grow with the kernel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

# Below this sigma (px) no neighbour's weight exceeds exp(-200): the kernel is the identity, and its gradient zero.
SIGMA_MIN = 0.05


def gather_gauss(
    image: Tensor,  # [H, W, C]
    sigma: Tensor,  # [H, W] px
    k: int,
) -> Tensor:  # [H, W, C]
    """out[p] = sum_ij G_p[i,j] image[p + (i,j)], with the kernel of the pixel that gathers."""
    height, width = sigma.shape
    weights = gauss_weights(sigma, k)
    padded = pad(image, (0, 0, k, k, k, k))
    out = torch.zeros_like(image)
    for i in range(-k, k + 1):
        for j in range(-k, k + 1):
            weight = weights[abs(i)] * weights[abs(j)]
            out = out + weight[..., None] * padded[k + i : k + i + height, k + j : k + j + width]
    return out


def scatter_gauss(
    image: Tensor,  # [H, W, C]
    sigma: Tensor,  # [H, W] px
    k: int,
) -> Tensor:  # [H, W, C]
    """out[p + (i,j)] += G_p[i,j] image[p], with the kernel of the pixel that spreads."""
    height, width = sigma.shape
    weights = gauss_weights(sigma, k)
    out = torch.zeros_like(pad(image, (0, 0, k, k, k, k)))
    for i in range(-k, k + 1):
        for j in range(-k, k + 1):
            weight = weights[abs(i)] * weights[abs(j)]
            out = out + pad(weight[..., None] * image, (0, 0, k + j, k - j, k + i, k - i))
    return out[k : k + height, k : k + width]


def gauss_weights(
    sigma: Tensor,  # [H, W] px
    k: int,
) -> list[Tensor]:  # k + 1 times [H, W]
    """One axis of the normalised kernel G_p[i,j] = g_p[|i|] g_p[|j|] (seed paper, Eq. 3)."""
    precision = -0.5 / sigma.clamp_min(SIGMA_MIN) ** 2
    weights = [torch.exp(precision * i * i) for i in range(k + 1)]
    total = weights[0] + 2 * sum(weights[1:], torch.zeros_like(sigma))
    return [weight / total for weight in weights]


def spread_disk(
    values: Tensor,  # [M, C]
    rim: Tensor,  # [M] px
    index: Tensor,  # [M] y W + x of each pixel, ascending
    height: int,
    width: int,
) -> Tensor:  # [H, W, C]
    """out[p + d] += clamp(rim_p + 1/2 - |d|, 0, 1) values[p], over all d."""
    dense = values.new_zeros(height * width, values.shape[1]).index_put((index,), values).reshape(height, width, -1)
    # Where there is no pixel the rim does not matter.
    edge = rim.new_zeros(height * width).index_put((index,), rim).reshape(height, width)
    k = math.ceil(float(rim.detach().max()) + 0.5) if len(rim) else 0
    out = torch.zeros_like(pad(dense, (0, 0, k, k, k, k)))
    for i in range(-k, k + 1):
        for j in range(-k, k + 1):
            covered = (edge + (0.5 - math.hypot(i, j))).clamp(0, 1)
            out = out + pad(covered[..., None] * dense, (0, 0, k + j, k - j, k + i, k - i))
    return out[k : k + height, k : k + width]
