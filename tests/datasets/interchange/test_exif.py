"""EXIF gives hints in mm, and what cannot be true is dropped and told."""

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from datasets.capture import Optics
from datasets.interchange import exif
from datasets.interchange.exif import Exif

FOCAL, F_NUMBER, DISTANCE, ON_FILM = 0x920A, 0x829D, 0x9206, 0xA405
RESOLUTION, RESOLUTION_UNIT, TAKEN_WIDTH = 0xA20E, 0xA210, 0xA002


def photograph(path, tags, size=(60, 40)):
    made = Image.Exif()
    made[0x8769] = tags
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(path, exif=made)
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_lens_is_read_in_mm(tmp_path, suffix):
    tags = {FOCAL: IFDRational(105), F_NUMBER: IFDRational(28, 10), DISTANCE: IFDRational(314, 1000)}
    found = exif.read(photograph(tmp_path / f"a{suffix}", tags))
    assert found.known == {"focal_length": 105, "f_number": 2.8, "focus_distance": pytest.approx(314)}
    assert found.ignored == ()


@pytest.mark.parametrize(("unit", "per_mm"), [(2, 1 / 25.4), (3, 0.1), (4, 1.0), (None, 1 / 25.4)])
def test_the_resolution_of_the_focal_plane_gives_the_pitch_of_the_pixels_of_this_file(tmp_path, unit, per_mm):
    tags = {RESOLUTION: IFDRational(250 / per_mm), TAKEN_WIDTH: 240} | ({RESOLUTION_UNIT: unit} if unit else {})
    found = exif.read(photograph(tmp_path / "a.jpg", tags))
    assert found.pixel_pitch == pytest.approx(4 / 250, rel=1e-4)  # four of the sensor's pixels became one of the file's


def test_the_equivalent_on_film_gives_the_pitch_by_the_diagonal(tmp_path):
    found = exif.read(photograph(tmp_path / "a.jpg", {FOCAL: IFDRational(50), ON_FILM: 75}, size=(3600, 2400)))
    assert found.pixel_pitch == pytest.approx(36 / 3600 / 1.5)
    assert found.focal_length_px == pytest.approx(75 / 0.01)


def test_a_lens_that_is_focused_close_is_farther_from_its_sensor():
    assert Exif(60.0, 2.8, 120.0, 0.01).focal_length_px == pytest.approx(12000)  # life size: twice f
    assert Exif(60.0, 2.8, None, 0.01).focal_length_px == pytest.approx(6000)
    assert Exif(60.0, 2.8, 120.0).focal_length_px is None


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({F_NUMBER: IFDRational(0)}, "an f-number of 0"),
        ({F_NUMBER: IFDRational(28, 0)}, "an f-number of nan"),
        ({FOCAL: IFDRational(0)}, "a focal length of 0 mm"),
        ({FOCAL: IFDRational(99999)}, "a focal length of 99999 mm"),
        ({DISTANCE: IFDRational(1, 100000)}, "a subject distance of 0.01 mm"),
        ({FOCAL: IFDRational(100), DISTANCE: IFDRational(5, 100)}, "a subject distance of 50 mm, which is within"),
        ({RESOLUTION: IFDRational(1, 100)}, "a pixel of 2540 mm"),
    ],
)
def test_what_cannot_be_is_ignored_and_told(tmp_path, tags, says):
    found = exif.read(photograph(tmp_path / "a.jpg", tags))
    assert [clause.startswith(says) for clause in found.ignored] == [True]
    assert set(found.known) <= {"focal_length"} - ({"focal_length"} if "focal" in says.split("which")[0] else set())


@pytest.mark.parametrize("distance", [IFDRational(0), IFDRational(0xFFFFFFFF)])
def test_an_unknown_or_infinite_distance_is_no_distance_and_no_fault(tmp_path, distance):
    assert exif.read(photograph(tmp_path / "a.jpg", {DISTANCE: distance})) == Exif()


def test_a_file_without_exif_or_no_image_at_all_says_nothing(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "plain.png")
    (tmp_path / "notes.jpg").write_text("no image")
    assert exif.read(tmp_path / "plain.png") == exif.read(tmp_path / "notes.jpg") == Exif()


def test_photographs_of_one_lens_give_its_optics():
    assert exif.optics([Exif(60.0, 2.8, 150.0, 0.004), Exif(60.1, 2.8, 160.0, 0.004), Exif()]) == (
        Optics(60.1, 2.8, 0.004),
        None,
    )
    assert exif.optics([Exif(), Exif()]) == (None, None)


@pytest.mark.parametrize(
    ("second", "says"),
    [(Exif(70.0, 2.8, None, 0.004), "changes from 60 to 70"), (Exif(60.0, 4.0, None, 0.004), "changes from 2.8 to 4")],
)
def test_photographs_of_several_lenses_give_none(second, says):
    found, why_not = exif.optics([Exif(60.0, 2.8, None, 0.004), second])
    assert found is None
    assert says in why_not


def test_a_sensor_of_unknown_pixels_gives_no_optics():
    found, why_not = exif.optics([Exif(60.0, 2.8)])
    assert found is None
    assert "size of a pixel" in why_not
