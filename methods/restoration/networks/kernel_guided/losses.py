"""What extractor and restorer are trained for (Eq. 7 and 8); the classifier's own loss is in `classifier`.

First each for itself, then both together for the restoration loss alone (Fig. 10).
"""

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from methods.light import linear_to_srgb, srgb_to_linear
from methods.restoration.networks.kernel_guided.classifier import at_least_single
from methods.restoration.tile_kernels import convolve


def reblur_loss(
    kernel: Tensor,  # [B, m, m] >= 0, of sum 1
    sharp: Tensor,  # [B, 3, H, W] sRGB 0..1
    photograph: Tensor,  # [B, 3, H, W] sRGB 0..1
    light: Literal["linear", "srgb"] = "linear",
) -> Tensor:
    """Mean |K * sharp - photograph| of sRGB values (Eq. 7), over the pixels whose light comes from inside the patch.

    No true kernel is needed. The sharp patch is blurred in linear light or, as printed, as it is.
    """
    sharp = at_least_single(sharp)
    reach = kernel.shape[-1] // 2
    blurred = convolve(srgb_to_linear(sharp) if light == "linear" else sharp, kernel)
    height, width = blurred.shape[-2:]
    inside = photograph[..., reach : reach + height, reach : reach + width]
    return F.l1_loss(linear_to_srgb(blurred) if light == "linear" else blurred, inside)


def restoration_loss(restored: Tensor, sharp: Tensor) -> Tensor:
    """Mean squared difference of sRGB values (Eq. 8), both [B, 3, H, W]."""
    return F.mse_loss(restored, sharp)
