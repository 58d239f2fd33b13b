"""NeRF-synthetic folders: OpenGL poses, focal length from the angle of view, RGBA composited in sRGB."""

import json
from pathlib import Path

import numpy as np
import pytest

from datasets import nerf_synthetic
from datasets.cameras import OPENGL_FROM_OPENCV, look_at
from datasets.capture import BACKDROPS, Background
from datasets.images import write_png

CHAIR = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "nerf_chair"


def rgba(index):
    """[6, 8, 4]: left half opaque, then half covered, then empty (with colour under the emptiness)."""
    image = np.zeros((6, 8, 4), np.uint8)
    image[:, :, :3] = [203, 104, 10 * index]
    image[:, :4, 3], image[:, 4:6, 3] = 255, 51
    return image


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "toy"
    for part, count in (("train", 4), ("test", 2)):
        (root / part).mkdir(parents=True)
        frames = []
        for index in range(count):
            write_png(root / part / f"r_{index}.png", rgba(index))
            pose = look_at(np.array([4 * np.cos(index), 4 * np.sin(index), 1.0]), np.zeros(3)) @ OPENGL_FROM_OPENCV
            frames.append({"file_path": f"./{part}/r_{index}", "transform_matrix": pose.tolist()})
        document = {"camera_angle_x": np.pi / 2, "frames": frames}
        (root / f"transforms_{part}.json").write_text(json.dumps(document))
    return root


def rewrite(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_views_are_split_by_the_two_files_and_named_by_part(folder):
    capture = nerf_synthetic.read(folder)
    assert capture.name == "toy"
    assert [view.name for view in capture.train] == [f"train_r_{index}" for index in range(4)]
    assert [view.name for view in capture.test] == ["test_r_0", "test_r_1"]
    assert capture.has_truth
    assert (capture.points, capture.optics) == (None, None)


def test_the_focal_length_follows_from_the_angle_of_view(folder):
    camera = nerf_synthetic.read(folder).train[0].camera
    assert (camera.width, camera.height, camera.cx, camera.cy) == (8, 6, 4, 3)
    assert camera.fx == pytest.approx(4)  # 8 px wide, 45 degrees to either side
    assert camera.fy == camera.fx


def test_cameras_look_at_the_scene_centre(folder):
    for view in nerf_synthetic.read(folder).train:
        pixel, depth = view.camera.project(np.zeros(3))
        np.testing.assert_allclose(pixel, [4, 3], atol=1e-9)
        assert depth == pytest.approx(np.sqrt(17))


def test_images_are_composited_over_white_in_srgb(folder):
    image = nerf_synthetic.read(folder).train[3].photograph().image
    assert image.dtype == np.uint8
    assert (image[:, :4] == [203, 104, 30]).all()
    assert (image[:, 4:6] == [245, 225, 210]).all()  # rounded: 0.2 of the colour and 0.8 of 255
    assert (image[:, 6:] == 255).all()


def test_images_are_composited_over_black_where_asked(folder):
    capture = nerf_synthetic.read(folder, BACKDROPS["black"])
    assert capture.background.is_black
    assert (capture.train[3].photograph().image[:, 4:] == [[[41, 21, 6]] * 2 + [[0, 0, 0]] * 2]).all()


def test_a_background_of_linear_light_is_encoded_before_it_is_composited(folder):
    image = nerf_synthetic.read(folder, Background((0.5,) * 3, (0.5,) * 3)).train[3].photograph().image
    assert (image[:, 6:] == 188).all()  # the code of half of the light
    assert (image[:, 4:6] == [191, 171, 156]).all()


def test_the_photograph_is_its_own_sharp_twin_and_alpha_is_the_mask(folder):
    view = nerf_synthetic.read(folder).test[1]
    truth = view.truth()
    np.testing.assert_array_equal(view.photograph().image, truth.sharp)
    np.testing.assert_allclose(truth.mask, rgba(1)[:, :, 3] / 255)
    assert (truth.depth, truth.coc) == (None, None)


def test_the_content_hash_covers_every_image_and_both_files(folder):
    whole = nerf_synthetic.read(folder).content_hash
    (folder / "notes.txt").write_text("not part of the capture")
    assert nerf_synthetic.read(folder).content_hash == whole
    hashes = {whole}
    write_png(folder / "test" / "r_1.png", rgba(7))
    hashes.add(nerf_synthetic.read(folder).content_hash)
    for part in ("train", "test"):
        rewrite(folder / f"transforms_{part}.json", lambda d: d.update(note="changed"))
        hashes.add(nerf_synthetic.read(folder).content_hash)
    assert len(hashes) == 4


def set_in_frame(**values):
    return lambda d: d["frames"][1].update(values)


@pytest.mark.parametrize(
    ("change", "complaints"),
    [
        pytest.param(lambda d: d.update(frames=[]), ["no frames"], id="no frames"),
        pytest.param(lambda d: d.pop("frames"), ["no frames"], id="no list of frames"),
        pytest.param(lambda d: d.pop("camera_angle_x"), ["camera_angle_x"], id="no angle"),
        pytest.param(lambda d: d.update(camera_angle_x=4.0), ["camera_angle_x"], id="angle beyond pi"),
        pytest.param(lambda d: d["frames"][1].pop("file_path"), ["frame 1", "file_path"], id="no file_path"),
        pytest.param(set_in_frame(file_path="./test/r_9"), ["frame 1", "r_9.png", "missing"], id="image missing"),
        pytest.param(set_in_frame(transform_matrix=None), ["frame 1", "4 x 4"], id="no pose"),
        pytest.param(set_in_frame(transform_matrix="pose"), ["frame 1", "4 x 4"], id="pose of text"),
        pytest.param(
            set_in_frame(transform_matrix=np.full((4, 4), np.nan).tolist()), ["frame 1", "finite"], id="pose NaN"
        ),
        pytest.param(
            set_in_frame(transform_matrix=np.diag([2.0, 2, 2, 1]).tolist()), ["frame 1", "not rigid"], id="scaled pose"
        ),
    ],
)
def test_a_broken_set_is_refused_with_file_and_frame(folder, refused, change, complaints):
    rewrite(folder / "transforms_test.json", change)
    with refused(folder / "transforms_test.json", *complaints):
        nerf_synthetic.read(folder)


@pytest.mark.parametrize("part", ["train", "test"])
def test_both_files_are_needed(folder, refused, part):
    (folder / f"transforms_{part}.json").unlink()
    with refused(f"transforms_{part}.json", "missing"):
        nerf_synthetic.read(folder)


def test_an_unreadable_image_is_refused(folder, refused):
    (folder / "train" / "r_2.png").write_bytes(b"\x89PNG")
    with refused("transforms_train.json", "frame 2", folder / "train" / "r_2.png", "cannot be read"):
        nerf_synthetic.read(folder)


def test_an_image_without_alpha_is_refused(folder, refused):
    write_png(folder / "train" / "r_2.png", rgba(0)[:, :, :3])
    with refused("transforms_train.json", "frame 2", folder / "train" / "r_2.png", "alpha"):
        nerf_synthetic.read(folder)


@pytest.fixture(scope="module")
def chair():
    return nerf_synthetic.read(CHAIR)


@pytest.mark.skipif(not CHAIR.is_dir(), reason="../shared/data/nerf_chair is absent")
class TestChair:
    def test_it_has_100_training_and_50_test_views_of_400_px(self, chair):
        assert (len(chair.train), len(chair.test)) == (100, 50)
        views = (*chair.train, *chair.test)
        assert len({view.name for view in views}) == 150
        assert {(view.camera.width, view.camera.height) for view in views} == {(400, 400)}
        assert {round(view.camera.fx, 3) for view in views} == {555.556}  # half the published 1111.111 at 800 px

    def test_its_cameras_look_at_the_chair(self, chair):
        for view in (*chair.train, *chair.test):
            pixel, depth = view.camera.project(np.zeros(3))
            np.testing.assert_allclose(pixel, [200, 200], atol=2)
            assert depth == pytest.approx(4.031, abs=0.01)

    def test_its_chair_stands_upright_in_the_image(self, chair):
        for view in chair.train[::10]:
            camera = view.camera
            assert camera.project(np.array([0, 0, 0.5]))[0][1] < camera.project(np.array([0, 0, -0.5]))[0][1]

    def test_every_covered_pixel_sees_the_box_around_the_chair(self, chair):
        corners = np.stack(np.meshgrid(*[[-1.2, 1.2]] * 3), axis=-1).reshape(-1, 3)
        for view in chair.train[::20]:
            rows, columns = np.nonzero(view.truth().mask > 0.5)
            box = view.camera.project(corners)[0]
            assert box[:, 0].min() < columns.min() < columns.max() < box[:, 0].max()
            assert box[:, 1].min() < rows.min() < rows.max() < box[:, 1].max()

    def test_it_stands_before_white(self, chair):
        view = chair.test[7]
        image, mask = view.photograph().image, view.truth().mask
        assert image.shape == (400, 400, 3)
        assert (image[mask == 0] == 255).all()
        assert 0.1 < mask.mean() < 0.6
        assert image[mask == 1].mean() < 200
