"""What the tests of the command line share."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

CONTESTANTS = Path(__file__).parent / "bench" / "contestants"
MEAN_COLOR = str(CONTESTANTS / "mean_color.py")
BLURRING = str(CONTESTANTS / "blurring.py")
TROUBLED = str(CONTESTANTS / "troubled.py")

Bench = Callable[..., subprocess.CompletedProcess[str]]


def clean_environment(folder: Path) -> dict[str, str]:
    nowhere = str(folder / "no-weights")
    return os.environ | {"TORCH_HOME": nowhere, "BENCH_WEIGHTS": nowhere, "COLUMNS": "200"}


def is_one_sentence(done: subprocess.CompletedProcess[str]) -> bool:
    """A user's error: exit code 2, one line on standard error, no traceback."""
    lines = [line for line in done.stderr.strip().split("\n") if line]
    return done.returncode == 2 and lines[-1].startswith("Error: ") and "Traceback" not in done.stderr


def records_in(run: Path) -> dict[str, dict]:
    """Plain records of a run by method."""
    found = [json.loads(path.read_text()) for path in sorted(run.glob("jobs/*/*/seed*/record.json"))]
    return {record["method"]["name"]: record for record in found}
