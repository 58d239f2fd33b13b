"""Photographs that are not trained on tell which scene is best."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.capture import Photograph, Photographs
from datasets.color import to_uint8
from datasets.errors import InputError
from methods.joint_optics.early_stop import EarlyStop, hold_out
from methods.joint_optics.lensed import LensedScene

OFFSETS = np.linspace(-1, 1, 21)


def taken(scene: LensedScene, names: list[str]) -> list[Photograph]:
    """The scene's own photographs."""
    return [
        Photograph(name, to_uint8(scene.photograph(scene.cameras[name], scene.focus[name])), scene.cameras[name])
        for name in names
    ]


def test_every_so_manieth_photograph_is_held_out(scene: LensedScene) -> None:
    photographs = Photographs(tuple(taken(scene, ["00", "01", "02", "03", "04"])))
    kept, judges = hold_out(photographs, 2)
    assert [view.name for view in kept.views] == ["00", "02", "04"]
    assert [view.name for view in judges] == ["01", "03"]
    assert hold_out(photographs, 0) == (photographs, [])


@pytest.mark.parametrize("every", [1, 6, -1])
def test_a_split_without_one_of_its_sides_is_refused(scene: LensedScene, every: int) -> None:
    photographs = Photographs(tuple(taken(scene, ["00", "01", "02", "03", "04"])))
    with pytest.raises(InputError, match="early_stop"):
        hold_out(photographs, every)


def test_the_scene_that_photographs_the_judges_best_is_held_on_to(scene: LensedScene) -> None:
    judges = taken(scene, ["03", "07"])
    stop = EarlyStop(judges, OFFSETS)
    ball = scene.gaussians

    def like(change: float) -> LensedScene:
        """The ball with its speckles fainter; it knows nothing of the judges' focus."""
        changed = replace(ball, sh=ball.sh * (1 - change))
        return LensedScene(changed, scene.cameras, scene.background, scene.config, "cpu", {}, scene.aperture)

    seen = [like(change) for change in (0.5, 0.1, 0.3)]
    for one in seen:
        stop.see(one)
    assert stop.best is seen[1]
    for judge in judges:
        assert stop.best.focus[judge.name] == pytest.approx(scene.focus[judge.name], abs=1.0)
