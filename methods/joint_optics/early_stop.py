"""Early stop by photographs that are not trained on: they tell when scene and lens were at their best.

Sharp twins may not tell it, and photographs that were trained on cannot: they only ever look better.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from datasets.capture import Photograph, Photographs
from datasets.errors import InputError
from methods.joint_optics.lensed import LensedScene

NEAR_BY = 0.1  # scene radii, around the focal plane that was found last


def hold_out(photographs: Photographs, every: int) -> tuple[Photographs, list[Photograph]]:
    """The photographs to train on, and every `every`-th, which is not among them; none for 0.

    Raises InputError if that leaves nothing on one of the sides.
    """
    if not every:
        return photographs, []
    judges = list(photographs.views[every - 1 :: every]) if every > 0 else []
    kept = tuple(view for view in photographs.views if view not in judges)
    if not judges or not kept:
        raise InputError(
            f"early_stop = {every} leaves {len(kept)} of {len(photographs.views)} photographs to train on and "
            f"{len(judges)} to stop by."
        )
    return replace(photographs, views=kept), judges


class EarlyStop:
    """Holds on to the scene that photographs the `judges` best.

    offsets: scene radii from the scene's centre, at which the focal plane of a judge is searched for at first; later
    it is near the last one. best: the scene, which knows the focal planes of the judges, too; None at first.
    """

    def __init__(self, judges: list[Photograph], offsets: np.ndarray) -> None:
        self.judges = judges
        self.best: LensedScene | None = None
        self._offsets = {judge.name: offsets for judge in judges}
        self._least = float("inf")

    def see(self, scene: LensedScene) -> None:
        """Judge `scene`, whose tensors must not change any more."""
        error = 0.0
        for judge in self.judges:
            focus = scene.focus_of(judge, self._offsets[judge.name])
            offset = (focus - float(judge.camera.depth(scene.bounds.center))) / scene.bounds.radius
            self._offsets[judge.name] = offset + np.array([-NEAR_BY, 0.0, NEAR_BY])
            scene.focus[judge.name] = focus
            image = scene.photograph(judge.camera, focus, points=5)
            error += float(np.abs(image - judge.image / 255.0).mean())
        if error < self._least:
            self._least, self.best = error, scene
