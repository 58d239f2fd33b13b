"""`r+3dgs`: any 2D restorer `r`, then plain 3D Gaussian Splatting on what it restored. Composition alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from datasets.cameras import Camera
from datasets.capture import Photographs
from datasets.color import to_uint8
from methods import three_dgs
from methods.contestant import Fit, Fitted, Setting


class RestoredThenSplatted:
    """The splats of restored photographs; sharp images at any pose come from the splats."""

    def __init__(self, restoration: Fitted, splats: three_dgs.FittedSplats) -> None:
        self.restoration, self.splats = restoration, splats
        self.cost = splats.cost._replace(
            train_seconds=restoration.cost.train_seconds + splats.cost.train_seconds,
            peak_mb=max(restoration.cost.peak_mb, splats.cost.peak_mb),
        )

    def render(self, camera: Camera) -> np.ndarray:
        return self.splats.render(camera)

    def restored(self, name: str) -> np.ndarray:
        return self.splats.restored(name)

    def save(self, folder: Path) -> None:
        self.restoration.save(folder)
        self.splats.save(folder)


def fit(restorer: Fit, photographs: Photographs, setting: Setting) -> RestoredThenSplatted:
    """Restore every photograph with `restorer`, quantise to 8 bits as a file would, and splat."""
    restoration = restorer(photographs, setting)
    views = tuple(replace(view, image=to_uint8(restoration.restored(view.name))) for view in photographs.views)
    return RestoredThenSplatted(restoration, three_dgs.fit(replace(photographs, views=views), setting))
