"""The README keeps its word: its example runs, its table is that of the records, its commands exist."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import published_tables
from captures import write_tiny_capture

from reports import leaderboard, records

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def run_bench(folder: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    """Rows of the leaderboard by method."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", "run", *arguments, "--preset", "smoke", "--out", "run", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {row["method"]: row for row in json.loads(done.stdout)}


def test_the_example_method_runs_alone_and_followed_by_splatting(tmp_path: Path) -> None:
    (example,) = blocks("python")
    assert len([line for line in example.split("\n") if line.strip()]) <= 30
    (tmp_path / "unsharp.py").write_text(example)
    capture = write_tiny_capture(tmp_path / "tiny")
    rows = run_bench(tmp_path, str(capture), "--methods", "unsharp.py,unsharp.py+3dgs")
    assert rows["unsharp"]["deblur_psnr"] > 10
    assert rows["unsharp+3dgs"]["psnr"] > 5


def test_the_3d_method_of_the_docs_runs_with_settings_of_its_own(tmp_path: Path) -> None:
    (example,) = [text for text in blocks("python", (ROOT / "docs/contestants.md").read_text()) if '"brief"' in text]
    (tmp_path / "brief.py").write_text(example)
    capture = write_tiny_capture(tmp_path / "tiny")
    rows = run_bench(tmp_path, str(capture), "--methods", "brief.py", "--set", "brief.share=0.5")
    assert rows["brief"]["psnr"] > 5
    (path,) = (tmp_path / "run").rglob("record.json")
    assert json.loads(path.read_text())["method"]["config"]["brief"] == {"share": 0.5}


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


def anchors(text: str) -> set[str]:
    """Of the headings of a page, as its readers' links name them."""
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_file_and_heading_that_readme_and_docs_link_to_exists() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            if not target.startswith("https://"):
                name, _, anchor = target.partition("#")
                other = page.parent / name if name else page
                assert other.exists(), f"{page.name}: {target}"
                assert not anchor or anchor in anchors(other.read_text()), f"{page.name}: {target}"
