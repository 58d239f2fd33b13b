"""The benchmark of the rasterizers, at a size that takes no time."""

import json

from bench.perf.rasterizer import PROTOTYPE_MS, SIZES, measure, shell, table


def test_a_measurement_is_json_and_a_table():
    result = measure(sizes=((200, 32),), repeats=1)
    assert json.loads(json.dumps(result)) == result
    (row,) = result["rows"]
    assert row["ms"]["cpu"] > 0
    assert row["ms"]["torch"] > 0
    assert row["ms"]["prototype"] is None
    assert row["ms"]["gsplat"] is not None or "CUDA" in row["reason"]["gsplat"]
    (line,) = table(result)
    assert (line["Gaussians"], line["px"]) == ("200", "32")
    assert float(line["cpu ms"]) > 0
    assert line["prototype ms"] == "-"


def test_every_size_has_the_prototypes_number():
    assert set(SIZES) == set(PROTOTYPE_MS)


def test_the_scene_is_the_same_each_time():
    first, second = shell(50, 32)[0], shell(50, 32)[0]
    assert first.means.equal(second.means)
    assert not shell(50, 32, seed=1)[0].means.equal(first.means)
