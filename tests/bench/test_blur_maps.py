"""Pictures of models of the blur: what is in them, and that their colours mean what their labels say."""

from pathlib import Path

import numpy as np
from captures import write_tiny_capture
from PIL import Image

from bench.blur_maps import BACKDROP, diverging, sequential, write_blur_maps
from datasets.captures import open_capture
from datasets.images import write_exr, write_png


def left(folder: Path, name: str, image: np.ndarray, coc: np.ndarray) -> Path:
    folder.mkdir()
    write_png(folder / f"{name}.png", image)
    write_exr(folder / f"{name}.exr", coc)
    return folder


def test_a_row_for_each_model_with_a_map_of_the_view(tiny: Path, tmp_path: Path) -> None:
    capture = open_capture(str(tiny))
    view = capture.train[0]
    truth = view.truth()
    assert truth.coc is not None
    models = [
        ("true", left(tmp_path / "true", view.name, view.photograph().image, -truth.coc)),
        ("none", left(tmp_path / "none", view.name, truth.sharp, np.zeros_like(truth.coc))),
        ("silent", tmp_path / "silent"),
    ]
    assert write_blur_maps(tmp_path / "one.png", capture, view, models[:1])
    assert write_blur_maps(tmp_path / "two.png", capture, view, models)
    one, two = (np.asarray(Image.open(tmp_path / name)) for name in ("one.png", "two.png"))
    assert two.shape[1] == one.shape[1]
    assert two.shape[0] - 6 == 2 * (one.shape[0] - 6)


def test_nothing_is_drawn_without_truth_or_maps(tiny: Path, tmp_path: Path) -> None:
    capture = open_capture(str(tiny))
    assert not write_blur_maps(tmp_path / "no.png", capture, capture.train[0], [("silent", tmp_path)])
    blind = open_capture(str(write_tiny_capture(tmp_path / "blind", truth=False)))
    view = blind.train[0]
    model = left(tmp_path / "model", view.name, view.photograph().image, np.zeros((12, 16), np.float32))
    assert not write_blur_maps(tmp_path / "no.png", blind, view, [("model", model)])
    assert not (tmp_path / "no.png").exists()


def test_errors_are_blue_below_white_at_and_red_above_zero() -> None:
    known = np.array([[True, True, True, True, False]])
    (colours,) = diverging(np.array([[-1.0, 0.0, 1.0, 7.0, 1.0]]), known)
    assert colours[1].tolist() == [255, 255, 255]
    assert colours[0].argmax() == 2
    assert colours[2].argmax() == 0
    assert colours[3].tolist() == colours[2].tolist()
    assert colours[4].tolist() == [BACKDROP] * 3


def test_radii_go_from_dark_to_light() -> None:
    (colours,) = sequential(np.array([[0.0, 0.5, 1.0, 1.0]]), np.array([[True, True, True, False]]))
    assert colours[0].sum() < colours[1].sum() < colours[2].sum()
    assert colours[3].tolist() == [BACKDROP] * 3
