"""How hard a capture is follows from its photographs and their truth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from datasets import store
from datasets.capture import Truth
from datasets.captures import BUILTIN
from datasets.difficulty import difficulty, psnr


def view(error=16):
    """A gray view that errs by `error` in its left half, which is the object; CoC radii of 1 and -3 px there."""
    sharp = np.full((2, 4, 3), 100, np.uint8)
    photograph, mask = sharp.copy(), np.zeros((2, 4), np.float32)
    photograph[:, :2] += np.uint8(error)
    mask[:, :2] = 1
    coc = np.zeros_like(mask)
    coc[0, :2], coc[1, :2] = 1, -3
    return photograph, Truth(sharp, mask, 50 * mask, coc)


def test_psnr_and_circles_are_those_of_the_object():
    found = difficulty([view(), view()], [40.0, 42.0])
    on_object = 20 * math.log10(255 / 16)
    assert found["psnr_photograph_sharp_on_object"] == pytest.approx(on_object, abs=1e-4)
    assert found["psnr_photograph_sharp"] == pytest.approx(on_object + 10 * math.log10(2), abs=1e-4)
    assert found["coc_radius_px"] == {"median": 2, "q90": 3, "max": 3}
    assert found["noise_floor_on_object"] == 41
    assert found["object_share_of_pixels"] == 0.5


def test_what_cannot_be_known_is_none_or_left_out():
    photograph, truth = view(error=0)
    found = difficulty([(photograph, replace(truth, depth=None, coc=None))])
    assert set(found.values()) == {None}
    assert "coc_radius_px" not in found
    assert "object_share_of_pixels" not in found
    assert "coc_radius_px" not in difficulty([(photograph, replace(truth, coc=None))])


def test_views_without_an_object_have_no_circles():
    photograph, truth = view()
    empty = np.zeros_like(truth.mask)
    found = difficulty([(photograph, replace(truth, mask=empty, depth=empty, coc=empty))])
    assert found["coc_radius_px"] == {"median": 0, "q90": 0, "max": 0}
    assert found["psnr_photograph_sharp_on_object"] is None


def test_equal_images_have_an_infinite_psnr():
    photograph, truth = view()
    assert psnr(photograph, photograph) == math.inf
    assert psnr(photograph, truth.sharp) == pytest.approx(10 * math.log10(255**2 / 128))


def test_the_demo_is_as_hard_as_its_manifest_says():
    capture = store.read(BUILTIN / "demo")
    views = sorted((*capture.train, *capture.test), key=lambda view: view.name)
    floor = capture.manifest["difficulty"]["noise_floor_on_object"]
    found = difficulty(((view.photograph().image, view.truth()) for view in views), [floor])
    assert found == capture.manifest["difficulty"]
