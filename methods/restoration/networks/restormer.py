"""Restormer, a U-shaped transformer whose attention runs between channels, so that whole photographs fit.

S. W. Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration" (CVPR 2022), section 3.
Modules and parameters have the names that the authors' checkpoints give them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.errors import InputError
from methods.restoration.networks.mdta import MDTA
from methods.restoration.padding import to_multiple

RELEASED: dict[str, Any] = {}
"""Settings under which the authors' single_image_defocus_deblurring.pth runs: the defaults."""

MULTIPLE = 8  # px; the image is halved three times


@dataclass(frozen=True)
class RestormerConfig:
    """Sizes of the network; the defaults are the authors', for defocus from single images."""

    width: int = 48
    """Channels at full resolution, twice as many at each halving; even."""
    blocks: tuple[int, int, int, int] = (4, 6, 6, 8)
    """Transformer blocks of each level, from full resolution to an eighth; so many in the encoder and the decoder."""
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    """Heads of the attention of each level, which divide its channels."""
    refinement: int = 4
    """Further blocks at full resolution behind the decoder."""
    expansion: float = 2.66
    """Channels inside a feed-forward network, per channel outside."""

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2:
            raise InputError(f"width = {self.width} must be even: it is halved before each halving of the resolution.")
        if min(self.heads) < 1 or any((self.width << level) % heads for level, heads in enumerate(self.heads)):
            raise InputError(f"heads = {self.heads} must divide the channels of their levels, from {self.width} on.")


class Restormer(nn.Module):
    """Photographs in, sharper photographs out; what the network computes is added to what it sees."""

    def __init__(self, config: RestormerConfig) -> None:
        super().__init__()
        c1, c2, c3, c4 = (config.width << level for level in range(4))
        n1, n2, n3, n4 = config.blocks
        h1, h2, h3, h4 = config.heads
        self.patch_embed = PatchEmbedding(c1)
        self.encoder_level1 = blocks(n1, c1, h1, config.expansion)
        self.down1_2 = Down(c1)
        self.encoder_level2 = blocks(n2, c2, h2, config.expansion)
        self.down2_3 = Down(c2)
        self.encoder_level3 = blocks(n3, c3, h3, config.expansion)
        self.down3_4 = Down(c3)
        self.latent = blocks(n4, c4, h4, config.expansion)
        self.up4_3 = Up(c4)
        self.reduce_chan_level3 = nn.Conv2d(c4, c3, 1, bias=False)
        self.decoder_level3 = blocks(n3, c3, h3, config.expansion)
        self.up3_2 = Up(c3)
        self.reduce_chan_level2 = nn.Conv2d(c3, c2, 1, bias=False)
        self.decoder_level2 = blocks(n2, c2, h2, config.expansion)
        self.up2_1 = Up(c2)
        # Nothing reduces the channels of the first level: its decoder keeps the skip beside what comes from below.
        self.decoder_level1 = blocks(n1, c2, h1, config.expansion)
        self.refinement = blocks(config.refinement, c2, h1, config.expansion)
        self.output = nn.Conv2d(c2, 3, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] sRGB, 0..1, of any size, to the same, not clamped."""
        height, width = image.shape[-2:]
        padded = to_multiple(image, MULTIPLE)
        level1 = self.encoder_level1(self.patch_embed(padded))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        x = self.latent(self.down3_4(level3))
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([self.up4_3(x), level3], dim=1)))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(x), level2], dim=1)))
        x = self.decoder_level1(torch.cat([self.up2_1(x), level1], dim=1))
        return image + self.output(self.refinement(x))[..., :height, :width]


class Block(nn.Module):
    """Attention between channels, then the feed-forward network, each added to its input."""

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.attn = MDTA(channels, heads)
        self.norm2 = ChannelNorm(channels)
        self.ffn = GDFN(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class ChannelNorm(nn.Module):
    """Layer normalisation of each pixel over its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.movedim(1, -1)).movedim(-1, 1)


class GDFN(nn.Module):
    """Gated-Dconv feed-forward network (section 3.2): one half of the channels opens and closes the other."""

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(expansion * channels)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * value)


class PatchEmbedding(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image)


class Down(nn.Module):
    """[B, C, H, W] to [B, 2 C, H / 2, W / 2]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Up(nn.Module):
    """[B, C, H, W] to [B, C / 2, 2 H, 2 W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def blocks(count: int, channels: int, heads: int, expansion: float) -> nn.Sequential:
    return nn.Sequential(*(Block(channels, heads, expansion) for _ in range(count)))


def released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The network's parameters by name, of what the authors' checkpoint holds: its names are ours."""
    return dict(state)
