"""Training pairs with Blender itself: blurred as their maps say, and the same after kill -9."""

import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from datasets.pairs import open_pairs
from datasets.synthesis import blender
from datasets.synthesis.pairs import making
from datasets.synthesis.pairs.making import make_pairs
from datasets.synthesis.pairs.order import Order

pytestmark = pytest.mark.blender

ORDER = Order(seed=7, size=32, per_object=2, samples={"sharp": 4, "defocused": 6}, measured_every=2)

PARENT = f"""
import sys
from pathlib import Path
from datasets.synthesis.pairs.making import make_pairs
from datasets.synthesis.pairs.order import Order

make_pairs(4, Path(sys.argv[1]), {ORDER!r}, 1, lambda step: print(step.done, flush=True))
"""


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != making.TIMING}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two objects, made two at a time."""
    folder = tmp_path_factory.mktemp("pairs") / "whole"
    make_pairs(4, folder, ORDER, jobs=2)
    return folder


def test_pairs_show_something_and_only_what_is_out_of_focus_is_blurred(whole):
    opened = open_pairs(whole, verify=True)
    assert len(opened) == 4
    assert opened.manifest["noise_floor_db"]["sharp"] > 15
    for pair in opened:
        inside = pair.mask > 250
        assert inside.mean() > 0.1
        assert 25 < np.quantile(pair.sharp[inside].max(axis=-1), 0.9) < 254
        assert np.isfinite(pair.coc).all()
        assert not pair.coc[pair.mask == 0].any()
        assert pair.facts["largest_coc_px"] < 0.6 * 32
    blurs = [pair.facts["largest_coc_px"] for pair in opened]
    assert max(blurs) > 2 * min(blurs)


def test_a_killed_run_goes_on_in_one_process_to_the_same_bytes(whole, tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    for line in parent.stdout:
        if int(line) == 2:
            parent.send_signal(signal.SIGKILL)
            break
    parent.wait()
    parent.stdout.close()
    assert len(open_pairs(tmp_path / "out")) == 2
    assert list((tmp_path / "out").glob("attempt-*"))
    make_pairs(4, tmp_path / "out", ORDER, jobs=1)
    assert contents(tmp_path / "out") == contents(whole)


def test_a_worker_that_fails_says_why(tmp_path):
    job = tmp_path / "job.json"
    job.write_text('{"seed": 0}')
    with pytest.raises(RuntimeError, match="KeyError"):
        list(blender.events("datasets.synthesis.pairs.worker", [str(job)], tmp_path / "log"))


def test_the_photograph_is_its_sharp_twin_where_the_map_says_that_it_is_in_focus(tmp_path):
    order = replace(ORDER, size=64, per_object=3, samples={"sharp": 48, "defocused": 48}, measured_every=9)
    make_pairs(3, tmp_path / "out", order)
    errors = {True: [], False: []}
    for pair in open_pairs(tmp_path / "out"):
        if pair.facts["sensor"] is None:
            difference = np.abs(pair.photograph.astype(float) - pair.sharp).mean(axis=-1)
            coc, inside = np.abs(pair.coc), pair.mask == 255
            errors[True].append(difference[inside & (coc < 0.6)])
            errors[False].append(difference[inside & (coc > 1.5)])
    in_focus, blurred = (np.concatenate(errors[focus]) for focus in (True, False))
    assert min(len(in_focus), len(blurred)) > 100
    assert np.median(in_focus) < 0.6 * np.median(blurred)
