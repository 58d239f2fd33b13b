"""How good a restorer is while it is trained: on pairs of objects that it is not trained on."""

import numpy as np
from skimage.metrics import structural_similarity
from torch import nn

from datasets.optics import SIGMA_PER_RADIUS_LEAST_SQUARES
from datasets.pairs import Pair, Pairs
from methods.restoration.learned import Restorer
from methods.restoration.learning.refocus import shows_enough, taken_again
from methods.restoration.networks.kernel_guided import KernelGuided
from methods.restoration.richardson_lucy import reblur


class Judge:
    """Scores restorers on at most `count` of the `pairs`, taken evenly, and on another photograph of each twin."""

    def __init__(self, pairs: Pairs, count: int) -> None:
        chosen = set(np.linspace(0, len(pairs) - 1, min(count, len(pairs))).astype(int))
        found = [pair for index, pair in enumerate(pairs) if index in chosen]
        self.pairs = [pair for pair in found if (pair.mask > 127).any()] or found
        random = np.random.default_rng(0)
        self.again = [taken_again(pair, random) for pair in self.pairs if shows_enough(pair)]

    def scores(self, network: nn.Module, patch: int) -> dict[str, float]:
        """Means over the pairs of what `network` makes of them in tiles of `patch` px, by name of the score.

        psnr, input_psnr: of the restored and of the untouched photograph on what has a depth, dB; again_psnr and
        again_input_psnr likewise, of the photographs that were taken again.
        reblur_psnr, reblur_ssim: of the twin under the kernels found, against the whole photograph; of networks that
        are guided by kernels. identity_, ceiling_: the same of the twin itself, and of the twin under disks of the true
        radii, pixel by pixel; noise of the sensor, and what hides what, keep that from the photograph.
        """
        restorer = Restorer(network, patch, tile=patch)
        scores = _means([_restoration(restorer, pair) for pair in self.pairs])
        if self.again:
            again = _means([_restoration(restorer, pair) for pair in self.again])
            scores |= {f"again_{name}": score for name, score in again.items()}
        if isinstance(network, KernelGuided):
            scores |= _means([_kernels(restorer, pair) for pair in self.pairs])
        return scores


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _restoration(restorer: Restorer, pair: Pair) -> dict[str, float]:
    photograph, sharp = _images(pair)
    on_object = pair.mask > 127 if (pair.mask > 127).any() else np.ones_like(pair.mask, bool)
    return {
        "psnr": _psnr(restorer.restore(photograph)[on_object], sharp[on_object]),
        "input_psnr": _psnr(photograph[on_object], sharp[on_object]),
    }


def _kernels(restorer: Restorer, pair: Pair) -> dict[str, float]:
    photograph, sharp = _images(pair)
    reblurred = restorer.kernels(photograph).blur(sharp)
    sigma = np.abs(pair.coc.astype(np.float32)) * SIGMA_PER_RADIUS_LEAST_SQUARES
    scores = {}
    for name, image in {"reblur": reblurred, "identity": sharp, "ceiling": reblur(sharp, sigma)}.items():
        scores[f"{name}_psnr"], scores[f"{name}_ssim"] = _psnr(image, photograph), _ssim(image, photograph)
    return scores


def _images(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Photograph and twin as float32 in 0..1."""
    return pair.photograph.astype(np.float32) / 255, pair.sharp.astype(np.float32) / 255


def _psnr(image: np.ndarray, reference: np.ndarray) -> float:
    """dB; at most that of a half step of 8 bits, which a twin without any blur would else pass without bound."""
    error = float(np.mean(np.square(image.astype(np.float64) - reference)))
    return float(-10 * np.log10(max(error, (0.5 / 255) ** 2)))


def _ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """As the benchmark's: a Gaussian window of 1.5 px."""
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(image, reference, data_range=1, channel_axis=-1, **settings))
