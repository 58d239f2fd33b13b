"""MPT, the multi-pyramid transformer: windows of the image ask windows of its pooled copies, so they see far.

Y. Zhang et al., "A Unified Framework for Microscopy Defocus Deblur with Multi-Pyramid Transformer and Contrastive
Learning" (CVPR 2024), section 3.1. The skeleton is Restormer's, but skips are added. Where text and released code
(github.com/PieceZhang/MPT-CataBlur) differ, this is the code, which the released weights need: queries and keys of
windows have unit length, scaled by a learned temperature instead of 1 / sqrt(d) (Eq. 1), and the feed-forward network
adds to the branch of channel attention, not to that of windows (Eq. 3). `MPTConfig.window_pairing` is the exception.

Attention between channels mixes by statistics of the whole image. Tiles of another size than the network was trained on
therefore change the result, even far from their borders: restore large photographs in tiles of the training's size.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.errors import InputError
from methods.restoration.networks.mdta import MDTA
from methods.restoration.networks.mpt_windows import CSWA, WindowPairing, depthwise, pointwise
from methods.restoration.networks.restormer import ChannelNorm, Down, Up
from methods.restoration.padding import to_multiple

RELEASED: dict[str, Any] = {"window_pairing": "release"}
"""Settings under which the authors' weights run, which were trained with that pairing."""


@dataclass(frozen=True)
class MPTConfig:
    """Sizes of the network; the defaults are the paper's (section 4.1)."""

    width: int = 40
    """Channels at full resolution, twice as many at each of three halvings."""
    blocks: int = 6
    """Blocks of each of the seven stages, an even number: every other one shifts its windows."""
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    """Heads of both attentions at each level, from full resolution to an eighth."""
    pools: tuple[tuple[int, ...], ...] = (
        (8, 8, 4, 4, 1, 1),
        (4, 4, 2, 2, 1, 1),
        (2, 2, 2, 2, 1, 1),
        (2, 2, 2, 2, 1, 1),
    )
    """1 / S of each level, coarse to fine: keys and values come from the map averaged over squares of so many px.
    Stages of another number of blocks pick evenly from the list, both ends included: two blocks of the first level have
    8 and 1, four have 8, 4, 4 and 1."""
    window: int = 8
    """Width of a window in px, even."""
    expansion: float = 2.6
    """Channels inside a feed-forward network, per channel outside (alpha)."""
    window_pairing: WindowPairing = "paper"
    """Which window of the pooled map a window of the image asks: that which lies over it, or what the released code
    does (see `mpt_windows`)."""

    folded: int = 1
    """So many px a side become channels of one before the first level: a quarter of the work with 2, for which the
    paper has no need."""

    def __post_init__(self) -> None:
        if self.folded < 1:
            raise InputError(f"folded = {self.folded} must be at least 1, which folds nothing.")
        if self.blocks < 2 or self.blocks % 2:
            raise InputError(f"blocks = {self.blocks} must be even and at least 2: windows shift in every other block.")
        if self.window < 2 or self.window % 2:
            raise InputError(f"window = {self.window} must be even: windows shift by half of it.")
        if len(self.pools) != 4 or not all(pools and min(pools) >= 1 for pools in self.pools):
            raise InputError(f"pools = {self.pools} must be four lists of whole numbers from 1 up.")
        if self.width < 2 or self.width % 2 or any((self.width << i) % heads for i, heads in enumerate(self.heads)):
            raise InputError(
                f"width = {self.width} must be even, and divisible by heads = {self.heads} when doubled at each level."
            )

    def pools_of(self, level: int) -> list[int]:
        """1 / S of the blocks of a stage at `level`, 0 at full resolution."""
        listed = self.pools[level]
        return [listed[round(block * (len(listed) - 1) / (self.blocks - 1))] for block in range(self.blocks)]

    @property
    def multiple(self) -> int:
        """Px that height and width must be a multiple of, so that windows fill the pooled maps of all levels: 128."""
        return self.folded * self.window * max(max(self.pools_of(level)) << level for level in range(4))


class MPT(nn.Module):
    """Photographs in, sharper photographs out; what the network computes is added to what it sees.

    Its parameters have the names of the authors' where theirs say what they are.
    """

    def __init__(self, config: MPTConfig) -> None:
        super().__init__()
        self.multiple, self.folded = config.multiple, config.folded
        colours = 3 * self.folded**2
        c1, c2, c3, c4 = (config.width << level for level in range(4))
        self.inproj = nn.Conv2d(colours, c1, 3, padding=1, bias=False)
        self.encoder_level1 = stage(config, 0)
        self.down1_2 = Down(c1)
        self.encoder_level2 = stage(config, 1)
        self.down2_3 = Down(c2)
        self.encoder_level3 = stage(config, 2)
        self.down3_4 = Down(c3)
        self.latent = stage(config, 3)
        self.up4_3 = Up(c4)
        self.decoder_level3 = stage(config, 2)
        self.up3_2 = Up(c3)
        self.decoder_level2 = stage(config, 1)
        self.up2_1 = Up(c2)
        self.decoder_level1 = stage(config, 0)
        self.output = nn.Conv2d(c1, colours, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] sRGB, 0..1, of any size, to the same, not clamped."""
        height, width = image.shape[-2:]
        folded = F.pixel_unshuffle(to_multiple(image, self.multiple), self.folded)
        level1 = self.encoder_level1(self.inproj(folded))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        x = self.latent(self.down3_4(level3))
        x = self.decoder_level3(self.up4_3(x) + level3)
        x = self.decoder_level2(self.up3_2(x) + level2)
        x = self.decoder_level1(self.up2_1(x) + level1)
        return image + F.pixel_shuffle(self.output(x), self.folded)[..., :height, :width]


class Block(nn.Module):
    """Windows and channels attended side by side (CSWA and ISCA, which is MDTA), then put together (FEFN)."""

    def __init__(
        self, channels: int, heads: int, window: int, pool: int, shifted: bool, pairing: WindowPairing, expansion: float
    ) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.isca = MDTA(channels, heads)
        self.cswa = CSWA(channels, heads, window, pool, shifted, pairing)
        self.norm2 = nn.ModuleList([ChannelNorm(channels), ChannelNorm(channels)])
        self.ffn = FEFN(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same."""
        normed = self.norm1(x)
        over_channels, over_windows = x + self.isca(normed), x + self.cswa(normed)
        return over_channels + self.ffn(self.norm2[0](over_channels), self.norm2[1](over_windows))


class FEFN(nn.Module):
    """Feature-enhancing feed-forward network (Eq. 3): what channels say opens and closes what windows say."""

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(expansion * channels)
        self.project_in1 = pointwise(channels, hidden)
        self.dwconv1 = depthwise(hidden)
        self.project_in2 = pointwise(channels, hidden)
        self.project_out = pointwise(hidden, channels)

    def forward(self, over_channels: Tensor, over_windows: Tensor) -> Tensor:
        gate = F.gelu(self.dwconv1(self.project_in1(over_channels)))
        return self.project_out(gate * self.project_in2(over_windows))


def stage(config: MPTConfig, level: int) -> nn.Sequential:
    """A pyramid block of the paper: from coarse keys and values to fine ones."""
    channels, heads = config.width << level, config.heads[level]
    return nn.Sequential(
        *(
            Block(channels, heads, config.window, pool, number % 2 == 1, config.window_pairing, config.expansion)
            for number, pool in enumerate(config.pools_of(level))
        )
    )


def released(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's parameters by name, of what the authors' file holds.

    Their file is the state of a network wrapped for training. It keeps the two attentions of a block in pairs, channels
    first, projections per pixel as linear layers, and the positions that the bias is looked up by, which follow from
    the size of the window.
    """
    theirs: dict[str, Tensor] = {}
    for name, value in state.items():
        name = name.removeprefix("Network.")
        name = re.sub(r"\.attn\.(\w+)\.0\b", r".isca.\1", name)
        name = re.sub(r"\.attn\.(\w+)\.1\b", r".cswa.\1", name)
        name = name.replace(".attn.", ".cswa.")
        theirs[name] = value[..., None, None] if name.endswith(".weight") and value.ndim == 2 else value
    ours = {}
    for name, value in theirs.items():
        rest = name.replace(".isca.q", ".isca.kv")
        if rest != name and rest in theirs:
            ours[name.replace(".isca.q", ".isca.qkv")] = torch.cat([value, theirs[rest]])
        elif ".isca.kv" not in name and not name.endswith(".relative_position_index"):
            ours[name] = value
    return ours
