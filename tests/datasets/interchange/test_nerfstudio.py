"""transforms.json of nerfstudio is taken with its distortion, in any of the ways in which it may be written."""

import json

import numpy as np
import pytest
from PIL import Image

from datasets import store
from datasets.cameras import OPENGL_FROM_OPENCV, look_at
from datasets.interchange import nerfstudio
from datasets.interchange.distortion import Lens

POSE = look_at(np.array([3.0, -2.0, 5.0]), np.zeros(3))
PINHOLE = {"fl_x": 20.0, "fl_y": 21.0, "cx": 8.5, "cy": 6.5, "w": 16, "h": 12}


@pytest.fixture
def scene(tmp_path):
    """A folder of three photographs, and a function that writes transforms.json with `shared` and `first` frame's."""
    (tmp_path / "images").mkdir()
    for index in range(3):
        Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(tmp_path / "images" / f"{index}.jpg")

    def write(shared, first=None):
        pose = (POSE @ OPENGL_FROM_OPENCV).tolist()
        frames = [{"file_path": f"images/{i}.jpg", "transform_matrix": pose} for i in range(3)]
        frames[0] |= first or {}
        (tmp_path / store.TRANSFORMS).write_text(json.dumps({**shared, "frames": frames}))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("distortion", "lens"),
    [
        ({}, ("PINHOLE",)),
        ({"camera_model": "SIMPLE_PINHOLE"}, ("PINHOLE",)),
        ({"camera_model": "OPENCV", "k1": 0.0, "k4": 0.0}, ("PINHOLE",)),
        ({"camera_model": "OPENCV", "k1": 0.1, "p2": 0.02}, ("OPENCV", 0.1, 0.0, 0.0, 0.02)),
        ({"k1": 0.1, "k2": 0.2, "k3": 0.3}, ("FULL_OPENCV", 0.1, 0.2, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0)),
        ({"camera_model": "RADIAL", "k1": 0.1, "k2": 0.2}, ("OPENCV", 0.1, 0.2, 0.0, 0.0)),
        ({"camera_model": "OPENCV_FISHEYE", "k1": 0.1, "k4": 0.4}, ("OPENCV_FISHEYE", 0.1, 0.0, 0.0, 0.4)),
        ({"camera_model": "OPENCV_FISHEYE"}, ("OPENCV_FISHEYE", 0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_lenses_are_understood(scene, distortion, lens):
    model, *coefficients = lens
    found = nerfstudio.read(scene({**PINHOLE, **distortion}) / "images").views[0]
    assert found.lens == Lens(model, 16, 12, (20.0, 21.0, 8.5, 6.5, *coefficients))
    np.testing.assert_allclose(found.c2w, POSE, atol=1e-12)


def test_a_frame_may_have_a_lens_of_its_own(scene):
    first, second, _ = nerfstudio.read(scene(PINHOLE, {"fl_x": 30.0, "k1": 0.1})).views
    assert first.lens == Lens("OPENCV", 16, 12, (30.0, 21.0, 8.5, 6.5, 0.1, 0.0, 0.0, 0.0))
    assert second.lens == Lens("PINHOLE", 16, 12, (20.0, 21.0, 8.5, 6.5))


def test_an_angle_of_view_alone_is_enough(scene):
    root = scene({"camera_angle_x": 2 * np.arctan(0.5)}, {"file_path": "./images/0"})
    assert nerfstudio.read(root).views[0].lens.intrinsics == pytest.approx((16, 16, 8, 6))
    assert nerfstudio.read(root).views[0].path.name == "0.jpg"


def test_split_masks_and_lens_are_taken_where_they_are(scene):
    optics = {"focal_length": 60, "f_number": 2.8, "pixel_pitch": 0.1}
    shared = {**PINHOLE, "optics": optics, "test_filenames": ["images/2.jpg"]}
    found = nerfstudio.read(scene(shared, {"focus_distance": 90.0, "mask_path": "masks/0.png"}))
    assert found.test == ("images_2",)
    assert found.in_mm
    assert found.optics.focal_length == 60
    assert [view.focus_distance for view in found.views] == [90.0, None, None]
    assert found.views[0].mask.name == "0.png"


@pytest.mark.parametrize(
    ("shared", "first", "says"),
    [
        ({"camera_model": "EQUIRECTANGULAR"}, {}, ["EQUIRECTANGULAR", "undistort"]),
        ({"k4": 0.1}, {}, ["k4 is 0.1", "OPENCV"]),
        ({"camera_model": "PINHOLE", "k3": 0.1}, {}, ["k3 is 0.1", "PINHOLE"]),
        ({"camera_model": "OPENCV_FISHEYE", "p1": 0.1}, {}, ["p1 is 0.1"]),
        ({"fl_x": "wide"}, {}, ["fl_x is 'wide'"]),
        ({"fl_x": None}, {}, ["fl_x is None"]),
        ({}, {"transform_matrix": [[1, 2]]}, ["transform_matrix"]),
        ({}, {"file_path": 5}, ["no file_path"]),
        ({"test_filenames": ["images/9.jpg"]}, {}, ["images/9.jpg", "not among its frames"]),
        ({"ply_file_path": "gone.ply"}, {}, ["gone.ply"]),
    ],
)
def test_a_frame_that_is_wrong_is_refused(scene, refused, shared, first, says):
    with refused(*says):
        nerfstudio.read(scene({**PINHOLE, **shared}, first))


def test_no_file_and_no_frames_are_refused(tmp_path, refused):
    with refused(f"no {store.TRANSFORMS}", "--model"):
        nerfstudio.read(tmp_path)
    (tmp_path / store.TRANSFORMS).write_text('{"frames": []}')
    with refused("has no frames"):
        nerfstudio.read(tmp_path)
