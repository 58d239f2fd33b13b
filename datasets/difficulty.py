"""How hard a capture is: how far its photographs are from their sharp twins, and how large its circles of confusion."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from datasets.capture import Truth


def difficulty(views: Iterable[tuple[np.ndarray, Truth]], noise_floors: Sequence[float] = ()) -> dict[str, Any]:
    """The block "difficulty" of a manifest: PSNRs in dB of 8-bit sRGB, CoC radii in px; means over `views`.

    views: photographs [H, W, 3] uint8, each with its truth. noise_floors: PSNRs in dB that the noise of the
    photographs alone allows. What cannot be known, for lack of depth, of CoC or of floors, is None or left out.
    """
    whole, on_object, radii, covered, pixels = [], [], [], 0, 0
    has_depth = has_coc = True
    for photograph, truth in views:
        whole.append(psnr(photograph, truth.sharp))
        on_object.append(psnr(photograph, truth.sharp, truth.mask))
        pixels += truth.mask.size
        has_depth &= truth.depth is not None
        has_coc &= truth.coc is not None
        if truth.depth is not None:
            covered += np.count_nonzero(truth.depth > 0)
            if truth.coc is not None:
                radii.append(np.abs(truth.coc[truth.depth > 0]))
    found: dict[str, Any] = {
        "psnr_photograph_sharp": _mean(whole),
        "psnr_photograph_sharp_on_object": _mean(on_object),
    }
    if has_depth and has_coc:
        median, ninety, largest = np.quantile(np.concatenate(radii), [0.5, 0.9, 1.0]) if covered else (0.0, 0.0, 0.0)
        found["coc_radius_px"] = {"median": _round(median), "q90": _round(ninety), "max": _round(largest)}
    found["noise_floor_on_object"] = _mean(noise_floors)
    if has_depth:
        found["object_share_of_pixels"] = _round(covered / pixels)
    return found


def psnr(a: np.ndarray, b: np.ndarray, weight: np.ndarray | None = None) -> float:
    """PSNR in dB of two [H, W, 3] uint8 images, weighted by `weight` [H, W] if given; inf if equal."""
    squared = np.square(a.astype(np.float64) - b).mean(axis=-1)
    error = np.average(squared, weights=weight) if weight is None or weight.any() else 0.0
    return 10 * math.log10(255**2 / error) if error > 0 else math.inf


def _mean(decibels: Sequence[float]) -> float | None:
    """Mean of the finite values; None (JSON knows no inf) if there are none."""
    finite = [value for value in decibels if math.isfinite(value)]
    return _round(sum(finite) / len(finite)) if finite else None


def _round(value: float) -> float:
    return round(float(value), 4)
