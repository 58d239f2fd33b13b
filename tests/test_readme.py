"""The README keeps its word: its example runs, its table is that of the records, its commands exist."""

import json
import re
import subprocess
import sys
from pathlib import Path

import published_tables
from captures import write_tiny_capture

from reports import leaderboard, records

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_example_method_runs_alone_and_followed_by_splatting(tmp_path: Path) -> None:
    (example,) = blocks("python")
    assert len([line for line in example.split("\n") if line.strip()]) <= 30
    (tmp_path / "unsharp.py").write_text(example)
    capture = write_tiny_capture(tmp_path / "tiny")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.cli", "run", str(capture), "--methods", "unsharp.py,unsharp.py+3dgs"),
            *("--preset", "smoke", "--out", "run", "--json"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["method"]: row for row in json.loads(done.stdout)}
    assert rows["unsharp"]["deblur_psnr"] > 10
    assert rows["unsharp+3dgs"]["psnr"] > 5


def test_the_tables_of_readme_and_docs_are_those_of_the_published_records() -> None:
    for (path, name), table in published_tables.tables().items():
        assert published_tables.parts(path, name)[1].strip() == table, f"{path}: {name}"


def test_published_leaderboards_are_those_of_their_records(tmp_path: Path) -> None:
    folders = [path.parent for path in (ROOT / "reports" / "published").rglob("leaderboard.md")]
    assert folders
    for folder in folders:
        for path in leaderboard.write(tmp_path, records.find(folder)):
            if (folder / path.name).exists():
                assert path.read_bytes() == (folder / path.name).read_bytes(), f"{folder}: {path.name}"


def test_ci_runs_the_tests_of_the_readme() -> None:
    assert any(line.startswith("uv run pytest") for block in blocks("bash") for line in block.split("\n"))
    assert "uv run pytest" in (ROOT / ".ci" / "run").read_text()


def test_every_file_that_the_readme_names_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
