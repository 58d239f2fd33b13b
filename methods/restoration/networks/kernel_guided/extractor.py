"""The blur kernel of a patch, from the correlations between features of the patch itself (section 3.2).

A blur leaves its own autocorrelation in the autocorrelation of what it blurred; a filter that whitens the sharp patch
lays it open. Features are learned filters, and their correlations hold what a kernel can be reconstructed from.
"""

from typing import Literal

import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional as F

from methods.light import srgb_to_linear
from methods.restoration.networks.kernel_guided.classifier import at_least_single, standardised
from methods.restoration.networks.kernel_guided.initial import he

SCALES = 3
HEAD = (24, 16, 8)
LEAK = 1e-5  # of the output that is not cut at 0
INITIAL = 0.1  # bias of the output: a kernel that is negative all over learns slowly


class Scale(nn.Module):
    """Features at one scale, and what their correlations say.

    Two convolutions 3 x 3 and a 1 x 1 that reduces to `maps`; the correlations of these, cut to `reach`; a 1 x 1 back
    to `maps`. The text does not say how the class acts on the extraction: here its probabilities scale and shift
    these channels (FiLM), which begins as no change.
    """

    def __init__(self, channels: int, features: int, maps: int, reach: int, classes: int) -> None:
        super().__init__()
        self.reach = reach
        # Zeros at the border would be a frame that correlates with itself.
        self.features = nn.Sequential(
            nn.Conv2d(channels, features, 3, padding=1, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1, padding_mode="replicate"),
            nn.ReLU(),
        )
        self.maps = nn.Conv2d(features, maps, 1, bias=False)  # the mean is taken off again
        self.merge = nn.Conv2d(maps * (maps - 1), maps, 1)
        self.film = nn.Linear(classes, 2 * maps) if classes else None
        if self.film is not None:
            nn.init.zeros_(self.film.weight)
            nn.init.zeros_(self.film.bias)

    def forward(
        self,
        x: Tensor,  # [B, C, H, W]
        probabilities: Tensor | None,  # [B, classes]
    ) -> tuple[Tensor, Tensor]:  # [B, features, H, W], [B, maps, 2 reach + 1, 2 reach + 1]
        features = self.features(x)
        correlations = cross_correlations(standardised(self.maps(features)), self.reach)
        merged = self.merge(correlations.to(features.dtype))
        if self.film is not None:
            assert probabilities is not None
            scale, shift = self.film(probabilities.to(features.dtype))[..., None, None].chunk(2, dim=1)
            merged = merged * (1 + scale) + shift
        return features, F.relu(merged)


class KernelExtractor(nn.Module):
    """Kernel of `kernel_size` px (odd), from coarse to fine (Fig. 7).

    The shifts reach (m - 1) / 2 at full size and half as far, rounded up, per scale; the window as printed (Eq. 5) has
    another size each time it is given. Features averaged 2 x 2 are what the next scale begins from. Un-pooling is
    linear interpolation, which keeps shift 0 in the centre; a 3 x 3 follows, the finer scale is joined and a 1 x 1
    brings both to `maps` channels.

    classes: how many probabilities condition it; 0 for none.
    """

    def __init__(self, kernel_size: int, features: int, maps: int, classes: int) -> None:
        super().__init__()
        reaches = [kernel_size // 2]
        while len(reaches) < SCALES:
            reaches.append((reaches[-1] + 1) // 2)
        self.scales = nn.ModuleList(
            Scale(1 if i == 0 else features, features, maps, reach, classes) for i, reach in enumerate(reaches)
        )
        self.enlarge = nn.ModuleList(nn.Conv2d(maps, maps, 3, padding=1) for _ in reaches[1:])
        self.join = nn.ModuleList(nn.Conv2d(2 * maps, maps, 1) for _ in reaches[1:])
        head: list[nn.Module] = []
        for channels_in, channels in zip((maps, *HEAD), HEAD, strict=False):
            head += [nn.Conv2d(channels_in, channels, 3, padding=1), nn.ReLU()]
        final = nn.Conv2d(HEAD[-1], 1, 3, padding=1)
        self.head = nn.Sequential(*head, final)
        he(self)
        assert final.bias is not None
        nn.init.constant_(final.bias, INITIAL)

    def forward(
        self,
        gray: Tensor,  # [B, 1, H, W]
        probabilities: Tensor | None,  # [B, classes]
    ) -> Tensor:  # [B, m, m] >= 0, of sum 1, in single precision at least
        x, merged = standardised(gray), []
        for scale in self.scales:
            features, correlations = scale(x, probabilities)
            merged.append(correlations)
            x = F.avg_pool2d(features, 2, ceil_mode=True)
        hidden = merged.pop()
        for enlarge, join in zip(self.enlarge, self.join, strict=True):
            finer = merged.pop()
            larger = F.relu(enlarge(doubled(hidden, finer.shape[-1])))
            hidden = F.relu(join(torch.cat([larger, finer], dim=1)))
        return normalised(self.head(hidden)[:, 0])


def luminance(
    image: Tensor,  # [B, 3, H, W] sRGB 0..1
    light: Literal["linear", "srgb"],
) -> Tensor:  # [B, 1, H, W]
    """Luminance with the weights of Rec. 709, of linear light or of the sRGB values as they are.

    Of that light which the kernel is thought to blur: only there is the patch a convolution.
    """
    values = srgb_to_linear(image) if light == "linear" else image
    weights = values.new_tensor([0.2126, 0.7152, 0.0722])
    return (values * weights[:, None, None]).sum(dim=1, keepdim=True)


def cross_correlations(
    maps: Tensor,  # [B, n, H, W]
    reach: int,
) -> Tensor:  # [B, n (n - 1), 2 reach + 1, 2 reach + 1]
    """Correlations of all ordered pairs of maps (Eq. 5): sum over x of F_i(x - s) F_j(x), for shifts |s| <= reach.

    Beyond the patch the maps are 0. Each sum is divided by the number of its terms, so that it does not depend on the
    size of the patch. Pairs i < j come first, row by row; then, in that order, those of j and i, which are the same
    turned by 180 degrees. Each map is transformed once, and only what a pair needs of the inverse is computed.
    """
    maps = at_least_single(maps)
    height, width = maps.shape[-2:]
    size = next_fast_len(height + reach, real=True), next_fast_len(width + reach, real=True)
    spectra = torch.fft.rfft2(maps, s=size)
    parts = []
    for i in range(maps.shape[1] - 1):
        # Slices, no indices: what is kept for the gradient is then the spectra, not a copy for every pair.
        products = spectra[:, i : i + 1].conj() * spectra[:, i + 1 :]
        rows = _around_zero(torch.fft.ifft(products, dim=-2), reach, -2)
        parts.append(_around_zero(torch.fft.irfft(rows, n=size[1], dim=-1), reach, -1))
    shifts = torch.arange(-reach, reach + 1, device=maps.device).abs()
    terms = (height - shifts).clamp_min(1)[:, None] * (width - shifts).clamp_min(1)
    upper = torch.cat(parts, dim=1) / terms
    return torch.cat([upper, upper.flip(-2, -1)], dim=1)


def doubled(
    x: Tensor,  # [B, C, 2 r + 1, 2 r + 1]
    size: int,
) -> Tensor:  # [B, C, size, size]
    """Values at shifts in steps of 2 px, interpolated to steps of 1 px and cut to `size` (odd) about shift 0."""
    side = 2 * x.shape[-1] - 1
    larger = F.interpolate(x, size=(side, side), mode="bilinear", align_corners=True)
    margin = (side - size) // 2
    return larger[..., margin : margin + size, margin : margin + size]


def normalised(
    raw: Tensor,  # [B, m, m]
) -> Tensor:  # [B, m, m]
    """ReLU, then divided by its sum, as KF.

    A trace of softplus keeps the sum from 0: where all of `raw` is negative, the kernel is the softplus of it,
    normalised, and gradients live.
    """
    raw = at_least_single(raw)
    positive = F.relu(raw) + LEAK * F.softplus(raw)
    return positive / positive.sum(dim=(-2, -1), keepdim=True)


def _around_zero(x: Tensor, reach: int, dim: int) -> Tensor:
    """Shifts -reach..reach of a circular axis on which shift 0 comes first."""
    return torch.cat([x.narrow(dim, x.shape[dim] - reach, reach), x.narrow(dim, 0, reach + 1)], dim=dim)
