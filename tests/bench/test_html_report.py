"""The page of a run: images that jobs have left, between photograph and sharp twin, and a sentence for what lacks."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from made_records import job

from bench import html_report
from bench.commands import main
from bench.comparison import most_defocused
from bench.pictures import folder_of
from datasets.captures import open_capture
from datasets.images import read_rgb, write_png
from reports import records
from reports.records import Record, save

DEMO = open_capture("demo")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of a gray and a white method on demo; the gray one with two seeds, of which the second is darker."""
    for method, seed, shade in (("gray", 0, 90), ("gray", 1, 30), ("white + #2", 0, 255)):
        psnr = [20 + shade / 100 + view for view in range(len(DEMO.test))]
        values = [
            {"track": "novel", "view": view.name, "metric": "psnr", "value": value}
            for view, value in zip(DEMO.test, psnr, strict=True)
        ]
        images = [f"novel/{view.name}.png" for view in DEMO.test] + [f"deblur/{view.name}.png" for view in DEMO.train]
        record = job(
            method,
            seed=seed,
            content_hash=DEMO.content_hash,
            values=values,
            metrics={"psnr": {"version": "1"}},
            command=["bench", "run", "demo", "--methods", method],
        )
        folder = tmp_path / "run" / folder_of(record)
        for name in images:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_png(folder / name, np.full((128, 128, 3), shade, np.uint8))
        save(record, folder / "record.json")
    write_png(tmp_path / "run" / "comparison-demo.png", np.zeros((8, 8, 3), np.uint8))
    return tmp_path / "run"


def shown(folder: Path) -> dict[str, dict[str, list[list[str]]]]:
    text = (folder / html_report.PAGE).read_text()
    found = re.search(r'id="images">(.*?)</script>', text)
    assert found is not None
    images: dict[str, dict[str, list[list[str]]]] = json.loads(found[1])
    return images


def changed(run: Path, **changes: object) -> None:
    """Change every record of the run."""
    for path in run.rglob("record.json"):
        save(Record.model_validate(json.loads(path.read_text()) | changes), path)


def test_every_held_out_view_and_the_blurriest_photograph(run: Path) -> None:
    assert main(["report", str(run), "--html"]) == 0
    views = shown(run / "html")["demo"]
    blurriest = most_defocused(DEMO.train)
    assert list(views) == [*(view.name for view in DEMO.test), blurriest.name]
    for view in (*DEMO.test, blurriest):
        labels = [label.split("  ")[0] for label, _ in views[view.name]]
        assert labels == ["photograph", "gray", "white + #2", "sharp twin"]
        photograph, gray, white, sharp = (read_rgb(run / "html" / unquote(address)) for _, address in views[view.name])
        assert np.array_equal(photograph, view.photograph().image)
        assert np.array_equal(sharp, view.truth().sharp)
        assert (gray == 90).all()  # the first seed's
        assert (white == 255).all()


def test_scores_are_those_of_the_view_and_seed_shown(run: Path) -> None:
    html_report.write(run / "html", run, records.find(run))
    views = shown(run / "html")["demo"]
    assert [views[view.name][1][0] for view in DEMO.test] == [f"gray  {20.9 + k:.1f} dB" for k in range(len(DEMO.test))]


def test_scores_are_shown_of_captures_whose_difficulty_nobody_knows(run: Path) -> None:
    plain = json.loads(next(run.rglob("record.json")).read_text())
    changed(run, capture=plain["capture"] | {"difficulty": None})
    html_report.write(run / "html", run, records.find(run))
    assert shown(run / "html")["demo"][DEMO.test[0].name][1][0] == "gray  20.9 dB"


def test_pictures_of_the_run_are_on_the_page(run: Path) -> None:
    assert main(["report", str(run), "--html"]) == 0
    assert 'src="comparison-demo.png"' in (run / "html" / html_report.PAGE).read_text()
    assert (run / "html" / "comparison-demo.png").read_bytes() == (run / "comparison-demo.png").read_bytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"command": ["bench", "run", "captures/gone"]}, "There is no capture captures/gone"),
        ({"command": ["bench", "run", "demo"], "capture": None}, "demo is no longer what the jobs were given"),
    ],
)
def test_without_the_capture_methods_are_compared_among_themselves(run: Path, changes: dict, reason: str) -> None:
    if "capture" in changes:
        plain = json.loads(next(run.rglob("record.json")).read_text())
        changes["capture"] = plain["capture"] | {"content_hash": "ab" * 32}
    changed(run, **changes)
    assert main(["report", str(run), "--html"]) == 0
    assert reason in (run / "html" / html_report.PAGE).read_text()
    views = shown(run / "html")["demo"]
    assert len(views) == len(DEMO.test) + 1
    assert {len(cells) for cells in views.values()} == {2}


def test_records_without_images_make_a_page_that_says_so(run: Path, tmp_path: Path) -> None:
    for index, path in enumerate(sorted(run.rglob("record.json"))):
        (tmp_path / "flat").mkdir(exist_ok=True)
        (tmp_path / "flat" / f"{index}.json").write_bytes(path.read_bytes())
    assert main(["report", str(tmp_path / "flat"), "--html", "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "html" / html_report.PAGE).read_text()
    assert "The images of demo are not beside the records." in text
    assert 'id="viewer"' not in text


def test_nothing_but_the_usual_is_written_unasked(run: Path, tmp_path: Path) -> None:
    assert main(["report", str(run), "--out", str(tmp_path / "out")]) == 0
    usual = ["leaderboard.csv", "leaderboard.md", "results.csv"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == usual
    assert main(["report", str(run), "--out", str(tmp_path / "out"), "--latex"]) == 0
    assert r"\begin{tabular}" in (tmp_path / "out" / "leaderboard.tex").read_text()
