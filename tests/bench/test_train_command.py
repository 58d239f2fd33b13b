"""`bench train` at the terminal, and its checkpoint in the contest."""

import json
import pickle
import subprocess
from pathlib import Path

import pytest
from captures import write_tiny_capture
from commandline import Bench, is_one_sentence, records_in
from training_pairs import write_pairs

from datasets import pairs, store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs") / "there", objects=10, size=24)


def trained(bench: Bench, folder: Path, *more: object) -> subprocess.CompletedProcess[str]:
    return bench("train", "kernel-guided", "--pairs", folder, "--preset", "tiny", "--steps", 3, *more)


def test_a_restorer_is_trained_competes_and_its_record_says_what_it_was_trained_on(
    bench: Bench, folder: Path, tmp_path: Path
) -> None:
    done = trained(bench, folder, "--out", "mine.safetensors")
    assert done.returncode == 0, done.stderr
    assert "held-out objects" in done.stdout
    assert "3/3 loss" in done.stderr
    capture = write_tiny_capture(tmp_path / "tiny", views=9, size=(16, 12))
    asked = ("--methods", "mine.safetensors", "--preset", "smoke", "--out", "run", "--device", "cpu")
    done = bench("run", capture, *asked)
    assert done.returncode == 0, done.stderr
    record = records_in(tmp_path / "run")["mine"]
    assert record["method"]["trained_on"] == "synthetic macro pairs"
    assert record["method"]["weights"] == {"mine.safetensors": store.sha256(tmp_path / "mine.safetensors")}
    assert {value["track"] for value in record["values"]} == {"deblur", "kernel", "kernel-test"}
    again = bench("run", capture, *asked)
    assert records_in(tmp_path / "run")["mine"]["identity"] == record["identity"]
    assert again.returncode == 0


def test_the_facts_are_json_on_request_and_a_finished_training_is_not_repeated(bench: Bench, folder: Path) -> None:
    first = json.loads(trained(bench, folder, "--json").stdout)
    assert (first["path"], first["outcome"]) == ("kernel-guided-tiny.safetensors", "trained")
    again = json.loads(trained(bench, folder, "--json").stdout)
    assert again == {**first, "outcome": "already there"}
    assert is_one_sentence(other := trained(bench, folder, "--seed", 1))
    assert "holds another training" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("kernel-giuded",), "did you mean kernel-guided?"),
        (("mpt", "--preset", "large"), "There is no preset large"),
        (("mpt", "--pairs", "nowhere"), "`bench synth pairs --out nowhere` makes it"),
        (("mpt", "--preset", "tiny", "--width", "3"), "width = 3 must be even"),
        (("mpt", "--preset", "tiny", "--steps", "0"), "steps is 0"),
        (("mpt", "--preset", "tiny", "--set", "network.widht=4"), "did you mean width?"),
        (("mpt", "--device", "tpu"), "There is no device tpu"),
    ],
)
def test_what_cannot_be_trained_is_told_in_a_sentence(bench: Bench, arguments: tuple[str, ...], says: str) -> None:
    done = bench("train", *arguments)
    assert is_one_sentence(done), done.stderr
    assert says in done.stderr


def test_damaged_pairs_and_patches_that_do_not_fit_are_told_in_a_sentence(
    bench: Bench, folder: Path, tmp_path: Path
) -> None:
    done = bench("train", "mpt", "--pairs", folder, "--preset", "tiny")
    assert is_one_sentence(done)
    assert "Patches of 32 px do not fit into pairs of 24 px" in done.stderr
    damaged = write_pairs(tmp_path / "damaged", objects=2, size=24)
    (damaged / "shard-00001.npz").write_bytes((damaged / "shard-00001.npz").read_bytes()[:-100])
    done = bench("train", "kernel-guided", "--pairs", damaged, "--preset", "tiny")
    assert is_one_sentence(done)
    assert "shard-00001.npz has changed" in done.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    store.write_json(empty / pairs.MANIFEST, {"kind": pairs.KIND, "size": 24, "shards": {}})
    done = bench("train", "kernel-guided", "--pairs", empty, "--preset", "tiny")
    assert is_one_sentence(done)
    assert "no finished pairs" in done.stderr


def test_a_file_that_is_no_checkpoint_does_not_compete(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(pickle.dumps({"a": print}))
    done = bench("run", "--methods", "bad.safetensors")
    assert is_one_sentence(done)
    assert "no checkpoint that `bench train` wrote" in done.stderr


def test_listed_are_all_restorers_with_the_state_of_their_weights(bench: Bench) -> None:
    rows = {row["name"]: row for row in json.loads(bench("list", "methods", "--json").stdout)}
    for name in ("mpt", "mpt-efcr", "mpt-efcr-ex", "restormer", "restormer-tlc", "nrknet", "iniknet"):
        assert rows[name]["weights"] == rows[f"{name}+3dgs"]["weights"] == "missing"
        assert rows[name]["trained_on"] == "DPDD (released)"
    for name in ("kernel-guided", "mpt-s"):
        assert rows[name]["weights"] == rows[f"{name}+3dgs"]["weights"] == "shipped"
        assert rows[name]["trained_on"] == "synthetic macro pairs"
    assert rows["rl"]["weights"] == "–"


def test_a_contestant_without_its_weights_is_skipped_and_told_where_to_get_them(
    bench: Bench, tiny: Path, tmp_path: Path
) -> None:
    done = bench("run", tiny, "--methods", "input,restormer", "--preset", "smoke", "--out", "run")
    assert done.returncode == 0, done.stderr
    board = (tmp_path / "run" / "leaderboard.md").read_text()
    assert "bench weights add restormer FILE" in board
