"""BlurNet: the width of every pixel's blur, from clarity, colour and relative depth (arXiv 2510.01640, Eq. 7-11).

    sigma = A(I_out (+) M) * E(P_L(D^)),    D^ = |D - sum D M|

(+) joins channels and * is the product per pixel; I_out is the sharp render, M the clarity mask, D^ the depth relative
to the plane in focus.
"""

from math import expm1, log

import torch
from torch import Tensor, nn
from torch.nn import functional

HIDDEN = 32
INITIAL_SIGMA = 0.3  # px: nearly no blur


class Branch(nn.Module):
    """One of the CNNs: 3 x 3 convolution to 32 channels and ReLU, once or twice, then one positive number per pixel.

    The second layer starts as the identity, so that using it from some step on changes nothing at that step.
    """

    def __init__(self, channels: int, initial: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, HIDDEN, 3, padding=1)
        self.second = nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1)
        self.head = nn.Conv2d(HIDDEN, 1, 1)
        nn.init.dirac_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.head.bias, log(expm1(initial)))  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)

    def forward(
        self,
        maps: Tensor,  # [H, W, C]
        deep: bool,
    ) -> Tensor:  # [H, W] > 0
        hidden = functional.relu(self.first(maps.permute(2, 0, 1)[None]))
        if deep:
            hidden = functional.relu(self.second(hidden))
        return functional.softplus(self.head(hidden))[0, 0]


class BlurNet(nn.Module):
    """Both CNNs, or what an ablation leaves of them.

    split: A and E as printed; otherwise one CNN over mask, colour and relative depth side by side.
    mask, depth: whether the clarity mask and the depth are seen at all. frequencies: L of the encoding.
    """

    def __init__(self, frequencies: int, *, split: bool = True, mask: bool = True, depth: bool = True) -> None:
        super().__init__()
        self.frequencies, self.mask, self.depth = frequencies, mask, depth
        self.split = split and depth
        colors = 3 + mask
        initial = INITIAL_SIGMA**0.5 if self.split else INITIAL_SIGMA
        self.A = Branch(colors + (depth and not split), initial)
        self.E = Branch(1 + 2 * frequencies, initial) if self.split else None

    def forward(
        self,
        color: Tensor,  # [H, W, 3] sRGB
        mask: Tensor,  # [H, W] clarity
        depth: Tensor,  # [H, W] relative to the plane in focus, in units of the scene's radius
        deep: bool,
    ) -> Tensor:  # [H, W] > 0, standard deviation in px of the scale that training begins at
        """The blur's standard deviation; `deep` uses the second layers."""
        seen = [color]
        if self.mask:
            seen.append(mask[..., None])
        if self.depth and self.E is None:
            seen.append(depth[..., None])
        sigma: Tensor = self.A(torch.cat(seen, dim=-1), deep)
        return sigma if self.E is None else sigma * self.E(positional_encoding(depth, self.frequencies), deep)


def positional_encoding(
    x: Tensor,  # [...]
    frequencies: int,
) -> Tensor:  # [..., 1 + 2 L]
    """P_L(x) = (x, sin(2^k pi x), cos(2^k pi x)) for k < L (Mildenhall et al. 2020, Eq. 4), x itself included."""
    bands = torch.pi * 2 ** torch.arange(frequencies, device=x.device, dtype=x.dtype)
    angles = x[..., None] * bands
    return torch.cat([x[..., None], torch.sin(angles), torch.cos(angles)], dim=-1)


def relative_depth(
    depth: Tensor,  # [H, W]
    alpha: Tensor,  # [H, W] in 0..1
    weight: Tensor,  # [H, W] >= 0
    reach: int,
) -> Tensor:  # [H, W] >= 0
    """D^ = |D - sum D M| (Eq. 9) with M normalised to sum 1 over the surface.

    `depth` holds only where alpha is not 0. Beside a surface, up to `reach` px, D is continued by the mean of the depth
    nearby: those pixels gather light from the surface. Where nothing is near, and all over an empty image, D^ is 0.
    """
    trust = (weight + 1e-6) * alpha
    focus = (trust * depth).sum() / (trust.sum() + 1e-12)
    # Relative to the focus before it is smoothed: what is far from any surface must come to 0 without cancellation.
    surface = torch.stack([alpha * (depth - focus), alpha])
    width = 2 * reach + 1
    nearby = functional.avg_pool2d(surface[None], (1, width), stride=1, padding=(0, reach))
    nearby = functional.avg_pool2d(nearby, (width, 1), stride=1, padding=(reach, 0))[0]
    numerator, denominator = surface + CONTINUATION * nearby
    return (numerator / (denominator + 1e-6)).abs()


CONTINUATION = 0.02  # weight of the neighbourhood's depth against the pixel's own
