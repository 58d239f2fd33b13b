"""2D restorers as contestants: each makes the photographs sharp one by one, without knowing of the others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from datasets.capture import Photograph, Photographs, PhotographWithCoc
from datasets.errors import InputError
from datasets.optics import SIGMA_PER_RADIUS_LEAST_SQUARES
from methods.contestant import Cost, Kernel, Setting
from methods.cost import Meter

if TYPE_CHECKING:
    from methods.restoration.richardson_lucy import RichardsonLucyConfig


class Restoration:
    """Restored photographs by name, [H, W, 3] float32 sRGB in 0..1; nothing was learned, nothing is saved."""

    def __init__(self, images: Mapping[str, np.ndarray], cost: Cost) -> None:
        self.images, self.cost = images, cost

    def restored(self, name: str) -> np.ndarray:
        return self.images[name]

    def save(self, folder: Path) -> None:
        pass


class Deconvolution(Restoration):
    """Photographs restored by Richardson-Lucy, whose model of the blur is the defocus map of the photograph itself."""

    def __init__(self, restoration: Restoration, config: "RichardsonLucyConfig") -> None:
        super().__init__(restoration.images, restoration.cost)
        self.config = config

    def kernel(self, photograph: Photograph) -> Kernel:
        from methods.restoration.richardson_lucy import linear_and_sigma, reblur

        _, sigma = linear_and_sigma(photograph.image.astype(np.float32) / 255, self.config)
        blur = partial(reblur, sigma=sigma, psf=self.config.psf)
        return Kernel(sigma / SIGMA_PER_RADIUS_LEAST_SQUARES, blur, "gather")


def restore_each(
    photographs: Photographs, setting: Setting, restore: Callable[[np.ndarray], np.ndarray]
) -> Restoration:
    """Apply `restore` ([H, W, 3] float32 sRGB in 0..1 to the same) to every photograph."""
    return restore_views(photographs, setting, lambda view: restore(view.image.astype(np.float32) / 255))


def restore_views(
    photographs: Photographs, setting: Setting, restore: Callable[[Photograph], np.ndarray]
) -> Restoration:
    """Apply `restore` (to [H, W, 3] float32 sRGB in 0..1) to every photograph with all that is known of it."""
    meter = Meter(setting.device)
    images = {}
    for done, view in enumerate(photographs.views):
        setting.progress(done, len(photographs.views), "restoring")
        images[view.name] = restore(view)
    setting.progress(len(photographs.views), len(photographs.views), "restoring")
    return Restoration(images, meter.cost())


def photographs_as_they_are(photographs: Photographs, setting: Setting) -> Restoration:
    """The control of the deblurring track: no restoration at all."""
    return restore_each(photographs, setting, lambda image: image)


@dataclass(frozen=True)
class ToldConfig:
    """How truly an oracle is told the radius of the circle of confusion, for what an error of it costs.

    times: what every radius is multiplied by. smoothed: px, standard deviation of the Gaussian over which radii are
    averaged; outlines, and whatever else of the scene shows in the true map, then no longer do.
    """

    times: float = 1.0
    smoothed: float = 0.0

    def __post_init__(self) -> None:
        if not (self.times >= 0 and self.smoothed >= 0):
            raise InputError(f"times is {self.times} and smoothed is {self.smoothed}; they must be at least 0.")

    def radius(self, coc: np.ndarray) -> np.ndarray:
        """What is told, [H, W] float32 px, unsigned, of the true signed radius `coc` [H, W] px."""
        radius = np.abs(coc).astype(np.float32) * np.float32(self.times)
        return gaussian_filter(radius, self.smoothed) if self.smoothed else radius


def richardson_lucy_told(photographs: Photographs, setting: Setting) -> Restoration:
    """Richardson-Lucy with the true circle of confusion of every pixel, or nearly."""
    from methods.restoration.richardson_lucy import RichardsonLucyConfig, restore

    config, telling = setting.config("rl", RichardsonLucyConfig), setting.config("told", ToldConfig)

    def told(view: Photograph) -> np.ndarray:
        assert isinstance(view, PhotographWithCoc)
        sigma = telling.radius(view.coc) * np.float32(SIGMA_PER_RADIUS_LEAST_SQUARES)
        return restore(view.image.astype(np.float32) / 255, config, sigma).image

    return restore_views(photographs, setting, told)


def richardson_lucy(photographs: Photographs, setting: Setting) -> Deconvolution:
    """Spatially varying Richardson-Lucy with a defocus map from each photograph alone."""
    from methods.restoration.richardson_lucy import RichardsonLucyConfig, restore

    config = setting.config("rl", RichardsonLucyConfig)
    restoration = restore_each(photographs, setting, lambda image: restore(image, config).image)
    return Deconvolution(restoration, config)
