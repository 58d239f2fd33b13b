"""What workers share: the cores dealt out to them, and an end with whoever started them."""

import os
import subprocess
import sys

from datasets import worker_process


def test_cores_are_dealt_out_once_while_they_last(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {4, 1, 7, 2, 9})
    assert worker_process.dealt_cores(2) == [(1, 4, 9), (2, 7)]
    assert worker_process.dealt_cores(5) == [(1,), (2,), (4,), (7,), (9,)]
    assert worker_process.dealt_cores(7) == [(1,), (2,), (4,), (7,), (9,), (1,), (2,)]
    monkeypatch.delattr(os, "sched_getaffinity")
    assert worker_process.dealt_cores(2) == [(), ()]


def test_a_process_keeps_to_the_cores_that_are_named_and_to_all_if_none_are():
    core = min(os.sched_getaffinity(0))
    script = (
        "import os; from datasets.worker_process import keep_to; before = os.sched_getaffinity(0);"
        f"keep_to([]); assert os.sched_getaffinity(0) == before; keep_to([{core}]); print(os.sched_getaffinity(0))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str({core})


def test_a_worker_ends_when_its_standard_input_does():
    script = (
        "import time; from datasets.worker_process import end_with_parent;"
        "end_with_parent(); print('there', flush=True); time.sleep(60)"
    )
    worker = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stdin is not None
    assert worker.stdout.readline() == "there\n"
    worker.stdin.close()
    assert worker.wait(timeout=20) == 4
    worker.stdout.close()
