"""Running the real command line on a tiny capture."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from captures import write_tiny_capture

CONTESTANTS = Path(__file__).parent / "contestants"
MEAN_COLOR = str(CONTESTANTS / "mean_color.py")
TROUBLED = str(CONTESTANTS / "troubled.py")

Bench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny", views=9, size=(16, 12))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Run `bench ARGUMENTS` in a folder of its own, without LPIPS weights that may lie about."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bench.cli", *map(str, arguments)],
            cwd=tmp_path,
            env=clean_environment(tmp_path) | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def clean_environment(folder: Path) -> dict[str, str]:
    return os.environ | {"TORCH_HOME": str(folder / "no-weights"), "COLUMNS": "200"}


def is_one_sentence(done: subprocess.CompletedProcess[str]) -> bool:
    """A user's error: exit code 2, one line on standard error, no traceback."""
    lines = [line for line in done.stderr.strip().split("\n") if line]
    return done.returncode == 2 and lines[-1].startswith("Error: ") and "Traceback" not in done.stderr


def records_in(run: Path) -> dict[str, dict]:
    """Plain records of a run by method."""
    found = [json.loads(path.read_text()) for path in sorted(run.glob("jobs/*/*/seed*/record.json"))]
    return {record["method"]["name"]: record for record in found}
