"""Photographs are undistorted as COLMAP's own formulas say, and to rectangles without a blank pixel."""

import json

import cv2
import numpy as np
import pytest
from by_pycolmap import by_pycolmap

from datasets.interchange.distortion import MODELS, Lens, pinhole, undistort

SIZE = (160, 120)
CENTRE = (83.0, 58.5)
LENSES = [
    Lens("SIMPLE_RADIAL", *SIZE, (150.0, *CENTRE, 0.15)),
    Lens("SIMPLE_RADIAL", *SIZE, (150.0, *CENTRE, -0.2)),
    Lens("RADIAL", *SIZE, (150.0, *CENTRE, -0.2, 0.1)),
    Lens("OPENCV", *SIZE, (150.0, 144.0, *CENTRE, -0.1, 0.05, 0.01, -0.02)),
    Lens("FULL_OPENCV", *SIZE, (150.0, 144.0, *CENTRE, 0.1, 0.05, 0.002, 0.003, 0.02, 0.04, 0.01, 0.01)),
    Lens("SIMPLE_FISHEYE", *SIZE, (150.0, *CENTRE)),
    Lens("FISHEYE", *SIZE, (150.0, 144.0, *CENTRE)),
    Lens("SIMPLE_RADIAL_FISHEYE", *SIZE, (150.0, *CENTRE, 0.05)),
    Lens("RADIAL_FISHEYE", *SIZE, (150.0, *CENTRE, 0.05, -0.02)),
    Lens("OPENCV_FISHEYE", *SIZE, (150.0, 144.0, *CENTRE, 0.05, -0.02, 0.01, 0.002)),
]

RAYS = """
made = json.loads(arguments[0])
camera = pycolmap.Camera(**made)
y, x = np.mgrid[: made["height"], : made["width"]] + 0.5
rays = camera.cam_from_img(np.stack([x.ravel(), y.ravel()], axis=1))
answer = rays.tolist()
"""

PIXELS = """
camera = pycolmap.Camera(**json.loads(arguments[0]))
rays = np.array(json.loads(arguments[1]))
answer = camera.img_from_cam(np.concatenate([rays, np.ones((len(rays), 1))], axis=1)).tolist()
"""


def as_json(lens):
    return json.dumps({"model": lens.model, "width": lens.width, "height": lens.height, "params": lens.params})


def world(rays):
    """[..., 3] uint8: what stands in the direction of `rays` [..., 2]; waves of some 20 px."""
    x, y = np.moveaxis(np.asarray(rays), -1, 0)
    waves = np.stack([np.sin(40 * x + 3 * y), np.sin(38 * y - 5 * x), np.sin(25 * (x + y))], axis=-1)
    return np.round(127.5 + 100 * waves).astype(np.uint8)


def test_every_model_is_tested():
    assert {lens.model for lens in LENSES} == set(MODELS) - {"PINHOLE", "SIMPLE_PINHOLE"}


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: f"{lens.model}{lens.params[-1]:+g}")
def test_an_undistorted_photograph_is_what_a_pinhole_sees(lens):
    taken = world(np.array(by_pycolmap(RAYS, as_json(lens))).reshape(lens.height, lens.width, 2))
    seen = pinhole(lens)
    fx, fy, cx, cy = seen.intrinsics
    y, x = np.mgrid[: seen.height, : seen.width] + 0.5
    expected = world(np.stack([(x - cx) / fx, (y - cy) / fy], axis=-1))
    error = np.abs(undistort(taken, lens).astype(int) - expected)[2:-2, 2:-2]
    assert error.max() <= 4  # of 255; half a pixel off would make 13
    assert error.mean() < 0.8
    assert (fx, fy) == lens.intrinsics[:2]


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: f"{lens.model}{lens.params[-1]:+g}")
def test_the_pinhole_sees_nothing_that_was_not_photographed_and_wastes_little(lens):
    seen = pinhole(lens)
    fx, fy, cx, cy = seen.intrinsics
    across, down = np.linspace(0, seen.width, 41), np.linspace(0, seen.height, 41)
    edges = [(x, y) for x in across for y in (0, seen.height)] + [(x, y) for x in (0, seen.width) for y in down]
    rays = (np.array(edges) - [cx, cy]) / [fx, fy]
    pixels = np.array(by_pycolmap(PIXELS, as_json(lens), json.dumps(rays.tolist())))
    assert (pixels >= -0.01).all()
    assert (pixels <= np.array(SIZE) + 0.01).all()
    # On each side it comes within a pixel or so of the photograph's edge.
    assert np.abs(pixels.min(axis=0)).max() < 2
    assert np.abs(pixels.max(axis=0) - SIZE).max() < 2


@pytest.mark.parametrize("model", ["SIMPLE_RADIAL", "OPENCV", "FULL_OPENCV", "PINHOLE", "SIMPLE_PINHOLE"])
def test_a_photograph_without_distortion_is_left_as_it_is(model):
    n = MODELS[model]
    lens = Lens(model, *SIZE, (150.0,) * n.focal_lengths + CENTRE + (0.0,) * n.coefficients)
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    assert undistort(image, lens) is image
    assert pinhole(lens) == Lens("PINHOLE", *SIZE, (150.0, 150.0, *CENTRE))


def test_a_smaller_lens_sees_the_same_directions():
    lens = LENSES[3]
    small = lens.resized(80, 60)
    image = cv2.GaussianBlur(world(np.mgrid[:120, :160].T.swapaxes(0, 1) / 150.0), (0, 0), 2)
    large, little = undistort(image, lens), undistort(cv2.resize(image, (80, 60), interpolation=cv2.INTER_AREA), small)
    shrunk = cv2.resize(large, (little.shape[1], little.shape[0]), interpolation=cv2.INTER_AREA)
    assert np.abs(pinhole(small).intrinsics[2] - pinhole(lens).intrinsics[2] / 2) <= 1
    assert np.abs(shrunk.astype(int) - little).mean() < 8


@pytest.mark.parametrize(
    ("model", "params", "says"),
    [
        ("FANCY", (1.0, 2.0), "FANCY is not known"),
        ("THIN_PRISM_FISHEYE", (1.0,) * 12, "undistort first"),
        ("PINHOLE", (1.0, 2.0, 3.0), "takes 4 finite numbers"),
        ("OPENCV", (1.0, 1.0, 2.0, 2.0, float("nan"), 0.0, 0.0, 0.0), "takes 8 finite numbers"),
    ],
)
def test_a_lens_that_is_none_is_refused(refused, model, params, says):
    with refused(model, says):
        Lens(model, *SIZE, params)


@pytest.mark.parametrize("k", [-2, -50])
def test_a_distortion_that_folds_the_photograph_is_refused(refused, k):
    with refused("cannot be undone", k):
        pinhole(Lens("SIMPLE_RADIAL", *SIZE, (100.0, *CENTRE, k)))
