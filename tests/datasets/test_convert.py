"""Conversion keeps the capture, and downscaling is what a coarser sensor would have seen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captures import write_tiny_capture

from datasets import convert, store
from datasets.captures import open_capture
from datasets.color import srgb_to_linear
from datasets.difficulty import difficulty
from datasets.errors import InputError


def test_a_converted_capture_is_the_same_capture(tiny: Path, tmp_path: Path) -> None:
    convert.write(open_capture(tiny), tmp_path / "copy")
    before, after = open_capture(tiny), open_capture(tmp_path / "copy")
    assert [v.name for v in after.test] == [v.name for v in before.test]
    assert after.optics == before.optics
    for old, new in zip(before.train, after.train, strict=True):
        np.testing.assert_array_equal(new.photograph().image, old.photograph().image)
        np.testing.assert_allclose(new.camera.c2w, old.camera.c2w, atol=1e-12)
        np.testing.assert_array_equal(new.truth().sharp, old.truth().sharp)
        np.testing.assert_allclose(new.truth().coc, old.truth().coc, rtol=1e-6)
    assert store.verify(tmp_path / "copy") == []


def test_downscaling_averages_light_and_keeps_rays(tmp_path: Path) -> None:
    root = write_tiny_capture(tmp_path / "tiny", size=(16, 12))
    convert.write(open_capture(root), tmp_path / "half", downscale=2)
    before, after = open_capture(root).train[0], open_capture(tmp_path / "half").train[0]
    assert (after.camera.width, after.camera.height) == (8, 6)
    point = before.camera.unproject(np.array([5.0, 7.0]), np.array(9.0))
    np.testing.assert_allclose(after.camera.project(point)[0], [2.5, 3.5])
    light = srgb_to_linear(before.photograph().image / 255.0)[:2, :2].mean(axis=(0, 1))
    np.testing.assert_allclose(srgb_to_linear(after.photograph().image[0, 0] / 255.0), light, atol=0.01)
    optics = open_capture(tmp_path / "half").optics
    assert optics is not None
    assert after.focus_distance is not None
    lens = optics.lens(after.focus_distance)
    assert lens.focal_length_px == pytest.approx(after.camera.fx)
    truth = after.truth()
    assert truth.depth is not None
    assert truth.coc is not None
    surface = (truth.depth > 0) & (np.abs(truth.coc) < 50)
    np.testing.assert_allclose(truth.coc[surface], lens.coc_radius(truth.depth[surface]), atol=0.02)


HARD = {"psnr_photograph_sharp": 26.5, "noise_floor_on_object": 41.0}


@pytest.fixture
def hard(capture_folder: Path) -> Path:
    """A capture whose manifest says how hard it is."""
    store.write_manifest(capture_folder, {"difficulty": HARD, "unfocused_px": 0.6})
    return capture_folder


def test_a_copy_is_as_hard_as_its_original(hard: Path, tmp_path: Path) -> None:
    copy = convert.write(open_capture(hard), tmp_path / "copy")
    assert (copy["difficulty"], copy["unfocused_px"]) == (HARD, 0.6)


def test_the_difficulty_of_a_smaller_capture_is_that_of_its_own_files(hard: Path, tmp_path: Path) -> None:
    written = convert.write(open_capture(hard), tmp_path / "half", downscale=2)
    assert written["unfocused_px"] == 0.3  # the same circles, in pixels twice as wide
    found = written["difficulty"]
    assert isinstance(found, dict)
    small = open_capture(tmp_path / "half")
    views = [(view.photograph().image, view.truth()) for view in (*small.train, *small.test)]
    assert found == difficulty(views)
    assert found["noise_floor_on_object"] is None
    assert 0 < found["coc_radius_px"]["median"] < found["coc_radius_px"]["max"]


def test_the_difficulty_of_a_capture_without_truth_is_unknown(tmp_path: Path) -> None:
    root = write_tiny_capture(tmp_path / "real", views=3, truth=False)
    assert "difficulty" not in convert.write(open_capture(root), tmp_path / "copy")


@pytest.mark.parametrize("out", ["file/out", "file/deeper/out"])
def test_a_folder_that_cannot_be_made_is_refused(tiny: Path, tmp_path: Path, refused: Any, out: str) -> None:
    (tmp_path / "file").write_text("mine")
    with refused(tmp_path / out, "cannot be written", "choose another --out"):
        convert.write(open_capture(tiny), tmp_path / out)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(("downscale", "says"), [(0, "whole number"), (5, "does not divide")])
def test_an_impossible_size_is_refused_and_nothing_is_left(
    tiny: Path, tmp_path: Path, downscale: int, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        convert.write(open_capture(tiny), tmp_path / "out", downscale)
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_not_touched(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there already"):
        convert.write(open_capture(tiny), tmp_path)
