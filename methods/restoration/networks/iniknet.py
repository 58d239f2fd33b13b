"""INIKNet: every pixel's inverse kernel, as a mixture over a dictionary of learned shapes in several sizes.

Y. Quan, X. Yao and H. Ji, "Single Image Defocus Deblurring via Implicit Neural Inverse Kernels" (ICCV 2023).

    x^ = y + sum_s c_s sum_m b_m (k_(s,m) * y),    sum_s c_s = 1

PSFs of defocus differ in size more than in shape, so their inverses are taken from one dictionary: M shapes, each an
implicit neural representation, a function of polar coordinates that a small network of sines computes (SIREN), sampled
on 3 x 3 to 15 x 15 px. c_s, the weights of sizes (one of which is "no kernel at all"), and b_m, those of shapes, differ
from pixel to pixel; two recurrent networks that run over the scales in both directions predict them.

The kernels undo blur. The network has no model of the blur itself, and so none to expose.

Facts that the paper leaves open are as in the authors' code: the sum over shapes mixes colours, too, by one learned
matrix per size and shape, and has an offset; images are zero beyond their borders for the kernels; all three scales
are restored, each by itself, and only the finest is the result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.restoration.networks.multiscale import (
    convolved,
    enlarged,
    lstm,
    pad,
    renamed,
    residual_blocks,
    resize,
    restoration_loss,
)

RELEASED: dict[str, Any] = {}
"""Settings under which the authors' checkpoint runs: the defaults."""


@dataclass(frozen=True)
class INIKNetConfig:
    """Sizes of the network; the defaults are the authors'."""

    width: int = 32
    """Channels of the U-Net at full resolution; twice and four times as many below."""
    blocks: int = 2
    """Residual blocks on each level of the U-Net."""
    recurrent_blocks: int = 2
    """Residual blocks in each recurrent cell."""
    shapes: int = 10
    """M, of the dictionary."""
    largest: int = 15
    """Side of the largest kernels, px, odd; there are all odd sizes from 3."""
    hidden: int = 64
    """Sines in each of the two layers of a shape."""
    frequencies: tuple[float, float] = (2.0, 12.0)
    """Factor inside the sines before training, of the first shape and the last; those between are evenly spaced."""


class INIKNet(nn.Module):
    """Photographs in, sharper photographs out; what the inverse kernels give is added to what the network sees."""

    def __init__(self, config: INIKNetConfig) -> None:
        super().__init__()
        self.dictionary = KernelDictionary(config)
        self.features = Features(config.width, config.blocks)
        self.across_sizes = DuplexRecurrence(config.width, config.recurrent_blocks)
        self.across_shapes = DuplexRecurrence(config.width, config.recurrent_blocks)
        self.size_weights = nn.Conv2d(config.width, 1 + len(self.dictionary.sizes), 1)  # "no kernel" first
        self.shape_weights = nn.Conv2d(config.width, config.shapes, 1)
        # By size, colour in and shape. The authors' has inputs for "no kernel", too, which multiply zeros.
        self.mixing = nn.Conv2d(len(self.dictionary.sizes) * 3 * config.shapes, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] sRGB, 0..1, of any size, to the same, not clamped."""
        height, width = image.shape[-2:]
        padded = pad(image)
        sizes, shapes = self._coefficients(pyramid(padded))[-1]
        return self._restored(padded, sizes, shapes, self.dictionary())[..., :height, :width]

    def scales(self, image: Tensor) -> list[Tensor]:
        """What training compares: the results at a quarter, half and full size, [B, 3, h, w] each.

        image: [B, 3, H, W], H and W multiples of 16 from 32 on.
        """
        images, kernels = pyramid(image), self.dictionary()
        coefficients = self._coefficients(images)
        return [self._restored(y, *weights, kernels) for y, weights in zip(images, coefficients, strict=True)]

    def _coefficients(self, images: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Of each scale, the weights of sizes [B, S + 1, h, w], of sum 1, and of shapes [B, M, h, w]."""
        features = [self.features(image) for image in images]
        return [
            (self.size_weights(for_sizes).softmax(dim=1), self.shape_weights(for_shapes))
            for for_sizes, for_shapes in zip(self.across_sizes(features), self.across_shapes(features), strict=True)
        ]

    def _restored(self, image: Tensor, sizes: Tensor, shapes: Tensor, kernels: Sequence[Tensor]) -> Tensor:
        assert self.mixing.bias is not None
        sizes, shapes = sizes.to(image.dtype), shapes.to(image.dtype)
        mixing = self.mixing.weight.to(image.dtype).chunk(len(kernels), dim=1)
        restored = image + self.mixing.bias.to(image.dtype)[:, None, None]
        colours = image.flatten(0, 1)[:, None]  # as images of one channel: several times faster than as groups
        with torch.autocast(image.device.type, enabled=False):
            # Size by size, so that nothing holds all filtered images at once.
            for s, kernel in enumerate(kernels):
                filtered = F.conv2d(colours, kernel.to(image.dtype)[:, None], padding=kernel.shape[-1] // 2)
                chosen = (filtered.unflatten(0, (-1, 3)) * shapes[:, None]).flatten(1, 2)
                restored = restored + sizes[:, s + 1 : s + 2] * F.conv2d(chosen, mixing[s])
        return restored


class KernelDictionary(nn.Module):
    """M shapes on grids of 3 x 3, 5 x 5, ... px."""

    coordinates: Tensor  # [P, 3] of the pixels of all sizes

    def __init__(self, config: INIKNetConfig) -> None:
        super().__init__()
        self.sizes = tuple(range(3, config.largest + 1, 2))
        frequencies = torch.linspace(*config.frequencies, config.shapes)
        self.shapes = nn.ModuleList(Shape(config.hidden, frequency) for frequency in frequencies)
        grids = [polar_coordinates(size).flatten(0, 1) for size in self.sizes]
        self.register_buffer("coordinates", torch.cat(grids), persistent=False)

    def forward(self) -> list[Tensor]:  # [M, s, s] of each size s
        """The kernels. A shape's values count in inverse proportion to the number of them, as against 3 x 3."""
        # In full precision under autocast: at 12 and more inside a sine, half precision is noise.
        with torch.autocast(self.coordinates.device.type, enabled=False):
            values = torch.stack([shape(self.coordinates) for shape in self.shapes])
        parts = values.split([size**2 for size in self.sizes], dim=1)
        return [part.unflatten(1, (size, size)) * (9 / size**2) for part, size in zip(parts, self.sizes, strict=True)]


class Shape(nn.Module):
    """A function of polar coordinates: v^T sin(omega (W2 sin(omega (W1 p + b1)) + b2)), omega learned, too."""

    def __init__(self, hidden: int, frequency: Tensor) -> None:
        super().__init__()
        self.first = nn.Linear(3, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 1, bias=False)
        self.frequency = nn.Parameter(frequency.clone())

    def forward(self, coordinates: Tensor) -> Tensor:
        """[P, 3] to [P]."""
        x = torch.sin(self.frequency * self.first(coordinates))
        return self.last(torch.sin(self.frequency * self.second(x)))[:, 0]


def polar_coordinates(size: int) -> Tensor:
    """[size, size, 3] of the pixels of a kernel: the radius, 1 in the corners, and cosine and sine of the angle to the
    axis of rows, brought to 0..1. The corners of all sizes have the same coordinates; the angle of the centre is 0."""
    axis = 2 * torch.arange(size) / (size - 1) - 1
    row, column = torch.meshgrid(axis, axis, indexing="ij")
    angle = torch.atan2(column, row)
    radius = torch.hypot(row, column) / 2**0.5
    return torch.stack([radius, (angle.cos() + 1) / 2, (angle.sin() + 1) / 2], dim=-1)


class Features(nn.Module):
    """U-Net of three levels whose skips are channels side by side: [B, 3, H, W] to [B, C, H, W]."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = convolved(3, width)
        self.down1 = convolved(width, 2 * width, stride=2)
        self.down2 = convolved(2 * width, 4 * width, stride=2)
        self.up2 = enlarged(4 * width, 2 * width)
        self.up1 = enlarged(2 * width, width)
        self.join2 = convolved(4 * width, 2 * width)
        self.join1 = convolved(2 * width, width)
        self.encoder = nn.ModuleList(residual_blocks(factor * width, blocks) for factor in (1, 2, 4))
        self.decoder = nn.ModuleList(residual_blocks(factor * width, blocks) for factor in (2, 1))

    def forward(self, image: Tensor) -> Tensor:
        level1 = self.encoder[0](self.enter(image))
        level2 = self.encoder[1](self.down1(level1))
        level3 = self.encoder[2](self.down2(level2))
        x = self.decoder[0](self.join2(torch.cat([self.up2(level3), level2], dim=1)))
        return self.decoder[1](self.join1(torch.cat([self.up1(x), level1], dim=1)))


class DuplexRecurrence(nn.Module):
    """Features of all scales, each improved by all others: one recurrent cell goes from fine to coarse, another over
    what that one found from coarse to fine."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.to_coarse = RecurrentCell(channels, blocks)
        self.to_fine = RecurrentCell(channels, blocks)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """[B, C, h, w] of each scale, the coarsest first, to the same."""
        normalised = [self.norm(each.movedim(1, -1)).movedim(-1, 1) for each in features]
        downward = self.to_coarse(normalised[::-1], 0.5)[::-1]
        return [each + found for each, found in zip(features, self.to_fine(downward, 2.0), strict=True)]


class RecurrentCell(nn.Module):
    """A long short-term memory over scales, whose gates come from residual blocks."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.blocks = residual_blocks(2 * channels, blocks)
        self.gates = nn.Conv2d(2 * channels, 4 * channels, 1)

    def forward(self, inputs: list[Tensor], factor: float) -> list[Tensor]:
        """The hidden states of a walk over `inputs` [B, C, h, w], each `factor` times as large as the one before."""
        hidden = cell = torch.zeros_like(inputs[0])
        states: list[Tensor] = []
        for each in inputs:
            if states:
                hidden, cell = resize(hidden, factor), resize(cell, factor)
            hidden, cell = lstm(self.gates(self.blocks(torch.cat([each, hidden], dim=1))), cell)
            states.append(hidden)
        return states


def pyramid(image: Tensor) -> list[Tensor]:
    """[B, 3, H, W] at a quarter, half and full size, bilinear."""
    return [resize(image, 0.25), resize(image, 0.5), image]


def objective(network: INIKNet, photograph: Tensor, sharp: Tensor) -> Tensor:
    """The training loss of a batch: `restoration_loss` over the three scales, all weighing the same.

    photograph, sharp: [B, 3, H, W] sRGB, 0..1, of any size; smaller or odd ones are padded first.

    Left out is what needs weights of other networks: 0.1 LPIPS (AlexNet), and a further 0.1 of VGG-19 features that the
    authors' code adds by default.
    """
    return restoration_loss(network.scales(pad(photograph)), pad(sharp), (1.0, 1.0, 1.0))


def released(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's state of what a checkpoint of the authors holds. Raises InputError for another network's."""
    result = renamed(state, AUTHORS_NAMES)
    without_kernel = 3 * len(result["shape_weights.bias"])
    result["mixing.weight"] = result["mixing.weight"][:, without_kernel:]
    return result


AUTHORS_NAMES = {
    r"sum\.(weight|bias)": r"mixing.\1",
    r"scale_select\.(weight|bias)": r"size_weights.\1",
    r"basis_select\.(weight|bias)": r"shape_weights.\1",
    r"inr_conv\.kernelINR_list\.(\d+)\.layers\.0\.(weight|bias)": r"dictionary.shapes.\1.first.\2",
    r"inr_conv\.kernelINR_list\.(\d+)\.layers\.2\.(weight|bias)": r"dictionary.shapes.\1.second.\2",
    r"inr_conv\.kernelINR_list\.(\d+)\.layers\.4\.weight": r"dictionary.shapes.\1.last.weight",
    r"inr_conv\.kernelINR_list\.(\d+)\.layers\.[13]\.w0": r"dictionary.shapes.\1.frequency",  # one, shared by both
    r"unet\.feat_extract\.0\.main\.0\.weight": "features.enter.0.weight",
    r"unet\.feat_extract\.1\.main\.0\.weight": "features.down1.0.weight",
    r"unet\.feat_extract\.2\.main\.0\.weight": "features.down2.0.weight",
    r"unet\.feat_extract\.3\.main\.0\.weight": "features.join2.0.weight",
    r"unet\.feat_extract\.4\.main\.0\.weight": "features.join1.0.weight",
    r"unet\.up1\.main\.0\.weight": "features.up2.0.weight",
    r"unet\.up2\.main\.0\.weight": "features.up1.0.weight",
    r"unet\.Encoder\.(\d)\.layers\.(\d+)\.main\.([01])\.main\.0\.weight": (
        r"features.encoder.\1.\2.convolutions.\3.weight"
    ),
    r"unet\.Decoder\.(\d)\.layers\.(\d+)\.main\.([01])\.main\.0\.weight": (
        r"features.decoder.\1.\2.convolutions.\3.weight"
    ),
    r"lstms_basis_select\.norm\.norm\.(weight|bias)": r"across_shapes.norm.\1",
    r"lstms_scale_select\.norm\.norm\.(weight|bias)": r"across_sizes.norm.\1",
    **{
        rf"lstms_{kind}_select\.{theirs}\.cell\.{part}": rf"across_{ours}.{direction}.{name}"
        for kind, ours in (("basis", "shapes"), ("scale", "sizes"))
        for theirs, direction in (("right2left", "to_coarse"), ("left2right", "to_fine"))
        for part, name in (
            (r"conv\.(weight|bias)", r"gates.\1"),
            (r"layers\.layers\.(\d+)\.main\.([01])\.main\.0\.weight", r"blocks.\1.convolutions.\2.weight"),
        )
    },
}
