"""A scene with its lens: photographs after the fact, the focus of a photograph, and the way to disk and back."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import BALL_RADIUS, DISTANCE

from datasets.capture import Photograph
from datasets.color import to_uint8
from datasets.errors import InputError
from methods.joint_optics.lensed import LENS, PLY, LensedScene
from methods.splatting.gaussians import Gaussians


def contrast(image: np.ndarray) -> float:
    """Mean squared difference of neighbours."""
    return float((np.diff(image, axis=1) ** 2).mean())


def test_a_wide_aperture_blurs_and_a_closed_one_does_not(scene: LensedScene) -> None:
    camera = next(iter(scene.cameras.values()))
    sharp = scene.render(camera)
    near, _ = scene.depth_range(camera)
    closed = scene.photograph(camera, near, aperture=1e-6)
    assert np.abs(closed - sharp).max() < 2e-3
    assert contrast(scene.photograph(camera, near + 15)) < 0.5 * contrast(sharp)


def test_the_depth_range_is_that_of_the_ball(scene: LensedScene) -> None:
    near, far = scene.depth_range(next(iter(scene.cameras.values())))
    assert near == pytest.approx(DISTANCE - BALL_RADIUS, abs=1.0)
    assert far < DISTANCE + 3


def test_the_surface_is_where_a_haze_begins(scene: LensedScene) -> None:
    """Translucent layers behind one another: their expected depth lies deep in them, their surface does not."""
    ball = scene.gaussians
    shells = [
        replace(ball, means=ball.means * size, logit_opacities=ball.logit_opacities - 4) for size in (1.0, 0.9, 0.8)
    ]
    haze = Gaussians(**{f.name: torch.cat([getattr(shell, f.name) for shell in shells]) for f in fields(ball)})
    camera = scene.cameras["00"]
    hazy = LensedScene(haze, scene.cameras, scene.background, scene.config, "cpu", scene.focus, scene.aperture)
    middle = camera.height // 2, camera.width // 2
    true = DISTANCE - BALL_RADIUS
    expected, surface = (float(drawn.depth[middle]) for drawn in (hazy.drawn(camera), hazy.surface(camera)))
    assert abs(surface - true) < 0.5 * abs(expected - true)
    assert float(scene.surface(camera).depth[middle]) == pytest.approx(true, abs=0.5)


@pytest.mark.parametrize("offset", [-9.0, -5.5, -1.0])
def test_a_photograph_tells_where_it_was_focused(scene: LensedScene, offset: float) -> None:
    camera, focus = scene.cameras["00"], DISTANCE + offset
    photograph = Photograph("new", to_uint8(scene.photograph(camera, focus, points=19)), camera)
    assert scene.focus_of(photograph, np.linspace(-1, 1, 21)) == pytest.approx(focus, abs=0.5)


def test_it_survives_the_way_to_disk_and_back(scene: LensedScene, tmp_path: Path) -> None:
    scene.save(tmp_path)
    again = LensedScene.load(tmp_path)
    name = next(iter(scene.cameras))
    camera = scene.cameras[name]
    assert again.focus == scene.focus
    assert again.aperture == scene.aperture
    np.testing.assert_array_equal(again.cameras[name].c2w, camera.c2w)
    np.testing.assert_allclose(again.photograph(again.cameras[name], 112.0), scene.photograph(camera, 112.0), atol=1e-5)


def test_a_scene_of_an_earlier_version_had_the_filter_of_3dgs(scene: LensedScene, tmp_path: Path) -> None:
    scene.save(tmp_path)
    document = json.loads((tmp_path / LENS).read_text())
    assert document.pop("dilation") == LensedScene.load(tmp_path).config.dilation == 0.1
    (tmp_path / LENS).write_text(json.dumps(document))
    assert LensedScene.load(tmp_path).config.dilation == 0.3


@pytest.mark.parametrize("name", [PLY, LENS])
def test_a_folder_without_a_scene_is_refused(scene: LensedScene, tmp_path: Path, name: str) -> None:
    scene.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match="holds no scene"):
        LensedScene.load(tmp_path)


@pytest.mark.parametrize("damage", ["no JSON", "a key less", "no mapping"])
def test_a_damaged_scene_is_refused_in_one_sentence(scene: LensedScene, tmp_path: Path, damage: str) -> None:
    scene.save(tmp_path)
    document = json.loads((tmp_path / LENS).read_text())
    del document["aperture_mm"]
    text = {"no JSON": "{", "a key less": json.dumps(document), "no mapping": "[1]"}[damage]
    (tmp_path / LENS).write_text(text)
    with pytest.raises(InputError, match="cannot be read"):
        LensedScene.load(tmp_path)
