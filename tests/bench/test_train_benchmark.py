"""The benchmark of a training step, at a size that takes no time."""

import json

import pytest

from bench.perf.train import BLURS, LENS, measure, table


def test_a_measurement_is_json_and_a_table():
    result = measure(sizes=((200, 32),), repeats=1)
    assert json.loads(json.dumps(result)) == result
    row = result["rows"][0]
    assert set(row["ms"]) == {*BLURS, LENS}
    assert all(ms > 0 for ms in row["ms"].values())
    assert row["share"]["none"] == 0
    assert row["share"]["aperture 7"] == pytest.approx(1 - row["ms"]["none"] / row["ms"]["aperture 7"])
    line = table(result)[0]
    assert (line["device"], line["Gaussians"], line["px"]) == ("cpu", "200", "32")
    assert float(line["none ms"]) > 0
    assert "%" in line["gauss-coc ms"]
    assert set(row["ssim"]) == {"SSIM", "SSIM in torch"}
    assert float(line["SSIM ms"]) > 0
