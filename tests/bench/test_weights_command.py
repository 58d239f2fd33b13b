"""`bench weights`: what is there, what is missing, and files taken in."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from commandline import Bench

from bench import cli
from methods.restoration import architectures


@pytest.fixture(scope="module")
def restormer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the released one, all zeros: a single number stands for every tensor, so that it is small."""
    with torch.device("meta"):
        state = architectures.network("restormer", {}).state_dict()
    zeros = {name: torch.zeros(()).expand(tensor.shape) for name, tensor in state.items()}
    path = tmp_path_factory.mktemp("fetched") / "single_image_defocus_deblurring.pth"
    torch.save({"params": zeros}, path)
    return path


def test_a_fetched_file_is_added_listed_and_noticed_when_it_changes(
    bench: Bench,
    tmp_path: Path,
    restormer: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    digest = hashlib.sha256(restormer.read_bytes()).hexdigest()
    store = tmp_path / "store"
    monkeypatch.setenv("BENCH_WEIGHTS", str(store))

    def listed() -> dict[str, dict[str, str]]:
        assert cli.main(["weights", "list", "--json"]) == 0
        return {row["name"]: row for row in json.loads(capsys.readouterr().out)}

    before = listed()["restormer"]
    assert (before["state"], before["sha256"]) == ("missing", "")
    assert before["file"] == restormer.name
    assert before["trained_on"] == "DPDD (released)"
    assert "github.com/swz30/Restormer" in before["where"]
    assert not store.exists()

    done = bench("weights", "add", "restormer", restormer, "--sha256", digest, BENCH_WEIGHTS=str(store))
    assert done.returncode == 0, done.stderr
    stored = Path(done.stdout.strip())
    assert stored.read_bytes() == restormer.read_bytes()
    after = listed()
    assert (after["restormer"]["state"], after["restormer"]["sha256"]) == ("present", digest)
    assert {row["state"] for name, row in after.items() if name != "restormer"} == {"missing"}

    stored.write_bytes(stored.read_bytes()[:-1])
    assert listed()["restormer"]["state"] == "damaged"
    assert cli.main(["weights", "list"]) == 0
    table = capsys.readouterr().out
    assert f"damaged  {digest[:12]}  " in table
    assert digest not in table


def test_where_prints_the_path_alone_and_beside_it_where_to_get_the_file(bench: Bench, tmp_path: Path) -> None:
    done = bench("weights", "where", "restormer", BENCH_WEIGHTS=str(tmp_path))
    assert done.returncode == 0
    assert done.stdout == f"{tmp_path / 'restormer.weights'}\n"
    assert "github.com/swz30/Restormer" in done.stderr
    assert "bench weights add restormer FILE" in done.stderr


def test_listing_weights_imports_no_torch(bench: Bench) -> None:
    done = bench("weights", "list", BENCH_WEIGHTS="store", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.split("\n")}
    assert "methods.restoration.weights" in imported
    assert "torch" not in imported


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "restormr", "a.pth"), "did you mean restormer?"),
        (("add", "restormer", "a.pth"), "a.pth cannot be read: No such file"),
        (("add", "restormer", "code.py"), "code.py is no file of weights"),
        (("add", "restormer", "page.pth"), "page.pth is damaged"),
        (("add", "restormer", "other.pth"), "the parameter patch_embed.proj.weight is missing"),
        (("add", "restormer", "other.pth", "--sha256", "0" * 64), "not the one that --sha256 says"),
        (("where", "restormr"), "did you mean restormer?"),
        (("lst",), "lst"),
        ((), "Missing command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_users_error_is_one_sentence_and_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_WEIGHTS", "store")
    Path("page.pth").write_text("<html>")
    torch.save({"params": {"some.weight": torch.zeros(3)}}, "other.pth")
    assert cli.main(["weights", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("Error: ")
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not Path("store").exists()
