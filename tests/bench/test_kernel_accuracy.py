"""Kernel accuracy: the metrics against their definition, and models of the blur from fit to leaderboard."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from captures import write_tiny_capture
from commandline import BLURRING, Bench, is_one_sentence, records_in

from bench import job, kernel_accuracy
from datasets.capture import Background, Truth
from datasets.captures import open_capture
from datasets.color import linear_to_srgb, srgb_to_linear
from datasets.images import read_exr, write_exr
from methods import contestants

ROOT = Path(__file__).resolve().parents[2]
SILENT = SimpleNamespace(progress=lambda done, total, what: None)


def truth(coc: np.ndarray, mask: np.ndarray | None = None, depth: np.ndarray | None = None) -> Truth:
    coc = np.asarray(coc, np.float32)
    mask = np.ones_like(coc) if mask is None else np.asarray(mask, np.float32)
    return Truth(np.zeros((*coc.shape, 3), np.uint8), mask, depth, coc)


def test_coc_error_is_told_for_each_amount_of_blur() -> None:
    true = np.array([[0.5, -1.0, 1.5, 3.0, -6.0, 20.0]])
    error = np.array([0.1, 0.2, 0.4, 0.5, 0.6, 0.7])
    scores = kernel_accuracy.coc_scores(-(np.abs(true) + error), truth(true))
    assert scores["coc_mae_px"] == pytest.approx(error.mean(), abs=1e-6)
    bins = {name: scores[f"coc_mae_{name}_px"] for name in ("0_1", "1_2", "2_4", "4_8", "8_up")}
    assert bins == pytest.approx({"0_1": 0.1, "1_2": 0.3, "2_4": 0.5, "4_8": 0.6, "8_up": 0.7}, abs=1e-6)


def test_correlation_is_pearsons_of_the_sizes_and_a_constant_map_has_none() -> None:
    true = np.array([[1.0, -2.0, 3.0, -4.0]])
    estimate = np.array([[1.0, 3.0, 2.0, 5.0]])
    expected = np.corrcoef(np.abs(true), estimate)[0, 1]
    assert kernel_accuracy.coc_scores(estimate, truth(true))["coc_corr"] == pytest.approx(expected)
    assert kernel_accuracy.coc_scores(2 * true + 1, truth(np.abs(true)))["coc_corr"] != pytest.approx(1)
    assert "coc_corr" not in kernel_accuracy.coc_scores(np.ones((1, 4)), truth(true))


def test_only_pixels_with_an_amount_of_blur_have_a_say_in_it() -> None:
    scores = kernel_accuracy.coc_scores(np.ones((2, 2)), truth(np.full((2, 2), 3.0)))
    assert set(scores) == {"coc_mae_px", "coc_mae_inner_px", "coc_mae_2_4_px"}


def test_the_outline_without_depth_is_no_surface() -> None:
    known = kernel_accuracy.surface(
        truth(np.ones((1, 3)), mask=np.array([[1.0, 1.0, 0.4]]), depth=np.array([[5.0, 0.0, 5.0]]))
    )
    assert known.tolist() == [[True, False, False]]


def test_away_from_edges_is_more_than_three_px_from_outline_and_cliff_but_not_from_a_slope() -> None:
    coc = np.tile(0.3 * np.arange(20.0), (1, 1)).repeat(20, axis=0)
    everywhere = np.ones((20, 20), bool)
    assert kernel_accuracy.away_from_edges(coc, everywhere).all()
    cliff = coc.copy()
    cliff[:, 10:] += 0.3
    inner = kernel_accuracy.away_from_edges(cliff, everywhere)
    assert np.flatnonzero(~inner[5]).tolist() == list(range(6, 14))
    hole = everywhere.copy()
    hole[10, 10] = False
    inner = kernel_accuracy.away_from_edges(coc, hole)
    assert not inner[10, 13]
    assert inner[10, 14]
    assert not inner[12, 12]
    assert inner[13, 13]


def test_away_from_edges_gets_its_own_mean() -> None:
    coc = np.zeros((9, 20), np.float32)
    coc[:, 10:] = 4
    estimate = coc.copy()
    estimate[:, 9:11] += 1
    scores = kernel_accuracy.coc_scores(estimate, truth(coc, depth=np.ones_like(coc)))
    assert scores["coc_mae_px"] == pytest.approx(0.1)
    assert scores["coc_mae_inner_px"] == 0


def test_the_ceiling_of_a_photograph_in_focus_is_the_clean_image() -> None:
    rng = np.random.default_rng(0)
    backdrop = Background((0.3, 0.3, 0.3), (0.1, 0.1, 0.1))
    mask = np.zeros((12, 16), np.float32)
    mask[3:9, 4:12] = 1
    light = np.where(mask[..., None] > 0, rng.uniform(size=(12, 16, 3)), backdrop.image(12, 16))
    clean = np.round(linear_to_srgb(light) * 255).astype(np.float32) / 255
    sharp = kernel_accuracy.ceiling(clean, truth(np.zeros((12, 16)), mask, depth=mask), backdrop)
    assert np.abs(sharp - clean).max() <= 1 / 255 + 1e-6


def test_the_ceiling_of_a_point_is_a_disk_of_its_circle_of_confusion() -> None:
    clean, mask = np.zeros((31, 31, 3), np.float32), np.zeros((31, 31), np.float32)
    clean[15, 15], mask[15, 15] = 1, 1
    spread = srgb_to_linear(kernel_accuracy.ceiling(clean, truth(np.full((31, 31), -5.0) * mask, mask), Background()))
    rows, columns = np.mgrid[:31, :31] - 15
    distance = np.hypot(rows, columns)
    assert spread.sum() / 3 == pytest.approx(1, abs=0.05)
    assert spread[distance > 6].max() == 0
    assert spread[distance < 4, 0] == pytest.approx(1 / (25 * np.pi), rel=0.1)


def means(record: dict, track: str) -> dict[str, float]:
    return {a["metric"]: a["mean"] for a in record["aggregates"] if a["track"] == track}


def test_who_knows_the_blur_reaches_the_ceiling_and_has_no_coc_error(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    done = bench("run", tiny, "--methods", BLURRING, "--out", "run", KERNEL="truth", TRUTH=str(tiny))
    assert done.returncode == 0, done.stderr
    record = records_in(tmp_path / "run")["blurring"]
    assert record["blur"] == {"spread": "scatter", "clean_job": None}
    for track, views in (("kernel", 7), ("kernel-test", 2)):
        found = means(record, track)
        assert found["reblur_psnr"] == found["ceiling_psnr"]
        assert found["coc_mae_px"] == found["coc_mae_inner_px"] == 0
        assert found["coc_corr"] == pytest.approx(1)
        assert len(list((tmp_path / "run/jobs/tiny/blurring/seed0" / track).glob("*.exr"))) == views
    assert record["unavailable"]["kernel-paper"] == "the run was without --protocol paper"
    assert "## Kernel accuracy" in (tmp_path / "run/leaderboard.md").read_text()


def test_who_does_nothing_has_the_identity_and_all_the_blur_as_error(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    done = bench("run", tiny, "--methods", BLURRING, "--out", "run", KERNEL="nothing")
    assert done.returncode == 0, done.stderr
    record = records_in(tmp_path / "run")["blurring"]
    found = means(record, "kernel")
    assert found["reblur_psnr"] == found["identity_psnr"]
    assert found["reblur_ssim"] == found["identity_ssim"]
    maps = [read_exr(path) for path in sorted((tiny / "coc").glob("*.exr"))]
    masks = [read_exr(path) > 0 for path in sorted((tiny / "depth").glob("*.exr"))]
    assert 0 < found["coc_mae_px"] < max(np.abs(coc[mask]).max() for coc, mask in zip(maps, masks, strict=True))
    assert record["unavailable"]["kernel.coc_corr"] == "a constant map correlates with nothing"


def test_a_model_of_the_training_photographs_alone_is_scored_on_them_alone(
    bench: Bench, tiny: Path, tmp_path: Path
) -> None:
    done = bench("run", tiny, "--methods", BLURRING, "--out", "run", KERNEL="training only")
    assert done.returncode == 0, done.stderr
    record = records_in(tmp_path / "run")["blurring"]
    assert {value["track"] for value in record["values"]} == {"kernel"}
    assert "was not trained on" in record["unavailable"]["kernel-test"]


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        ("silence", "blurring gave no blur for view 001; only for all held-out views may it give none."),
        ("map size", "blurring gave float32 [11, 16] for view 001, not a float map of the CoC radius [12, 16]."),
        ("map nan", "blurring gave a map of the CoC radius for view 001 with values that are not finite."),
        ("image size", "blurring gave float32 [11, 16, 3] for view 001, not a float image [12, 16, 3]."),
        ("image nan", "blurring gave an image for view 001 with values that are not finite."),
        ("spread", "blurring says of its blur that it is 'both', not gather or scatter."),
        ("spreads", "blurring says of some views that its blur gathers, of others that it scatters."),
        ("array", "blurring gave ndarray for view 001, not a Kernel."),
    ],
)
def test_what_is_no_model_of_the_blur_is_refused_in_one_sentence(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str, reason: str
) -> None:
    monkeypatch.setenv("KERNEL", kernel)
    capture, entry = open_capture(str(tiny)), contestants.find(BLURRING)
    fitted = contestants.fit_of(entry)(capture.photographs(), None)  # type: ignore[arg-type]
    with pytest.raises(job.BadOutput) as caught:
        job.write_kernels(fitted, entry, capture, tmp_path, None, SILENT)
    assert str(caught.value) == reason


def test_a_wrong_model_of_the_blur_is_a_failed_row(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    done = bench("run", tiny, "--methods", BLURRING, "--out", "run", KERNEL="map size")
    assert done.returncode == 1
    assert records_in(tmp_path / "run")["blurring"]["error"]["class"] == "BadOutput"


def test_the_example_of_the_docs_has_a_kernel(tiny: Path, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/contestants.md").read_text(), flags=re.DOTALL)
    (tmp_path / "equal.py").write_text(example)
    capture, entry = open_capture(str(tiny)), contestants.find(str(tmp_path / "equal.py"))
    fitted = contestants.fit_of(entry)(capture.photographs(), None)  # type: ignore[arg-type]
    assert job.write_kernels(fitted, entry, capture, tmp_path, None, SILENT) == "gather"
    assert len(list((tmp_path / "kernel-test").iterdir())) == 4


def test_the_seeds_protocol_blurs_what_splats_of_the_sharp_twins_show(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    command = ("run", tiny, "--methods", BLURRING, "--preset", "smoke", "--protocol", "paper", "--out", "run")
    done = bench(*command, KERNEL="nothing")
    assert done.returncode == 0, done.stderr
    found = records_in(tmp_path / "run")
    blurring, clean = found["blurring"], found["sharp-3dgs"]
    assert blurring["blur"]["clean_job"] == blurring["identity"]["parts"]["clean"] == clean["identity"]["id"]
    assert blurring["command"][-2:] == ["--protocol", "paper"]
    jobs = tmp_path / "run/jobs/tiny"
    for path in (jobs / "sharp-3dgs/seed0/novel").glob("*.png"):
        assert (jobs / "blurring/seed0/kernel-paper/clean" / path.name).read_bytes() == path.read_bytes()
    scores = means(blurring, "kernel-paper")
    assert scores["reblur_psnr"] == scores["identity_psnr"] != means(blurring, "kernel-test")["identity_psnr"]
    again = bench(*command, KERNEL="nothing")
    assert again.stderr.count("done before") == 2
    scored = bench("eval", tiny, jobs / "blurring/seed0", "--json")
    assert {row["track"] for row in json.loads(scored.stdout)["tracks"]} == {"kernel", "kernel-test", "kernel-paper"}


def test_without_clean_images_the_seeds_protocol_fails_and_says_why(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    done = bench(
        *("run", tiny, "--methods", BLURRING, "--preset", "smoke", "--protocol", "paper", "--out", "run"),
        *("--set", "3dgs.lr_means=1e30"),
        KERNEL="nothing",
    )
    assert done.returncode == 1
    found = records_in(tmp_path / "run")
    assert found["sharp-3dgs"]["status"] == "failed"
    assert found["blurring"]["error"]["reason"] == "sharp-3dgs, which it re-blurs, failed"


def test_an_unknown_protocol_is_one_sentence(bench: Bench, tiny: Path) -> None:
    done = bench("run", tiny, "--protocol", "papre")
    assert is_one_sentence(done)
    assert "known: standard, paper" in done.stderr


def test_a_capture_without_truth_gets_maps_and_no_scores(bench: Bench, tmp_path: Path) -> None:
    blind = write_tiny_capture(tmp_path / "blind", truth=False)
    done = bench("run", blind, "--methods", BLURRING, "--protocol", "paper", "--out", "run", KERNEL="nothing")
    assert done.returncode == 0, done.stderr
    record = records_in(tmp_path / "run")["blurring"]
    assert record["values"] == []
    assert record["unavailable"]["kernel"] == "the capture has no sharp twins"
    assert len(list((tmp_path / "run/jobs/blind/blurring/seed0/kernel").glob("*.exr"))) == 7


def test_anybodys_files_are_scored_with_maps_or_without(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny / "sharp", tmp_path / "theirs/kernel")
    without = json.loads(bench("eval", tiny, "theirs", "--json").stdout)
    assert without["tracks"][0]["reblur_psnr"] == without["tracks"][0]["identity_psnr"]
    assert without["unavailable"]["kernel.coc_mae_px"] == "there are no maps of the circles of confusion"
    for path in (tiny / "coc").glob("*.exr"):
        shutil.copy(path, tmp_path / "theirs/kernel")
    assert json.loads(bench("eval", tiny, "theirs", "--json").stdout)["tracks"][0]["coc_mae_px"] == 0
    write_exr(tmp_path / "theirs/kernel/003.exr", np.full((12, 16), np.nan, np.float32))
    assert "003.exr holds a number that is not finite" in bench("eval", tiny, "theirs").stderr
    write_exr(tmp_path / "theirs/kernel/003.exr", np.zeros((3, 4), np.float32))
    assert "003.exr is 4 x 3 px" in bench("eval", tiny, "theirs").stderr
    (tmp_path / "theirs/kernel/003.exr").unlink()
    assert "003.exr is missing" in bench("eval", tiny, "theirs").stderr
