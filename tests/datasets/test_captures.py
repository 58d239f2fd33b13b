"""Captures are found by path or by built-in name, and a near miss gets a suggestion."""

import json
import shutil

import numpy as np
import pytest

from datasets import captures, store
from datasets.images import write_png


@pytest.fixture
def builtin(tiny, tmp_path, monkeypatch):
    """A folder of built-in captures: demo and pebble."""
    for name in ("demo", "pebble"):
        shutil.copytree(tiny, tmp_path / "builtin" / name)
    (tmp_path / "builtin" / "notes").mkdir()
    monkeypatch.setattr(captures, "BUILTIN", tmp_path / "builtin")
    return tmp_path / "builtin"


def test_a_capture_is_opened_by_its_path(tiny):
    for path in (tiny, str(tiny), f"{tiny}/"):
        capture = captures.open_capture(path)
        assert capture.root == tiny
        assert capture.name == "tiny"
        assert len(capture.train) == 7


def test_a_capture_is_opened_by_a_relative_path(tiny, monkeypatch):
    monkeypatch.chdir(tiny.parent)
    assert captures.open_capture("tiny").content_hash == captures.open_capture(tiny).content_hash
    monkeypatch.chdir(tiny)
    assert captures.open_capture(".").name == "tiny"


def test_a_capture_is_opened_by_its_built_in_name(builtin):
    assert captures.builtin_names() == ["demo", "pebble"]
    capture = captures.open_capture("demo")
    assert capture.root == builtin / "demo"
    assert capture.name == "demo"


def test_a_nerf_synthetic_folder_is_recognised(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        write_png(tmp_path / part / "r_0.png", np.full((4, 4, 4), 255, np.uint8))
        frames = [{"file_path": f"./{part}/r_0", "transform_matrix": np.eye(4).tolist()}]
        (tmp_path / f"transforms_{part}.json").write_text(json.dumps({"camera_angle_x": 1.0, "frames": frames}))
    assert [view.name for view in captures.open_capture(tmp_path).test] == ["test_r_0"]


def test_a_name_that_is_nearly_right_gets_a_suggestion(builtin, refused):
    with refused("no capture demmo", "did you mean demo?"):
        captures.open_capture("demmo")


def test_a_name_that_is_like_none_gets_the_list(builtin, refused):
    with refused("no capture xyzzy", "known by name: demo, pebble"):
        captures.open_capture("xyzzy")


def test_without_built_in_captures_the_list_is_empty(tmp_path, monkeypatch, refused):
    monkeypatch.setattr(captures, "BUILTIN", tmp_path / "none")
    assert captures.builtin_names() == []
    with refused("no capture demo", "known by name: none"):
        captures.open_capture("demo")


def test_a_path_that_does_not_exist_is_refused(tmp_path, refused):
    with refused(tmp_path / "none", "no such folder"):
        captures.open_capture(tmp_path / "none")


def test_a_folder_without_a_capture_is_refused(tmp_path, refused):
    with refused(tmp_path, "holds no capture", store.TRANSFORMS, "transforms_train.json"):
        captures.open_capture(tmp_path)


def test_a_broken_capture_is_refused_by_name(builtin, refused):
    (builtin / "pebble" / "images" / "001.png").unlink()
    with refused(builtin / "pebble", "images/001.png is missing"):
        captures.open_capture("pebble")
