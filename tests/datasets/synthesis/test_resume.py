"""kill -9 of the worker or of its parent at any moment, then the same command: the same bytes, no view twice."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets import store
from datasets.errors import InputError
from datasets.synthesis import blender, recipes
from datasets.synthesis.synthesize import synthesize

pytestmark = pytest.mark.blender

PARENT = """
import json, sys
from pathlib import Path
from datasets.synthesis import blender, catalogue, recipes
from datasets.synthesis.synthesize import synthesize

start = blender._start
def start_and_tell(*arguments):
    worker = start(*arguments)
    print("worker", worker.pid, flush=True)
    return worker
blender._start = start_and_tell
catalogue.OBJECTS["pebble"] = "pebble"
recipe = recipes.from_json(json.loads(sys.argv[1]))
synthesize(recipe, Path(sys.argv[2]), lambda step: print("done", step.done, flush=True))
"""


@pytest.fixture
def pebble(pebble):
    """Slow enough for the worker to be caught in the middle; its passes need sample tables of unequal size."""
    return replace(pebble, samples=recipes.Samples(100, 400))


@pytest.fixture
def whole(pebble, tmp_path, contents):
    """What an undisturbed run gives."""
    synthesize(pebble, tmp_path / "whole")
    return contents(tmp_path / "whole")


def test_a_killed_worker_ends_the_run_in_one_sentence_and_the_next_run_goes_on(
    pebble, whole, tmp_path, contents, monkeypatch
):
    workers, start = [], blender._start
    monkeypatch.setattr(blender, "_start", lambda *a: workers.append(start(*a)) or workers[-1])

    def kill_after_three(step):
        if step.done == 3:
            workers[0].kill()

    with pytest.raises(InputError, match="killed \\(signal 9"):
        synthesize(pebble, tmp_path / "out", kill_after_three)
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "out.partial").glob("views/*")}
    assert 3 <= len(finished) < 9
    steps = []
    assert synthesize(pebble, tmp_path / "out", steps.append).outcome == "created"
    assert steps[0].done == len(finished)
    assert contents(tmp_path / "out") == whole


def test_a_killed_parent_takes_its_worker_along_and_the_next_run_goes_on(pebble, whole, tmp_path, contents):
    command = [sys.executable, "-c", PARENT, json.dumps(pebble.as_json()), str(tmp_path / "out")]
    root = Path(blender.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ['PYTHONPATH']}"}
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    worker = 0
    for line in parent.stdout:
        word, number = line.split()
        if word == "worker":
            worker = int(number)
        elif int(number) == 4:
            parent.send_signal(signal.SIGKILL)
            break
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(worker)
    assert (tmp_path / "out.partial").is_dir()
    assert synthesize(pebble, tmp_path / "out").outcome == "created"
    assert contents(tmp_path / "out") == whole


def running(pid):
    """Whether the process lives (a zombie that nobody waits for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_truth_agrees_with_itself_and_with_the_object(pebble, whole, tmp_path):
    capture = store.read(tmp_path / "whole")
    for view in (*capture.train, *capture.test):
        truth, photograph = view.truth(), view.photograph().image
        inside = truth.mask == 1
        assert 0.2 < inside.mean() < 0.9
        assert (truth.depth[inside] > 0).all()
        assert not truth.depth[truth.mask == 0].any()
        assert photograph[inside].mean() > 40
        assert not np.array_equal(photograph, truth.sharp)
    half_axes = np.array([2.0, 1.6, 1.2])
    off_surface = np.linalg.norm(capture.points.xyz / half_axes, axis=1) - 1
    assert np.abs(off_surface).max() < 0.06
