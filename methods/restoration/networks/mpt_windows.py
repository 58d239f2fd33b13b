"""Cross-scale window attention (CSWA): windows of the image ask windows of the same width in px of a pooled copy.

Section 3.1 of the paper that `methods.restoration.networks.mpt` names. A window of the copy covers `pool` x `pool`
windows of the image, its group, so that a pixel sees `pool` times as far, at the same cost.

Which window of the copy is asked by which of the image ("pairing"):

- "paper": the one that lies over it. In blocks that shift, both maps move by the same distance in the image, half a
  window of the copy, so that it stays over its group. The paper does not say by how much; at pool 1 it is Swin's shift.
- "release": the windows of the image, counted row by row, in runs of pool^2, whatever lies below each other. The map of
  queries is laid out by the same count before its 3 x 3 convolution, as pool^2 images of the copy's size, and in blocks
  that shift it moves in that layout, but moves back in the image. Equal to "paper" at pool 1.
"""

from math import isqrt
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WindowPairing = Literal["paper", "release"]


class CSWA(nn.Module):
    """softmax(tau q k^T + B) v within windows, with q and k of unit length and B by relative position in the window.

    window: width in px, even. pool: 1 / S. shifted: whether windows begin half a window later, with what is pushed out
    at the end kept apart at the beginning (Swin).
    """

    def __init__(
        self, channels: int, heads: int, window: int, pool: int, shifted: bool, pairing: WindowPairing
    ) -> None:
        super().__init__()
        self.heads, self.window, self.pool, self.pairing = heads, window, pool, pairing
        self.shift = window // 2 if shifted else 0
        self.downsamp = Pool(channels, pool) if pool > 1 else nn.Identity()
        self.q = pointwise(channels, channels)
        self.q_dwconv = depthwise(channels)
        self.kv = pointwise(channels, 2 * channels)
        self.kv_dwconv = depthwise(2 * channels)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.positions: Tensor
        self.register_buffer("positions", relative_positions(window), persistent=False)
        self.project_out = pointwise(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same; H and W are multiples of window * pool."""
        paper = self.pairing == "paper"
        reach, group = (self.shift * self.pool, self.pool) if paper else (self.shift, 1)
        kv = self.kv_dwconv(self.kv(self.downsamp(x)))
        q = self.q(x)
        q = self.q_dwconv(q if paper else in_runs(q, self.window, self.pool))
        k, v = (windows(part, self.window, self.heads) for part in roll(kv, -self.shift).chunk(2, dim=1))
        q = regrouped(windows(roll(q, -reach), self.window, self.heads, group), len(x), self.pool**2)
        apart = None
        if self.shift:
            of_keys = windows(seams(kv, self.shift), self.window)
            of_queries = windows(seams(x, reach), self.window, group=self.pool) if paper else of_keys
            apart = of_queries != of_keys.transpose(-2, -1)
        bias = self.relative_position_bias_table[self.positions].permute(2, 0, 1)[:, None]
        out = regrouped(attention(q, k, v, self.temperature, bias, apart), len(x), group**2)
        return self.project_out(roll(joined(out, *x.shape[-2:]), reach))


class Pool(nn.Module):
    """The mean of squares of `size` x `size` px, plus a linear projection of it."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.downproj = pointwise(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.avg_pool2d(x, self.size)
        return pooled + self.downproj(pooled)


def pointwise(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 1, bias=False)


def depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


def attention(
    q: Tensor,  # [B, n, heads, G, M^2, d]: the G windows of each group
    k: Tensor,  # [B, n, heads, 1, M^2, d]: the window that all of them ask
    v: Tensor,  # as k
    temperature: Tensor,  # [heads, 1, 1]
    bias: Tensor,  # [heads, 1, M^2, M^2]
    apart: Tensor | None,  # [1, n, 1, G or 1, M^2, M^2], true where a query must not see a key
) -> Tensor:  # as q
    """softmax(tau q k^T + B) v; the keys are not repeated for the windows of a group, which make one long matrix."""
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    grouped = (q.flatten(3, 4) * temperature) @ k.squeeze(3).transpose(-2, -1)
    logits = grouped.unflatten(3, q.shape[3:5]) + bias
    if apart is not None:
        logits = logits.masked_fill(apart, -torch.inf)
    return (logits.softmax(dim=-1).flatten(3, 4) @ v.squeeze(3)).unflatten(3, q.shape[3:5])


def windows(
    x: Tensor,  # [B, heads d, H, W]
    size: int,
    heads: int = 1,
    group: int = 1,
) -> Tensor:  # [B, n, heads, group^2, size^2, d], n = H W / (group size)^2
    """Cut a map into windows of `size` px, those of each square of group x group windows together; row by row."""
    height, width = (length // (group * size) for length in x.shape[-2:])
    x = x.reshape(len(x), heads, -1, height, group, size, width, group, size)
    return x.permute(0, 3, 6, 1, 4, 7, 5, 8, 2).reshape(len(x), height * width, heads, group**2, size**2, -1)


def joined(
    parts: Tensor,  # [B, n, heads, group^2, size^2, d]
    height: int,
    width: int,
) -> Tensor:  # [B, heads d, height, width]
    """The inverse of `windows`."""
    batch, _, heads, group2, size2, channels = parts.shape
    group, size = isqrt(group2), isqrt(size2)
    rows, columns = height // (group * size), width // (group * size)
    x = parts.reshape(batch, rows, columns, heads, group, group, size, size, channels)
    return x.permute(0, 1, 4, 6, 2, 5, 7, 3, 8).reshape(batch, height, width, -1).movedim(-1, 1)


def regrouped(
    parts: Tensor,  # [B, n, heads, G, M^2, d]
    batch: int,
    group: int,
) -> Tensor:  # [batch, n', heads, group, M^2, d], batch n' group = B n G
    """The same windows in the same order, counted into groups of another size; nothing moves if they have it."""
    parts = parts.transpose(2, 3)
    return parts.reshape(batch, -1, group, *parts.shape[3:]).transpose(2, 3)


def in_runs(x: Tensor, size: int, pool: int) -> Tensor:
    """[B, C, H, W] as [B pool^2, C, H / pool, W / pool]: windows counted row by row, each image filled by a run."""
    height, width = x.shape[-2:]
    return joined(regrouped(windows(x, size), len(x) * pool**2, 1), height // pool, width // pool)


def roll(x: Tensor, px: int) -> Tensor:
    """Move a map down and to the right; what leaves it comes in again on the other side."""
    return torch.roll(x, (px, px), (-2, -1)) if px else x


def seams(x: Tensor, shift: int) -> Tensor:
    """[1, 1, H, W]: for a map [..., H, W] moved by -`shift`, numbers that are equal where no border lies between."""
    rows, columns = (torch.arange(n, device=x.device) >= n - shift for n in x.shape[-2:])
    return (2 * rows[:, None] + columns)[None, None]


def relative_positions(size: int) -> Tensor:
    """[size^2, size^2]: for a query and a key in windows of `size` px, the row of the bias for their offset."""
    y, x = (axis.flatten() for axis in torch.meshgrid(*2 * [torch.arange(size)], indexing="ij"))
    dy, dx = (axis[:, None] - axis[None] + size - 1 for axis in (y, x))
    return dy * (2 * size - 1) + dx
