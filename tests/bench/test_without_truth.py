"""Captures without sharp twins: where photographs are in focus, and what is scored against the photographs alone."""

import math
import re
import shutil
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from captures import write_tiny_capture
from commandline import Bench, records_in

from bench import evaluate, in_focus
from datasets.capture import Capture
from datasets.captures import open_capture
from datasets.errors import InputError
from datasets.images import read_rgb, write_png


@pytest.fixture(scope="module")
def demo() -> Capture:
    return open_capture("demo")


@pytest.fixture(scope="module")
def blind_demo(tmp_path_factory: pytest.TempPathFactory, demo: Capture) -> Capture:
    """The demo as a photographer would have it."""
    root = tmp_path_factory.mktemp("demo") / "blind"
    shutil.copytree(demo.root / "images", root / "images")
    for name in ("transforms.json", "points.ply"):
        shutil.copy(demo.root / name, root)
    return open_capture(str(root))


def psnr(image: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    return -10 * math.log10(np.square((image[where].astype(float) - other[where]) / 255).mean())


def test_sharpness_falls_with_blur_and_hardly_with_contrast(demo: Capture) -> None:
    truth = demo.test[0].truth()
    solid = truth.mask > 0.99
    sharp = in_focus.sharpness(truth.sharp)[solid].mean()
    blurred = in_focus.sharpness(cv2.GaussianBlur(truth.sharp, (0, 0), 1.5))[solid].mean()
    faint = in_focus.sharpness((truth.sharp // 2 + 60).astype(np.uint8))[solid].mean()
    assert blurred < 0.2 * sharp
    assert faint > 0.7 * sharp
    assert in_focus.sharpness(np.full((20, 20, 3), 90, np.uint8)).max() < in_focus.LEAST


def test_pixels_called_in_focus_are_those_that_the_blur_has_left_alone(demo: Capture) -> None:
    views = {view.name: view for view in (*demo.train, *demo.test)}
    focused = in_focus.in_focus({name: view.photograph().image for name, view in views.items()})
    assert sum(map(np.count_nonzero, focused.values())) == pytest.approx(0.01 * 32 * 128**2, rel=0.01)
    radii, found, whole = [], [], []
    for name, view in views.items():
        truth = view.truth()
        assert truth.coc is not None
        solid = truth.mask > 0.5
        radii.append(np.abs(truth.coc[focused[name] & solid]))
        found.append((view.photograph().image[focused[name]], truth.sharp[focused[name]]))
        whole.append((view.photograph().image[solid], truth.sharp[solid]))
    # Of the object as a whole, 28 % lie within 1 px of CoC radius.
    assert (np.concatenate(radii) < 1).mean() > 0.8

    def decibels(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
        photograph, sharp = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        return psnr(photograph, sharp, np.ones(len(sharp), bool))

    assert decibels(found) > decibels(whole) + 8


def test_a_photograph_without_a_sharp_spot_gets_no_pixel() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 256, (60, 60, 3)).astype(np.uint8)
    focused = in_focus.in_focus({"a": sharp, "b": cv2.GaussianBlur(sharp, (0, 0), 3), "c": np.zeros_like(sharp)})
    assert focused["a"].any()
    assert not focused["b"].any()
    assert not focused["c"].any()
    flat = in_focus.in_focus({"a": np.zeros_like(sharp)})
    assert not flat["a"].any()


def test_renders_are_ranked_as_the_truth_would_rank_them(demo: Capture, blind_demo: Capture, tmp_path: Path) -> None:
    """The sharp twins, ever more blurred, stand for methods; the order without truth must be that with it."""
    scores: dict[str, list[float | None]] = {"with": [], "without": []}
    for number, sigma in enumerate((0.0, 0.6, 0.8, 1.2, 2.0)):
        folder = tmp_path / str(number) / "novel"
        folder.mkdir(parents=True)
        for view in demo.test:
            sharp = view.truth().sharp
            write_png(folder / f"{view.name}.png", cv2.GaussianBlur(sharp, (0, 0), sigma) if sigma else sharp)
        with_truth = evaluate.score(demo, folder.parent, ("novel",), None)
        without = evaluate.score(blind_demo, folder.parent, ("novel",), None)
        scores["with"].append(with_truth.mean("novel", "mask_psnr"))
        scores["without"].append(without.mean("novel", "in_focus_psnr"))
        assert with_truth.mean("novel", "in_focus_psnr") is None
        assert without.unavailable["novel.psnr"] == "the capture has no sharp twins"
    for values in scores.values():
        assert all(a is not None and b is not None and a > b for a, b in pairwise(values))


def test_the_photographs_themselves_score_full_marks_only_where_they_are_in_focus(
    blind_demo: Capture, tmp_path: Path
) -> None:
    shutil.copytree(blind_demo.root / "images", tmp_path / "novel")
    found = evaluate.score(blind_demo, tmp_path, ("novel", "deblur"), None)
    assert {value.metric for value in found.values} == {"in_focus_psnr"}
    assert found.mean("novel", "in_focus_psnr") == 100
    assert found.unavailable["deblur"] == "the capture has no sharp twins"
    (tmp_path / "novel" / f"{blind_demo.test[0].name}.png").unlink()
    with pytest.raises(InputError, match=r"\.png is missing"):
        evaluate.score(blind_demo, tmp_path, ("novel",), None)


def test_where_nothing_is_sharp_the_table_says_so(tmp_path: Path) -> None:
    blind = open_capture(str(write_tiny_capture(tmp_path / "blind", truth=False)))
    shutil.copytree(blind.root / "images", tmp_path / "run/novel")
    found = evaluate.score(blind, tmp_path / "run", ("novel",), None)
    # The whole photograph has fewer pixels than what counts as enough in focus.
    assert found.values == ()
    assert found.unavailable["novel.in_focus_psnr"] == "no held-out photograph is in focus anywhere"


def test_contestants_run_without_truth_and_the_leaderboard_says_what_it_shows(bench: Bench, tmp_path: Path) -> None:
    blind = write_tiny_capture(tmp_path / "blind", size=(48, 40), truth=False)
    methods = "3dgs,joint-optics,sharp-3dgs"
    done = bench("run", blind, "--methods", methods, "--preset", "smoke", "--set", "3dgs.steps=20")
    assert done.returncode == 0, done.stderr
    assert re.search(r"blind / 3dgs / seed 0: done \(in focus \d+\.\d\d dB\)", done.stderr)
    (folder,) = (tmp_path / "runs").iterdir()
    records = records_in(folder)
    scores = {(a["track"], a["metric"]): a["mean"] for a in records["joint-optics"]["aggregates"]}
    assert {("novel", "in_focus_psnr"), ("kernel-own", "reblur_psnr"), ("kernel-own", "identity_psnr")} <= set(scores)
    job = folder / "jobs/blind/joint-optics/seed0"
    for view in open_capture(str(blind)).test:
        image = f"{view.name}.png"
        assert (read_rgb(job / "kernel-own" / image) != read_rgb(job / "novel" / image)).any()
    assert "kernel-own" not in {a["track"] for a in records["3dgs"]["aggregates"]}
    assert records["3dgs"]["unavailable"]["kernel-own"] == "the contestant has no model of the blur"
    board = (folder / "leaderboard.md").read_text()
    for heading in ("## Novel views without sharp twins", "### Own renders †", "in-focus PSNR ↑"):
        assert heading in board
    for heading in ("## Novel views\n", "## Deblurring", "### Training views"):
        assert heading not in board
