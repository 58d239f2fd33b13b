"""Learned restorers at work, and the contestants that they are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from captures import write_tiny_capture
from defocused import scene

from datasets.captures import open_capture
from datasets.color import linear_to_srgb
from datasets.errors import InputError
from methods import contestants
from methods.contestant import Setting
from methods.restoration import architectures, checkpoint, references, weights
from methods.restoration.learned import LearnedConfig, Restorer, made
from methods.restoration.learning.recipe import plan


def network(architecture, seed=0):
    torch.manual_seed(seed)
    return checkpoint.ready(architectures.network(architecture, plan(architecture, "tiny").network), "cpu")


def write(path: Path, architecture: str, patch: int = 32) -> Path:
    wanted = plan(architecture, "tiny")
    facts = dict.fromkeys(("pairs", "recipe", "step", "curve", "package", "code"))
    named = {"architecture": architecture, "network": wanted.network, "patch": patch}
    checkpoint.write(path, network(architecture), {**facts, **named, "trained_on": "a cat"})
    return path


def image(height=50, width=41):
    return linear_to_srgb(scene("astronaut", 64))[:height, :width].astype(np.float32)


@pytest.mark.parametrize("architecture", architectures.ARCHITECTURES)
@pytest.mark.parametrize("size", [(50, 41), (1, 1), (5, 40)])
def test_every_network_restores_photographs_of_any_size_in_tiles_and_whole(architecture, size):
    photograph = image(*size)
    for tile in (32, 0):
        restored = Restorer(network(architecture), 24, tile).restore(photograph)
        assert (restored.shape, restored.dtype) == (photograph.shape, np.float32)
        assert 0 <= restored.min() <= restored.max() <= 1


@pytest.mark.parametrize(
    ("photograph", "says"),
    [
        (np.zeros((4, 4)), r"the shape \(4, 4\)"),
        (np.zeros((4, 4, 4)), r"the shape \(4, 4, 4\)"),
        (np.zeros((0, 4, 3)), r"the shape \(0, 4, 3\)"),
        (np.full((4, 4, 3), np.nan), "outside \\(or NaN\\)"),
        (np.full((4, 4, 3), 300, np.uint16), "outside \\(or NaN\\)"),
    ],
)
def test_what_is_no_photograph_is_refused_in_a_sentence(photograph, says):
    with pytest.raises(InputError, match=says):
        Restorer(network("restormer"), 24, 32).restore(photograph)


def test_a_kernel_guided_network_tells_the_blur_of_every_tile():
    blur = Restorer(network("kernel-guided"), 24, 32).blur(image())
    assert (blur.coc.shape, blur.spread) == ((50, 41), "gather")
    assert blur.coc.min() >= 0
    flat = np.full((50, 41, 3), 0.3, np.float32)
    assert np.abs(blur.blur(flat) - 0.3).max() < 1e-4  # each kernel sums to 1
    assert blur.blur(image()).std() < image().std()


def test_nrknet_tells_the_blur_of_every_pixel():
    blur = Restorer(network("nrknet"), 24, 0).blur(image())
    assert (blur.coc.shape, blur.spread) == ((50, 41), "gather")
    assert blur.blur(image()).shape == (50, 41, 3)


def test_a_checkpoint_is_a_contestant_alone_and_with_splatting(tmp_path):
    path = write(tmp_path / "mine.safetensors", "kernel-guided", patch=24)
    entry = contestants.find(str(path))
    assert (entry.name, entry.outputs, entry.trained_on) == ("mine", ("deblur", "kernel"), "a cat")
    both = contestants.find(f"{path}+3dgs")
    assert (both.name, both.outputs) == ("mine+3dgs", ("novel", "deblur"))
    assert "a cat" in both.trained_on
    with pytest.raises(InputError, match="There is no checkpoint"):
        contestants.find(str(tmp_path / "other.safetensors"))


def test_a_fit_restores_the_training_photographs_and_models_the_blur_of_others(tmp_path):
    capture = open_capture(write_tiny_capture(tmp_path / "tiny", views=9, size=(32, 28)))
    entry = contestants.find(str(write(tmp_path / "mine.safetensors", "kernel-guided", patch=24)))
    configs = {"learned": entry.changes["learned"]}
    setting = Setting(0, "cpu", configs, "smoke", lambda *_: None, {})
    fitted = contestants.fit_of(entry)(capture.photographs(), setting)
    for view in capture.train:
        assert fitted.restored(view.name).shape == (28, 32, 3)
    held_out = capture.test[0].photograph()
    assert fitted.kernel(held_out).coc.shape == (28, 32)
    assert setting.resolved["learned"]["seen"] == "tiles"
    assert fitted.cost.train_seconds > 0


@pytest.mark.parametrize(
    ("settings", "tile"), [({}, 36), ({"tile": 1.0}, 24), ({"tile": 4.0}, 96), ({"seen": "whole"}, 0)]
)
def test_tiles_are_as_wide_as_the_patches_of_the_training_times_a_factor(settings, tile, tmp_path):
    restorer = made(
        LearnedConfig(str(write(tmp_path / "mine.safetensors", "kernel-guided", patch=24)), **settings), "cpu"
    )
    assert restorer.tile == tile
    kernels = restorer.kernels(image(40, 50))
    assert kernels.tiling.tile == 24
    assert len(kernels.kernels) == 3 * 4


@pytest.mark.parametrize("settings", [{"tile": 0.9}, {"tile": 17.0}, {"overlap": 1.0}, {"overlap": -0.1}])
def test_tiles_that_are_no_tiles_or_leave_no_step_are_refused(settings):
    with pytest.raises(InputError, match=f"{next(iter(settings))} is .*; it must be from"):
        LearnedConfig("shipped:mpt-s", **settings)


@pytest.mark.parametrize("architecture", ["mpt", "restormer"])
def test_local_statistics_change_nothing_on_images_that_fit_into_their_window(architecture, tmp_path):
    path = str(write(tmp_path / "a.safetensors", architecture))
    plain, local = (made(LearnedConfig(path, "whole", local_statistics=local), "cpu") for local in (False, True))
    small, large = image(48, 48), np.tile(image(48, 48), (2, 2, 1))
    assert np.allclose(plain.restore(small), local.restore(small), atol=1e-5)
    assert np.abs(plain.restore(large) - local.restore(large)).max() > 1e-4


def test_weights_that_are_not_there_are_named_with_where_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    for name, release in architectures.RELEASES.items():
        reason = references.why_missing(f"released:{name}")
        assert reason is not None
        assert release.where in reason
        assert f"bench weights add {name} FILE" in reason
        assert references.digest(f"released:{name}") is None
        with pytest.raises(InputError, match="not on this machine"):
            made(LearnedConfig(f"released:{name}"), "cpu")
    with pytest.raises(InputError, match="did you mean mpt"):
        references.why_missing("released:mtp")
    assert "There is no checkpoint" in str(references.why_missing("shipped:nothing"))


def test_released_weights_run_under_the_settings_that_belong_to_them(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    torch.manual_seed(0)
    authors = architectures.network("iniknet", {})
    found = weights.Weights(authors.state_dict(), "0" * 64, {})
    monkeypatch.setattr(weights, "load", lambda name: found)
    monkeypatch.setattr(weights, "why_missing", lambda name: None)
    restorer = made(LearnedConfig("released:iniknet", "whole"), "cpu")
    assert restorer.tile == 0
    with torch.no_grad():
        tensor = torch.from_numpy(image().transpose(2, 0, 1))[None]
        expected = authors.eval()(tensor)[0].clamp(0, 1).numpy().transpose(1, 2, 0)
    assert np.allclose(restorer.restore(image()), expected, atol=1e-6)
