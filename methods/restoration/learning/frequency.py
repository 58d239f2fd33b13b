"""A loss between the spectra of images, for what a mean over pixels hardly sees.

One of the terms that MIMO-UNet brought to deblurring (S.-J. Cho et al., "Rethinking Coarse-to-Fine Approach in Single
Image Deblurring", ICCV 2021), in the form in which the authors of NRKNet and INIKNet use it.
"""

import torch
from torch import Tensor


def fft_l1(
    image: Tensor,  # [..., H, W]
    target: Tensor,  # [..., H, W]
) -> Tensor:  # []
    """mean |Re d| + mean |Im d| of d, the difference of the two discrete Fourier transforms.

    The transforms are not normalised: noise of a given size counts in proportion to the square root of H W. They are
    computed in float32 at least, whatever the type of the images.
    """
    difference = image - target
    spectrum = torch.fft.fft2(difference.to(torch.promote_types(difference.dtype, torch.float32)))
    return spectrum.real.abs().mean() + spectrum.imag.abs().mean()
