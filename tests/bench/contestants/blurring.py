"""A contestant for tests with a model of the blur: the true one, none at all, or a wrong one, as KERNEL names it.

The true one reads the capture that TRUTH names, as no honest contestant could.
"""

import os

import numpy as np

from bench import kernel_accuracy
from datasets.captures import open_capture
from methods.contestant import Cost, Entry, Kernel

ENTRY = Entry(
    name="blurring",
    title="Knows the blur, or thinks so",
    target="__file__:fit",
    outputs=("kernel",),
    trained_on="nothing",
)


class Blurring:
    cost = Cost(train_seconds=0.0, peak_mb=0.0, memory_of="process")

    def __init__(self, sort, known):
        self.sort, self.known = sort, known

    def kernel(self, photograph):
        assert photograph.focus_distance is None
        still = np.zeros(photograph.image.shape[:2], np.float32)
        match self.sort:
            case "truth":
                capture = open_capture(os.environ["TRUTH"])
                (view,) = (view for view in (*capture.train, *capture.test) if view.name == photograph.name)
                truth = view.truth()

                def blur(sharp):
                    return kernel_accuracy.ceiling(sharp, truth, capture.background)

                lens = capture.optics.lens(view.focus_distance)
                return Kernel(-truth.coc, blur, "scatter", lens.focus_distance, lens.aperture_radius)
            case "nothing":
                return Kernel(still, lambda sharp: sharp, "gather")
            case "training only":
                return Kernel(still, lambda sharp: sharp, "gather") if photograph.name in self.known else None
            case "silence":
                return None
            case "map size":
                return Kernel(still[1:], lambda sharp: sharp, "gather")
            case "map nan":
                return Kernel(still * np.nan, lambda sharp: sharp, "gather")
            case "image size":
                return Kernel(still, lambda sharp: sharp[1:], "gather")
            case "image nan":
                return Kernel(still, lambda sharp: sharp * np.nan, "gather")
            case "spread":
                return Kernel(still, lambda sharp: sharp, "both")
            case "spreads":
                return Kernel(still, lambda sharp: sharp, "gather" if photograph.name in self.known else "scatter")
            case "array":
                return still

    def save(self, folder):
        pass


def fit(photographs, setting):
    if setting is not None:
        setting.warn("It was told\nthe answer.")
    return Blurring(os.environ["KERNEL"], {view.name for view in photographs.views})
