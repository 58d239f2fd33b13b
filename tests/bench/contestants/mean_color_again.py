"""A second contestant for tests, so that a run has several jobs: the mean colour once more."""

import time

import numpy as np

from methods.contestant import Cost, Entry

ENTRY = Entry(
    name="mean-color-again",
    title="The same once more",
    target="__file__:fit",
    outputs=("novel", "deblur"),
    configs=(),
    citation="none",
    licence="none",
    trained_on="the photographs of the capture",
    status="control",
    version="1",
)


class MeanColor:
    cost = Cost(train_seconds=0.0, peak_mb=0.0, memory_of="process")

    def __init__(self, photographs, setting):
        self.color = np.mean([view.image.mean(axis=(0, 1)) for view in photographs.views], axis=0) / 255
        self.sizes = {view.name: view.image.shape for view in photographs.views}

    def render(self, camera):
        return np.broadcast_to(self.color, (camera.height, camera.width, 3))

    def restored(self, name):
        return np.broadcast_to(self.color, self.sizes[name])

    def save(self, folder):
        (folder / "color.txt").write_text(str(self.color.tolist()))


def fit(photographs, setting):
    for step in range(5):
        setting.progress(step, 5, "training")
        time.sleep(0.05)
    return MeanColor(photographs, setting)
