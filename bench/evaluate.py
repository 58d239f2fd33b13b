"""Scoring of files: what a contestant left on disk against a capture's truth, and nothing else.

    FOLDER/novel/VIEW.png    sharp renders at the held-out poses
    FOLDER/deblur/VIEW.png   sharp versions of the training photographs

8-bit sRGB, of the photographs' size; from whatever program they came.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.metrics import Lpips, LpipsUnavailable, image_scores
from datasets.capture import Capture, View
from datasets.errors import InputError
from datasets.images import read_rgb

TRACKS = ("novel", "deblur")


@dataclass(frozen=True)
class Score:
    """One metric of one view."""

    track: str
    view: str
    metric: str
    value: float


@dataclass(frozen=True)
class Scores:
    """values: one per track, view and metric. unavailable: why others are absent, by metric or track.

    lpips_sha256: of the network that LPIPS was computed with, None without one.
    """

    values: tuple[Score, ...]
    unavailable: dict[str, str] = field(default_factory=dict)
    lpips_sha256: str | None = None

    def mean(self, track: str, metric: str) -> float | None:
        """Mean over views, None where there are none."""
        found = [score.value for score in self.values if (score.track, score.metric) == (track, metric)]
        return float(np.mean(found)) if found else None


def views_of(capture: Capture, track: str) -> tuple[View, ...]:
    """The views that a track is scored on."""
    return capture.test if track == "novel" else capture.train


def score(
    capture: Capture,
    folder: Path,
    tracks: tuple[str, ...],
    lpips_weights: Path | None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Scores:
    """Score the images in `folder` on `tracks`. Every view of a track must be there.

    `lpips_weights` names the backbone of LPIPS; without it torchvision's cached one is taken, if there is one.
    Raises InputError naming the file if one is missing, unreadable or of another size; LpipsWeightsError.
    """
    unavailable: dict[str, str] = {}
    lpips = None
    try:
        lpips = Lpips(lpips_weights)
    except LpipsUnavailable as error:
        unavailable["lpips"] = " ".join(str(error).split())
    if not capture.has_truth:
        return Scores((), unavailable | dict.fromkeys(tracks, "the capture has no sharp twins"))
    values = []
    work = [(track, view) for track in tracks for view in views_of(capture, track)]
    for done, (track, view) in enumerate(work):
        progress(done, len(work), "scoring")
        size = (view.camera.width, view.camera.height)
        image = read_rgb(folder / track / f"{view.name}.png", size).astype(np.float32) / 255
        truth = view.truth()
        scores = image_scores(image, truth.sharp.astype(np.float32) / 255, truth.mask, lpips)
        values += [Score(track, view.name, metric, value) for metric, value in scores.items()]
    progress(len(work), len(work), "scoring")
    return Scores(tuple(values), unavailable, lpips.weights_sha256 if lpips else None)


def tracks_in(capture: Capture, folder: Path) -> tuple[str, ...]:
    """The tracks that `folder` holds images for. Raises InputError if there is none of them."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder} to score.")
    tracks = tuple(track for track in TRACKS if (folder / track).is_dir())
    if not tracks:
        example = views_of(capture, "novel")[0].name
        raise InputError(
            f"The folder {folder} has neither novel/ nor deblur/; put renders of the held-out views there, "
            f"as novel/{example}.png."
        )
    return tracks
