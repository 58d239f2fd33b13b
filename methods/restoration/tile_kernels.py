"""The blur of a photograph as one kernel per tile, blended: what a network that sees a photograph in tiles knows of it.

    y = sum_t w_t (K_t * x),    sum_t w_t = 1

for a sharp image x, the kernels K_t and the blending windows w_t of `methods.restoration.tiles`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from datasets.color import linear_to_srgb, srgb_to_linear
from datasets.errors import InputError
from methods.contestant import Spread
from methods.restoration.tiles import Tiling

Light = Literal["linear", "srgb"]
"""What a blur averages: linear light, as a lens does, or the sRGB values themselves."""


@dataclass(frozen=True, eq=False)
class TileKernels:
    """The kernel of every tile of a photograph.

    It gathers: the windows weigh what is already blurred, so a pixel of the photograph averages its surroundings by
    the blend of the kernels of the tiles over it. Every such blend sums to 1, which leaves what is flat as it is.

    kernels: [T, m, m] float, >= 0, each of sum 1, in the order of `tiling.places`; m is odd.
    """

    kernels: np.ndarray
    tiling: Tiling
    light: Light = "linear"
    spread: ClassVar[Spread] = "gather"

    def blur(self, image: np.ndarray) -> np.ndarray:
        """Put the blur on a sharp image [H, W, 3] float sRGB 0..1 of the photograph's size; float32.

        Beyond its border the image is continued by reflection. Raises InputError for another size.
        """
        if image.shape != (self.tiling.height, self.tiling.width, 3):
            raise InputError(
                f"These kernels are of a photograph [{self.tiling.height}, {self.tiling.width}, 3], but the image to "
                f"blur has the shape {list(image.shape)}."
            )
        light = (srgb_to_linear(image) if self.light == "linear" else image).astype(np.float32)
        blurred = self._blend(light)
        return (linear_to_srgb(blurred) if self.light == "linear" else blurred.clip(0, 1)).astype(np.float32)

    def coc(self) -> np.ndarray:
        """Radius of the circle of confusion, px, [H, W] float32: that of each tile's kernel, blended.

        A uniform disk of radius r has E |x|^2 = r^2 / 2 about its centre, so r = sqrt(2 E |x - E x|^2). Nothing is
        taken off for the width of a pixel: sharp image and photograph have both been averaged over pixels, and what
        the kernel between them does to slow variations is set by its second moment alone.
        """
        radii = radius_of(self.kernels)
        coc = np.zeros((self.tiling.height, self.tiling.width), np.float32)
        for place, radius in zip(self.tiling.places, radii, strict=True):
            coc[place.region] += place.window * radius
        return coc

    def _blend(self, light: np.ndarray) -> np.ndarray:
        """[H, W, 3] float32 to the same, blurred."""
        size, tile = self.kernels.shape[-1], self.tiling.tile
        reach, side = size // 2, tile + size - 1
        beyond = [(reach, reach + max(0, tile - length)) for length in light.shape[:2]]
        around = np.pad(light, (*beyond, (0, 0)), mode="symmetric").transpose(2, 0, 1)
        blurred = np.zeros_like(light)
        for batch in self.tiling.batches():
            places = self.tiling.places[batch]
            patches = np.stack([around[:, p.top : p.top + side, p.left : p.left + side] for p in places])
            kernels = torch.from_numpy(self.kernels[batch].astype(np.float32))
            results = convolve(torch.from_numpy(patches), kernels).permute(0, 2, 3, 1).numpy()
            for place, result in zip(places, results, strict=True):
                height, width = place.window.shape
                blurred[place.region] += place.window[..., None] * result[:height, :width]
        return blurred


def radius_of(kernels: np.ndarray) -> np.ndarray:
    """Radius, px, [T] of the disk with the second central moment of each kernel [T, m, m]; 0 of a single pixel."""
    weights = kernels.astype(np.float64) / kernels.sum(axis=(1, 2), keepdims=True)
    t = np.arange(kernels.shape[-1]) - kernels.shape[-1] // 2
    variance = np.zeros(len(kernels))
    for axis in (1, 2):
        profile = weights.sum(axis=axis)
        variance += profile @ t**2 - (profile @ t) ** 2
    return np.sqrt(2 * variance.clip(0))


def convolve(
    images: Tensor,  # [B, C, H, W]
    kernels: Tensor,  # [B, m, m]
) -> Tensor:  # [B, C, H - m + 1, W - m + 1]
    """Each image convolved with its kernel, where the kernel lies inside the image."""
    size = kernels.shape[-1]
    height, width = images.shape[-2:]
    padded = next_fast_len(height, real=True), next_fast_len(width, real=True)
    spectra = torch.fft.rfft2(images, s=padded) * torch.fft.rfft2(kernels, s=padded)[:, None]
    return torch.fft.irfft2(spectra, s=padded)[..., size - 1 : height, size - 1 : width]
