"""Attention between channels: "multi-Dconv head transposed attention" (MDTA).

S. W. Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration" (CVPR 2022), section 3.1.
The parameters have the names that the authors' checkpoints give them.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MDTA(nn.Module):
    """Every channel of a head becomes a mixture of the head's channels, softmax(tau q k^T) v; costs grow linearly with
    the number of pixels.

    attend: how queries, keys and values become the output; `attention` over the whole image, or one over windows.
    """

    def __init__(self, channels: int, heads: int, bias: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)
        self.attend: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = attention

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same."""
        q, k, v = (part.unflatten(1, (self.heads, -1)) for part in self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1))
        return self.project_out(self.attend(q, k, v, self.temperature).flatten(1, 2))


def attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    """softmax(tau q k^T) v, with q and k of unit length over the pixels.

    Args:
        q, k, v: [..., C, H, W].
        temperature: tau, [heads, 1, 1].

    Returns:
        [..., C, H, W].
    """
    flat = [F.normalize(part.flatten(-2), dim=-1) for part in (q, k)]
    weights = (flat[0] @ flat[1].transpose(-2, -1) * temperature).softmax(dim=-1)
    return (weights @ v.flatten(-2)).view_as(v)
