"""Running the real command line on a tiny capture."""

import subprocess
import sys
from pathlib import Path

import pytest
from captures import write_tiny_capture
from commandline import Bench, clean_environment


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny", views=9, size=(16, 12))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Run `bench ARGUMENTS` in a folder of its own, without LPIPS weights that may lie about."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "bench.cli", *map(str, arguments)],
            cwd=tmp_path,
            env=clean_environment(tmp_path) | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
