"""Extended frequency contrastive regularisation (EFCR): closer to the sharp image, away from what is still blurred.

Y. Zhang et al., "A Unified Framework for Microscopy Defocus Deblur with Multi-Pyramid Transformer and Contrastive
Learning" (CVPR 2024), section 3.2. With f_h the high bands of a Haar wavelet transform and f_l the low one,

    L+   = |f_h(out) - f_h(gt)|_1 + |f_l(out) - f_l(gt)|_1         (Eq. 4)
    L-   = |f_h(out) - f_h(in)|_1                                  (Eq. 5)
    Lext = |f_h(Bout) - f_h(Bin)|_1 / |f_h(in) - f_h(Bin)|_1       (Eq. 6), Bin = in, blurred again, Bout = net(Bin)
    L    = |out - gt|_1 + beta mean L+ / (L- + Lext)               (Eq. 7), beta = WEIGHT

Norms are means over coefficients, as in the released code: the paper does not say, but Lext has no unit and L- has, so
with sums their balance would depend on the size of the patches. The released code computes all of it without gradients,
so that it trains nothing; here the gradient reaches `output` and `Bout`.

The paper's uses, of which the primed images (') are from another data set:

    EFCR                  efcr(out, gt, in, extended(in, Bin, Bout))
    EFCR_ex, sharp twins  efcr(out', gt', in', extended(in', Bin', Bout'), high_only=True), Eq. 8-10
    EFCR_ex, unlabelled   efcr(out, gt, in, extended(in', Bin', Bout')): extra photographs give Lext alone
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

WEIGHT = 1e-5  # beta, section 4.1
REBLUR_SIZES = (3, 5, 7)  # px, widths of the kernel of which Bin has one at random
REBLUR_SIGMA = 10.0  # px, of the released code, nearly a box; the paper does not say
# Added to every denominator: the mean error that rounding to 8 bits makes. A network that still returns what it sees
# has L- = Lext = 0, and identical images have 0 / 0; neither difference says anything below this.
EPS = 1 / (4 * 255)


def efcr(
    output: Tensor,  # [B, C, H, W]
    sharp: Tensor,  # as output
    blurred: Tensor,  # as output: what the network made it from
    negative: Tensor | None = None,  # [B], or one for all: Lext, which `extended` gives
    high_only: bool = False,
) -> Tensor:  # scalar
    """Mean over images of L+ / (L- + Lext), without Lext if there is none; not yet multiplied by WEIGHT.

    high_only: leave the low band out of L+, as for pairs from another domain (Eq. 8).
    """
    (low, high), (low_sharp, high_sharp), (_, high_blurred) = (haar(image) for image in (output, sharp, blurred))
    positive = distance(high, high_sharp)
    if not high_only:
        positive = positive + distance(low, low_sharp)
    away = distance(high, high_blurred)
    if negative is not None:
        away = away + negative
    return (positive / (away + EPS)).mean()


def extended(
    blurred: Tensor,  # [B, C, H, W]
    reblurred: Tensor,  # as blurred: Bin
    output: Tensor,  # as blurred: Bout = net(Bin)
) -> Tensor:  # [B]
    """Lext (Eq. 6): how far the network moved an image that was blurred once more, in units of that blur.

    If these are not as many images as `efcr` takes, give it their mean.
    """
    (_, before), (_, after), (_, made) = (haar(image) for image in (blurred, reblurred, output))
    return distance(made, after) / (distance(before, after) + EPS)


def reblur(image: Tensor, size: int) -> Tensor:
    """Bin: [B, C, H, W] blurred by a Gaussian that is cut off to `size` px, one of REBLUR_SIZES."""
    return gaussian_blur(image, [size, size], [REBLUR_SIGMA, REBLUR_SIGMA])


def distance(a: Tensor, b: Tensor) -> Tensor:
    """[B, ...] and the same to [B]: mean absolute difference of each image's coefficients."""
    return (a - b).abs().flatten(1).mean(dim=1)


def haar(image: Tensor) -> tuple[Tensor, Tensor]:
    """One level of the orthonormal Haar wavelet transform.

    Args:
        image: [B, C, H, W]; an odd last row or column is repeated.

    Returns:
        The low band LL, [B, C, ceil(H / 2), ceil(W / 2)], and the high ones, [B, C, 3, ...]: differences along rows,
        along columns, and along both.
    """
    image = F.pad(image, (0, image.shape[-1] % 2, 0, image.shape[-2] % 2), mode="replicate")
    a, b, c, d = (image[..., i::2, j::2] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    return (a + b + c + d) / 2, torch.stack([a - b + c - d, a + b - c - d, a - b - c + d], dim=2) / 2
