"""The benchmark of rendering, at a size that takes no time."""

import json

import pytest

from bench.perf import synth
from datasets.synthesis import blender, recipes


@pytest.mark.blender
def test_a_measurement_is_json_and_a_table():
    result = synth.measure(("seed",), repeats=1, side=24, samples=recipes.Samples(2, 4))
    assert json.loads(json.dumps(result)) == result
    (row,) = result["rows"]
    assert (row["object"], result["samples"]) == ("seed", {"sharp": 2, "defocused": 4})
    assert row["triangles"] > 500_000
    assert row["build_s"] > 0.5
    assert 0.1 < row["coverage"] < 0.9
    core_seconds = 24 * 24 * 6 / row["msamples_per_core_s"] / 1e6
    assert core_seconds == pytest.approx((row["sharp_s"] + row["defocused_s"]) * result["environment"]["cores"])
    assert row["us_per_covered_sample"] * row["msamples_per_core_s"] * row["coverage"] == pytest.approx(1)
    (line,) = synth.table(result)
    assert line["object"] == "seed"
    assert float(line["view s"]) > 0


def test_without_blender_the_table_says_why(monkeypatch):
    monkeypatch.setattr(blender, "why_unavailable", lambda: "Blender lacks a library.")
    result = synth.measure()
    assert result["rows"] == []
    assert synth.table(result) == [{"object": "none", "reason": "Blender lacks a library."}]
