"""A scene with its lens: photographs after the fact, the focus of a photograph, and the way to disk and back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import BALL_RADIUS, DISTANCE, write_tiny_capture

from datasets.capture import BACKDROPS, Capture
from datasets.captures import open_capture
from datasets.errors import InputError
from methods.joint_optics.lensed import LENS, PLY, LensedScene
from methods.splatting.gaussians import Gaussians
from methods.splatting.train import SplattingConfig

CONFIG = SplattingConfig(1, 1, 1, light="linear")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return open_capture(write_tiny_capture(tmp_path_factory.mktemp("lensed") / "ball", views=9, size=(40, 32)))


@pytest.fixture(scope="module")
def scene(capture: Capture) -> LensedScene:
    """A ball of speckles in the place of the capture's ball, with the capture's own lens."""
    generator = torch.Generator().manual_seed(0)
    n = 3000
    direction = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=1)
    gaussians = Gaussians(
        means=BALL_RADIUS * direction,
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        log_scales=torch.full((n, 3), float(np.log(0.4))),
        logit_opacities=torch.full((n,), 3.0),
        sh=2.5 * (torch.rand(n, 1, 3, generator=generator) > 0.5) - 1.0,
    )
    focus = {view.name: float(view.focus_distance or 0) for view in capture.train}
    cameras = {view.name: view.camera for view in capture.train}
    assert capture.optics is not None
    aperture = capture.optics.lens(DISTANCE).aperture_radius
    return LensedScene(gaussians, cameras, BACKDROPS["gray"], CONFIG, "cpu", focus, aperture)


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
    assert far < DISTANCE + 1


@pytest.mark.parametrize("offset", [-9.0, -5.5, -1.0])
def test_a_photograph_tells_where_it_was_focused(scene: LensedScene, capture: Capture, offset: float) -> None:
    view = capture.train[0]
    focus = DISTANCE + offset
    image = np.round(255 * scene.photograph(view.camera, focus, points=19)).astype(np.uint8)
    photograph = replace(view.photograph(), image=image, name="new")
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
