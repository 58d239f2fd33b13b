"""The benchmark of the blurs, at a size that takes no time."""

import json

import pytest
import torch

from bench.perf.blur import PROTOTYPE_MS, RADII, SIZES, by_unfold, measure, table
from methods.defocus.gauss import gather_gauss, scatter_gauss


def test_a_measurement_is_json_and_a_table():
    result = measure(sizes=(24,), radii=(2,), operators=("gather-gauss",), repeats=1)
    assert json.loads(json.dumps(result)) == result
    (row,) = result["rows"]
    assert row["ms"]["cpu"] > 0
    assert row["ms"]["unfold cpu"] > 0
    assert row["ms"]["triton"] is not None or "CUDA" in row["reason"]["triton"]
    (line,) = table(result)
    assert (line["blur"], line["px"], line["K"], line["prototype ms"]) == ("gather-gauss", "24", "2", "-")
    assert float(line["cpu ms"]) > 0


def test_what_would_not_fit_is_left_out_and_says_so(monkeypatch):
    monkeypatch.setattr("bench.perf.blur.run_alone", lambda *arguments: (1.0, 2.0))
    gauss, disk = measure(sizes=(800,), radii=(12,), operators=("gather-gauss", "scatter-disk"), repeats=1)["rows"]
    assert gauss["ms"] == {"cpu": 1.0, "unfold cpu": None, "triton": gauss["ms"]["triton"], "unfold cuda": None}
    assert "would need about 18 GB" in gauss["reason"]["unfold cpu"]
    assert gauss["prototype_ms"] == 227.0
    assert "no fixed number" in disk["reason"]["unfold cpu"]
    assert table({"rows": [gauss, disk]})[1]["K"] == "-"


@pytest.mark.parametrize(("name", "blur"), [("gather-gauss", gather_gauss), ("scatter-gauss", scatter_gauss)])
def test_unfold_is_the_same_blur(name, blur):
    image, sigma = torch.rand(9, 13, 3), 0.3 + 2 * torch.rand(9, 13)
    assert torch.allclose(by_unfold(name, image, sigma, 4), blur(image, sigma, 4), atol=1e-6)


def test_every_size_has_the_prototypes_number():
    assert {(px, k) for px in SIZES for k in RADII} == set(PROTOTYPE_MS)
