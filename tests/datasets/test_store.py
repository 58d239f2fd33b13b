"""A capture on disk is read as it was written, and a broken one is refused with its file and frame."""

import json
import shutil
from dataclasses import asdict, fields
from math import nan
from pathlib import Path

import numpy as np
import pytest
from captures import BALL_RADIUS, DISTANCE, write_tiny_capture
from plyfile import PlyData, PlyElement

from datasets import store
from datasets.capture import Background, Optics, Points
from datasets.color import srgb_to_linear
from datasets.images import read_png, write_exr, write_png


def document(root):
    return json.loads((root / store.TRANSFORMS).read_text())


def rewrite(root, change):
    """Let `change` alter transforms.json, as if the capture had come so from elsewhere (no manifest)."""
    altered = document(root)
    change(altered)
    (root / store.TRANSFORMS).write_text(json.dumps(altered))
    (root / store.MANIFEST).unlink(missing_ok=True)


def views(capture):
    return sorted((*capture.train, *capture.test), key=lambda view: view.name)


# ---------------------------------------------------------------- what is written is read


@pytest.fixture(scope="module")
def capture(tiny):
    return store.read(tiny)


def test_every_eighth_view_is_held_out_and_the_order_is_kept(capture):
    assert [view.name for view in capture.test] == ["000", "008"]
    assert [view.name for view in capture.train] == ["001", "002", "003", "004", "005", "006", "007"]


def test_pixels_are_those_of_the_files(tiny, capture):
    for view in views(capture):
        photograph, truth = view.photograph(), view.truth()
        assert photograph.name == view.name
        assert photograph.image.shape == (12, 16, 3)
        np.testing.assert_array_equal(photograph.image, read_png(tiny / "images" / f"{view.name}.png"))
        np.testing.assert_array_equal(truth.sharp, read_png(tiny / "sharp" / f"{view.name}.png"))
        np.testing.assert_array_equal(np.round(truth.mask * 255), read_png(tiny / "mask" / f"{view.name}.png"))
        assert {truth.mask.dtype, truth.depth.dtype, truth.coc.dtype} == {np.dtype(np.float32)}
        assert truth.mask.max() == 1


def test_transforms_survive_writing_and_reading_exactly(tmp_path, tiny, capture):
    shutil.copytree(tiny / "images", tmp_path / "images")
    optics, background = Optics(61.5, 2.8, 0.0123), Background((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    whole = views(capture)
    frames = [store.frame(view.name, view.camera, view.focus_distance) for view in whole]
    store.write_transforms(tmp_path, frames, ["003"], background, optics, has_points=False)
    again = store.read(tmp_path)
    assert again.optics == optics
    assert again.background == background
    assert again.points is None
    assert [view.name for view in again.test] == ["003"]
    for found, view in zip(views(again), whole, strict=True):
        assert found.focus_distance == view.focus_distance
        for field in fields(view.camera):
            np.testing.assert_array_equal(getattr(found.camera, field.name), getattr(view.camera, field.name))


def test_points_survive_writing_and_reading_exactly(tmp_path):
    rng = np.random.default_rng(0)
    points = Points(rng.normal(size=(20, 3)).astype(np.float32), rng.integers(0, 256, (20, 3), dtype=np.uint8))
    store.write_points(tmp_path / "points.ply", points)
    again = store.read_points(tmp_path / "points.ply")
    np.testing.assert_array_equal(again.xyz, points.xyz)
    np.testing.assert_array_equal(again.rgb, points.rgb)
    assert (again.xyz.dtype, again.rgb.dtype) == (np.float32, np.uint8)


def test_points_without_colours_are_gray(tmp_path):
    table = np.zeros(4, dtype=[("x", "f8"), ("y", "f8"), ("z", "f8")])
    PlyData([PlyElement.describe(table, "vertex")], text=True).write(str(tmp_path / "p.ply"))
    assert (store.read_points(tmp_path / "p.ply").rgb == 128).all()


def test_the_manifest_gives_the_capture_its_hash_and_provenance(tiny, capture):
    manifest = store.read_json(tiny / store.MANIFEST)
    assert capture.manifest == manifest
    assert capture.content_hash == manifest["content_hash"]
    assert manifest["recipe"]["object"] == "ball"
    files = {path.relative_to(tiny).as_posix() for path in tiny.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == files - {store.MANIFEST}
    assert len(files) == 5 * 9 + 3
    assert manifest["files"]["points.ply"] == store.sha256(tiny / "points.ply")


def test_frames_are_opengl_cameras_that_look_along_minus_z(tiny, capture):
    frames = {Path(frame["file_path"]).stem: frame for frame in document(tiny)["frames"]}
    for view in views(capture):
        pose = np.array(frames[view.name]["transform_matrix"])
        x, y, z, position = pose[:3].T
        np.testing.assert_allclose(np.cross(x, y), z, atol=1e-12)
        np.testing.assert_allclose(-z, -position / DISTANCE, atol=1e-12)  # towards the ball at the origin
        assert y[2] > 0  # up in the image is up in the world
        np.testing.assert_allclose(view.camera.forward, -z)
        np.testing.assert_allclose(view.camera.position, position)


def test_the_truth_is_consistent_with_cameras_and_optics(capture):
    for view in views(capture):
        truth = view.truth()
        rows, columns = np.nonzero(truth.depth)
        depth = truth.depth[rows, columns]
        surface = view.camera.unproject(np.stack([columns, rows], axis=-1) + 0.5, depth)
        np.testing.assert_allclose(np.linalg.norm(surface, axis=1), BALL_RADIUS, rtol=1e-5)
        lens = capture.optics.lens(view.focus_distance)
        np.testing.assert_allclose(truth.coc[rows, columns], lens.coc_radius(depth), atol=1e-4)
        assert not truth.coc[truth.depth == 0].any()
        assert (truth.mask[rows, columns] > 0).all()


def test_photographs_of_the_tiny_capture_are_blurred_but_hold_the_same_light(capture):
    for view in views(capture):
        photograph, sharp = view.photograph().image / 255.0, view.truth().sharp / 255.0
        assert 20 < -10 * np.log10(np.mean((photograph - sharp) ** 2)) < 35
        assert srgb_to_linear(photograph).sum() == pytest.approx(srgb_to_linear(sharp).sum(), rel=0.05)


def test_writing_the_same_capture_twice_gives_the_same_bytes(tmp_path, capture):
    assert store.read(write_tiny_capture(tmp_path / "again")).content_hash == capture.content_hash


# ---------------------------------------------------------------- captures made elsewhere


def test_a_capture_without_manifest_truth_or_points_is_read(tmp_path):
    root = write_tiny_capture(tmp_path / "elsewhere", views=3, truth=False)
    (root / store.POINTS).unlink()
    rewrite(root, lambda d: [d.pop(key) for key in ("ply_file_path", "optics", "background", "val_filenames")])
    capture = store.read(root)
    assert not capture.has_truth
    assert (capture.manifest, capture.points, capture.optics) == ({}, None, None)
    assert capture.background == Background()
    assert capture.content_hash == store.content_hash(store.file_hashes(root))
    assert len(capture.photographs().views) == 2


def unsplit(document):
    for part in ("train", "val", "test"):
        document.pop(f"{part}_filenames", None)


def test_where_no_split_is_given_every_eighth_photograph_by_name_is_held_out(capture_folder):
    rewrite(capture_folder, lambda d: (unsplit(d), d["frames"].reverse()))
    assert [view.name for view in store.read(capture_folder).test] == ["000", "008"]


def test_a_single_photograph_without_a_split_leaves_nothing_to_train_on(capture_folder, refused):
    rewrite(capture_folder, lambda d: (unsplit(d), d.update(frames=d["frames"][:1])))
    with refused(capture_folder / store.TRANSFORMS, "no training views"):
        store.read(capture_folder)


def test_a_view_that_is_held_out_twice_is_scored_once(capture_folder):
    rewrite(capture_folder, lambda d: d.update(test_filenames=["images/003.png", "images/003.png"]))
    assert [view.name for view in store.read(capture_folder).test] == ["003"]


@pytest.mark.parametrize("model", ["PINHOLE", "SIMPLE_PINHOLE", "OPENCV", None])
def test_a_lens_with_coefficients_of_zero_has_no_distortion(capture_folder, model):
    rewrite(capture_folder, lambda d: d.update(camera_model=model, **dict.fromkeys(store.DISTORTION, 0.0)))
    assert len(store.read(capture_folder).train) == 7


@pytest.mark.parametrize("key", store.DISTORTION)
def test_distortion_is_refused_by_frame_and_coefficient(capture_folder, refused, key):
    rewrite(capture_folder, lambda d: d["frames"][3].update({key: -0.02}))
    with refused(capture_folder / store.TRANSFORMS, "frame 3", f"{key} is -0.02", "undistort"):
        store.read(capture_folder)


def test_distortion_that_all_frames_share_is_refused(capture_folder, refused):
    rewrite(capture_folder, lambda d: d.update(k1=0.1))
    with refused(capture_folder / store.TRANSFORMS, "frame 0", "k1 is 0.1", "undistort"):
        store.read(capture_folder)


@pytest.mark.parametrize("model", ["OPENCV_FISHEYE", "EQUIRECTANGULAR", 5])
def test_a_camera_that_is_no_pinhole_is_refused(capture_folder, refused, model):
    rewrite(capture_folder, lambda d: d.update(camera_model=model))
    with refused(capture_folder / store.TRANSFORMS, "frame 0", "camera_model", repr(model)):
        store.read(capture_folder)


def test_intrinsics_may_be_shared_by_all_frames_and_the_focus_unknown(capture_folder):
    def share(d):
        for frame in d["frames"]:
            frame.pop("focus_distance")
            d |= {key: frame.pop(key) for key in ("w", "h", "fl_x", "fl_y", "cx", "cy")}

    rewrite(capture_folder, share)
    capture = store.read(capture_folder)
    assert {(view.camera.width, view.camera.height, view.camera.fx) for view in views(capture)} == {
        (16, 12, document(capture_folder)["fl_x"])
    }
    assert {view.focus_distance for view in views(capture)} == {None}


def test_truth_may_lack_mask_depth_and_coc(capture_folder):
    for kind in ("mask", "depth", "coc"):
        shutil.rmtree(capture_folder / kind)
    (capture_folder / store.MANIFEST).unlink()
    truth = store.read(capture_folder).test[0].truth()
    assert (truth.mask == 1).all()
    assert (truth.depth, truth.coc) == (None, None)


# ---------------------------------------------------------------- hashes


def test_any_changed_byte_changes_the_content_hash_and_is_found_in_its_file(capture_folder):
    whole = store.content_hash(store.file_hashes(capture_folder))
    assert store.verify(capture_folder) == []
    for name in store.file_hashes(capture_folder):
        path = capture_folder / name
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle] ^= 1
        path.write_bytes(data)
        assert store.content_hash(store.file_hashes(capture_folder)) != whole
        assert store.verify(capture_folder) == [f"{name} has changed"]
        data[middle] ^= 1
        path.write_bytes(data)
    assert store.content_hash(store.file_hashes(capture_folder)) == whole


def test_without_manifest_the_hash_covers_what_belongs_to_the_capture_and_nothing_else(capture_folder):
    (capture_folder / store.MANIFEST).unlink()
    whole = store.content_hash(store.file_hashes(capture_folder))
    for stray in ("runs/000/record.json", "images/raw.png", "notes.txt"):
        (capture_folder / stray).parent.mkdir(parents=True, exist_ok=True)
        (capture_folder / stray).write_text("of no photograph")
    assert store.read(capture_folder).content_hash == whole
    hashes = {whole}
    for name in ("images/003.png", "sharp/003.png", "mask/003.png", "depth/003.exr", "coc/003.exr", "points.ply"):
        (capture_folder / name).write_bytes((capture_folder / name.replace("3", "4")).read_bytes() + b"\0")
        hashes.add(store.read(capture_folder).content_hash)
    (capture_folder / "linear").mkdir()
    (capture_folder / "linear" / "003.exr").write_bytes(b"light")
    hashes.add(store.read(capture_folder).content_hash)
    rewrite(capture_folder, lambda d: d.update(note="changed"))
    hashes.add(store.read(capture_folder).content_hash)
    assert len(hashes) == 9


def test_files_beside_a_capture_with_manifest_are_no_damage(capture_folder):
    (capture_folder / "runs").mkdir()
    (capture_folder / "runs" / "record.json").write_text("{}")
    assert store.verify(capture_folder) == []


def test_the_content_hash_covers_names_but_not_their_order():
    hashes = {"a": "1", "b": "2"}
    assert store.content_hash({"b": "2", "a": "1"}) == store.content_hash(hashes)
    assert store.content_hash({"a": "2", "b": "1"}) != store.content_hash(hashes)
    assert store.content_hash({"a": "1", "c": "2"}) != store.content_hash(hashes)


def test_every_damaged_or_missing_file_is_named(capture_folder, refused):
    (capture_folder / "images" / "002.png").unlink()
    (capture_folder / "coc" / "004.exr").write_bytes(b"")
    (capture_folder / "sharp" / "007.png").write_bytes((capture_folder / "sharp" / "006.png").read_bytes())
    damage = ["images/002.png is missing", "coc/004.exr has changed", "sharp/007.png has changed"]
    assert store.verify(capture_folder) == damage
    with refused(capture_folder, "damaged", *damage):
        store.read(capture_folder)


def test_much_damage_is_counted_rather_than_listed(capture_folder, refused):
    for kind in ("depth", "coc"):
        shutil.rmtree(capture_folder / kind)
    with refused("coc/000.exr is missing", "and 10 more"):
        store.read(capture_folder)


@pytest.mark.parametrize(
    "manifest",
    [{}, {"files": {}}, {"files": {"points.ply": "0"}, "content_hash": "0"}, {"files": [], "content_hash": "0"}],
    ids=str,
)
def test_a_manifest_that_does_not_agree_with_itself_is_refused(capture_folder, refused, manifest):
    (capture_folder / store.MANIFEST).write_text(json.dumps(manifest))
    with refused(capture_folder, "manifest.json does not agree with itself"):
        store.read(capture_folder)


# ---------------------------------------------------------------- broken captures


def test_a_missing_folder_is_refused(tmp_path, refused):
    with refused(tmp_path / "none" / store.TRANSFORMS, "missing"):
        store.read(tmp_path / "none")


def test_an_empty_folder_is_refused(tmp_path, refused):
    with refused(tmp_path / store.TRANSFORMS, "missing"):
        store.read(tmp_path)


@pytest.mark.parametrize("name", [store.TRANSFORMS, store.MANIFEST])
@pytest.mark.parametrize("kept", [0, 0.01, 0.5, 0.99], ids=str)
def test_truncated_json_is_refused(capture_folder, refused, name, kept):
    data = (capture_folder / name).read_bytes()
    if name == store.TRANSFORMS:
        (capture_folder / store.MANIFEST).unlink()
    (capture_folder / name).write_bytes(data[: int(kept * len(data))])
    with refused(capture_folder / name, "truncated"):
        store.read(capture_folder)


@pytest.mark.parametrize(
    "text", ['{"w": ' + "1" * 5000 + "}", "[" * 100_000], ids=["endless number", "endless nesting"]
)
def test_json_beyond_what_can_be_parsed_is_refused(tmp_path, refused, text):
    (tmp_path / store.TRANSFORMS).write_text(text)
    with refused(tmp_path / store.TRANSFORMS, "cannot be read"):
        store.read(tmp_path)


@pytest.mark.parametrize("text", ["[]", "7", "null", '"frames"'])
def test_json_that_is_no_object_is_refused(tmp_path, refused, text):
    (tmp_path / store.TRANSFORMS).write_text(text)
    with refused(tmp_path / store.TRANSFORMS, "no JSON object"):
        store.read(tmp_path)


def test_json_that_is_not_utf8_is_refused(tmp_path, refused):
    (tmp_path / store.TRANSFORMS).write_bytes(b'{"frames": "\xff"}')
    with refused(tmp_path / store.TRANSFORMS, "cannot be read"):
        store.read(tmp_path)


class TestPhotographs:
    """Frame 3 of a capture without a manifest, so that the frames themselves are looked at."""

    @pytest.fixture
    def photograph(self, capture_folder):
        (capture_folder / store.MANIFEST).unlink()
        return capture_folder / "images" / "003.png"

    def test_a_missing_one_is_refused(self, capture_folder, refused, photograph):
        photograph.unlink()
        with refused(store.TRANSFORMS, "frame 3", photograph, "missing"):
            store.read(capture_folder)

    def test_an_unreadable_one_is_refused(self, capture_folder, refused, photograph):
        photograph.write_bytes(photograph.read_bytes()[:-20])
        with refused(store.TRANSFORMS, "frame 3", photograph, "cannot be read"):
            store.read(capture_folder)

    def test_one_with_alpha_is_refused(self, capture_folder, refused, photograph):
        write_png(photograph, np.zeros((12, 16, 4), np.uint8))
        with refused(store.TRANSFORMS, "frame 3", photograph, "alpha"):
            store.read(capture_folder)

    def test_one_of_another_size_is_refused(self, capture_folder, refused, photograph):
        write_png(photograph, read_png(photograph)[:, :-1])
        with refused(store.TRANSFORMS, "frame 3", photograph, "15 x 12", "16 x 12"):
            store.read(capture_folder)


def in_the_pose(row, column, value):
    def change(frame):
        frame["transform_matrix"][row][column] = value

    return change


def in_the_frame(**values):
    return lambda frame: frame.update(values)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(in_the_pose(0, 3, nan), "finite", id="NaN in the translation"),
        pytest.param(in_the_pose(1, 1, nan), "finite", id="NaN in the rotation"),
        pytest.param(in_the_pose(0, 0, 3.0), "not rigid", id="pose not rigid"),
        pytest.param(in_the_pose(3, 3, 2.0), "not rigid", id="pose with a homogeneous scale"),
        pytest.param(in_the_frame(transform_matrix=np.diag([1.0, 1, -1, 1]).tolist()), "not rigid", id="mirrored pose"),
        pytest.param(in_the_frame(transform_matrix=np.eye(3).tolist()), "4 x 4", id="3 x 3 pose"),
        pytest.param(in_the_frame(transform_matrix=[[1, 2], [3]]), "4 x 4", id="ragged pose"),
        pytest.param(in_the_frame(transform_matrix="here"), "4 x 4", id="pose of text"),
        pytest.param(lambda frame: frame.pop("transform_matrix"), "4 x 4", id="no pose"),
        pytest.param(lambda frame: frame.pop("file_path"), "file_path", id="no file_path"),
        pytest.param(in_the_frame(file_path=7), "file_path", id="file_path a number"),
        pytest.param(lambda frame: frame.pop("fl_x"), "fl_x", id="no focal length"),
        pytest.param(in_the_frame(fl_y=-5.0), "intrinsics", id="negative focal length"),
        pytest.param(in_the_frame(cx="middle"), "cx", id="principal point of text"),
        pytest.param(in_the_frame(cy=nan), "cy", id="principal point NaN"),
        pytest.param(in_the_frame(cy=10**400), "cy", id="principal point beyond a float"),
        pytest.param(in_the_pose(0, 3, 10**400), "4 x 4 matrix of numbers", id="pose beyond a float"),
        pytest.param(in_the_frame(k1="some"), "k1", id="distortion of text"),
        pytest.param(in_the_frame(w=0), "no pixels", id="no pixels"),
        pytest.param(in_the_frame(w=17), "17 x 12", id="another size than the image"),
        pytest.param(in_the_frame(focus_distance="near"), "focus_distance", id="focus distance of text"),
        pytest.param(in_the_frame(focus_distance=nan), "focus_distance", id="focus distance NaN"),
        pytest.param(in_the_frame(focus_distance=-110.0), "focus_distance", id="focus distance negative"),
        pytest.param(in_the_frame(focus_distance=60.0), "focal length", id="focus distance at the focal length"),
    ],
)
def test_a_broken_frame_is_refused_by_its_number(capture_folder, refused, change, complaint):
    rewrite(capture_folder, lambda d: change(d["frames"][3]))
    with refused(capture_folder / store.TRANSFORMS, "frame 3", complaint):
        store.read(capture_folder)


def test_a_frame_that_is_no_object_is_refused(capture_folder, refused):
    rewrite(capture_folder, lambda d: d["frames"].insert(3, "003.png"))
    with refused(capture_folder / store.TRANSFORMS, "frame 3", "file_path"):
        store.read(capture_folder)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(lambda d: d.update(frames=[]), "no frames", id="zero views"),
        pytest.param(lambda d: d.pop("frames"), "no frames", id="no list of frames"),
        pytest.param(lambda d: d.update(frames={"0": {}}), "no frames", id="frames not a list"),
        pytest.param(lambda d: d.update(test_filenames=[]), "no test views", id="no test views"),
        pytest.param(lambda d: d.update(test_filenames=None), "no test views", id="null test views"),
        pytest.param(lambda d: d.pop("test_filenames"), "no test views", id="no list of test views"),
        pytest.param(
            lambda d: d.update(test_filenames=[f["file_path"] for f in d["frames"]]),
            "no training views",
            id="all views held out",
        ),
        pytest.param(lambda d: d.update(test_filenames=["images/099.png"]), "099", id="unknown test view"),
        pytest.param(lambda d: d.update(test_filenames=5), "test_filenames is 5", id="test views a number"),
        pytest.param(lambda d: d.update(test_filenames="003"), "test_filenames is '003'", id="test views a text"),
        pytest.param(lambda d: d.update(test_filenames=[5]), "holds out 5", id="a test view of a number"),
        pytest.param(
            lambda d: [d.pop(key) for key in ("test_filenames", "train_filenames")],
            "no test views",
            id="val views only",
        ),
        pytest.param(lambda d: d.update(ply_file_path=5), "ply_file_path is 5", id="points a number"),
        pytest.param(lambda d: d.update(ply_file_path=["points.ply"]), "ply_file_path", id="points a list"),
        pytest.param(
            lambda d: d["background"].update(top=[0, 0, 10**400]), "background", id="background beyond a float"
        ),
        pytest.param(lambda d: d["optics"].update(f_number=10**400), "optics", id="f-number beyond a float"),
        pytest.param(lambda d: d["frames"].append(d["frames"][3]), "003 twice", id="a photograph named twice"),
        pytest.param(lambda d: d.update(background="black"), "background", id="background of text"),
        pytest.param(lambda d: d["background"].pop("top"), "background", id="background without a top"),
        pytest.param(lambda d: d["background"].update(top=[0, 0]), "background", id="background of two channels"),
        pytest.param(lambda d: d["background"].update(top=[0, 0, 2]), "background", id="background beyond 1"),
        pytest.param(lambda d: d["background"].update(top=[0, 0, nan]), "background", id="background NaN"),
        pytest.param(lambda d: d["optics"].pop("f_number"), "optics", id="optics without f-number"),
        pytest.param(lambda d: d["optics"].update(f_number="wide"), "optics", id="f-number of text"),
        pytest.param(lambda d: d["optics"].update(f_number=0), "f_number", id="f-number zero"),
        pytest.param(lambda d: d["optics"].update(f_number=-2.8), "f_number", id="f-number negative"),
        pytest.param(lambda d: d["optics"].update(pixel_pitch=nan), "pixel_pitch", id="pixel pitch NaN"),
    ],
)
def test_a_broken_transforms_json_is_refused(capture_folder, refused, change, complaint):
    rewrite(capture_folder, change)
    with refused(capture_folder / store.TRANSFORMS, complaint):
        store.read(capture_folder)


def test_missing_points_are_refused(capture_folder, refused):
    (capture_folder / store.POINTS).unlink()
    (capture_folder / store.MANIFEST).unlink()
    with refused(capture_folder / store.POINTS):
        store.read(capture_folder)


@pytest.mark.parametrize("kept", [0, 0.01, 0.6], ids=str)
def test_truncated_points_are_refused(capture_folder, refused, kept):
    points = capture_folder / store.POINTS
    data = points.read_bytes()
    points.write_bytes(data[: int(kept * len(data))])
    with refused(points):
        store.read_points(points)


def test_points_that_are_not_finite_are_refused(tmp_path, refused):
    store.write_points(tmp_path / "p.ply", Points(np.full((2, 3), nan, np.float32), np.zeros((2, 3), np.uint8)))
    with refused(tmp_path / "p.ply", "not finite"):
        store.read_points(tmp_path / "p.ply")


@pytest.mark.parametrize("kind", ["sharp", "mask", "depth", "coc"])
def test_truth_of_another_size_than_its_camera_is_refused(capture_folder, refused, kind):
    (capture_folder / store.MANIFEST).unlink()
    path = next((capture_folder / kind).glob("000.*"))
    if path.suffix == ".exr":
        write_exr(path, np.zeros((12, 15), np.float32))
    else:
        write_png(path, read_png(path)[:, :-1])
    view = store.read(capture_folder).test[0]
    with refused(path, "15 x 12", "16 x 12"):
        view.truth()


def test_a_mask_with_colours_is_refused(capture_folder, refused):
    (capture_folder / store.MANIFEST).unlink()
    mask = capture_folder / "mask" / "000.png"
    write_png(mask, np.repeat(read_png(mask)[:, :, None], 3, axis=2))
    view = store.read(capture_folder).test[0]
    with refused(mask, "gray"):
        view.truth()


def test_a_photograph_that_vanishes_after_reading_is_named(capture_folder, refused):
    capture = store.read(capture_folder)
    (capture_folder / "images" / "001.png").unlink()
    with refused(capture_folder / "images" / "001.png", "missing"):
        capture.photographs()


# ---------------------------------------------------------------- writing


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    store.write_json(path, {"whole": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write_json(path, {"broken": nan})
    assert store.read_json(path) == {"whole": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]


def test_optics_are_written_in_mm(tiny, capture):
    assert document(tiny)["optics"] == asdict(capture.optics) | {"unit": "mm"}
