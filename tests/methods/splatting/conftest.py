"""Compile the CPU rasterizer once for the folder."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def _compiled_kernels() -> None:
    from methods.splatting import cpu

    cpu.warmup()
