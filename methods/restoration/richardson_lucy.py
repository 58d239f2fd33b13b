"""Richardson-Lucy deconvolution in linear light, with a point spread function (PSF) that varies over the image.

W. H. Richardson (JOSA 62(1), 1972) and L. B. Lucy (Astronomical Journal 79(6), 1974): with y the photograph, A the
blur and u the sharp image sought, all non-negative,

    u  <-  u / (A^T 1)  *  A^T ( y / (A u) )

climbs the likelihood of y under Poisson noise. It knows nothing of the scene: the blur of each pixel comes from
the defocus map of the photograph itself (`methods.restoration.defocus_map`).
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import cv2
import numpy as np

from datasets.color import linear_to_srgb, srgb_to_linear
from datasets.errors import InputError
from datasets.optics import SIGMA_PER_RADIUS_LEAST_SQUARES
from methods.restoration.defocus_map import DefocusMapConfig, estimate_defocus

FINEST_SIGMA = 0.7  # px; a Gaussian sampled once per pixel keeps its variance down to about here
SIGMA_RATIO = 1.25  # between neighbouring levels of blur
TILE = 128  # px; a tile convolves only the levels that occur in it


@dataclass(frozen=True)
class RichardsonLucyConfig:
    """How a photograph is restored.

    Chosen together with `DefocusMapConfig`, on the images described there; no image of the benchmark was looked at.
    """

    defocus: DefocusMapConfig = field(default_factory=DefocusMapConfig)
    psf: Literal["disk", "gaussian"] = "disk"
    """The ideal lens has a disk; on the tuning images 0.1 to 0.3 dB better than a Gaussian from 2 px radius on."""
    iterations: int = 12
    """Early stopping is the regulariser: 20 gain 0.2 dB more on wide blur and lose as much on slight blur."""
    tv_weight: float = 0.0
    """Weight of total variation (Dey et al. 2006 use 0.002). Off: 8-bit photographs hold little noise."""
    sharp_below: float = 0.35
    """Blur in px (sigma) that is left alone: about that of a pixel itself, and below what the map can tell."""


class Restored(NamedTuple):
    """A restored photograph and the blur that was assumed."""

    image: np.ndarray  # [H, W, 3] float32, sRGB, 0..1
    sigma: np.ndarray  # [H, W] float32, px


class Patch(NamedTuple):
    """A rectangle of the photograph, a level of blur, and how much of that level each of its pixels receives."""

    rows: slice
    columns: slice
    kernel: np.ndarray  # [K] of a separable PSF, or [K, K]; symmetric, sum 1
    weight: np.ndarray  # [h, w, 1] float32, 0..1


@dataclass(frozen=True)
class VaryingBlur:
    """The linear operator A that blurs each pixel by its own PSF, and its exact adjoint.

    A = sum_k diag(w_k) G_k gathers: pixel i of the photograph is the mixture, by its weights w_k(i), of
    convolutions G_k of the sharp image. Hence A 1 = 1 (what is flat stays flat), and A^T = sum_k G_k diag(w_k)
    because the kernels are symmetric. The sharp image reaches `margin` px beyond the photograph on every side,
    since light from there is blurred into it (Bertero and Boccacci, Astronomy and Astrophysics 437, 2005); nothing
    has to be assumed about the border.
    """

    shape: tuple[int, int]  # H, W of the photograph
    margin: int
    patches: tuple[Patch, ...]

    def forward(self, sharp: np.ndarray) -> np.ndarray:
        """A: sharp [H + 2 margin, W + 2 margin, C] float32 -> blurred [H, W, C] float32."""
        blurred = np.zeros((*self.shape, sharp.shape[2]), np.float32)
        for patch in self.patches:
            reach = len(patch.kernel) // 2
            convolved = convolve(sharp[self.around(patch)], patch.kernel)
            height, width = patch.weight.shape[:2]
            inner = convolved[reach : reach + height, reach : reach + width]
            blurred[patch.rows, patch.columns] += patch.weight * inner
        return blurred

    def adjoint(self, blurred: np.ndarray) -> np.ndarray:
        """A^T: blurred [H, W, C] float32 -> sharp [H + 2 margin, W + 2 margin, C] float32."""
        height, width = self.shape
        sharp = np.zeros((height + 2 * self.margin, width + 2 * self.margin, blurred.shape[2]), np.float32)
        for patch in self.patches:
            reach = len(patch.kernel) // 2
            weighted = patch.weight * blurred[patch.rows, patch.columns]
            padded = np.pad(weighted, ((reach, reach), (reach, reach), (0, 0)))
            sharp[self.around(patch)] += convolve(padded, patch.kernel)
        return sharp

    def around(self, patch: Patch) -> tuple[slice, slice]:
        """The part of the sharp image that a patch sees."""
        before, after = self.margin - len(patch.kernel) // 2, self.margin + len(patch.kernel) // 2
        return (
            slice(patch.rows.start + before, patch.rows.stop + after),
            slice(patch.columns.start + before, patch.columns.stop + after),
        )


def restore(image: np.ndarray, config: RichardsonLucyConfig | None = None, sigma: np.ndarray | None = None) -> Restored:
    """Sharpen one photograph: estimate its defocus, then deconvolve.

    Args:
        image: [H, W, 3] sRGB, 0..1.
        config: settings; the defaults if None.
        sigma: [H, W] px, the blur, where it is known and need not be estimated; as for `varying_blur`.

    Raises:
        InputError: the array is not [H, W, 3], is empty, or holds a value outside 0..1 or NaN.
    """
    config = config or RichardsonLucyConfig()
    linear, sigma = linear_and_sigma(image, config, sigma)
    if not sigma.any():
        return Restored(image.astype(np.float32), sigma)
    sharp = richardson_lucy(linear, varying_blur(sigma, config.psf), config.iterations, config.tv_weight)
    return Restored(linear_to_srgb(sharp).astype(np.float32), sigma)


def linear_and_sigma(
    image: np.ndarray, config: RichardsonLucyConfig, sigma: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A photograph [H, W, 3] sRGB 0..1 in linear light, and its blur [H, W] px (sigma) as it is assumed.

    Raises InputError as `restore` does.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(f"A photograph is an array [height, width, 3], but this one has the shape {image.shape}.")
    if not np.all((image >= 0) & (image <= 1)):
        raise InputError("A photograph holds sRGB values from 0 to 1, but this one has values outside (or NaN).")
    linear = srgb_to_linear(image.astype(np.float32)).astype(np.float32)
    if sigma is None:
        sigma = estimate_defocus(linear, config.defocus)
    return linear, np.where(sigma < config.sharp_below, np.float32(0), sigma)


def reblur(sharp: np.ndarray, sigma: np.ndarray, psf: Literal["disk", "gaussian"] = "disk") -> np.ndarray:
    """Blur a sharp image [H, W, 3] (sRGB, 0..1) in linear light by the operator that `restore` inverts.

    Beyond its border the image is continued by reflection. `sigma` as for `varying_blur`.
    """
    if not sigma.any():
        return sharp
    blur = varying_blur(sigma, psf)
    around = ((blur.margin, blur.margin), (blur.margin, blur.margin), (0, 0))
    linear = np.pad(srgb_to_linear(sharp).astype(np.float32), around, mode="symmetric")
    return linear_to_srgb(blur.forward(linear)).astype(np.float32)


def richardson_lucy(observed: np.ndarray, blur: VaryingBlur, iterations: int, tv_weight: float = 0.0) -> np.ndarray:
    """Deconvolve by a fixed number of Richardson-Lucy iterations, starting from the photograph itself.

    Args:
        observed: [H, W, C] float32, linear light, not negative.
        blur: the operator A.
        iterations: 0 returns the photograph.
        tv_weight: lambda of N. Dey et al., "Richardson-Lucy algorithm with total variation regularization for 3D
            confocal microscope deconvolution" (Microscopy Research and Technique 69, 2006); well below 0.25.

    Returns:
        [H, W, C] float32, not negative, not bounded above.
    """
    height, width, _ = observed.shape
    m = blur.margin
    sharp = np.pad(observed, ((m, m), (m, m), (0, 0)), mode="symmetric")
    share = blur.adjoint(np.ones_like(observed))  # of the light of each sharp pixel that the photograph caught
    caught = share > 0.01
    for _ in range(iterations):
        # The floor is far below one 8-bit step, and leaves 0 / 0 = 0 in the black background.
        correction = blur.adjoint(observed / np.maximum(blur.forward(sharp), 1e-6))
        normaliser = share if tv_weight == 0 else share - tv_weight * curvature(sharp)
        sharp = np.where(caught, sharp * correction / np.maximum(normaliser, 0.01), sharp)
    return sharp[m : m + height, m : m + width]


def curvature(image: np.ndarray) -> np.ndarray:
    """div (grad u / |grad u|) of each channel of an image [H, W, C]: minus the gradient of its total variation."""
    dx = np.diff(image, axis=1, append=image[:, -1:])
    dy = np.diff(image, axis=0, append=image[-1:])
    norm = np.sqrt(dx**2 + dy**2 + 1e-8)
    dx, dy = dx / norm, dy / norm
    zero = np.float32(0)
    return np.diff(dx, axis=1, prepend=zero) + np.diff(dy, axis=0, prepend=zero)


def varying_blur(sigma: np.ndarray, psf: Literal["disk", "gaussian"] = "disk") -> VaryingBlur:
    """Build the blur operator of a defocus map.

    The PSF of a pixel is mixed from the two nearest of a ladder of levels (the identity, then Gaussians or disks),
    with weights linear in sigma^2, which makes the variance of the mixture right.

    Args:
        sigma: [H, W] px, of a Gaussian; a disk gets the radius sigma / 0.55. Zero is the identity.
        psf: shape of the PSF.
    """
    height, width = sigma.shape
    levels = [0.0, FINEST_SIGMA]
    while levels[-1] < sigma.max():
        levels.append(levels[-1] * SIGMA_RATIO)
    kernels = [np.ones(1, np.float32)]
    kernels += [
        gaussian_kernel(s) if psf == "gaussian" else disk_kernel(s / SIGMA_PER_RADIUS_LEAST_SQUARES) for s in levels[1:]
    ]
    position = np.interp(np.square(sigma), np.square(levels), np.arange(len(levels))).astype(np.float32)
    patches = []
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            rows, columns = slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))
            tile = position[rows, columns]
            for level in range(int(tile.min()), int(np.ceil(tile.max())) + 1):
                weight = np.maximum(1 - np.abs(tile - level), 0)
                if weight.any():
                    patches.append(Patch(rows, columns, kernels[level], weight[..., None]))
    margin = max(len(patch.kernel) // 2 for patch in patches)
    return VaryingBlur((height, width), margin, tuple(patches))


def gaussian_kernel(sigma: float) -> np.ndarray:
    """Samples [K] of a Gaussian of `sigma` px, cut at 3.5 sigma, sum 1."""
    reach = int(np.ceil(3.5 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return (kernel / kernel.sum()).astype(np.float32)


def disk_kernel(radius: float) -> np.ndarray:
    """Coverage [K, K] of each pixel by a disk of `radius` px (supersampled 16 x 16), sum 1."""
    reach, fine = int(np.ceil(radius - 0.5)), 16
    size = 2 * reach + 1
    t = (np.arange(size * fine) + 0.5) / fine - size / 2
    inside = t[:, None] ** 2 + t[None, :] ** 2 <= radius**2
    coverage = inside.reshape(size, fine, size, fine).sum(axis=(1, 3))
    return (coverage / coverage.sum()).astype(np.float32)


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve an image [H, W, C] float32 with a symmetric kernel ([K] separable, or [K, K]); zero outside."""
    if kernel.size == 1:
        return image
    if kernel.ndim == 1:
        result = cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    else:
        result = cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
    return result.reshape(image.shape)
