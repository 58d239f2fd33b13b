"""`bench run` end to end: what it leaves, what it repeats, what becomes of contestants in trouble."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import MEAN_COLOR, TROUBLED, Bench, clean_environment, is_one_sentence, records_in

SHARED_LPIPS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "lpips" / "alexnet_features_f32.npz"


def scores_in(run: Path) -> list[dict[str, str]]:
    """The leaderboard without what honest repetition changes: seconds and memory."""
    with (run / "leaderboard.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in ("train_s", "peak_mb")} for row in csv.DictReader(file)]


def test_a_run_leaves_images_records_and_a_leaderboard(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    done = bench("run", tiny, "--methods", f"{MEAN_COLOR},input", "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["method"] for row in json.loads(done.stdout)] == ["mean-color", "input"]
    job = tmp_path / "run/jobs/tiny/mean-color/seed0"
    assert len(list((job / "novel").glob("*.png"))) == 2
    assert len(list((job / "deblur").glob("*.png"))) == 7
    assert (job / "model" / "color.txt").exists()
    record = records_in(tmp_path / "run")["mean-color"]
    assert record["status"] == "ok"
    assert record["capture"]["unfocused_px"] == 0.25
    assert "record.json" not in record["files"]
    assert "novel/" + sorted(p.name for p in (job / "novel").iterdir())[0] in record["files"]
    for name in ("leaderboard.md", "leaderboard.csv", "results.csv"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    assert not list((tmp_path / "run").rglob("*.partial*"))


def test_the_scores_are_those_of_the_files_on_disk(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    bench("run", tiny, "--methods", MEAN_COLOR, "--out", "run")
    again = bench("eval", tiny, "run/jobs/tiny/mean-color/seed0", "--json")
    assert again.returncode == 0, again.stderr
    recorded = records_in(tmp_path / "run")["mean-color"]["values"]
    rescored = json.loads(again.stdout)["values"]
    key = ("track", "view", "metric")
    assert {tuple(v[k] for k in key): v["value"] for v in recorded} == {
        tuple(v[k] for k in key): pytest.approx(v["value"], rel=1e-5) for v in rescored
    }


def test_the_same_command_again_repeats_nothing(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    bench("run", tiny, "--methods", MEAN_COLOR, "--out", "run")
    record = tmp_path / "run/jobs/tiny/mean-color/seed0/record.json"
    before, board = record.stat().st_mtime_ns, (tmp_path / "run/leaderboard.md").read_bytes()
    done = bench("run", tiny, "--methods", MEAN_COLOR, "--out", "run")
    assert "done before" in done.stderr
    assert record.stat().st_mtime_ns == before
    assert (tmp_path / "run/leaderboard.md").read_bytes() == board


def test_a_job_whose_images_were_touched_runs_again(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    bench("run", tiny, "--methods", MEAN_COLOR, "--out", "run")
    image = next((tmp_path / "run/jobs/tiny/mean-color/seed0/novel").glob("*.png"))
    whole = image.read_bytes()
    image.write_bytes(whole[:20])
    done = bench("run", tiny, "--methods", MEAN_COLOR, "--out", "run")
    assert done.returncode == 0
    assert "done before" not in done.stderr
    assert image.read_bytes() == whole


def test_a_changed_method_runs_anew_and_the_old_result_is_kept_aside(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    method = tmp_path / "mean.py"
    method.write_text(Path(MEAN_COLOR).read_text())
    bench("run", tiny, "--methods", method, "--out", "run")
    method.write_text(method.read_text().replace("axis=0) / 255", "axis=0) / 510"))
    done = bench("run", tiny, "--methods", method, "--out", "run")
    assert done.returncode == 0
    assert "done before" not in done.stderr
    assert len(list((tmp_path / "run/jobs/tiny/mean-color").glob(".seed0.*"))) == 1
    assert len(scores_in(tmp_path / "run")) == 1


def test_an_ablation_changes_a_setting_and_its_record_tells(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    arguments = ("run", tiny, "--methods", "3dgs", "--preset", "smoke", "--set", "3dgs.steps=3", "--out", "run")
    done = bench(*arguments)
    assert done.returncode == 0, done.stderr
    record = records_in(tmp_path / "run")["3dgs"]
    assert record["method"]["config"]["3dgs"]["steps"] == 3
    assert record["method"]["preset"] == "smoke with 3dgs.steps=3"
    assert record["command"][-2:] == ["--set", "3dgs.steps=3"]


@pytest.mark.parametrize(
    ("trouble", "kind", "reason"),
    [
        ("raises", "KeyError", "a line"),
        ("memory", "OutOfMemory", "memory"),
        ("diverges", "Diverged", "step 17"),
        ("killed", "Killed", "signal 9"),
        ("exits", "Killed", "without a word"),
        ("size", "BadOutput", "not a float image"),
        ("nan", "BadOutput", "not finite"),
        ("integers", "BadOutput", "uint8"),
        ("nothing", "BadOutput", "NoneType"),
    ],
)
def test_a_contestant_in_trouble_is_a_row_and_the_others_go_on(
    bench: Bench, tiny: Path, tmp_path: Path, trouble: str, kind: str, reason: str
) -> None:
    done = bench("run", tiny, "--methods", f"{TROUBLED},{MEAN_COLOR}", "--out", "run", TROUBLE=trouble)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    records = records_in(tmp_path / "run")
    assert records["troubled"]["status"] == "failed"
    assert records["troubled"]["error"]["class"] == kind
    assert reason in records["troubled"]["error"]["reason"]
    assert records["troubled"]["error"]["step"] == (17 if trouble == "diverges" else None)
    assert records["mean-color"]["status"] == "ok"
    assert reason in (tmp_path / "run/leaderboard.md").read_text().replace("\\", "")


def test_a_result_put_aside_comes_back_when_it_is_asked_for_again(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    method = tmp_path / "mean.py"
    original = Path(MEAN_COLOR).read_text()
    for source in (original, original.replace("axis=0) / 255", "axis=0) / 510"), original):
        method.write_text(source)
        done = bench("run", tiny, "--methods", method, "--out", "run")
    assert "done before" in done.stderr


def test_a_damaged_record_is_no_obstacle(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    bench("run", tiny, "--methods", MEAN_COLOR, "--out", "run")
    record = tmp_path / "run/jobs/tiny/mean-color/seed0/record.json"
    record.write_text(record.read_text()[:50])
    done = bench("run", tiny, "--methods", MEAN_COLOR, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert json.loads(record.read_text())["status"] == "ok"


def test_a_contestant_that_cannot_run_here_is_a_row_with_the_reason(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    method = tmp_path / "needy.py"
    source = (
        Path(MEAN_COLOR).read_text().replace('version="1",', 'version="1",\n    unavailable="bench_method_needy:why",')
    )
    method.write_text(source + '\n\ndef why(device):\n    return f"needs weights on {device}"\n')
    done = bench("run", tiny, "--methods", f"{method},input", "--out", "run", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert records_in(tmp_path / "run")["mean-color"]["error"]["reason"] == "needs weights on cpu"


def test_folders_of_our_names_where_the_user_stands_are_not_ours(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    for name in ("datasets", "methods"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not ours')")
    done = bench("run", tiny, "--methods", MEAN_COLOR, "--out", "run")
    assert done.returncode == 0, done.stderr


def test_a_failed_job_is_tried_again(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    bench("run", tiny, "--methods", TROUBLED, "--out", "run", TROUBLE="raises")
    bench("run", tiny, "--methods", TROUBLED, "--out", "run", TROUBLE="memory")
    assert records_in(tmp_path / "run")["troubled"]["error"]["class"] == "OutOfMemory"


def test_a_full_disk_ends_in_one_sentence_and_keeps_what_was_finished(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    bench("run", tiny, "--methods", MEAN_COLOR, "--out", "run")
    done = bench("run", tiny, "--methods", f"{MEAN_COLOR},{TROUBLED}", "--out", "run", TROUBLE="disk")
    assert is_one_sentence(done)
    assert "No space left" in done.stderr
    assert records_in(tmp_path / "run")["mean-color"]["status"] == "ok"


def test_an_oracle_is_skipped_where_there_are_no_sharp_twins(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    from captures import write_tiny_capture

    blind = write_tiny_capture(tmp_path / "blind", truth=False)
    done = bench("run", blind, "--methods", "sharp-3dgs,rl-oracle,input", "--out", "run", "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    records = records_in(tmp_path / "run")
    assert records["sharp-3dgs"]["status"] == "skipped"
    assert "sharp twins" in records["sharp-3dgs"]["error"]["reason"]
    assert records["rl-oracle"]["status"] == "skipped"
    assert records["input"]["unavailable"]["deblur"] == "the capture has no sharp twins"


def test_an_oracle_is_told_the_blur_and_ranked_nowhere(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    done = bench("run", tiny, "--methods", "rl-oracle,input", "--out", "run", "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    told = records_in(tmp_path / "run")["rl-oracle"]
    assert (told["status"], told["method"]["oracle"], told["method"]["status"]) == ("ok", True, "control")


def test_several_seeds_and_captures_make_a_row_each_way(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    from captures import write_tiny_capture

    other = write_tiny_capture(tmp_path / "other", views=10)
    done = bench("run", tiny, other, "--methods", MEAN_COLOR, "--seeds", "0,1", "--out", "run")
    assert done.returncode == 0, done.stderr
    (row,) = scores_in(tmp_path / "run")
    assert (row["captures"], row["seeds"]) == ("2", "2")


def test_two_runs_into_one_folder_at_once_are_refused(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    first = start(tmp_path, tiny, TROUBLED, TROUBLE="sleeps")
    try:
        wait_for(lambda: list((tmp_path / "run").rglob(".seed0.partial")))
        second = bench("run", tiny, "--methods", MEAN_COLOR, "--out", "run")
        assert is_one_sentence(second)
        assert "Another run" in second.stderr
    finally:
        first.kill()
        first.wait()


def test_ctrl_c_stops_cleanly_and_the_same_command_resumes(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    first = start(tmp_path, tiny, f"{MEAN_COLOR},{TROUBLED}", TROUBLE="sleeps")
    wait_for(lambda: "mean-color" in records_in(tmp_path / "run"))
    wait_for(lambda: list((tmp_path / "run").rglob(".seed0.partial")))
    first.send_signal(signal.SIGINT)
    assert first.wait(30) == 130
    assert first.stderr is not None
    assert "The same command goes on" in first.stderr.read()
    assert not list((tmp_path / "run").rglob("*.partial*"))
    again = bench("run", tiny, "--methods", MEAN_COLOR, "--out", "run")
    assert "done before" in again.stderr


def test_jobs_die_with_the_runner(tiny: Path, tmp_path: Path) -> None:
    first = start(tmp_path, tiny, TROUBLED, TROUBLE="sleeps")
    wait_for(lambda: jobs_alive(tmp_path))
    first.kill()
    first.wait()
    wait_for(lambda: not jobs_alive(tmp_path))


@pytest.mark.parametrize("victim", ["runner at once", "runner after the first job", "job"])
def test_kill_9_and_the_same_command_give_the_same_leaderboard(
    bench: Bench, tiny: Path, tmp_path: Path, victim: str
) -> None:
    second = tmp_path / "second.py"
    second.write_text(Path(MEAN_COLOR).read_text().replace('"mean-color"', '"mean-color-again"'))
    methods = f"{MEAN_COLOR},input,{second}"
    undisturbed = bench("run", tiny, "--methods", methods, "--out", "undisturbed", "--jobs", "1")
    assert undisturbed.returncode == 0, undisturbed.stderr
    run = start(tmp_path, tiny, methods, "--jobs", "1")
    if victim == "runner after the first job":
        wait_for(lambda: records_in(tmp_path / "run"))
    else:
        wait_for(lambda: jobs_alive(tmp_path))
    if victim == "job":
        for process in jobs_alive(tmp_path):
            os.kill(process, signal.SIGKILL)
        assert run.wait(120) == 1
    else:
        run.kill()
        run.wait()
    again = bench("run", tiny, "--methods", methods, "--out", "run", "--jobs", "1")
    assert again.returncode == 0, again.stderr
    assert scores_in(tmp_path / "run") == scores_in(tmp_path / "undisturbed")
    for name in ("results.csv",):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


@pytest.mark.skipif(not SHARED_LPIPS.exists(), reason="needs the AlexNet weights in ../shared/data/lpips")
def test_lpips_weights_that_come_later_are_scored_without_another_fit(bench: Bench, tmp_path: Path) -> None:
    from captures import write_tiny_capture

    capture = write_tiny_capture(tmp_path / "larger", views=9, size=(40, 36))
    bench("run", capture, "--methods", MEAN_COLOR, "--out", "run")
    record = records_in(tmp_path / "run")["mean-color"]
    assert "--lpips-weights" in record["unavailable"]["lpips"]
    done = bench("run", capture, "--methods", MEAN_COLOR, "--out", "run", "--lpips-weights", SHARED_LPIPS)
    assert done.returncode == 0, done.stderr
    later = records_in(tmp_path / "run")["mean-color"]
    assert "lpips" in later["metrics"]
    assert later["times"] == record["times"]
    assert later["files"] == record["files"]


def start(folder: Path, capture: Path, methods: str, *more: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.cli", "run", str(capture), "--methods", methods, "--out", "run", *more],
        cwd=folder,
        env=clean_environment(folder) | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that puts the tests into the background has them, and all that they start, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def jobs_alive(folder: Path) -> list[int]:
    """Processes at work on a job of the run in `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"bench.job" in words and any(
            word.startswith(str(folder).encode())
            or (b".partial.json" in word and Path(f"/proc/{path.parent.name}/cwd").resolve() == folder)
            for word in words
        ):
            found.append(int(path.parent.name))
    return found


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.05)
