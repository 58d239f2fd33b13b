"""A contestant with an ablation: one color for every picture, and for a test's sake 3dgs's settings."""

from pathlib import Path

import numpy as np

from methods.contestant import Cost, Entry, Study


def fit(photographs, setting):
    setting.resolved.update(setting.configs)
    return OneGray(photographs, setting.configs["3dgs"].get("dssim_weight", 0.2))


class OneGray:
    def __init__(self, photographs, gray):
        if gray == 1:
            raise RuntimeError("too bright")
        self.gray = gray
        self.camera = photographs.views[0].camera
        self.cost = Cost(train_seconds=0.5, peak_mb=100.0, memory_of="process")

    def render(self, camera):
        return np.full((camera.height, camera.width, 3), self.gray, np.float32)

    def restored(self, name):
        return self.render(self.camera)

    def save(self, folder: Path):
        (folder / "gray.txt").write_text(str(self.gray))


STUDIES = {
    "grays": Study(
        title="Grays",
        rows={"as it is": (), "brighter": ("3dgs.dssim_weight=0.9",), "too bright": ("3dgs.dssim_weight=1",)},
        published={"as it is": {"psnr": 12.34}},
        data="another table",
    ),
    "more": Study(title="More grays", rows={"as it is, again": (), "black": ("3dgs.dssim_weight=0",)}),
}

ENTRY = Entry(
    name="one-gray",
    title="The same gray everywhere",
    target="__file__:fit",
    outputs=("novel", "deblur"),
    configs=("3dgs",),
    studies=STUDIES,
)
