"""What the command line says: lists, help, and users' errors in one sentence with exit code 2."""

import json
from pathlib import Path

import pytest
from commandline import MEAN_COLOR, Bench, is_one_sentence

from bench import commands

DECLARED = """
from methods.contestant import Entry
ENTRY = Entry("{name}", "t", "__file__:fit", {outputs}, (), "c", "l", "nothing", "ours", "1")
"""


@pytest.mark.parametrize("kind", ["methods", "captures", "metrics", "presets", "objects"])
def test_lists_are_json_arrays_of_objects_with_a_name(bench: Bench, kind: str) -> None:
    rows = json.loads(bench("list", kind, "--json").stdout)
    assert rows
    assert all(isinstance(row["name"], str) and row["name"] for row in rows)


def test_the_contestants_of_this_package_are_listed_with_what_they_are(bench: Bench) -> None:
    rows = {row["name"]: row for row in json.loads(bench("list", "methods", "--json").stdout)}
    assert set(rows) >= {"3dgs", "sharp-3dgs", "input", "rl", "rl+3dgs", "joint", "joint-linear", "joint-optics"}
    assert rows["sharp-3dgs"]["oracle"] is True
    assert rows["rl"]["outputs"] == ["deblur", "kernel"]
    assert rows["rl+3dgs"]["outputs"] == ["novel", "deblur"]
    assert all(row["citation"] and row["trained_on"] for row in rows.values())


@pytest.mark.parametrize(
    "verb",
    [
        "run",
        "ablate",
        "import",
        "export",
        "refocus",
        "synth",
        "train",
        "weights",
        "eval",
        "report",
        "list",
        "doctor",
        "perf",
    ],
)
def test_every_verb_explains_itself(bench: Bench, verb: str) -> None:
    assert verb in bench("--help").stdout
    done = bench(verb, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--methods", "3dg"), "did you mean 3dgs?"),
        (("run", "demoo"), "did you mean demo?"),
        (("run", "--preset", "quik"), "did you mean quick?"),
        (("run", "no/such/folder"), "no capture"),
        (("run", "--methods", ","), "names no method"),
        (("run", "--methods", "missing.py"), "no file missing.py"),
        (("run", "--seeds", "a"), "whole numbers"),
        (("run", "--seeds", "-1"), "outside"),
        (("run", "--seeds", "99999999999"), "outside"),
        (("run", "--seeds", "0,0"), "called 0"),
        (("run", "--methods", "input,input"), "called input"),
        (("run", "--device", "tpu"), "auto, cpu, cuda"),
        (("run", "--lpips-weights", "missing.npz"), "missing.npz"),
        (("run", "--set", "3dgs.densfy=none"), "did you mean densify?"),
        (("run", "--set", "3dg.densify=none"), "did you mean 3dgs?"),
        (("run", "--set", "densify"), "FAMILY.SETTING=VALUE"),
        (("run", "--set", "3dgs.steps=abc"), "is no int"),
        (("run", "--set", "3dgs.steps=-5"), "at least 1"),
        (("run", "--set", "3dgs.densify=foo"), "no SplattingConfig.densify foo"),
        (("run", "--set", "3dgs.max_gaussians=10"), "max_gaussians = 10"),
        (("run", "--methods", "input", "--set", "3dgs.steps=5"), "none of the chosen methods"),
        (("run", "--nonsense"), "--nonsense"),
        (("nonsense",), "nonsense"),
        (("list", "method"), "did you mean methods?"),
        (("list",), "cannot list nothing"),
        (("eval", "demo", "nowhere"), "no folder nowhere"),
        (("eval", "demo", "."), "none of novel/, deblur/, kernel/"),
        (("report", "nowhere"), "nowhere"),
        (("report", "."), "no record"),
        (("synth", "beetel"), "did you mean"),
        (("synth", "beetle", "--preset", "demmo"), "did you mean"),
        (("synth", "beetle", "--count", "3"), "--count is an option of `bench synth pairs`"),
        (("synth", "seed", "--seed", "1"), "--seed is an option of `bench synth pairs`"),
        (("synth", "pairs"), "Say --count N"),
        (("synth", "pairs", "--count", "0"), "0 pairs"),
        (("synth", "pairs", "--count", "2", "--size", "8"), "from 16 to 1024"),
        (("synth", "pairs", "--count", "2", "--samples", "0"), "at least one sample"),
        (("synth", "seed", "--samples", "9"), "--samples is an option of `bench synth pairs`"),
        (("synth", "pairs", "--count", "2", "--jobs", "0"), "--jobs"),
        (("synth", "pairs", "--count", "2", "--preset", "demo"), "--preset is an option of"),
        (("synth", "pairs", "--count", "2", "--size-mm", "6"), "--size-mm is an option of"),
        (("synth", "pairs", "--count", "many"), "--count"),
        (("synth",), "Name what to photograph"),
        (("synth", "beetle", "--model", "spot.obj", "--size-mm", "6"), "one of them"),
        (("synth", "--model", "spot.obj"), "needs --size-mm"),
        (("synth", "--model", "spot.obj", "--size-mm", "6"), "spot.obj does not exist"),
        (("synth", "--model", ".", "--size-mm", "6"), "known are glb, gltf, obj"),
        (("synth", "--model", "spot.max", "--size-mm", "6"), "known are glb, gltf, obj"),
        (("synth", "beetle", "--size-mm", "6"), "belong to --model"),
        (("synth", "beetle", "--texture", "fractal"), "belong to --model"),
        (("perf", "rasteriser"), "did you mean rasterizer?"),
        (("perf", "blur", "--device", "tpu"), "There is no device tpu"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_users_error_is_one_sentence_and_code_2(bench: Bench, arguments: tuple[str, ...], says: str) -> None:
    done = bench(*arguments)
    assert is_one_sentence(done), done.stderr
    assert says in done.stderr


def test_cuda_without_a_gpu_is_refused(bench: Bench, tiny: Path) -> None:
    done = bench("run", tiny, "--methods", MEAN_COLOR, "--device", "cuda", CUDA_VISIBLE_DEVICES="")
    assert is_one_sentence(done)
    assert "CUDA" in done.stderr


def test_an_unwritable_output_is_refused(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = bench("run", tiny, "--methods", MEAN_COLOR, "--out", "file/run")
    assert is_one_sentence(done)
    assert "cannot be written" in done.stderr


def test_a_damaged_capture_is_refused_before_anything_runs(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    image = next((copy / "images").glob("*.png"))
    image.write_bytes(image.read_bytes()[:-1] + b"x")
    done = bench("run", copy, "--methods", MEAN_COLOR, "--out", "run")
    assert is_one_sentence(done)
    assert image.name in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise RuntimeError('broken')", "does not import"),
        ("raise SystemExit(3)", "does not import"),
        ("x = 1", "no ENTRY"),
        (DECLARED.format(name="../evil", outputs='("deblur",)'), "letters, digits"),
        (DECLARED.format(name="3dgs", outputs='("deblur",)'), "one of this package's"),
        (DECLARED.format(name="own", outputs='("deblur")'), "must be a tuple"),
        (DECLARED.format(name="own", outputs='("deblur",)').replace("()", '("nothing",)'), "no family"),
    ],
)
def test_a_method_file_that_is_none_is_refused(
    bench: Bench, tiny: Path, tmp_path: Path, source: str, says: str
) -> None:
    (tmp_path / "method.py").write_text(source)
    done = bench("run", tiny, "--methods", "method.py")
    assert is_one_sentence(done)
    assert says in done.stderr


def test_the_speed_of_the_rasterizers_is_a_table_and_json(bench: Bench, tmp_path: Path) -> None:
    done = bench("perf", "rasterizer", "--repeats", "1", "--out", "perf.json")
    assert done.returncode == 0, done.stderr
    assert "cpu ms" in done.stdout
    rows = json.loads((tmp_path / "perf.json").read_text())["rasterizer"]["rows"]
    assert all(row["ms"]["cpu"] > 0 for row in rows)


def test_a_benchmark_that_fails_stops_no_other_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken.py").write_text("def measure(repeats, progress, devices):\n    raise ValueError('no luck')\n")
    (tmp_path / "sound.py").write_text(
        "def measure(repeats, progress, devices):\n    return {'repeats': repeats, 'devices': devices}\n\n"
        "def table(result):\n    return [{'times': str(result['repeats'])}]\n"
    )
    monkeypatch.setattr("bench.perf.BENCHMARKS", {"first": "broken", "second": "sound"})
    out = tmp_path / "made" / "perf.json"
    assert commands.main(["perf", "--repeats", "3", "--device", "cpu", "--out", str(out)]) == 1
    assert json.loads(out.read_text()) == {
        "first": {"benchmark": "first", "error": "ValueError: no luck"},
        "second": {"repeats": 3, "devices": ["cpu"]},
    }
    said = capsys.readouterr()
    assert "times" in said.out
    assert "ValueError: no luck" in said.err


def test_doctor_looks_at_everything(bench: Bench) -> None:
    findings = {row["name"]: row for row in json.loads(bench("doctor", "--json").stdout)}
    assert {"cuda", "gsplat", "blender", "lpips weights", "demo capture"} <= set(findings)
    assert findings["demo capture"]["ok"]
    assert all(row["fix"] for row in findings.values() if not row["ok"])


def test_weights_that_cannot_be_fetched_are_a_sentence(bench: Bench) -> None:
    done = bench("doctor", "--fetch", https_proxy="http://127.0.0.1:9", no_proxy="")
    assert is_one_sentence(done)
    assert "could not be downloaded" in done.stderr


def test_a_foreign_image_of_the_wrong_size_is_named(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    import numpy as np

    from datasets.captures import open_capture
    from datasets.images import write_png

    (tmp_path / "theirs/novel").mkdir(parents=True)
    for view in open_capture(tiny).test:
        write_png(tmp_path / "theirs/novel" / f"{view.name}.png", np.zeros((5, 5, 3), np.uint8))
    done = bench("eval", tiny, "theirs")
    assert is_one_sentence(done)
    assert "5 x 5" in done.stderr
