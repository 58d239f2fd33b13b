"""Photographs are read pixel by pixel from any common format, and what cannot be read is named."""

import numpy as np
import pytest
from PIL import Image

from datasets.color import srgb_to_linear
from datasets.interchange import photographs

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp"])
def test_pixels_are_those_of_the_file(tmp_path, suffix):
    Image.fromarray(IMAGE).save(tmp_path / f"a{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    np.testing.assert_array_equal(photographs.read(tmp_path / f"a{suffix}"), IMAGE)
    assert photographs.read_size(tmp_path / f"a{suffix}") == (16, 12)


def test_a_turned_photograph_keeps_the_pixels_of_its_sensor(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(IMAGE).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(photographs.read(tmp_path / "a.png"), IMAGE)


def test_sixteen_bits_become_eight(tmp_path):
    Image.fromarray(IMAGE[:, :, 0].astype(np.uint16) * 257).save(tmp_path / "a.png")
    np.testing.assert_array_equal(photographs.read(tmp_path / "a.png"), np.repeat(IMAGE[:, :, :1], 3, axis=2))


def test_what_is_transparent_is_black_and_what_is_half_so_has_half_its_light(tmp_path):
    alpha = np.zeros((12, 16, 1), np.uint8)
    alpha[:, 5:], alpha[:, 10:] = 128, 255
    Image.fromarray(np.concatenate([IMAGE, alpha], axis=2)).save(tmp_path / "a.png")
    found = photographs.read(tmp_path / "a.png")
    assert not found[:, :5].any()
    np.testing.assert_array_equal(found[:, 10:], IMAGE[:, 10:])
    light = srgb_to_linear(IMAGE[:, 5:10] / 255) * 128 / 255
    np.testing.assert_allclose(srgb_to_linear(found[:, 5:10] / 255), light, atol=0.005)


def test_photographs_are_found_by_name_and_nothing_else_is(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in photographs.find(tmp_path)] == ["a.png", "b.JPG"]


def test_a_folder_without_photographs_is_refused(tmp_path, refused):
    (tmp_path / "notes.txt").touch()
    with refused(tmp_path, "holds no photographs", ".jpg"):
        photographs.find(tmp_path)
    with refused(tmp_path / "gone", "no folder"):
        photographs.find(tmp_path / "gone")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_photograph_that_ends_early_is_refused(tmp_path, refused, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(IMAGE).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 150])
    with refused(path, "cannot be read"):
        photographs.read(path)


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_file_that_is_no_photograph_is_refused(tmp_path, refused, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with refused(tmp_path / "a.jpg", "cannot be read"):
        photographs.read_size(tmp_path / "a.jpg")
    with refused(tmp_path / "b.jpg", "missing"):
        photographs.read(tmp_path / "b.jpg")


def test_views_are_called_after_their_photographs():
    assert photographs.view_names(["a.jpg", "left/a.JPG", "./images/IMG.2.png", "../more/b.png"]) == [
        "a",
        "left_a",
        "images_IMG.2",
        "more_b",
    ]


def test_two_photographs_of_one_name_are_refused(refused):
    with refused("a.jpg", "a.png", "called a"):
        photographs.view_names(["a.jpg", "a.png"])


@pytest.mark.parametrize("name", ["a.png", "a.jpg.png", "a.jpg", "left/a.png"])
def test_a_mask_is_found_by_the_name_of_its_photograph(tmp_path, name):
    (tmp_path / "left").mkdir()
    Image.fromarray(IMAGE[:, :, 0]).save(tmp_path / name)
    assert photographs.find_mask(tmp_path, "left/a.jpg") == tmp_path / name


def test_masks_that_are_none_are_refused(tmp_path, refused):
    with refused(tmp_path, "no mask", "b.png"):
        photographs.find_mask(tmp_path, "b.jpg")
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(tmp_path / "black.png")
    with refused("black.png", "black all over"):
        photographs.read_mask(tmp_path / "black.png", (16, 12))
    with refused("black.png", "16 x 12", "160 x 120"):
        photographs.read_mask(tmp_path / "black.png", (160, 120))
