"""Defocus map of one photograph, from the photograph alone, after Zhuo and Sim.

S. Zhuo and T. Sim, "Defocus map estimation from a single image", Pattern Recognition 44(9), 2011. A step edge
blurred by a Gaussian of standard deviation sigma has a gradient inversely proportional to sigma at the edge.
Re-blurring by a known amount lowers that gradient by a ratio R which depends on sigma alone, not on the
contrast. The gradients here are derivatives of Gaussians of scales s1 < s2, which is the paper's re-blur with its
pre-smoothing written out:

    R^2 = (sigma^2 + s2^2) / (sigma^2 + s1^2)     =>     sigma^2 = (s2^2 - R^2 s1^2) / (R^2 - 1)

Differences from the paper:

- Linear light, because that is where a lens blurs.
- Two pairs of scales. The fine pair suffers least from neighbouring edges; the coarse one serves where the fine
  one found nothing, or a blur too wide for it (the minimum reliable scale of Elder and Zucker, PAMI 20(7), 1998).
- A weighted quantile over the nearest edge points instead of a joint bilateral filter. Neighbouring edges cancel
  at the larger scale, so that errors in texture are one-sided (too sharp): a mean keeps that bias, a quantile
  above one half removes most of it.
- Propagation by the weights of Levin, Lischinski and Weiss, "Colorization using optimization" (SIGGRAPH 2004), on
  a coarse grid, instead of the matting Laplacian: a quadratic form of the same kind with 5 entries per row
  instead of 25, solved in milliseconds; defocus varies slowly across a photograph.

Settings were chosen on twelve images of 128 px and six of 256 px made from the photographs that scikit-image
ships (two of them cut out on black), blurred in linear light by disks of radius 0 to 4 px and by a ramp of
radii, and quantised to 8 bits.

Limits: a disk wider than the coarse pair (radius above 5 px) reads up to 30 % too wide on an isolated edge, and dense
texture reads too sharp. Soft shading cannot be told from defocus at all.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import coo_array, csc_array, diags_array
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec. 709 weights of linear R, G, B
PIXEL_VARIANCE = 1 / 12  # px^2; a photosite averages over a unit square, and that blur is in a sharp photograph too
CODE_STEP = 1 / 255
ACROSS = np.array([(0, 1), (1, 1), (1, 0), (1, -1)])  # steps (row, column) along gradients of 0, 45, 90, 135 degrees


@dataclass(frozen=True)
class DefocusMapConfig:
    """How defocus is estimated; lengths in px."""

    scales: tuple[tuple[float, float], ...] = ((0.8, 1.6), (1.6, 3.2))
    """Pairs (s1, s2), finest first. A third pair (3.2, 6.4) takes soft shading for defocus: error up by a third."""
    detection: float = 5.0
    """An edge's gradient exceeds its noise by this factor: one false point in some 300,000 pixels."""
    max_error: float = 0.2
    """Edge points with a larger predicted relative error of their blurred width are dropped."""
    full_contrast: float = 0.25
    """Step height, in sRGB code values, from which an edge point has its full say; below, its square counts."""
    neighbours: int = 128
    """Edge points in each local quantile; 32 gave half as much error again, 256 gain on uniform blur only."""
    quantile: float = 0.6
    """Least biased over plain and textured images together; texture alone would ask for 0.65."""
    reach: float = 4.0
    """Distance over which an edge point speaks for its surroundings (the size of a grid cell where that is larger)."""
    enough: float = 1.0
    """Confidence, in edge points close by, from which a finer pair of scales is believed."""
    widest: float = 1.25
    """A pair of scales is believed up to a blur of this many s2; beyond, the next coarser pair is asked."""
    smoothness: float = 1.0
    """Weight of the propagation term against one edge point; between 0.05 and 5 it hardly matters."""
    grid: int = 64
    """Cells along the longer side of the grid on which defocus is propagated."""
    sigma_max: float = 8.0
    """Upper bound of the map; wider blur leaves nothing that a deconvolution could recover."""


@dataclass(frozen=True)
class EdgePoints:
    """Where edges are and how blurred they look."""

    position: np.ndarray  # [N, 2] row and column, px
    sigma: np.ndarray  # [N] px
    slope: np.ndarray  # [N] gradient magnitude, linear light per px
    strength: np.ndarray  # [N] 0..1


def estimate_defocus(linear: np.ndarray, config: DefocusMapConfig | None = None) -> np.ndarray:
    """Estimate the blur of every pixel of a photograph.

    Args:
        linear: [H, W, 3] linear light, 0..1, of any size from 1 x 1.
        config: settings; the defaults if None.

    Returns:
        [H, W] float32, standard deviation in px of the Gaussian nearest to the blur, 0..`sigma_max`, beyond that of the
        pixel itself. Zero everywhere if the photograph has no edge to judge by.
    """
    config = config or DefocusMapConfig()
    linear = linear.astype(np.float32)
    luminance = linear @ LUMINANCE
    height, width = luminance.shape
    cell = max(1.0, max(height, width) / config.grid)
    grid = (max(1, round(height / cell)), max(1, round(width / cell)))

    noise = photograph_noise(luminance) * codec_slope(luminance)
    sigma, confidence = np.zeros(grid), np.zeros(grid)
    for scales in reversed(config.scales):
        points = edge_points(luminance, noise, scales, config)
        if len(points.sigma) == 0:
            continue
        local, support = local_quantile(points, (height, width), grid, config)
        widest = config.widest * scales[1] if confidence.any() else np.inf
        better = (local < widest) & (support > np.minimum(config.enough, confidence))
        sigma = np.where(better, local, sigma)
        confidence = np.where(better, support, confidence)
    if not confidence.any():
        return np.zeros((height, width), np.float32)

    # Square roots of light are close to perceived differences, as the colours of Levin et al. are.
    guide = cv2.resize(np.sqrt(linear), grid[::-1], interpolation=cv2.INTER_AREA)
    spread = propagate(sigma, confidence, guide.reshape(*grid, -1), config.smoothness).astype(np.float32)
    dense = cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width)
    return np.clip(dense, 0.0, config.sigma_max)


def codec_slope(luminance: np.ndarray) -> np.ndarray:
    """Linear light per sRGB code value at a luminance (any shape, 0..1): what a step of one code is worth there."""
    slope = 2.4 / 1.055 * np.maximum(luminance, 0.0) ** (1.4 / 2.4)
    return np.maximum(slope, 1 / 12.92)


def photograph_noise(luminance: np.ndarray) -> float:
    """Standard deviation of the noise of one pixel in sRGB code values (0..1), at least that of 8-bit rounding.

    The mask of Immerkaer, "Fast noise variance estimation" (CVIU 64(2), 1996), but the 20 % quantile of its
    response over lit pixels instead of the mean, since texture fills the upper part of that distribution.
    """
    floor = CODE_STEP / np.sqrt(12)
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6  # unit gain for white noise
    response = np.abs(cv2.filter2D(luminance, cv2.CV_32F, mask, borderType=cv2.BORDER_REFLECT))
    lit = luminance > 0.01
    if not lit.any():
        return floor
    quantile = np.quantile(response[lit] / codec_slope(luminance[lit]), 0.2)
    return float(np.clip(quantile / 0.2533, floor, 10 * floor))  # P(|z| < 0.2533) = 0.2 for a standard normal z


def edge_points(
    luminance: np.ndarray, noise: np.ndarray, scales: tuple[float, float], config: DefocusMapConfig
) -> EdgePoints:
    """Find edges of a luminance image [H, W] and measure their blur with one pair of scales (px).

    `noise` [H, W] is the standard deviation of the luminance. Points whose blur cannot be told from noise are left out.
    """
    s1, s2 = scales
    dx, dy, fine = gaussian_gradient(luminance, s1)
    coarse = gaussian_gradient(luminance, s2)[2]
    gain1, gain2 = (
        1 / (np.sqrt(8 * np.pi) * s**2) for s in scales
    )  # of white noise, through a derivative of a Gaussian
    y, x, across = ridge(dx, dy, fine, config.detection * gain1 * noise)
    slope1, slope2 = peak(fine, y, x, across), peak(coarse, y, x, across)
    ratio2 = np.maximum((slope1 / slope2) ** 2, 1 + 1e-4)
    variance = np.maximum((s2**2 - ratio2 * s1**2) / (ratio2 - 1) - PIXEL_VARIANCE, 0.0)
    # First-order propagation of the noise of both gradients through the formula of the variance.
    ratio2_error = 2 * ratio2 * noise[y, x] * np.hypot(gain1 / slope1, gain2 / slope2)
    error = (s2**2 - s1**2) * ratio2_error / (ratio2 - 1) ** 2 / (2 * (variance + s1**2))
    # The height of a step whose blurred gradient has this peak: soft shading rises slowly, and says little about focus.
    height = slope1 * np.sqrt(2 * np.pi * (variance + s1**2))
    height /= codec_slope(cv2.GaussianBlur(luminance, (0, 0), s2)[y, x])
    strength = np.minimum(height / config.full_contrast, 1.0) ** 2
    keep = error < config.max_error
    return EdgePoints(np.stack([y, x], 1)[keep], np.sqrt(variance[keep]), slope1[keep], strength[keep])


def gaussian_gradient(image: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives of an image [H, W] smoothed by a Gaussian of `scale` px: along columns, along rows, and magnitude."""
    radius = int(np.ceil(4 * scale))
    t = np.arange(-radius, radius + 1)
    smooth = np.exp(-0.5 * (t / scale) ** 2)
    smooth /= smooth.sum()
    derivative = t * smooth
    derivative /= (t * derivative).sum()
    dx = cv2.sepFilter2D(image, cv2.CV_32F, derivative, smooth, borderType=cv2.BORDER_REFLECT)
    dy = cv2.sepFilter2D(image, cv2.CV_32F, smooth, derivative, borderType=cv2.BORDER_REFLECT)
    return dx, dy, np.hypot(dx, dy)


def ridge(
    dx: np.ndarray, dy: np.ndarray, magnitude: np.ndarray, threshold: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the gradient is a maximum along its own direction (Canny).

    Returns rows [N], columns [N], and steps (row, column) across the edge [N, 2].
    """
    y, x = np.nonzero(magnitude > threshold)
    sector = np.round(np.arctan2(dy[y, x], dx[y, x]) / (np.pi / 4)).astype(int) % 4
    across = ACROSS[sector]
    before, here, after = profile(magnitude, y, x, across)
    top = (here > before) & (here >= after)
    return y[top], x[top], across[top]


def peak(magnitude: np.ndarray, y: np.ndarray, x: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Gradient magnitude [N] at the edge itself, which lies between pixels.

    The gradient across a blurred step is a Gaussian, so its logarithm is a parabola, known from three pixels.
    """
    before, here, after = np.log(np.maximum(profile(magnitude, y, x, across), 1e-9))
    bend, lean = 2 * here - before - after, after - before
    inside = np.abs(lean) < 2 * bend  # otherwise the parabola's top lies outside the three pixels
    return np.exp(here + np.where(inside, lean**2 / (8 * np.where(inside, bend, 1.0)), 0.0))


def profile(values: np.ndarray, y: np.ndarray, x: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Values [3, N] before, at and after the pixels (y, x), one step along `across`; the border is repeated."""
    padded = np.pad(values.astype(np.float64), 1, mode="edge")
    return np.stack([padded[y + 1 + k * across[:, 0], x + 1 + k * across[:, 1]] for k in (-1, 0, 1)])


def local_quantile(
    points: EdgePoints, shape: tuple[int, int], grid: tuple[int, int], config: DefocusMapConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Blur (px) around the centre of each cell of a grid, and its confidence: how many strong edge points are close.

    Points weigh in by the square of their gradient: the steepest are the best resolved and the least disturbed.
    """
    cell = (shape[0] / grid[0], shape[1] / grid[1])
    axes = ((np.arange(n) + 0.5) * size - 0.5 for n, size in zip(grid, cell, strict=True))
    centres = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    nearest = np.arange(1, min(config.neighbours, len(points.sigma)) + 1)
    distance, index = cKDTree(points.position).query(centres, k=nearest)
    order = np.argsort(points.sigma[index], axis=1, kind="stable")
    ranked = np.take_along_axis(index, order, 1)
    share = np.cumsum(points.slope[ranked] ** 2, axis=1)
    chosen = np.argmax(share >= config.quantile * share[:, -1:], axis=1)
    sigma = points.sigma[ranked[np.arange(len(ranked)), chosen]]
    reach = max(config.reach, *cell)
    confidence = (points.strength[index] * np.exp(-0.5 * (distance / reach) ** 2)).sum(1)
    return sigma.reshape(grid), confidence.reshape(grid)


def propagate(sigma: np.ndarray, confidence: np.ndarray, guide: np.ndarray, smoothness: float) -> np.ndarray:
    """Carry blur from confident cells to all cells, more easily between cells that look alike.

    Minimises sum_i confidence_i (s_i - sigma_i)^2 + smoothness sum_ij w_ij (s_i - s_j)^2 over neighbours i, j with
    w_ij = exp(-|guide_i - guide_j|^2 / (v_i + v_j)), v the local variance of the guide (Levin et al. 2004, Eq. 2).

    Args:
        sigma: [R, C] px.
        confidence: [R, C], not negative, somewhere positive.
        guide: [R, C, channels] float32.
        smoothness: weight of the second sum.
    """
    number = np.arange(sigma.size).reshape(sigma.shape)
    i = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    j = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    variance = sum(
        np.maximum(cv2.blur(c**2, (3, 3)) - cv2.blur(c, (3, 3)) ** 2, 0.0)
        for c in np.ascontiguousarray(guide.transpose(2, 0, 1))
    )
    v = np.maximum(variance, 1e-4).ravel()
    colour = guide.reshape(sigma.size, -1)
    # The floor keeps the grid connected, so that no island is left without a value.
    weight = np.maximum(np.exp(-((colour[i] - colour[j]) ** 2).sum(1) / (v[i] + v[j])), 1e-3)
    pairs = (np.concatenate([i, j]), np.concatenate([j, i]))
    affinity = coo_array((np.concatenate([weight, weight]), pairs), shape=(sigma.size, sigma.size)).tocsc()
    laplacian = diags_array(np.asarray(affinity.sum(1)).ravel()) - affinity
    # A faint pull to the mean decides where no edge is near at all.
    pull = 1e-6
    mean = np.average(sigma, weights=confidence)
    system = csc_array(diags_array(confidence.ravel() + pull) + smoothness * laplacian)
    return spsolve(system, (confidence * sigma + pull * mean).ravel()).reshape(sigma.shape)
