"""`bench sweep`: a grid of recipes, their captures, one contest, a table and a plot."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commandline import MEAN_COLOR
from PIL import Image

from bench import commands, sweep
from bench import synth as rendering
from datasets import convert
from datasets.captures import open_capture
from datasets.errors import InputError
from datasets.synthesis import recipes, rig
from datasets.synthesis.synthesize import SynthesisResult

DEMO = recipes.load("beetle", "demo")
RADIUS = 4.0


@pytest.fixture
def ball(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Points on a ball stand in for the surface of any object, which takes its time to build."""
    points = np.random.default_rng(0).normal(size=(500, 3))
    points *= RADIUS / np.linalg.norm(points, axis=1, keepdims=True)
    monkeypatch.setattr(sweep, "_surface", lambda name, seed: (points, RADIUS))
    return points


def test_a_grid_is_every_combination_of_its_values() -> None:
    assert sweep.grid([]) == [{}]
    assert sweep.grid(["lens.f_number=8,4", "views=8"]) == [
        {"lens.f_number": 8, "views": 8},
        {"lens.f_number": 4, "views": 8},
    ]
    assert sweep.grid(["focus.range=[0, 0.5],[0.4, 0.4]"]) == [
        {"focus.range": [0, 0.5]},
        {"focus.range": [0.4, 0.4]},
    ]


@pytest.mark.parametrize("text", ["views", "views=", "=3", "focus.range=[0", ""])
def test_what_is_no_variation_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="KEY=VALUE"):
        sweep.grid([text])
    with pytest.raises(InputError, match="twice"):
        sweep.grid(["views=8", "views=16"])


def test_changes_go_where_their_dots_say() -> None:
    changed = sweep.varied(DEMO, {"lens.f_number": 4, "views": 16, "sensor": {"full_well": 4000, "read_noise": 3}})
    lens = replace(DEMO.lens, f_number=4.0)
    assert changed == replace(DEMO, lens=lens, views=16, sensor=recipes.Sensor(4000.0, 3.0))
    with pytest.raises(InputError, match="did you mean f_number"):
        sweep.varied(DEMO, {"lens.f_numbr": 4})
    with pytest.raises(InputError, match="views of a recipe holds no keys"):
        sweep.varied(DEMO, {"views.many": 4})


@pytest.mark.parametrize("diameter", [2, 8.5, 32])
def test_a_circle_of_confusion_asked_for_is_the_largest_on_the_object(ball: np.ndarray, diameter: float) -> None:
    recipe = sweep.varied(DEMO, {"coc": diameter, "views": 16})
    shots = rig.shots(recipe, RADIUS)
    largest = max(np.abs(shot.lens.coc_radius(shot.camera.depth(ball))).max() for shot in shots)
    assert 2 * largest == pytest.approx(diameter, rel=1e-3)
    assert recipe == replace(DEMO, views=16, lens=replace(DEMO.lens, f_number=recipe.lens.f_number))


@pytest.mark.parametrize("diameter", [0, -3, "wide", True])
def test_a_circle_without_a_size_is_refused(ball: np.ndarray, diameter: object) -> None:
    with pytest.raises(InputError, match="must be greater than 0"):
        sweep.varied(DEMO, {"coc": diameter})


def test_names_of_captures_tell_what_was_varied() -> None:
    assert sweep.label("beetle-demo", {}) == "beetle-demo"
    assert sweep.label("beetle-demo", {"coc": 8, "focus.range": [-0.2, 0.8]}) == "beetle-demo-coc8-range_-0.2_0.8"


def test_a_model_from_a_file_may_vary_but_for_its_blur_in_px(tmp_path: Path) -> None:
    (tmp_path / "thing.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    base = recipes.load_model(tmp_path / "thing.obj", 6)
    model = sweep.varied(base, {"model.size_mm": 3, "views": 8}).model
    assert model == replace(base.model, size_mm=3.0)
    assert model.path == tmp_path / "thing.obj"
    with pytest.raises(InputError, match=r"vary lens\.f_number"):
        sweep.varied(base, {"coc": 4})


def test_captures_are_rendered_and_contested_and_the_score_is_plotted_against_the_blur(
    ball: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {}

    def synthesize(recipe: recipes.Recipe, out: Path, say: object) -> SynthesisResult:
        asked[out.name] = recipe
        if not out.exists():
            convert.write(open_capture("demo"), out, 8)
        return SynthesisResult(out, "created")

    monkeypatch.setattr(rendering, "synthesize", synthesize)
    monkeypatch.chdir(tmp_path)
    arguments = ["beetle", "--vary", "coc=2,8", "--methods", f"{MEAN_COLOR},3dgs", "--preset", "smoke"]
    assert commands.main(["sweep", *arguments, "--device", "cpu", "--json"]) == 0
    assert set(asked) == {"beetle-demo-coc2", "beetle-demo-coc8"}
    assert asked["beetle-demo-coc2"].lens.f_number == pytest.approx(
        4 * asked["beetle-demo-coc8"].lens.f_number, rel=1e-3
    )
    rows = json.loads(capsys.readouterr().out)
    folder = tmp_path / "runs" / "sweep-beetle-demo"
    with (folder / "sweep.csv").open() as file:
        assert [row["psnr"] for row in csv.DictReader(file)] == [str(row["psnr"]) for row in rows]
    assert {row["capture"] for row in rows} == set(asked)
    assert all(row["coc_px"] > 0 for row in rows)
    assert len(rows) == 4
    picture = np.asarray(Image.open(folder / "sweep.png").convert("RGB"))
    assert min(picture.shape[:2]) > 400
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_an_unknown_score_is_refused_before_anything_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "synthesize", lambda *_: pytest.fail("rendered"))
    with pytest.raises(InputError, match="did you mean psnr"):
        commands.main(["sweep", "beetle", "--score", "psnrr"])
