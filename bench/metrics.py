"""The metrics of the benchmark, one function for each; `bench.metric_table` says what each is.

Images are float arrays [H, W, 3] in 0..1, decoded from the 8-bit sRGB files on disk, so that anybody can
recompute every number. torch is imported by LPIPS alone, and only when it is loaded.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from bench import lpips_backbone
from bench.lpips_backbone import LpipsUnavailable, LpipsWeightsError
from bench.metric_table import METRICS, PSNR_CAP, Metric

__all__ = [
    "METRICS",
    "PSNR_CAP",
    "Lpips",
    "LpipsUnavailable",
    "LpipsWeightsError",
    "Metric",
    "coc_mae_px",
    "image_scores",
    "mask_psnr",
    "psnr",
    "ssim",
]

SSIM_MIN_SIDE = 11
LPIPS_MIN_SIDE = 31
"""px: a smaller image leaves AlexNet's second pooling nothing to pool."""


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two images [H, W, 3] in 0..1, at most `PSNR_CAP`.

    Raises ValueError where the images differ in shape or leave 0..1.
    """
    _check_pair(image, truth)
    return _decibels(_squared_error(image, truth))


def mask_psnr(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB over the pixels where `mask` [H, W] (0..1) exceeds one half.

    A macro photograph is mostly backdrop, which every method gets right: the whole frame flatters all of
    them. Raises ValueError where the mask is of another size or empty.
    """
    _check_pair(image, truth)
    if mask.shape != image.shape[:2]:
        raise ValueError(f"the mask is {_size(mask)}, the image {_size(image)}")
    inside = mask > 0.5
    if not inside.any():
        raise ValueError("the mask has no pixel of the object")
    return _decibels(_squared_error(image, truth)[inside])


def ssim(image: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of two images [H, W, 3] in 0..1, in the setting of 3DGS.

    Raises ValueError where an image is smaller than the 11x11 window.
    """
    from skimage.metrics import structural_similarity

    _check_pair(image, truth, SSIM_MIN_SIDE)
    similarity = structural_similarity(
        image.astype(np.float64),
        truth.astype(np.float64),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=-1,
    )
    return float(similarity)


def coc_mae_px(coc: np.ndarray, true_coc: np.ndarray, mask: np.ndarray) -> float:
    """Mean error in px of a map of the CoC radius [H, W], where `mask` [H, W] exceeds one half.

    Signs are dropped: in front of the focus or behind it, one photograph looks the same. Raises ValueError.
    """
    if not coc.shape == true_coc.shape == mask.shape or coc.ndim != 2:
        raise ValueError(f"the CoC map is {_size(coc)}, the true one {_size(true_coc)}, the mask {_size(mask)}")
    inside = mask > 0.5
    if not inside.any():
        raise ValueError("the mask has no pixel of the object")
    error = np.abs(coc[inside].astype(np.float64)) - np.abs(true_coc[inside].astype(np.float64))
    if not np.isfinite(error).all():
        raise ValueError("a CoC map holds a number that is not finite")
    return float(np.abs(error).mean())


class Lpips:
    """LPIPS (Zhang et al. 2018), AlexNet, v0.1: the distance of two images [H, W, 3] in 0..1.

    `weights` names an npz of the backbone's tensors; without it torchvision's cached checkpoint is taken.
    What was taken is in `source` (a path) and `weights_sha256`. Raises LpipsUnavailable where there is
    nothing to take, and LpipsWeightsError where that is not AlexNet. Needs some seconds: torchvision is
    slow to import.
    """

    def __init__(self, weights: Path | None = None) -> None:
        self.source = lpips_backbone.locate(weights)
        tensors = lpips_backbone.read(self.source)
        self.weights_sha256 = lpips_backbone.sha256(tensors)
        self._network = _network(tensors)

    def __call__(self, image: np.ndarray, truth: np.ndarray) -> float:
        """Perceptual distance, 0 for equal images. Raises ValueError where an image is smaller than 31 px."""
        import torch

        _check_pair(image, truth, LPIPS_MIN_SIDE)
        with torch.no_grad():
            distance = self._network(*(_to_network(array) for array in (image, truth)))
        return float(distance)


def _network(tensors: dict[str, np.ndarray]) -> Any:
    import torch

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # torchvision warns of an argument that lpips still uses. lpips fills AlexNet with random numbers
        # before we replace them: the caller's random state must not notice.
        warnings.simplefilter("ignore")
        import lpips

        network = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False).eval()
    # lpips cuts torchvision's `features.<index>` into `slice1..5` and keeps the index.
    names = {f"features.{name.split('.', 1)[1]}": name for name in network.net.state_dict()}
    state = {names[name]: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    network.net.load_state_dict(state, strict=True)
    return network.requires_grad_(False)


def _to_network(image: np.ndarray) -> Any:
    import torch

    scaled = np.asarray(image, dtype=np.float32) * 2 - 1
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)[None]))  # [1, 3, H, W]


def image_scores(
    image: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None, lpips: Lpips | None = None
) -> dict[str, float]:
    """All metrics of one output [H, W, 3] against its sharp twin, by name.

    `mask_psnr` is left out where there is no mask or nothing in it, `lpips` where no network is given.
    """
    scores = {"psnr": psnr(image, truth), "ssim": ssim(image, truth)}
    if lpips is not None:
        scores["lpips"] = lpips(image, truth)
    if mask is not None and (mask > 0.5).any():
        scores["mask_psnr"] = mask_psnr(image, truth, mask)
    return scores


def _squared_error(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return (image.astype(np.float64) - truth.astype(np.float64)) ** 2


def _decibels(squared_error: np.ndarray) -> float:
    mean = float(squared_error.mean())
    return PSNR_CAP if mean == 0 else float(min(PSNR_CAP, -10 * np.log10(mean)))


def _check_pair(image: np.ndarray, truth: np.ndarray, min_side: int = 1) -> None:
    for array in (image, truth):
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype.kind != "f":
            raise ValueError(f"an image must be a float array [H, W, 3], not {array.dtype} {list(array.shape)}")
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ValueError("an image must lie in 0..1")
    if image.shape != truth.shape:
        raise ValueError(f"the image is {_size(image)}, its truth {_size(truth)}")
    if min(image.shape[:2]) < min_side:
        raise ValueError(f"the image is {_size(image)}, the metric needs at least {min_side} px a side")


def _size(array: np.ndarray) -> str:
    """Width x height, as people say it."""
    return "x".join(str(side) for side in reversed(array.shape[:2]))
