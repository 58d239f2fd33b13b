"""Scoring of files: what a contestant left on disk against a capture's truth, and nothing else.

    FOLDER/novel/VIEW.png                sharp renders at the held-out poses
    FOLDER/deblur/VIEW.png               sharp versions of the training photographs
    FOLDER/kernel/VIEW.png               sharp twins of the training photographs under the contestant's blur
    FOLDER/kernel/VIEW.exr               its circles of confusion: radius in px, float, channel Y; all views or none
    FOLDER/kernel/lenses.json            its lens, if it has one: {VIEW: {"focus_mm": ..., "aperture_mm": ...}} (radius)
    FOLDER/kernel-test/VIEW.png, .exr    the same of the held-out views; only their photographs may tell the blur
    FOLDER/kernel-paper/VIEW.png         other clean images of the held-out views under the contestant's blur...
    FOLDER/kernel-paper/clean/VIEW.png   ...and those images: renders of splats trained on the sharp twins (seed
                                         paper, section 4.3.1)
    FOLDER/kernel-own/VIEW.png           novel/VIEW.png under the contestant's blur, for captures without sharp twins

Images are 8-bit sRGB, of the photographs' size; from whatever program they came.

Without sharp twins, what can be held against a held-out photograph is scored: renders where it is in focus, and renders
under the contestant's own blur.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench import in_focus, kernel_accuracy
from bench.metrics import Lpips, LpipsUnavailable, image_scores, mask_psnr, psnr
from datasets.capture import Capture, Truth, View
from datasets.errors import InputError
from datasets.images import read_exr, read_rgb

KERNEL_TRACKS = ("kernel", "kernel-test", "kernel-paper", "kernel-own")
TRACKS = ("novel", "deblur", *KERNEL_TRACKS)
LENSES = "lenses.json"
CLEAN = "clean"
"""In kernel-paper/: the images that were blurred."""


@dataclass(frozen=True)
class Score:
    """One metric of one view."""

    track: str
    view: str
    metric: str
    value: float


@dataclass(frozen=True)
class Scores:
    """values: one per track, view and metric. unavailable: why others are absent, by metric, track or TRACK.METRIC.

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
    return capture.train if track in ("deblur", "kernel") else capture.test


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
        names = ["lpips", *(["reblur_lpips", "identity_lpips"] if set(tracks) & set(KERNEL_TRACKS) else [])]
        unavailable |= dict.fromkeys(names, " ".join(str(error).split()))
    if not capture.has_truth:
        values = _without_truth(capture, folder, tracks, lpips, progress)
        unavailable |= _what_truth_would_tell(tracks, {value.track for value in values})
        return Scores(tuple(values), unavailable, lpips.weights_sha256 if lpips else None)
    values = []
    work = [(track, view) for track in tracks for view in views_of(capture, track)]
    for done, (track, view) in enumerate(work):
        progress(done, len(work), "scoring")
        image, truth = _read(folder / track / f"{view.name}.png", view), view.truth()
        if track == "kernel-own":
            scores = _own_scores(folder, view, _unit(view.photograph().image), lpips)
        elif track in KERNEL_TRACKS:
            scores = _kernel_scores(capture, view, truth, folder / track, image, lpips)
        else:
            scores = image_scores(image, _unit(truth.sharp), truth.mask, lpips)
        values += [Score(track, view.name, metric, value) for metric, value in scores.items()]
    progress(len(work), len(work), "scoring")
    for track in set(tracks) & set(KERNEL_TRACKS):
        unavailable |= _what_kernel_scores_lack(folder, track, {v.metric for v in values if v.track == track})
    return Scores(tuple(values), unavailable, lpips.weights_sha256 if lpips else None)


def _without_truth(
    capture: Capture,
    folder: Path,
    tracks: tuple[str, ...],
    lpips: Lpips | None,
    progress: Callable[[int, int, str], None],
) -> list[Score]:
    """Renders against the held-out photographs themselves."""
    if not {"novel", "kernel-own"} & set(tracks):
        return []
    values = []
    photographs = {view.name: view.photograph().image for view in (*capture.train, *capture.test)}
    focused = in_focus.in_focus(photographs)
    for done, view in enumerate(capture.test):
        progress(done, len(capture.test), "scoring")
        photograph, sharp = _unit(photographs[view.name]), focused[view.name]
        if "novel" in tracks:
            render = _read(folder / "novel" / f"{view.name}.png", view)
            if np.count_nonzero(sharp) >= in_focus.FEWEST:
                values.append(Score("novel", view.name, "in_focus_psnr", mask_psnr(render, photograph, sharp)))
        if "kernel-own" in tracks:
            scores = _own_scores(folder, view, photograph, lpips)
            values += [Score("kernel-own", view.name, metric, value) for metric, value in scores.items()]
    progress(len(capture.test), len(capture.test), "scoring")
    return values


def _own_scores(folder: Path, view: View, photograph: np.ndarray, lpips: Lpips | None) -> dict[str, float]:
    """A contestant's own render under its own blur, against the photograph [H, W, 3] in 0..1."""
    reblurred, render = (_read(folder / track / f"{view.name}.png", view) for track in ("kernel-own", "novel"))
    return kernel_accuracy.reblur_scores(reblurred, render, photograph, lpips)


def _what_truth_would_tell(tracks: tuple[str, ...], scored: set[str]) -> dict[str, str]:
    """By track or metric: why there is no score where a capture has no sharp twins."""
    why = "the capture has no sharp twins"
    absent = {track: why for track in tracks if track not in scored}
    if "novel" in scored:
        absent |= {f"novel.{metric}": why for metric in ("psnr", "ssim", "lpips", "mask_psnr")}
    elif "novel" in tracks:
        absent["novel.in_focus_psnr"] = "no held-out photograph is in focus anywhere"
    return absent


def _read(path: Path, view: View) -> np.ndarray:
    return _unit(read_rgb(path, (view.camera.width, view.camera.height)))


def _unit(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / 255


def _kernel_scores(
    capture: Capture, view: View, truth: Truth, folder: Path, reblurred: np.ndarray, lpips: Lpips | None
) -> dict[str, float]:
    """One view of a track of kernel accuracy."""
    other = folder.name == "kernel-paper"
    clean = _read(folder / CLEAN / f"{view.name}.png", view) if other else _unit(truth.sharp)
    photograph = _unit(view.photograph().image)
    scores = kernel_accuracy.reblur_scores(reblurred, clean, photograph, lpips)
    if truth.coc is not None:
        ceiling = kernel_accuracy.ceiling(clean, truth, capture.background)
        scores["ceiling_psnr"] = psnr(ceiling, photograph)
        if _has_maps(folder):
            scores |= kernel_accuracy.coc_scores(read_coc(folder / f"{view.name}.exr", view), truth)
    true = capture.lens(view)
    if true is not None and (folder / LENSES).is_file():
        scores |= kernel_accuracy.lens_scores(*read_lens(folder / LENSES, view), true, truth)
    return scores


def read_lens(path: Path, view: View) -> tuple[float, float]:
    """Focus distance and radius of the lens of one view, mm. Raises InputError naming the file if it is not there."""
    try:
        found = json.loads(path.read_text())[view.name]
        lens = float(found["focus_mm"]), float(found["aperture_mm"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} does not tell the lens of view {view.name} ({error}).") from error
    if not np.isfinite(lens).all():
        raise InputError(f"{path} tells a lens of view {view.name} that is not finite.")
    return lens


def _has_maps(folder: Path) -> bool:
    return any(folder.glob("*.exr"))


def read_coc(path: Path, view: View) -> np.ndarray:
    """A map of the CoC radius [H, W] px. Raises InputError naming the file if it is none of that view."""
    coc = read_exr(path)
    expected = (view.camera.height, view.camera.width)
    if coc.shape != expected:
        raise InputError(f"The CoC map {path} is {coc.shape[1]} x {coc.shape[0]} px, but its camera says otherwise.")
    if not np.isfinite(coc).all():
        raise InputError(f"The CoC map {path} holds a number that is not finite.")
    return coc


def _what_kernel_scores_lack(folder: Path, track: str, scored: set[str]) -> dict[str, str]:
    """By TRACK.METRIC: why a track of kernel accuracy lacks what is not `scored`."""
    if track == "kernel-own":
        return {f"{track}.ceiling_psnr": "a render is not the sharp twin, so no blur of it is the best"}
    maps = () if track == "kernel-paper" else kernel_accuracy.COC_METRICS
    names = [name for name in maps if name not in scored]
    if "ceiling_psnr" not in scored:
        why = dict.fromkeys(("ceiling_psnr", *names), "the capture's true circles of confusion are not known")
    elif not _has_maps(folder / track):
        why = dict.fromkeys(names, "there are no maps of the circles of confusion")
    else:
        why = dict.fromkeys(names, "no view has such pixels")
        if "coc_corr" in names:
            why["coc_corr"] = "a constant map correlates with nothing"
    return {f"{track}.{name}": reason for name, reason in why.items()}


def tracks_in(capture: Capture, folder: Path) -> tuple[str, ...]:
    """The tracks that `folder` holds images for. Raises InputError if there is none of them."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder} to score.")
    tracks = tuple(track for track in TRACKS if (folder / track).is_dir())
    if not tracks:
        example = views_of(capture, "novel")[0].name
        raise InputError(
            f"The folder {folder} has none of {', '.join(f'{track}/' for track in TRACKS)}; put renders of the "
            f"held-out views there, as novel/{example}.png."
        )
    return tracks
