"""Photographs with poses from elsewhere become a capture, or are refused in one sentence that leaves nothing behind."""

import json
import shutil
import struct

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from datasets import store
from datasets.cameras import OPENGL_FROM_OPENCV
from datasets.capture import Optics, Points
from datasets.captures import open_capture
from datasets.images import read_png, write_png
from datasets.interchange import colmap, sparse
from datasets.interchange.distortion import Lens, pinhole
from datasets.interchange.exporting import export_capture
from datasets.interchange.importing import import_capture

NO_POINTS = Points(np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8))


def ordered(capture):
    return sorted((*capture.train, *capture.test), key=lambda view: view.name)


def put_exif(path, focal, f_number, distance):
    """Write the photograph `path` again with a lens of `focal` mm, f-number and subject distance in m, 10 um pixels."""
    made = Image.Exif()
    made[0x8769] = {
        0x920A: IFDRational(*focal),
        0x829D: IFDRational(*f_number),
        0x9206: IFDRational(*distance),
        0xA20E: IFDRational(1000),
        0xA210: 3,
    }
    with Image.open(path) as image:
        image.load()
    image.save(path, exif=made)


@pytest.fixture
def exported(tiny, tmp_path):
    """The tiny capture as COLMAP's folders: images/ and sparse/0/."""
    export_capture(open_capture(tiny), "colmap", tmp_path / "scene")
    return tmp_path / "scene"


def rewrite_model(scene, change, points=None):
    """Replace the images of the model by what `change` makes of each."""
    model = colmap.read(scene / "sparse" / "0")
    colmap.write(sparse.Model(tuple(map(change, model.images)), points or model.points), scene / "sparse" / "0")


# ---------------------------------------------------------------- COLMAP


def test_the_demo_comes_back_from_colmap_as_it_went(tmp_path):
    before = open_capture("demo")
    export_capture(before, "colmap", tmp_path / "scene")
    made = import_capture(tmp_path / "scene" / "images", "colmap", tmp_path / "out")
    after = open_capture(tmp_path / "out")
    assert (made.views, made.held_out) == (32, 4)
    assert [view.name for view in after.test] == [view.name for view in before.test]
    for old, new in zip(ordered(before), ordered(after), strict=True):
        assert new.name == old.name
        np.testing.assert_allclose(new.camera.c2w, old.camera.c2w, atol=1e-6)
        for key in ("width", "height", "fx", "fy", "cx", "cy"):
            assert getattr(new.camera, key) == getattr(old.camera, key)
        np.testing.assert_array_equal(new.photograph().image, old.photograph().image)
    np.testing.assert_array_equal(after.points.xyz, before.points.xyz)
    np.testing.assert_array_equal(after.points.rgb, before.points.rgb)
    assert not after.has_truth
    assert store.verify(tmp_path / "out") == []
    assert after.manifest["unit"] == "arbitrary"
    assert "no unit, only that of COLMAP" in made.unit


def test_text_models_are_read_as_binary_ones_are(exported, tmp_path):
    """Written here by hand, as COLMAP's documentation has them."""
    model = colmap.read(exported / "sparse" / "0")
    text = tmp_path / "text"
    text.mkdir()
    (text / "cameras.txt").write_text("# comment\n7 SIMPLE_PINHOLE 16 12 20.5 8 6\n")
    seen = {0: "4.5 5.5 1", 1: "6.5 5.5 1"}  # the one point, in the first two images
    lines = [f"{i + 1} 0.5 0.5 0.5 0.5 {i} 2 3 7 {im.path}\n{seen.get(i, '')}\n" for i, im in enumerate(model.images)]
    (text / "images.txt").write_text("".join(lines))
    (text / "points3D.txt").write_text("1 0.5 1.5 2.5 10 20 30 0.1 1 0 2 0\n")
    import_capture(exported / "images", "colmap", tmp_path / "out", model=text)
    capture = open_capture(tmp_path / "out")
    for index, view in enumerate(ordered(capture)):
        assert (view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy) == (20.5, 20.5, 8, 6)
        # A turn by 120 degrees about (1, 1, 1) sends x to y, y to z, z to x.
        rotation = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
        np.testing.assert_allclose(view.camera.w2c[:3], np.c_[rotation, [index, 2, 3]], atol=1e-12)
    np.testing.assert_array_equal(capture.points.xyz, [[0.5, 1.5, 2.5]])
    np.testing.assert_array_equal(capture.points.rgb, [[10, 20, 30]])


@pytest.mark.parametrize("place", ["images/sparse/0", "sparse", "colmap/sparse/0", "images"])
def test_the_model_is_found_where_it_usually_lies(exported, tmp_path, place):
    model = tmp_path / "model"
    (exported / "sparse" / "0").rename(model)
    shutil.rmtree(exported / "sparse")
    shutil.copytree(model, exported / place, dirs_exist_ok=True)
    assert import_capture(exported, "colmap", tmp_path / "out").views == 9


def test_distorted_photographs_are_undistorted_with_their_cameras(exported, tmp_path):
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    lens = Lens("OPENCV", 160, 120, (150.0, 150.0, 80.0, 60.0, -0.3, 0.05, 0.0, 0.0))
    for path in (exported / "images").iterdir():
        write_png(path, image)
    rewrite_model(exported, lambda i: sparse.Image(i.path, lens, i.w2c))
    import_capture(exported, "colmap", tmp_path / "out")
    view = open_capture(tmp_path / "out").train[0]
    seen = pinhole(lens)
    assert (view.camera.width, view.camera.height) == (seen.width, seen.height)
    assert (seen.width, seen.height) > (160, 120)  # a barrel sees more than its pinhole
    # OpenCV's own undistortion, on our pixels: its first pixel's centre is 0, ours 0.5.
    k = np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]])
    new = k.copy()
    new[:2, 2] = np.array(seen.intrinsics[2:]) - 0.5
    maps = cv2.initUndistortRectifyMap(k, lens.coefficients, None, new, (seen.width, seen.height), cv2.CV_32FC1)
    expected = cv2.remap(image, *maps, cv2.INTER_LINEAR)
    error = np.abs(view.photograph().image.astype(int) - expected)[3:-3, 3:-3]
    assert error.mean() < 1


def test_a_model_without_points_is_a_capture_without_points(exported, tmp_path):
    rewrite_model(exported, lambda i: i, NO_POINTS)
    warnings = []
    import_capture(exported, "colmap", tmp_path / "out", warn=warnings.append)
    assert open_capture(tmp_path / "out").points is None
    assert ["no sparse points" in warning for warning in warnings] == [True]


def test_a_scale_puts_the_world_into_mm(exported, tmp_path):
    before = colmap.read(exported / "sparse" / "0")
    made = import_capture(exported, "colmap", tmp_path / "out", scale_mm=12.5)
    after = open_capture(tmp_path / "out")
    for old, new in zip(before.images, ordered(after), strict=True):
        np.testing.assert_allclose(new.camera.w2c[:3, 3], 12.5 * old.w2c[:, 3], atol=1e-9)
        np.testing.assert_allclose(new.camera.w2c[:3, :3], old.w2c[:, :3], atol=1e-9)
    np.testing.assert_allclose(after.points.xyz, 12.5 * before.points.xyz, rtol=1e-6)
    assert after.manifest["unit"] == "mm"
    assert "in mm, 12.5 to each unit" in made.unit


def test_downscaling_drops_the_rest_of_a_block_and_keeps_rays(exported, tmp_path):
    before = colmap.read(exported / "sparse" / "0").images[0]
    import_capture(exported, "colmap", tmp_path / "out", downscale=5)
    camera = ordered(open_capture(tmp_path / "out"))[0].camera
    assert (camera.width, camera.height) == (3, 2)
    assert (camera.fx, camera.cx) == (before.lens.intrinsics[0] / 5, 8 / 5)


def test_smaller_photographs_scale_their_cameras(exported, tmp_path):
    for path in (exported / "images").iterdir():
        write_png(path, cv2.resize(read_png(path), (8, 6)))
    warnings = []
    import_capture(exported, "colmap", tmp_path / "out", warn=warnings.append)
    camera = open_capture(tmp_path / "out").train[0].camera
    assert (camera.width, camera.height, camera.cx, camera.cy) == (8, 6, 4, 3)
    assert any("0.5 times" in warning for warning in warnings)


def test_photographs_of_several_sizes_need_cameras_that_agree(exported, tmp_path, refused):
    odd = sorted((exported / "images").iterdir())[3]
    write_png(odd, np.zeros((12, 20, 3), np.uint8))
    with refused(odd, "20 x 12", "16 x 12"):
        import_capture(exported, "colmap", tmp_path / "out")
    lens = Lens("PINHOLE", 20, 12, (30.0, 30.0, 10.0, 6.0))
    rewrite_model(exported, lambda i: sparse.Image(i.path, lens, i.w2c) if i.path == odd.name else i)
    import_capture(exported, "colmap", tmp_path / "out")
    assert {view.camera.width for view in open_capture(tmp_path / "out").train} == {16, 20}


def test_photographs_that_the_model_does_not_know_are_left_out_and_told(exported, tmp_path):
    write_png(exported / "images" / "zzz.png", np.zeros((12, 16, 3), np.uint8))
    warnings = []
    assert import_capture(exported, "colmap", tmp_path / "out", warn=warnings.append).views == 9
    assert ["1 photographs, first zzz.png" in warning for warning in warnings] == [True]


def test_masks_hide_what_is_not_the_object(exported, tmp_path):
    (tmp_path / "masks").mkdir()
    mask = np.zeros((12, 16), np.uint8)
    mask[3:9, 4:12] = 255
    for path in (exported / "images").iterdir():
        write_png(path, np.full((12, 16, 3), 200, np.uint8))
        write_png(tmp_path / "masks" / path.name, mask)
    import_capture(exported, "colmap", tmp_path / "out", masks=tmp_path / "masks")
    capture = open_capture(tmp_path / "out")
    assert capture.background.is_black
    np.testing.assert_array_equal(capture.train[0].photograph().image, np.where(mask[:, :, None], 200, 0).repeat(3, 2))


def damage(model, name, change):
    (model / name).write_bytes(change((model / name).read_bytes()))


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("cameras.bin", lambda b: b[:12] + struct.pack("<i", 99) + b[16:], "camera model 99"),
        ("cameras.bin", lambda b: b[:-8], "cameras.bin does not end where it should"),
        ("images.bin", lambda b: b[: len(b) // 2], "images.bin does not end where it should"),
        ("images.bin", lambda b: b"\xff" * len(b), "images.bin does not end where it should"),
        ("images.bin", lambda b: b"", "images.bin does not end where it should"),
        ("points3D.bin", lambda b: b[:100], "points3D.bin does not end where it should"),
        ("points3D.bin", lambda b: b + b"more", "points3D.bin does not end where it should"),
    ],
    ids=["unknown model", "cameras", "half", "garbage", "empty", "points", "more"],
)
def test_a_damaged_model_is_refused(exported, tmp_path, refused, name, change, says):
    model = exported / "sparse" / "0"
    for extra in ("rigs.bin", "frames.bin"):  # as models are that older programs wrote
        (model / extra).unlink()
    damage(model, name, change)
    with refused(model / name, says):
        import_capture(exported, "colmap", tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"scene"}


def test_a_model_without_poses_or_with_a_lens_that_is_not_known_is_refused(exported, tmp_path, refused):
    text = tmp_path / "text"
    text.mkdir()
    (text / "cameras.txt").write_text("1 THIN_PRISM_FISHEYE 16 12 20 20 8 6 0 0 0 0 0 0 0 0\n")
    (text / "images.txt").write_text("")
    (text / "points3D.txt").write_text("")
    with refused(text, "no registered images"):
        import_capture(exported, "colmap", tmp_path / "out", model=text)
    (text / "images.txt").write_text("1 1 0 0 0 0 0 5 1 000.png\n\n")
    with refused(text, "THIN_PRISM_FISHEYE", "undistort"):
        import_capture(exported, "colmap", tmp_path / "out", model=text)


@pytest.mark.parametrize(
    "line", ["1 FANCY 16 12 20 8 6", "1 PINHOLE 16 12 20 8 6", "1 PINHOLE 16 12 nan 20 8 6", "what"]
)
def test_a_text_model_that_is_none_is_refused(exported, tmp_path, refused, line):
    text = tmp_path / "text"
    text.mkdir()
    (text / "cameras.txt").write_text(line + "\n")
    (text / "images.txt").write_text("1 1 0 0 0 0 0 5 1 000.png\n\n")
    (text / "points3D.txt").write_text("")
    with refused(text, "cannot be read"):
        import_capture(exported, "colmap", tmp_path / "out", model=text)


# ---------------------------------------------------------------- nerfstudio, LLFF


def test_a_transforms_file_comes_back_with_lens_focus_and_split(tiny, tmp_path):
    before = open_capture(tiny)
    export_capture(before, "transforms", tmp_path / "scene")
    made = import_capture(tmp_path / "scene", "transforms", tmp_path / "out")
    after = open_capture(tmp_path / "out")
    assert after.optics == before.optics
    assert [view.focus_distance for view in ordered(after)] == [view.focus_distance for view in ordered(before)]
    assert after.points is not None
    assert "in mm, as its source says" in made.unit
    for old, new in zip(ordered(before), ordered(after), strict=True):
        np.testing.assert_allclose(new.camera.c2w, old.camera.c2w, atol=1e-12)


def test_distortion_that_a_capture_must_not_have_is_undistorted_on_the_way(tiny, tmp_path, refused):
    export_capture(open_capture(tiny), "transforms", tmp_path / "scene")
    path = tmp_path / "scene" / store.TRANSFORMS
    path.write_text(json.dumps({**json.loads(path.read_text()), "k1": 0.5}))
    with refused("k1 is 0.5"):
        open_capture(tmp_path / "scene")
    import_capture(tmp_path / "scene", "transforms", tmp_path / "out")
    assert open_capture(tmp_path / "out").train[0].camera.width < 16


def test_llff_comes_to_the_same_cameras(tiny, tmp_path):
    before = open_capture(tiny)
    shutil.copytree(tiny / "images", tmp_path / "scene" / "images")
    rows = []
    for view in ordered(before):
        right, up, back, position = (view.camera.c2w @ OPENGL_FROM_OPENCV)[:3].T
        axes = [-up, right, back, position, [view.camera.height, view.camera.width, view.camera.fx]]
        rows.append([*np.stack(axes, axis=1).ravel(), 0.1, 100.0])
    np.save(tmp_path / "scene" / "poses_bounds.npy", np.array(rows))
    import_capture(tmp_path / "scene", "llff", tmp_path / "out")
    for old, new in zip(ordered(before), ordered(open_capture(tmp_path / "out")), strict=True):
        np.testing.assert_allclose(new.camera.c2w, old.camera.c2w, atol=1e-9)
        assert new.camera.fx == pytest.approx(old.camera.fx)


# ---------------------------------------------------------------- EXIF


def test_exif_is_the_lens_and_where_the_world_is_in_mm_the_focus(exported, tmp_path):
    paths = sorted((exported / "images").iterdir())
    for index, path in enumerate(paths):
        put_exif(path, (60, 1), (28, 10), (150 + index, 1000))
    warnings = []
    import_capture(exported, "colmap", tmp_path / "unscaled", warn=warnings.append)
    import_capture(exported, "colmap", tmp_path / "scaled", scale_mm=1.0, downscale=2)
    unscaled, scaled = open_capture(tmp_path / "unscaled"), open_capture(tmp_path / "scaled")
    assert unscaled.optics == Optics(60.0, 2.8, pytest.approx(0.01))
    assert scaled.optics == Optics(60.0, 2.8, pytest.approx(0.02))
    assert {view.focus_distance for view in ordered(unscaled)} == {None}
    assert [view.focus_distance for view in ordered(scaled)] == pytest.approx([150.0 + i for i in range(9)])
    assert unscaled.manifest["exif"]["003"]["focus_distance"] == pytest.approx(153)
    assert any("count only with --scale-mm" in warning for warning in warnings)


def test_nonsense_in_exif_is_ignored_with_a_warning(exported, tmp_path):
    for path in (exported / "images").iterdir():
        put_exif(path, (100000, 1), (0, 1), (1, 100000))
    warnings = []
    import_capture(exported, "colmap", tmp_path / "out", scale_mm=1.0, warn=warnings.append)
    capture = open_capture(tmp_path / "out")
    assert capture.optics is None
    assert {view.focus_distance for view in ordered(capture)} == {None}
    for clause in ("a focal length of 100000 mm", "an f-number of 0", "a subject distance of 0.01 mm"):
        assert sum(f"000 and 8 more tells {clause}" in warning for warning in warnings) == 1


# ---------------------------------------------------------------- refusals


def test_photographs_that_are_missing_or_damaged_are_refused_and_nothing_is_left(exported, tmp_path, refused):
    (exported / "images" / "003.png").write_bytes(b"no image")
    with refused("003.png", "cannot be read"):
        import_capture(exported, "colmap", tmp_path / "out")
    (exported / "images" / "003.png").unlink()
    (exported / "images" / "004.png").unlink()
    with refused("003.png", "and 1 more", exported / "images"):
        import_capture(exported, "colmap", tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"scene"}


@pytest.mark.parametrize(
    ("poses", "options", "says"),
    [
        ("colmop", {}, "no poses colmop"),
        ("colmap", {"scale_mm": 0.0}, "--scale-mm 0"),
        ("colmap", {"scale_mm": float("nan")}, "--scale-mm nan"),
        ("colmap", {"downscale": 0}, "--downscale 0"),
        ("colmap", {"downscale": 100}, "fewer than 100 pixels"),
        ("transforms", {}, "no transforms.json"),
        ("llff", {}, "no poses_bounds.npy"),
    ],
)
def test_wrong_options_are_refused_and_nothing_is_left(exported, tmp_path, refused, poses, options, says):
    with refused(says):
        import_capture(exported, poses, tmp_path / "out", **options)
    assert {path.name for path in tmp_path.iterdir()} == {"scene"}


def test_folders_that_are_not_there_or_hold_something_are_refused(exported, tmp_path, refused):
    with refused("no folder", "gone"):
        import_capture(tmp_path / "gone", "colmap", tmp_path / "out")
    with refused("no folder", "of masks"):
        import_capture(exported, "colmap", tmp_path / "out", masks=tmp_path / "gone")
    with refused("no COLMAP model", "--model"):
        import_capture(exported, "colmap", tmp_path / "out", model=tmp_path)
    with refused(exported, "there already", "--out"):
        import_capture(exported, "colmap", exported)
    (tmp_path / "empty").mkdir()
    with refused("holds no photographs"):
        import_capture(tmp_path / "empty", "compute", tmp_path / "out")


def test_an_empty_folder_is_as_good_as_a_new_one(exported, tmp_path):
    (tmp_path / "out").mkdir()
    assert import_capture(exported, "colmap", tmp_path / "out").views == 9
