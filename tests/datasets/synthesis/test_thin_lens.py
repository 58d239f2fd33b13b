"""Blender is the lens that the recipe says: circles of confusion, intrinsics and depth against the formulas."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    script = Path(__file__).with_name("emissive_disks.py")
    command = [sys.executable, str(script), str(tmp_path_factory.mktemp("disks"))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout)


def coc_errors(measured, camera):
    return {(lens, disk): error for lens, cameras in measured["coc"].items() for disk, error in cameras[camera].items()}


def test_circles_of_confusion_have_the_diameter_of_the_thin_lens_on_both_sides_of_focus(measured):
    errors = coc_errors(measured, "exact")
    assert {disk.rsplit(",", 1)[1] for _, disk in errors} == {"near", "far"}
    assert max(map(abs, errors.values())) < 0.002


@pytest.mark.parametrize("camera", ["naive", "half_naive"])
def test_lens_and_f_number_as_engraved_would_fail_the_same_check_by_far(measured, camera):
    assert min(map(abs, coc_errors(measured, camera).values())) > 0.3


def test_naive_error_is_the_magnification(measured):
    """Focal length and f-number as engraved lose the factor 1 / (1 + m) of focus breathing."""
    for (lens, _), error in coc_errors(measured, "naive").items():
        magnification = float(lens.split(",")[0].removeprefix("m="))
        assert error == pytest.approx(1 / (1 + magnification) - 1, abs=0.01)


@pytest.mark.parametrize("size", ["400x300", "300x401"])
def test_intrinsics_hold_in_landscape_and_portrait(measured, size):
    pinhole = measured["pinhole"][size]
    assert pinhole["disks"] >= 40
    assert pinhole["px"] < 0.02


def test_depth_is_exact_and_planar(measured):
    assert max(pinhole["depth_mm"] for pinhole in measured["pinhole"].values()) < 1e-3


@pytest.mark.parametrize("corners", ["3", "6"])
def test_the_corners_of_a_bladed_aperture_lie_on_the_circle_of_the_round_one(measured, corners):
    assert measured["bladed"][corners] == pytest.approx(1, abs=0.01)
