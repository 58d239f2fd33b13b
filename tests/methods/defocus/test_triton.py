"""The Triton kernels where there is no GPU; tests of the blurs themselves run on one where there is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is not installed on this system")
PROGRAM = Path(__file__).parent / "triton_without_gpu.py"


def run(what, cache, **environment):
    # The interpreter is chosen when the kernels are imported, so it needs a process of its own.
    environment = {**os.environ, "TRITON_CACHE_DIR": str(cache), **environment}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run([sys.executable, PROGRAM, what], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_interpreted_kernels_give_the_twins_images_and_gradients(tmp_path):
    assert len(run("run", tmp_path, TRITON_INTERPRET="1")) == 9


def test_every_kernel_compiles_for_a_gpu(tmp_path):
    assert len(run("compile", tmp_path)) == 7
