"""What is written to PNG and EXR is read back to the bit, and a file that is not whole is named."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from datasets.images import check_size, read_exr, read_png, read_rgb, write_exr, write_png

SIZE = (5, 7)  # rows, columns


def noise(*shape):
    return np.random.default_rng(len(shape)).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [SIZE, (*SIZE, 3), (*SIZE, 4), (1, 1), (1, 1, 3)], ids=str)
def test_png_keeps_gray_rgb_and_rgba_to_the_bit(tmp_path, shape):
    image = noise(*shape)
    write_png(tmp_path / "a.png", image)
    found = read_png(tmp_path / "a.png")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, image)


def test_png_files_hold_red_first(tmp_path):
    write_png(tmp_path / "red.png", np.array([[[255, 0, 0]]], np.uint8))
    assert cv2.imread(str(tmp_path / "red.png")).tolist() == [[[0, 0, 255]]]  # OpenCV's order is blue, green, red


def test_write_png_takes_bytes_alone(tmp_path):
    with pytest.raises(TypeError, match="float64"):
        write_png(tmp_path / "a.png", np.zeros((*SIZE, 3)))
    assert not (tmp_path / "a.png").exists()


def test_read_rgb_repeats_gray(tmp_path):
    gray = noise(*SIZE)
    write_png(tmp_path / "a.png", gray)
    found = read_rgb(tmp_path / "a.png", (7, 5))
    np.testing.assert_array_equal(found, np.stack([gray] * 3, axis=-1))


def test_read_rgb_refuses_alpha(tmp_path, refused):
    write_png(tmp_path / "a.png", noise(*SIZE, 4))
    with refused(tmp_path / "a.png", "alpha"):
        read_rgb(tmp_path / "a.png")


def test_an_image_of_another_size_than_its_camera_is_refused(tmp_path, refused):
    write_png(tmp_path / "a.png", noise(*SIZE, 3))
    with refused(tmp_path / "a.png", "7 x 5", "5 x 7"):
        read_rgb(tmp_path / "a.png", (5, 7))
    check_size(noise(*SIZE, 3), tmp_path / "a.png", (7, 5))
    check_size(noise(*SIZE, 3), tmp_path / "a.png", None)


def test_a_16_bit_png_is_refused(tmp_path, refused):
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros(SIZE, np.uint16))
    with refused(tmp_path / "deep.png", "8-bit"):
        read_png(tmp_path / "deep.png")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("shape", "channels"), [(SIZE, "Y"), ((*SIZE, 3), "RGB"), ((*SIZE, 4), "RGBA")])
def test_exr_keeps_floats_to_the_bit(tmp_path, dtype, shape, channels):
    image = np.random.default_rng(1).normal(scale=100, size=shape).astype(dtype)
    image.flat[:3] = [0, -1e-3, 6e4]
    write_exr(tmp_path / "a.exr", image, channels)
    found = read_exr(tmp_path / "a.exr", channels)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, image.astype(np.float32))


def test_half_floats_are_stored_as_half_floats(tmp_path):
    image = np.random.default_rng(1).normal(size=(64, 64))
    for dtype in (np.float16, np.float32):
        write_exr(tmp_path / f"{dtype.__name__}.exr", image.astype(dtype))
    half, full = ((tmp_path / f"{name}.exr").stat().st_size for name in ("float16", "float32"))
    assert half < 0.65 * full


def test_write_exr_wants_one_plane_per_channel(tmp_path):
    with pytest.raises(TypeError, match="3"):
        write_exr(tmp_path / "a.exr", np.zeros((*SIZE, 3), np.float32))
    assert not (tmp_path / "a.exr").exists()


def test_a_channel_that_an_exr_does_not_have_is_refused(tmp_path, refused):
    write_exr(tmp_path / "a.exr", np.zeros((*SIZE, 3), np.float32), "RGB")
    with refused(tmp_path / "a.exr"):
        read_exr(tmp_path / "a.exr", "Y")


def png_bytes(path):
    write_png(path, noise(*SIZE, 3))
    return path.read_bytes()


def exr_bytes(path):
    write_exr(path, np.random.default_rng(1).normal(size=SIZE).astype(np.float32))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("whole", "read"), [pytest.param(png_bytes, read_png, id="png"), pytest.param(exr_bytes, read_exr, id="exr")]
)
class TestFilesThatAreNotWhole:
    def test_a_missing_file_is_named(self, tmp_path, refused, whole, read):
        with refused(tmp_path / "none.file", "missing"):
            read(tmp_path / "none.file")

    def test_a_folder_is_no_image(self, tmp_path, refused, whole, read):
        with refused(tmp_path, "missing"):
            read(tmp_path)

    def test_an_empty_file_is_named(self, tmp_path, refused, whole, read):
        (tmp_path / "empty").touch()
        with refused(tmp_path / "empty", "cannot be read"):
            read(tmp_path / "empty")

    def test_text_is_no_image(self, tmp_path, refused, whole, read):
        (tmp_path / "text").write_text("not an image " * 40)
        with refused(tmp_path / "text", "cannot be read"):
            read(tmp_path / "text")

    @pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.95, -1], ids=str)
    def test_a_truncated_file_is_named(self, tmp_path, refused, whole, read, kept):
        data = whole(tmp_path / "whole")
        (tmp_path / "cut").write_bytes(data[: kept if kept < 0 else int(kept * len(data))])
        with refused(tmp_path / "cut", "truncated"):
            read(tmp_path / "cut")


def test_a_png_that_claims_billions_of_pixels_is_refused(tmp_path, refused):
    data = png_bytes(tmp_path / "a.png")
    header = b"IHDR" + struct.pack(">IIBBBBB", 70_000, 70_000, 8, 2, 0, 0, 0)
    (tmp_path / "huge.png").write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])
    with refused(tmp_path / "huge.png", "cannot be read"):
        read_png(tmp_path / "huge.png")


@pytest.mark.parametrize("write", [write_png, write_exr])
def test_a_full_disk_is_an_oserror(tmp_path, write):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    if not full.is_char_device():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="No space left"):
        write(full, np.zeros(SIZE, np.uint8 if write is write_png else np.float32))


@pytest.mark.parametrize("write", [write_png, write_exr])
def test_a_folder_that_is_not_there_is_an_oserror(tmp_path, write):
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "none" / "image", np.zeros(SIZE, np.uint8 if write is write_png else np.float32))
