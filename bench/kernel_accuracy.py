"""Kernel accuracy: how well a method knows the blur of one photograph.

Seed paper, section 4.3.1 and Table 2: a clean image under the method's own blur is compared with the photograph.
Known truth allows more: the error of the map of circles of confusion (CoC) itself, and the best that any kernel
could do, the true circles under a disk as an ideal lens has it. Images are float arrays [H, W, 3], sRGB, 0..1.
"""

from __future__ import annotations

import numpy as np

from bench.metrics import Lpips, coc_mae_px, psnr, ssim
from datasets.capture import Background, Truth
from datasets.color import linear_to_srgb, srgb_to_linear, to_uint8
from datasets.optics import ThinLens, outlined

CLIFF = 0.5
"""px of CoC radius from one pixel to the next: more is a depth edge. A ratio of pixels, so it means the same at any
resolution; a surface as steep as that would cross the whole range of a photograph's blur within some 20 px."""

EDGE_DISTANCE = 3.0
"""px: pixels no farther than this from a depth edge see the blur of two surfaces."""

BINS = ((0, 1), (1, 2), (2, 4), (4, 8), (8, np.inf))
"""px of true |CoC| radius: from, to."""


def bin_name(low: float, high: float) -> str:
    """The metric of one of `BINS`, as coc_mae_1_2_px."""
    return f"coc_mae_{low:.0f}_{'up' if np.isinf(high) else f'{high:.0f}'}_px"


COC_METRICS = ("coc_mae_px", "coc_mae_inner_px", "coc_corr", *(bin_name(*edges) for edges in BINS))


def surface(truth: Truth) -> np.ndarray:
    """Pixels [H, W] of the object whose circle of confusion is known.

    The mask is a coverage, depth that of the pixel's centre: on the outline one may be there without the other.
    """
    assert truth.coc is not None
    seen = truth.coc != 0 if truth.depth is None else truth.depth > 0
    return (truth.mask > 0.5) & seen


def away_from_edges(coc: np.ndarray, on_surface: np.ndarray) -> np.ndarray:
    """Pixels [H, W] of a surface farther than `EDGE_DISTANCE` from its outline and from every cliff in `coc`."""
    from scipy.ndimage import distance_transform_edt

    edge = ~on_surface
    for before, after in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        cliff = (np.abs(coc[after] - coc[before]) > CLIFF) & on_surface[before] & on_surface[after]
        edge[before] |= cliff
        edge[after] |= cliff
    return on_surface if not edge.any() else distance_transform_edt(~edge) > EDGE_DISTANCE


def coc_scores(coc: np.ndarray, truth: Truth) -> dict[str, float]:
    """How a map of the CoC radius [H, W] px, signed or not, compares with the true one, by name of the metric.

    Signs are dropped. A metric is left out where no pixel has a say in it, the correlation also where one of the
    maps is constant. Raises ValueError where a map is of another size or not finite.
    """
    assert truth.coc is not None
    known = surface(truth)
    size = np.abs(truth.coc)
    pixels = {"coc_mae_px": known, "coc_mae_inner_px": away_from_edges(truth.coc, known)}
    pixels |= {bin_name(low, high): known & (size >= low) & (size < high) for low, high in BINS}
    scores = {name: coc_mae_px(coc, truth.coc, inside) for name, inside in pixels.items() if inside.any()}
    estimated, true = np.abs(coc[known].astype(np.float64)), size[known].astype(np.float64)
    if known.any() and np.ptp(estimated) > 0 and np.ptp(true) > 0:
        scores["coc_corr"] = float(np.corrcoef(estimated, true)[0, 1])
    return scores


def lens_scores(focus: float, aperture: float, true: ThinLens, truth: Truth) -> dict[str, float]:
    """How a focus distance and a radius of the lens, mm, compare with the `true` lens, by name of the metric."""
    error = abs(focus - true.focus_distance)
    scores = {
        "focus_error_mm": error,
        "aperture_error_percent": 100 * abs(aperture / true.aperture_radius - 1),
    }
    depths = truth.depth[surface(truth)] if truth.depth is not None and truth.coc is not None else np.zeros(0)
    if len(depths) and np.ptp(depths) > 0:
        scores["focus_error_percent"] = 100 * error / float(np.ptp(depths))
    return scores


def reblur_scores(
    reblurred: np.ndarray, clean: np.ndarray, photograph: np.ndarray, lpips: Lpips | None = None
) -> dict[str, float]:
    """The clean image as it is (identity) and re-blurred, each against the photograph, by name of the metric."""
    scores = {}
    for name, image in (("identity", clean), ("reblur", reblurred)):
        scores[f"{name}_psnr"] = psnr(image, photograph)
        scores[f"{name}_ssim"] = ssim(image, photograph)
        if lpips is not None:
            scores[f"{name}_lpips"] = lpips(image, photograph)
    return scores


def ceiling(clean: np.ndarray, truth: Truth, background: Background) -> np.ndarray:
    """`clean` as an ideal lens would have photographed it: true circles of confusion, exact disks, linear light.

    The object is cut out by its coverage, spread layer by layer in front of the backdrop, and the photograph
    quantised to 8 bits. What no single image shows, that is what an object hides of itself, is missing here too.
    """
    import torch

    from methods.defocus.disk import photographed

    assert truth.coc is not None
    device = "cuda" if torch.cuda.is_available() else "cpu"  # seconds a view of 800 px on a CPU
    alpha = truth.mask.astype(np.float32)
    behind = background.image(*alpha.shape)
    object_light = srgb_to_linear(clean).astype(np.float32) - (1 - alpha[..., None]) * behind
    radius = outlined(truth.coc, surface(truth))
    photograph = photographed(np.maximum(object_light, 0), alpha, radius, behind, device)
    return to_uint8(linear_to_srgb(photograph)).astype(np.float32) / 255
