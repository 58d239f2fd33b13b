"""The picture of a run: one held-out view as every contestant renders it."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.comparison import GAP, LABEL, LARGEST, least_sharp, most_defocused, object_box, sheet, write_comparison
from datasets.capture import Capture
from datasets.captures import open_capture
from datasets.images import write_png


@pytest.fixture(scope="module")
def demo() -> Capture:
    return open_capture("demo")


@pytest.fixture
def renders(demo: Capture, tmp_path: Path) -> list[tuple[str, Path]]:
    """Two contestants' held-out views, one all gray and one all white, and one without any."""
    for name, shade in (("gray", 90), ("white", 255)):
        (tmp_path / name / "novel").mkdir(parents=True)
        for view in demo.test:
            write_png(tmp_path / name / "novel" / f"{view.name}.png", np.full((128, 128, 3), shade, np.uint8))
    return [(name, tmp_path / name) for name in ("gray", "restorer", "white")]


def cells(path: Path, count: int) -> list[np.ndarray]:
    """What the picture shows, from left to right, without labels and gaps."""
    picture = np.asarray(Image.open(path))
    side = (picture.shape[1] - GAP) // count
    return [picture[GAP + LABEL : -GAP, GAP + k * side : (k + 1) * side] for k in range(count)]


def test_renders_stand_between_the_photograph_and_its_sharp_twin(demo: Capture, renders, tmp_path: Path) -> None:
    assert write_comparison(tmp_path / "out.png", demo, renders)
    view = most_defocused(demo.test)
    photograph, gray, white, sharp = cells(tmp_path / "out.png", 4)
    assert (gray == 90).all()
    assert (white == 255).all()
    for shown, image in ((photograph, view.photograph().image), (sharp, view.truth().sharp)):
        crop = image[object_box(view)]
        scale = len(shown) // len(crop)
        assert np.array_equal(shown[::scale, ::scale], crop)


def test_without_truth_the_whole_photograph_is_shown_and_no_twin(demo: Capture, renders, tmp_path: Path) -> None:
    blind = replace(demo, test=tuple(replace(view, read_truth=None) for view in demo.test))
    assert not blind.has_truth
    assert write_comparison(tmp_path / "out.png", blind, renders)
    photograph, gray, white = cells(tmp_path / "out.png", 3)
    assert np.array_equal(photograph[::2, ::2], least_sharp(blind.test).photograph().image)
    assert (gray == 90).all()
    assert (white == 255).all()


def test_the_least_sharp_photograph_is_told_without_truth(demo: Capture) -> None:
    smeared = cv2.GaussianBlur(demo.test[2].photograph().image, (0, 0), 3)
    blurred = replace(demo.test[2], read_photograph=lambda: smeared)
    assert least_sharp((*demo.test[:2], blurred, demo.test[3])) is blurred


def test_nothing_is_drawn_where_nobody_renders(demo: Capture, renders, tmp_path: Path) -> None:
    assert not write_comparison(tmp_path / "out.png", demo, renders[1:2])
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("size", "shown"), [((96, 128), (192, 256)), ((1024, 700), (1024, 700)), ((3000, 4000), (768, LARGEST))]
)
def test_small_views_are_enlarged_and_large_ones_reduced(size: tuple[int, int], shown: tuple[int, int]) -> None:
    stripes = np.zeros((*size, 3), np.uint8)
    stripes[::2] = 200
    picture = np.asarray(sheet([("stripes", stripes)]))
    assert picture.shape == (shown[0] + LABEL + 2 * GAP, shown[1] + 2 * GAP, 3)
    assert abs(picture[GAP + LABEL : -GAP, GAP:-GAP].mean() - 100) < 1
