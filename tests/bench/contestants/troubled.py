"""A contestant for tests that comes to grief in the way that its configuration-by-environment names."""

import errno
import os
import signal
import time

import numpy as np

from methods.contestant import Cost, Diverged, Entry

ENTRY = Entry(
    name="troubled",
    title="Fails on purpose",
    target="__file__:fit",
    outputs=("novel",),
    configs=(),
    citation="none",
    licence="none",
    trained_on="nothing",
    status="control",
    version="1",
)


class Wrong:
    cost = Cost(train_seconds=0.0, peak_mb=0.0, memory_of="process")

    def __init__(self, image):
        self.image = image

    def render(self, camera):
        return self.image

    def save(self, folder):
        pass


def fit(photographs, setting):
    height, width = photographs.views[0].image.shape[:2]
    match os.environ["TROUBLE"]:
        case "raises":
            raise KeyError("a line\nand another")
        case "memory":
            raise MemoryError
        case "diverges":
            raise Diverged(17, "the loss is not finite")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exits":
            os._exit(0)
        case "disk":
            raise OSError(errno.ENOSPC, "No space left on device")
        case "size":
            return Wrong(np.zeros((height + 1, width, 3), np.float32))
        case "nan":
            return Wrong(np.full((height, width, 3), np.nan, np.float32))
        case "integers":
            return Wrong(np.zeros((height, width, 3), np.uint8))
        case "nothing":
            return Wrong(None)
        case "sleeps":
            setting.progress(1, 2, "training")
            time.sleep(600)
