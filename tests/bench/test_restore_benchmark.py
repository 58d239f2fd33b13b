"""The benchmark of restorers, at a size that takes no time."""

import json

import numpy as np

from bench.perf import restore


def test_a_measurement_is_json_and_a_table():
    result = restore.measure(("rl", "iniknet"), sizes=(32, 48), repeats=1)
    assert json.loads(json.dumps(result)) == result
    rows = [row for row in result["rows"] if row["device"] == "cpu"]
    # The authors' networks are large: on CPUs at the first size alone.
    assert [(row["restorer"], row["px"]) for row in rows] == [("rl", 32), ("rl", 48), ("iniknet", 32)]
    assert all(row["seconds"] > 0 and row["s_per_mp"] == row["seconds"] / row["px"] ** 2 * 1e6 for row in rows)
    assert rows[2]["peak_mb"] > 1_976_757 * 4 / 1e6  # its parameters alone
    assert restore.table(result)[0]["restorer"] == "rl"
    large = {name for name in restore._restorers() if restore._is_released(name)}
    assert large == {"mpt", "restormer", "restormer-tlc", "nrknet", "iniknet"}


def test_what_is_measured_is_what_competes():
    names = restore._restorers()
    assert {"rl", "kernel-guided", "mpt-s", "mpt", "restormer", "restormer-tlc", "nrknet", "iniknet"} == set(names)
    photograph = np.random.default_rng(0).random((40, 40, 3), dtype=np.float32)
    assert restore.restorer("nrknet", "cpu")(photograph).shape == photograph.shape
