"""Processes of our own for libraries that must not be in this one: Blender for its licence, pycolmap for its zlib."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).parents[1]  # of the packages, so that a worker finds them from any folder


def start(module: str, arguments: Sequence[str], stderr: IO[str] | int) -> "subprocess.Popen[str]":
    """A Python that runs `module` with pipes for standard input, by whose end it knows ours, and output."""
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        # -P: a folder `datasets` where the user happens to stand is not ours.
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C reaches the worker through us, once
    )


def end_with_parent() -> None:
    """Let this process, a worker, end when its standard input does: with whoever started it, however that ends."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(4)

    threading.Thread(target=wait, daemon=True).start()


def dealt_cores(workers: int) -> list[tuple[int, ...]]:
    """The numbers of the cores that this process may use, dealt out to so many workers, no core to two of them where
    there are enough; empty where the system does not tell."""
    if not hasattr(os, "sched_getaffinity"):
        return [()] * workers
    cores = sorted(os.sched_getaffinity(0))
    return [tuple(cores[i::workers]) or (cores[i % len(cores)],) for i in range(workers)]


def keep_to(cores: Sequence[int]) -> None:
    """Keep this process to these cores, if any are named: before it starts threads, as many as it sees cores."""
    if cores:
        os.sched_setaffinity(0, cores)
