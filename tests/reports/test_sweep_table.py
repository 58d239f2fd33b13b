"""The table of a sweep, from published records."""

import csv
import io
from pathlib import Path
from statistics import fmean

import pytest

from reports import records, sweep

PUBLISHED = Path(__file__).resolve().parents[2] / "reports" / "published"


@pytest.fixture(scope="module")
def found() -> list[records.Record]:
    return [record for record in records.find(PUBLISHED / "objects") if record.method.name in ("3dgs", "joint-optics")]


def test_a_row_for_each_capture_and_method_from_the_least_blurred_to_the_most(found: list[records.Record]) -> None:
    rows = sweep.table(found, "psnr")
    assert len(rows) == 6
    assert [row["coc_px"] for row in rows] == sorted(row["coc_px"] for row in rows)
    for row in rows:
        own = [r for r in found if (r.capture.name, r.method.name) == (row["capture"], row["method"])]
        values = [value.value for r in own for value in r.values if (value.track, value.metric) == ("novel", "psnr")]
        assert row["psnr"] == pytest.approx(fmean(values), abs=1e-3)
        assert row["low"] < row["psnr"] < row["high"]
        assert row["seeds"] == len(own) == 3
        difficulty = own[0].capture.difficulty
        assert difficulty is not None
        assert row["coc_px"] == pytest.approx(2 * difficulty.coc_radius_px["max"], rel=1e-4)


def test_what_a_method_lacks_is_empty_and_the_csv_says_the_same(found: list[records.Record]) -> None:
    rows = sweep.table(found, "coc_mae_px")
    assert all((row["coc_mae_px"] is None) == (row["method"] == "3dgs") for row in rows)
    read = list(csv.DictReader(io.StringIO(sweep.as_csv(rows, "coc_mae_px"))))
    for row, text in zip(rows, read, strict=True):
        assert text == {key: "" if row[key] is None else str(row[key]) for key in text}


def test_a_capture_without_truth_has_no_blur_to_stand_by(found: list[records.Record]) -> None:
    blind = [
        record.model_copy(update={"capture": record.capture.model_copy(update={"difficulty": None})})
        for record in found
    ]
    assert {row["coc_px"] for row in sweep.table(blind, "psnr")} == {None}


def test_an_unknown_score_is_refused(found: list[records.Record]) -> None:
    with pytest.raises(ValueError, match="no score 'sharpness'"):
        sweep.table(found, "sharpness")
