"""Other programs read what is exported: pycolmap opens it, and the numbers are the capture's."""

import numpy as np
import pytest
from by_pycolmap import READ_MODEL, by_pycolmap

from datasets import store
from datasets.captures import open_capture
from datasets.images import read_png
from datasets.interchange.exporting import export_capture


@pytest.fixture(scope="module")
def demo():
    return open_capture("demo")


@pytest.fixture(scope="module")
def exported(demo, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "demo"
    export_capture(demo, "colmap", out)
    return out, by_pycolmap(READ_MODEL, out / "sparse" / "0")


def test_pycolmap_reads_the_poses_and_the_very_intrinsics(demo, exported):
    _, found = exported
    assert set(found["images"]) == {f"{view.name}.png" for view in (*demo.train, *demo.test)}
    for view in (*demo.train, *demo.test):
        image, camera = found["images"][f"{view.name}.png"], view.camera
        np.testing.assert_allclose(image["w2c"], camera.w2c[:3], atol=1e-9)
        intrinsics = [camera.fx, camera.fy, camera.cx, camera.cy]
        assert image["camera"] == ["PINHOLE", camera.width, camera.height, intrinsics]
    assert found["cameras"] == len({view.camera.fx for view in (*demo.train, *demo.test)})


def test_pycolmap_reads_the_sparse_points(demo, exported):
    points = np.array(exported[1]["points"])
    np.testing.assert_array_equal(points[:, :3].astype(np.float32), demo.points.xyz)
    np.testing.assert_array_equal(points[:, 3:], demo.points.rgb)


def test_pycolmap_projects_points_to_the_pixels_of_our_cameras(demo, exported):
    program = """
found = pycolmap.Reconstruction(arguments[0])
xyz = np.array(json.loads(arguments[2]))
answer = [found.find_image_with_name(arguments[1]).project_point(point).tolist() for point in xyz]
"""
    xyz, view = demo.points.xyz[:20].astype(float), demo.train[3]
    pixels = by_pycolmap(program, exported[0] / "sparse" / "0", f"{view.name}.png", xyz.tolist())
    np.testing.assert_allclose(pixels, view.camera.project(xyz)[0], atol=1e-8)


def test_photographs_and_split_go_along_and_the_truth_stays(demo, exported):
    out, _ = exported
    for view in demo.train[:3]:
        np.testing.assert_array_equal(read_png(out / "images" / f"{view.name}.png"), view.photograph().image)
    held_out = (out / "sparse" / "0" / "test.txt").read_text().split()
    assert held_out == [f"{view.name}.png" for view in demo.test]
    assert {path.name for path in out.iterdir()} == {"images", "sparse"}


def test_transforms_are_a_capture_without_truth_whose_held_out_views_validate_too(tiny, tmp_path):
    before = open_capture(tiny)
    export_capture(before, "transforms", tmp_path / "out")
    after = open_capture(tmp_path / "out")
    assert not after.has_truth
    assert (after.optics, after.background) == (before.optics, before.background)
    for old, new in zip((*before.train, *before.test), (*after.train, *after.test), strict=True):
        assert (new.name, new.focus_distance) == (old.name, old.focus_distance)
        np.testing.assert_array_equal(new.photograph().image, old.photograph().image)
        np.testing.assert_allclose(new.camera.c2w, old.camera.c2w, atol=1e-12)
    np.testing.assert_array_equal(after.points.xyz, before.points.xyz)
    document = store.read_json(tmp_path / "out" / store.TRANSFORMS)
    assert document["val_filenames"] == document["test_filenames"] == ["images/000.png", "images/008.png"]


def test_what_cannot_be_exported_is_refused_and_nothing_is_left(tiny, tmp_path, refused):
    with refused("no format nerf", "colmap, transforms"):
        export_capture(open_capture(tiny), "nerf", tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with refused(tmp_path / "mine", "there already", "--out"):
        export_capture(open_capture(tiny), "colmap", tmp_path / "mine")
    with refused("cannot be written", "--out"):
        export_capture(open_capture(tiny), "colmap", tmp_path / "mine" / "file" / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "file"]
