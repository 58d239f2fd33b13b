"""Records survive the disk unchanged, refuse what is not a record in one sentence, and are found in a run."""

import json
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import HASH, environment

from reports import records


def plain(**changes):
    """A valid record as JSON gives it."""
    record = {
        "identity": {"id": HASH[:16], "parts": {"seed": 0}},
        "capture": {
            "name": "demo",
            "content_hash": HASH,
            "difficulty": {"psnr_photograph_sharp": 26.1, "coc_radius_px": {"median": 2.2}},
            "views_train": 28,
            "views_test": 4,
        },
        "method": {
            "name": "3dgs",
            "title": "3D Gaussian Splatting",
            "version": "1",
            "status": "faithful",
            "oracle": False,
            "citation": "Kerbl et al. 2023",
            "licence": "ours",
            "trained_on": "nothing",
            "outputs": ["novel", "deblur"],
            "config": {"means_lr": 1.6e-7, "betas": [0.9, 0.999]},
            "config_hash": HASH,
            "preset": "quick",
            "uses_optics": False,
        },
        "environment": environment(),
        "command": ["bench", "run", "demo"],
        "seed": 0,
        "values": [{"track": "novel", "view": "0000", "metric": "psnr", "value": 31.5}],
        "status": "ok",
    }
    return record | changes


finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
values = st.lists(
    st.builds(
        records.Value,
        track=st.sampled_from(["novel", "deblur", "kernel", "kernel-test", "kernel-paper"]),
        view=names,
        metric=st.sampled_from(["psnr", "ssim", "lpips"]),
        value=finite,
    ),
    max_size=6,
    unique_by=lambda value: (value.track, value.view, value.metric),
)


@given(values, st.dictionaries(names, json_values, max_size=3), st.integers(0, 2**63), finite.map(abs))
@settings(deadline=None)
def test_a_record_read_back_equals_the_one_written(tmp_path_factory, values, config, seed, seconds):
    method = plain()["method"] | {"config": config}
    record = records.Record.model_validate(plain(values=values, method=method, seed=seed, times={"train_s": seconds}))
    path = tmp_path_factory.mktemp("record") / "record.json"
    records.save(record, path)
    assert records.load(path) == record


@given(st.permutations(range(4)))
@settings(deadline=None)
def test_equal_records_give_equal_bytes_whatever_the_order_of_their_values(order):
    listed = [{"track": "novel", "view": f"{view}", "metric": "psnr", "value": 30.0 + view} for view in range(4)]
    shuffled = plain(values=[listed[place] for place in order])
    backwards = dict(reversed(shuffled.items()))
    expected = records.dumps(records.Record.model_validate(plain(values=listed)))
    assert records.dumps(records.Record.model_validate(backwards)) == expected
    assert expected.endswith("}\n")


def test_numbers_keep_six_significant_digits():
    record = records.Record.model_validate(plain(times={"train_s": 1234.56789}))
    assert record.times == {"train_s": 1234.57}
    assert records.round_significant(0.000123456789) == 0.000123457
    assert math.copysign(1, records.round_significant(-0.0)) == 1


def test_settings_keep_every_digit():
    method = plain()["method"] | {"config": {"lr": 0.1234567891234}}
    assert records.Record.model_validate(plain(method=method)).method.config == {"lr": 0.1234567891234}


def test_numpy_numbers_and_tuples_are_taken():
    value = {"track": "novel", "view": "a", "metric": "psnr", "value": np.float64(3)}
    record = records.Record.model_validate(plain(values=(value,), command=("bench",)))
    assert record.values[0].value == 3.0


def broken(path, value):
    record = plain()
    place = record
    *parents, last = path
    for key in parents:
        place = place[key]
    place[last] = value
    return record


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (["seed"], "0", "seed"),
        (["seed"], True, "seed"),
        (["schema_version"], 2, "schema_version"),
        (["extra"], 1, "extra"),
        (["method", "status"], "best", "method.status"),
        (["method", "config", "lr"], float("nan"), "method.config"),
        (["values", 0, "value"], float("nan"), "values.0.value"),
        (["values", 0, "value"], float("inf"), "values.0.value"),
        (["values", 0, "value"], "31.5", "values.0.value"),
        (["values", 0, "track"], "3d", "values.0.track"),
        (["times"], {"train_s": -1.0}, "times.train_s"),
        (["capture", "content_hash"], "xyz", "capture.content_hash"),
        (["environment", "device"], "tpu", "environment.device"),
        (["files"], {"a.png": "0" * 63}, "files.a.png"),
        (["status"], "failed", "error"),
        (["error"], {"class": "Diverged", "reason": "NaN"}, "error"),
        (["status"], "done", "status"),
    ],
)
def test_a_wrong_field_is_named_with_its_file_in_one_sentence(tmp_path, path, value, field):
    file = tmp_path / "record.json"
    file.write_text(json.dumps(broken(path, value)))
    with pytest.raises(records.RecordError) as caught:
        records.load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: {field}: ")
    assert "\n" not in message


def test_a_missing_field_is_named(tmp_path):
    record = plain()
    del record["capture"]
    file = tmp_path / "record.json"
    file.write_text(json.dumps(record))
    with pytest.raises(records.RecordError, match="capture: Field required"):
        records.load(file)


def test_a_value_given_twice_is_refused():
    twice = plain()["values"] * 2
    with pytest.raises(ValueError, match="novel / 0000 / psnr is given twice"):
        records.Record.model_validate(plain(values=twice))


@pytest.mark.parametrize("content", [b"", b'{"identity": ', b"[1, 2", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_said_to_be_so(tmp_path, content):
    file = tmp_path / "record.json"
    file.write_bytes(content)
    with pytest.raises(records.RecordError, match=r"record\.json: not valid JSON"):
        records.load(file)


@pytest.mark.parametrize("content", ["[]", "null", "3"])
def test_json_that_is_no_object_is_refused(tmp_path, content):
    file = tmp_path / "record.json"
    file.write_text(content)
    with pytest.raises(records.RecordError, match=r"record\.json: "):
        records.load(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(records.RecordError, match=r"record\.json: cannot be read \(No such file"):
        records.load(tmp_path / "record.json")


def test_a_failure_carries_its_class_and_reason_through_the_disk(tmp_path):
    error = {"class": "Diverged", "reason": "the loss became NaN", "step": 120}
    record = records.Record.model_validate(plain(status="failed", error=error, values=[]))
    records.save(record, tmp_path / "record.json")
    assert json.loads((tmp_path / "record.json").read_text())["error"] == error
    assert records.load(tmp_path / "record.json").error == records.Failure(
        kind="Diverged", reason="the loss became NaN", step=120
    )


def test_a_reason_is_one_line():
    with pytest.raises(ValueError, match="reason"):
        records.Failure(kind="Crash", reason="Traceback\n  File")


def test_a_failed_save_leaves_the_old_record_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    records.save(records.Record.model_validate(plain()), path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        records.save(records.Record.model_validate(plain(seed=1)), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


def test_records_are_found_in_the_order_of_their_paths_and_unfinished_ones_passed_over(tmp_path):
    for place, seed in (("b/1", 1), ("a/0", 0), (".tmp-c/2", 2)):
        records.save(records.Record.model_validate(plain(seed=seed)), tmp_path / place / "record.json")
    (tmp_path / "plan.json").write_text("{}")
    assert [record.seed for record in records.find(tmp_path)] == [0, 1]


def test_a_flat_folder_of_records_is_found_too(tmp_path):
    for seed in (1, 0):
        records.save(records.Record.model_validate(plain(seed=seed)), tmp_path / f"{seed}.json")
    assert [record.seed for record in records.find(tmp_path)] == [0, 1]


def test_a_missing_folder_is_named_and_an_empty_one_holds_no_records(tmp_path):
    assert records.find(tmp_path) == []
    with pytest.raises(records.RecordError, match="no such folder"):
        records.find(tmp_path / "nowhere")


def test_the_schema_describes_its_fields_and_takes_a_record():
    schema = records.json_schema()
    assert "Every metric on every view" in schema["properties"]["values"]["description"]
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) <= set(plain())


def test_an_ablation_names_the_settings_it_changed():
    method = plain()["method"] | {"preset": "quick with 3dgs.densify=relocate, 3dgs.steps=3"}
    assert records.Method.model_validate(method).changed == "3dgs.densify=relocate, 3dgs.steps=3"
    assert records.Method.model_validate(plain()["method"]).changed == ""


def test_a_record_cannot_be_changed():
    record = records.Record.model_validate(plain())
    with pytest.raises(ValueError, match="frozen"):
        record.seed = 3
