"""Kernel accuracy: the metrics against their definition, and models of the blur from fit to leaderboard."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from captures import write_tiny_capture
from commandline import BLURRING, Bench, is_one_sentence, records_in

from bench import evaluate, job, kernel_accuracy, runner
from bench.plan import Job, Protocol, plan
from datasets.capture import Background, Capture, Truth
from datasets.captures import open_capture
from datasets.color import linear_to_srgb, srgb_to_linear
from datasets.errors import InputError
from datasets.images import write_exr
from datasets.optics import ThinLens
from methods import contestants
from methods.contestant import Entry, Fitted

ROOT = Path(__file__).resolve().parents[2]
SILENT: Any = SimpleNamespace(progress=lambda done, total, what: None)


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


def fitted_to(capture: Capture, kernel: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Entry, Fitted]:
    """The contestant for tests with that sort of kernel."""
    monkeypatch.setenv("KERNEL", kernel)
    monkeypatch.setenv("TRUTH", str(capture.root))
    entry = contestants.find(BLURRING)
    return entry, contestants.fit_of(entry)(capture.photographs(), None)  # type: ignore[arg-type]


def scored(capture: Capture, kernel: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The scores of a contestant with that sort of kernel, from the files that it leaves in `folder`."""
    entry, fitted = fitted_to(capture, kernel, monkeypatch)
    job.write_kernels(fitted, entry, capture, folder, None, SILENT)
    return job.scores(capture, folder, entry, None, SILENT)


def means(scores: dict[str, Any], track: str) -> dict[str, float]:
    return {a.metric: a.mean for a in scores["aggregates"] if a.track == track}


def test_who_knows_the_blur_reaches_the_ceiling_and_has_no_coc_error(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = scored(open_capture(str(tiny)), "truth", tmp_path, monkeypatch)
    for track, views in (("kernel", 7), ("kernel-test", 2)):
        found = means(scores, track)
        assert found["reblur_psnr"] == found["ceiling_psnr"]
        assert found["coc_mae_px"] == found["coc_mae_inner_px"] == 0
        assert found["coc_corr"] == pytest.approx(1)
        assert found["focus_error_mm"] == found["focus_error_percent"] == found["aperture_error_percent"] == 0
        assert len(list((tmp_path / track).glob("*.exr"))) == views
    assert scores["unavailable"]["kernel-paper"] == "the run was without --protocol paper"


def test_who_does_nothing_has_the_identity_and_all_the_blur_as_error(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = open_capture(str(tiny))
    scores = scored(capture, "nothing", tmp_path, monkeypatch)
    found = means(scores, "kernel")
    assert found["reblur_psnr"] == found["identity_psnr"]
    assert found["reblur_ssim"] == found["identity_ssim"]
    truths = [view.truth() for view in capture.train]
    blur = [np.abs(known.coc[kernel_accuracy.surface(known)]).mean() for known in truths if known.coc is not None]
    assert found["coc_mae_px"] == pytest.approx(np.mean(blur), rel=1e-5)
    assert scores["unavailable"]["kernel.coc_corr"] == "a constant map correlates with nothing"


def test_a_model_of_the_training_photographs_alone_is_scored_on_them_alone(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = scored(open_capture(str(tiny)), "training only", tmp_path, monkeypatch)
    assert {value.track for value in scores["values"]} == {"kernel"}
    assert "was not trained on" in scores["unavailable"]["kernel-test"]
    assert scores["unavailable"]["kernel-paper"] == scores["unavailable"]["kernel-test"]


def test_the_perceptual_distance_is_taken_before_and_after_the_blur() -> None:
    def distance(image: np.ndarray, photograph: np.ndarray) -> float:
        return float(image.mean() - photograph.mean())

    images = (np.full((12, 12, 3), level) for level in (0.5, 0.7, 0.4))
    scores = kernel_accuracy.reblur_scores(*images, lpips=distance)  # type: ignore[arg-type, misc]
    assert scores["reblur_lpips"] == pytest.approx(0.1)
    assert scores["identity_lpips"] == pytest.approx(0.3)
    assert scores["reblur_psnr"] == pytest.approx(20)
    assert scores["identity_psnr"] == pytest.approx(-20 * np.log10(0.3))


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
    capture = open_capture(str(tiny))
    entry, fitted = fitted_to(capture, kernel, monkeypatch)
    with pytest.raises(job.BadOutput) as caught:
        job.write_kernels(fitted, entry, capture, tmp_path, None, SILENT)
    assert str(caught.value) == reason


def test_a_wrong_model_of_the_blur_is_a_failed_row(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    done = bench("run", tiny, "--methods", BLURRING, "--out", "run", KERNEL="map size")
    assert done.returncode == 1
    assert records_in(tmp_path / "run")["blurring"]["error"]["class"] == "BadOutput"


def test_the_example_of_the_docs_has_a_kernel(tiny: Path, tmp_path: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs/contestants.md").read_text(), flags=re.DOTALL)
    (example,) = [example for example in examples if '"equal"' in example]
    (tmp_path / "equal.py").write_text(example)
    capture, entry = open_capture(str(tiny)), contestants.find(str(tmp_path / "equal.py"))
    fitted = contestants.fit_of(entry)(capture.photographs(), None)  # type: ignore[arg-type]
    assert job.write_kernels(fitted, entry, capture, tmp_path, None, SILENT) == "gather"
    assert len(list((tmp_path / "kernel-test").iterdir())) == 4


def test_the_seeds_protocol_blurs_what_splats_of_the_sharp_twins_show(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    command = (
        *("run", tiny, "--methods", BLURRING, "--preset", "smoke", "--set", "3dgs.steps=5"),
        *("--protocol", "paper", "--out", "run"),
    )
    done = bench(*command, KERNEL="nothing")
    assert done.returncode == 0, done.stderr
    found = records_in(tmp_path / "run")
    blurring, clean = found["blurring"], found["sharp-3dgs"]
    assert blurring["blur"]["clean_job"] == blurring["identity"]["parts"]["clean"] == clean["identity"]["id"]
    assert blurring["warnings"] == ["It was told the answer."]
    assert "Warning of tiny / blurring / seed 0: It was told the answer." in done.stderr
    assert "- tiny / blurring / seed 0: It was told the answer." in (tmp_path / "run/leaderboard.md").read_text()
    assert blurring["command"][-4:] == ["--set", "3dgs.steps=5", "--protocol", "paper"]
    jobs = tmp_path / "run/jobs/tiny"
    for path in (jobs / "sharp-3dgs/seed0/novel").glob("*.png"):
        assert (jobs / "blurring/seed0/kernel-paper/clean" / path.name).read_bytes() == path.read_bytes()
    scores = {(a["track"], a["metric"]): a["mean"] for a in blurring["aggregates"]}
    assert scores["kernel-paper", "reblur_psnr"] == scores["kernel-paper", "identity_psnr"]
    assert scores["kernel-paper", "identity_psnr"] != scores["kernel-test", "identity_psnr"]
    assert "### The seed paper's protocol †" in (tmp_path / "run/leaderboard.md").read_text()
    assert len(list((tmp_path / "run").glob("blur-tiny-*.png"))) == 3
    again = evaluate.tracks_in(open_capture(str(tiny)), jobs / "blurring/seed0")
    assert again == ("kernel", "kernel-test", "kernel-paper")


def jobs_of(tiny: Path, protocol: Protocol) -> list[Job]:
    methods = [(name, contestants.find(name)) for name in (BLURRING, "input", "sharp-3dgs")]
    capture = open_capture(str(tiny))
    return plan([(str(tiny), capture)], methods, [0, 1], "smoke", "cpu", "0" * 64, protocol=protocol)


def test_clean_images_come_first_and_are_part_of_what_a_result_is_known_by(tiny: Path) -> None:
    paper, standard = jobs_of(tiny, "paper"), jobs_of(tiny, "standard")
    assert [wanted.entry.name for wanted in paper] == ["sharp-3dgs"] * 2 + ["blurring"] * 2 + ["input"] * 2
    assert [wanted.clean and wanted.clean.seed for wanted in paper] == [None, None, 0, 1, None, None]
    same = {wanted.id for wanted in paper} & {wanted.id for wanted in standard}
    assert same == {wanted.id for wanted in paper if wanted.entry.name != "blurring"}
    assert [wanted.id for wanted in jobs_of(tiny, "paper")] == [wanted.id for wanted in paper]


class Failing:
    """In place of a job's process: fails at once."""

    def __init__(self, progress, action, out, lpips_weights, events) -> None:
        self.progress = progress
        progress.state = "running"
        events.put((progress, {"event": "failed"}))

    def close(self, event, capture) -> None:
        self.progress.state = "failed"


def test_without_clean_images_the_seeds_protocol_fails_and_says_why(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "Worker", Failing)
    board = runner.run(jobs_of(tiny, "paper"), {"tiny": open_capture(str(tiny))}, tmp_path, 1, None, lambda board: None)
    assert [progress.state for progress in board] == ["failed"] * 6
    found = records_in(tmp_path)
    assert list(found) == ["blurring"]
    assert found["blurring"]["error"]["reason"] == "sharp-3dgs, which it re-blurs, failed"


def test_an_unknown_protocol_is_one_sentence(bench: Bench, tiny: Path) -> None:
    done = bench("run", tiny, "--protocol", "papre")
    assert is_one_sentence(done)
    assert "known: standard, paper" in done.stderr


def test_a_capture_without_truth_gets_maps_and_no_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = open_capture(str(write_tiny_capture(tmp_path / "blind", truth=False)))
    scores = scored(blind, "nothing", tmp_path, monkeypatch)
    assert scores["values"] == []
    assert scores["unavailable"]["kernel"] == "the capture has no sharp twins"
    assert len(list((tmp_path / "kernel").glob("*.exr"))) == 7


def test_anybodys_files_are_scored_with_maps_or_without(tiny: Path, tmp_path: Path) -> None:
    folder, capture = tmp_path / "theirs", open_capture(str(tiny))
    shutil.copytree(tiny / "sharp", folder / "kernel")
    without = evaluate.score(capture, folder, ("kernel",), None)
    assert without.mean("kernel", "reblur_psnr") == without.mean("kernel", "identity_psnr")
    assert without.unavailable["kernel.coc_mae_px"] == "there are no maps of the circles of confusion"
    for path in (tiny / "coc").glob("*.exr"):
        shutil.copy(path, folder / "kernel")
    assert evaluate.score(capture, folder, ("kernel",), None).mean("kernel", "coc_mae_px") == 0
    for coc, sentence in (
        (np.full((12, 16), np.nan), "a number that is not finite"),
        (np.zeros((3, 4)), "is 4 x 3 px"),
    ):
        write_exr(folder / "kernel/003.exr", coc.astype(np.float32))
        with pytest.raises(InputError, match=rf"003\.exr.* {sentence}"):
            evaluate.score(capture, folder, ("kernel",), None)
    (folder / "kernel/003.exr").unlink()
    with pytest.raises(InputError, match=r"003\.exr is missing"):
        evaluate.score(capture, folder, ("kernel",), None)


# ---------------------------------------------------------------- the lens


def test_the_lens_is_compared_with_the_true_one() -> None:
    true = ThinLens(60.0, 2.0, 105.0, 0.1)
    depth = np.array([[100.0, 104.0], [0.0, 0.0]])
    seen = truth(np.ones((2, 2)), depth=depth)
    scores = kernel_accuracy.lens_scores(105.2, 1.1 * true.aperture_radius, true, seen)
    assert scores["focus_error_mm"] == pytest.approx(0.2)
    assert scores["focus_error_percent"] == pytest.approx(5.0)
    assert scores["aperture_error_percent"] == pytest.approx(10.0)


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"001": {"focus_mm": "x", "aperture_mm": 1}}', '{"001": {"focus_mm": 1}}']
)
def test_a_damaged_list_of_lenses_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / evaluate.LENSES
    path.write_text(text)
    view = open_capture("demo").train[0]
    with pytest.raises(InputError, match=r"lenses\.json does not tell the lens of view 001"):
        evaluate.read_lens(path, view)
