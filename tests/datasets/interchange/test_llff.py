"""poses_bounds.npy is read as LLFF means it, and a file of another shape is refused."""

import numpy as np
import pytest
from PIL import Image

from datasets.cameras import look_at
from datasets.interchange import llff

POSE = look_at(np.array([3.0, -2.0, 5.0]), np.zeros(3))


def rows(count):
    """`count` rows of cameras at POSE, moved by one along x each, of 16 x 12 px and 20 px focal length."""
    found = []
    for index in range(count):
        right, down, forward, position = POSE[:3].T
        axes = np.stack([down, right, -forward, position + np.array([index, 0, 0]), [12.0, 16.0, 20.0]], axis=1)
        found.append([*axes.ravel(), 1.0, 9.0])
    return np.array(found)


@pytest.fixture
def scene(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("b.png", "a.png", "c.png"):
        Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(tmp_path / "images" / name)
    np.save(tmp_path / llff.FILE, rows(3))
    return tmp_path


def test_poses_go_to_photographs_in_the_order_of_their_names(scene):
    views = llff.read(scene / "images").views
    assert [view.path.name for view in views] == ["a.png", "b.png", "c.png"]
    for index, view in enumerate(views):
        np.testing.assert_allclose(view.c2w[:3, :3], POSE[:3, :3], atol=1e-12)
        np.testing.assert_allclose(view.c2w[:3, 3], POSE[:3, 3] + [index, 0, 0])
        assert view.lens.intrinsics == (20, 20, 8, 6)
        assert (view.lens.width, view.lens.height) == (16, 12)


def test_the_file_may_lie_elsewhere(scene, tmp_path):
    (tmp_path / "poses").mkdir()
    (scene / llff.FILE).rename(tmp_path / "poses" / "mine.npy")
    assert len(llff.read(scene / "images", tmp_path / "poses" / "mine.npy").views) == 3


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (rows(2), "2 poses"),
        (rows(3)[:, :15], "3 x 15"),
        (rows(3).ravel(), "row of 17"),
        (np.array(5.0), "row of 17"),
        (np.where(np.arange(17) == 3, np.nan, rows(3)), "not finite"),
        (np.array(["a", "b"]), "array of numbers"),
        (np.array([{"a": 1}]), "array of numbers"),
    ],
    ids=["count", "columns", "flat", "scalar", "nan", "text", "objects"],
)
def test_another_shape_is_refused(scene, refused, array, says):
    np.save(scene / llff.FILE, array)
    with refused(llff.FILE, says):
        llff.read(scene / "images")


def test_no_file_and_a_file_that_is_none_are_refused(scene, refused):
    (scene / llff.FILE).write_text("poses")
    with refused(llff.FILE, "cannot be read"):
        llff.read(scene / "images")
    (scene / llff.FILE).unlink()
    with refused(f"no {llff.FILE}", "--model"):
        llff.read(scene / "images")
