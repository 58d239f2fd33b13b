"""The contestant: what it gives back, and what it says of its own result."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.capture import Capture, Optics, Photographs
from methods import configuration, contestants
from methods.contestant import Setting
from methods.joint_optics.formation import JointOpticsConfig, LensFormation
from methods.joint_optics.lensed import LensedScene
from methods.joint_optics.method import FittedOptics, doubts, fit


def smoke() -> dict[str, dict[str, object]]:
    """The contestant's configuration for the preset `smoke`."""
    entry = contestants.find("joint-optics")
    configs = configuration.resolve(entry.configs, "smoke")
    configs["3dgs"] |= entry.changes["3dgs"]
    return configs


@pytest.fixture(scope="module")
def fitted(capture: Capture) -> FittedOptics:
    setting = Setting(0, "cpu", smoke(), "smoke", lambda done, total, what: None, {})
    return fit(capture.photographs().without_optics(), setting)


def test_it_renders_restores_and_tells_what_it_took(capture: Capture, fitted: FittedOptics) -> None:
    camera = capture.test[0].camera
    assert fitted.render(camera).shape == (camera.height, camera.width, 3)
    assert fitted.restored(capture.train[0].name).shape == (camera.height, camera.width, 3)
    assert fitted.cost.rasterizer == "cpu"
    assert fitted.config.light == "linear"


def test_its_blur_of_a_training_photograph_is_the_one_it_learned(capture: Capture, fitted: FittedOptics) -> None:
    photograph = capture.train[2].photograph()
    kernel = fitted.kernel(photograph)
    assert kernel.focus == fitted.focus[photograph.name]
    assert kernel.aperture == fitted.aperture
    assert kernel.spread == "scatter"
    black = replace(photograph, image=0 * photograph.image)
    np.testing.assert_array_equal(fitted.kernel(black).coc, kernel.coc)


def test_its_blur_of_another_photograph_comes_from_that_photograph(capture: Capture, fitted: FittedOptics) -> None:
    photograph = capture.test[0].photograph()
    kernel = fitted.kernel(replace(photograph, focus_distance=None))
    assert kernel.focus not in fitted.focus.values()
    sharp = capture.test[0].truth().sharp / 255
    blurred = kernel.blur(sharp)
    assert blurred.shape == sharp.shape
    assert 0 <= blurred.min() <= blurred.max() <= 1
    assert (np.diff(blurred, axis=1) ** 2).sum() < (np.diff(sharp, axis=1) ** 2).sum()


def test_what_it_saves_photographs_the_same_again(capture: Capture, fitted: FittedOptics, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    again, name = LensedScene.load(tmp_path), capture.train[0].name
    camera = again.cameras[name]
    now = fitted.photograph(fitted.cameras[name], fitted.focus[name])
    np.testing.assert_allclose(again.photograph(camera, again.focus[name]), now, atol=1e-4)


def test_photographs_that_only_judge_have_their_place_in_the_result(capture: Capture) -> None:
    configs = smoke()
    configs["joint-optics"]["early_stop"] = 7
    setting = Setting(0, "cpu", configs, "smoke", lambda done, total, what: None, {})
    fitted = fit(capture.photographs().without_optics(), setting)
    assert set(fitted.focus) == set(fitted.cameras) == {view.name for view in capture.train}


# ---------------------------------------------------------------- doubts


def formation(photographs: Photographs) -> LensFormation:
    """As begun from known lens data."""
    return LensFormation(photographs, JointOpticsConfig(), "linear", 10, "cpu", seed=0)


def test_of_a_lens_that_was_told_right_it_has_no_doubts(capture: Capture) -> None:
    assert doubts(formation(capture.photographs()), capture.photographs()) == []


def test_one_focus_for_all_views_is_said_and_what_follows_from_it(capture: Capture) -> None:
    photographs = capture.photographs()
    found = formation(photographs)
    found.offsets.data.fill_(0.3)
    (sentence,) = doubts(found, photographs.without_optics())
    assert "focused at one distance from the object's centre (+1.5 mm)" in sentence


def test_photographs_without_blur_are_not_said_to_share_a_focus(capture: Capture) -> None:
    photographs = capture.photographs()
    found = formation(photographs)
    found.offsets.data.fill_(0.0)
    found.log_aperture.data.fill_(-8.0)
    assert doubts(found, photographs.without_optics()) == []


def test_hints_that_the_photographs_contradict_are_said(capture: Capture) -> None:
    photographs = capture.photographs()
    assert photographs.optics is not None
    found = formation(photographs)
    views = tuple(replace(view, focus_distance=10 * float(view.focus_distance or 0)) for view in photographs.views)
    wrong = Optics(photographs.optics.focal_length, 10 * photographs.optics.f_number, photographs.optics.pixel_pitch)
    focus, aperture = doubts(found, replace(photographs, views=views, optics=wrong))
    assert "mm from those found" in focus
    assert "10 times as wide" in aperture


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_it_trains_tells_the_blur_and_photographs_again(capture: Capture, tmp_path: Path) -> None:
    setting = Setting(0, "cuda", smoke(), "smoke", lambda done, total, what: None, {})
    fitted = fit(capture.photographs().without_optics(), setting)
    assert fitted.cost.rasterizer == "gsplat"
    photograph = capture.test[0].photograph()
    kernel = fitted.kernel(photograph)
    blurred = kernel.blur(capture.test[0].truth().sharp / 255)
    assert np.isfinite(kernel.coc).all()
    assert np.isfinite(blurred).all()
    fitted.save(tmp_path)
    name = capture.train[0].name
    now = fitted.photograph(fitted.cameras[name], fitted.focus[name])
    again = LensedScene.load(tmp_path)
    on_cpu = again.photograph(again.cameras[name], again.focus[name])
    assert np.abs(now - on_cpu).mean() < 2e-3
