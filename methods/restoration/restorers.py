"""2D restorers as contestants: each makes the photographs sharp one by one, without knowing of the others."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.capture import Photograph, Photographs, PhotographWithCoc
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


def richardson_lucy_told(photographs: Photographs, setting: Setting) -> Restoration:
    """Richardson-Lucy with the true circle of confusion of every pixel."""
    from methods.restoration.richardson_lucy import RichardsonLucyConfig, restore

    config = setting.config("rl", RichardsonLucyConfig)

    def told(view: Photograph) -> np.ndarray:
        assert isinstance(view, PhotographWithCoc)
        sigma = np.abs(view.coc) * np.float32(SIGMA_PER_RADIUS_LEAST_SQUARES)
        return restore(view.image.astype(np.float32) / 255, config, sigma).image

    return restore_views(photographs, setting, told)


def richardson_lucy(photographs: Photographs, setting: Setting) -> Deconvolution:
    """Spatially varying Richardson-Lucy with a defocus map from each photograph alone."""
    from methods.restoration.richardson_lucy import RichardsonLucyConfig, restore

    config = setting.config("rl", RichardsonLucyConfig)
    restoration = restore_each(photographs, setting, lambda image: restore(image, config).image)
    return Deconvolution(restoration, config)
