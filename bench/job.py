"""One job in a process of its own: fit a contestant, write its files, score them, write the record.

Run by the runner as `python -m bench.job JOB.json`. It speaks in JSON lines on standard output, and dies when
its standard input closes: with the runner gone nobody waits for it.
"""

import errno
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from bench import environment, evaluate
from bench.metric_table import METRICS
from datasets.capture import Capture, Photograph, View
from datasets.captures import open_capture
from datasets.color import to_uint8
from datasets.digest import sha256
from datasets.images import read_rgb, write_exr, write_png
from datasets.worker_process import end_with_parent
from methods import configuration, contestants
from methods.contestant import Diverged, Entry, Fitted, Kernel, Setting, Spread
from reports import records, statistics

RECORD = "record.json"
LOG = "log.txt"


class BadOutput(RuntimeError):
    """A contestant gave back something that is no image, or no model of a blur, of the asked size."""


def main() -> None:
    """Read the job named on the command line and do it."""
    end_with_parent()
    job = json.loads(Path(sys.argv[1]).read_text())
    speak = Speaker()
    try:
        done = fit_and_score(job, speak) if job["action"] == "fit" else score_again(job, speak)
        speak.say(event="done", **done)
    except MemoryError:
        speak.say(event="failed", kind="OutOfMemory", reason="It ran out of memory.", step=None)
        sys.exit(1)
    except Exception as error:
        import traceback

        traceback.print_exc()
        kind = type(error).__name__
        out_of_memory = kind == "OutOfMemoryError"  # torch's, on CUDA
        reason = "It ran out of GPU memory." if out_of_memory else one_line(error)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            kind = "DiskFull"
        step = error.step if isinstance(error, Diverged) else None
        speak.say(event="failed", kind="OutOfMemory" if out_of_memory else kind, reason=reason, step=step)
        sys.exit(1)


def one_line(error: BaseException) -> str:
    """An error as one line for a table."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:300]


class Speaker:
    """Events as JSON lines on the real standard output; whatever else is printed goes to standard error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self._last = 0.0

    def say(self, **event: Any) -> None:
        self._out.write(json.dumps(event) + "\n")

    def progress(self, done: int, total: int, what: str) -> None:
        """Report progress, at most five times a second."""
        now = time.monotonic()
        if now - self._last > 0.2 or done == total:
            self._last = now
            self.say(event="progress", done=done, total=total, what=what)


def fit_and_score(job: Mapping[str, Any], speak: Speaker) -> dict[str, Any]:
    """Fit the contestant, leave its files and record in job["folder"]; what to show of it."""
    started = time.perf_counter()
    folder = Path(job["folder"])
    capture = open_capture(job["capture"])
    entry = contestants.find(job["method"])
    given = {"twins": capture.sharp_twins, "blur": capture.photographs_with_coc, None: capture.photographs}
    photographs = given[entry.oracle]()
    if not entry.uses_optics:
        photographs = photographs.without_optics()
    warnings: list[str] = []
    setting = Setting(job["seed"], job["device"], job["configs"], job["preset"], speak.progress, {}, warnings.append)
    fitted = contestants.fit_of(entry)(photographs, setting)
    frames_per_second = write_outputs(fitted, entry, capture, folder, speak)
    spread = None
    if "kernel" in entry.outputs:  # the last: it sees the held-out photographs, and all else is on disk by now
        clean = Path(job["clean"]["folder"]) if job["clean"] else None
        spread = write_kernels(fitted, entry, capture, folder, clean, speak)
    times = {"train_s": fitted.cost.train_seconds, "total_s": time.perf_counter() - started}
    model_bytes = sum(path.stat().st_size for path in (folder / "model").rglob("*") if path.is_file())
    scored = scores(capture, folder, entry, job.get("lpips_weights"), speak)
    described = preamble(job, capture, entry, fitted.cost.rasterizer)
    described["method"]["config"] = setting.resolved
    record = records.Record.model_validate(
        {
            **described,
            **scored,
            "times": times,
            "memory": {"peak_mb": fitted.cost.peak_mb, "of": fitted.cost.memory_of},
            "gaussians": fitted.cost.gaussians,
            "model_bytes": model_bytes,
            "render_fps": frames_per_second,
            "blur": {"spread": spread, "clean_job": job["clean"] and job["clean"]["id"]} if spread else None,
            "warnings": [" ".join(warning.split()) for warning in warnings],
            "files": hashes(folder),
            "status": "ok",
        }
    )
    records.save(record, folder / RECORD)
    return headline(record)


def score_again(job: Mapping[str, Any], speak: Speaker) -> dict[str, Any]:
    """Score the files of a finished job once more, as when LPIPS weights have come; keeps all else."""
    folder = Path(job["folder"])
    old = records.load(folder / RECORD)
    capture = open_capture(job["capture"])
    scored = scores(capture, folder, contestants.find(job["method"]), job.get("lpips_weights"), speak)
    record = records.Record.model_validate({**old.model_dump(by_alias=True), **scored})
    records.save(record, folder / RECORD)
    return headline(record)


def write_outputs(fitted: Fitted, entry: Entry, capture: Capture, folder: Path, speak: Speaker) -> float | None:
    """Write renders, restored photographs and the model into `folder`; frames per second of rendering."""
    seconds = []
    for track in ("novel", "deblur"):
        if track not in entry.outputs:
            continue
        views = evaluate.views_of(capture, track)
        (folder / track).mkdir(parents=True)
        for done, view in enumerate(views):
            speak.progress(done, len(views), "rendering")
            start = time.perf_counter()
            image = fitted.render(view.camera) if track == "novel" else fitted.restored(view.name)
            if track == "novel":
                seconds.append(time.perf_counter() - start)
            write_png(folder / track / f"{view.name}.png", to_uint8(checked(image, view, entry)))
    (folder / "model").mkdir()
    fitted.save(folder / "model")
    # The first frame may pay for what the others reuse.
    return 1 / float(np.mean(seconds[1:])) if len(seconds) > 1 else None


def write_kernels(
    fitted: Fitted, entry: Entry, capture: Capture, folder: Path, clean: Path | None, speak: Speaker
) -> Spread:
    """Write the contestant's circles of confusion, and clean images under its blur, into `folder`.

    Clean are the sharp twins, or where the capture has none the contestant's own renders, and for the held-out views
    also those that the job in the folder `clean` has rendered. Returns how the contestant's blur moves light.
    """
    spreads, silent = set(), []
    for track in ("kernel", "kernel-test"):
        views = evaluate.views_of(capture, track)
        lenses = {}
        for done, view in enumerate(views):
            speak.progress(done, len(views), "re-blurring")
            photograph = view.photograph()
            known = photograph if entry.uses_optics else replace(photograph, focus_distance=None)
            kernel = checked_kernel(fitted.kernel(known), photograph, entry)
            if kernel is None:
                silent.append((track, view.name))
                continue
            spreads.add(kernel.spread)
            if kernel.focus is not None and kernel.aperture is not None:
                lenses[view.name] = {"focus_mm": kernel.focus, "aperture_mm": kernel.aperture}
            _with_parents(folder / track / f"{view.name}.exr", kernel.coc.astype(np.float32))
            if capture.has_truth:
                _with_parents(folder / track / f"{view.name}.png", blurred(kernel, view.truth().sharp, view, entry))
            elif track == "kernel-test" and "novel" in entry.outputs:
                render = read_rgb(folder / "novel" / f"{view.name}.png")
                _with_parents(folder / "kernel-own" / f"{view.name}.png", blurred(kernel, render, view, entry))
            if clean is not None and track == "kernel-test":
                image = read_rgb(clean / "novel" / f"{view.name}.png")
                own = folder / "kernel-paper"
                _with_parents(own / f"{view.name}.png", blurred(kernel, image, view, entry))
                _with_parents(own / evaluate.CLEAN / f"{view.name}.png", image)
        if lenses:
            (folder / track / evaluate.LENSES).write_text(json.dumps(lenses, indent=1) + "\n")
    if silent and silent != [("kernel-test", view.name) for view in capture.test]:
        track, name = silent[0]
        raise BadOutput(f"{entry.name} gave no blur for view {name}; only for all held-out views may it give none.")
    if len(spreads) > 1:
        raise BadOutput(f"{entry.name} says of some views that its blur gathers, of others that it scatters.")
    return spreads.pop()


def _with_parents(path: Path, image: np.ndarray) -> None:
    """Write an 8-bit image or a float map, and the folder that it goes into."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (write_png if image.dtype == np.uint8 else write_exr)(path, image)


def blurred(kernel: Kernel, clean: np.ndarray, view: View, entry: Entry) -> np.ndarray:
    """The 8-bit image `clean` under `kernel`, 8-bit; raises BadOutput if it is no image of the view's size."""
    return to_uint8(checked(kernel.blur(clean.astype(np.float32) / 255), view, entry))


def checked(image: Any, view: View, entry: Entry) -> np.ndarray:
    """`image` if it is one of the asked size; raises BadOutput, in one sentence, if not."""
    return _checked(image, (view.camera.height, view.camera.width, 3), "image", view.name, entry)


def checked_kernel(kernel: Any, photograph: Photograph, entry: Entry) -> Kernel | None:
    """`kernel` if it is one for `photograph`, or None; raises BadOutput, in one sentence, if not."""
    if kernel is None:
        return None
    if not isinstance(kernel, Kernel):
        raise BadOutput(f"{entry.name} gave {type(kernel).__name__} for view {photograph.name}, not a Kernel.")
    if kernel.spread not in get_args(Spread):
        raise BadOutput(f"{entry.name} says of its blur that it is {kernel.spread!r}, not gather or scatter.")
    _checked(kernel.coc, photograph.image.shape[:2], "map of the CoC radius", photograph.name, entry)
    return kernel


def _checked(array: Any, expected: tuple[int, ...], what: str, view: str, entry: Entry) -> np.ndarray:
    shape = getattr(array, "shape", None)
    if not isinstance(array, np.ndarray) or shape != expected or array.dtype.kind != "f":
        got = f"{array.dtype} {list(shape)}" if isinstance(array, np.ndarray) and shape else type(array).__name__
        raise BadOutput(f"{entry.name} gave {got} for view {view}, not a float {what} {list(expected)}.")
    if not np.isfinite(array).all():
        article = "an" if what == "image" else "a"
        raise BadOutput(f"{entry.name} gave {article} {what} for view {view} with values that are not finite.")
    return array


def scores(capture: Capture, folder: Path, entry: Entry, weights: str | None, speak: Speaker) -> dict[str, Any]:
    """The parts of a record that come from scoring the files in `folder`."""
    tracks = evaluate.tracks_in(capture, folder)
    found = evaluate.score(capture, folder, tracks, Path(weights) if weights else None, speak.progress)
    values = [records.Value(**vars(value)) for value in found.values]
    used = sorted({value.metric for value in found.values})
    asked = [track for track in evaluate.TRACKS if track != "kernel-own" or not capture.has_truth]
    absent = {track: why_absent(track, tracks, entry) for track in asked if track not in tracks}
    return {
        "values": values,
        "aggregates": statistics.aggregates(values),
        "unavailable": absent | found.unavailable,
        "metrics": {
            name: {
                "version": METRICS[name].version,
                "weights_sha256": found.lpips_sha256 if name.endswith("lpips") else None,
            }
            for name in used
        },
    }


def why_absent(track: str, tracks: Sequence[str], entry: Entry) -> str:
    """Why a finished job has left nothing for `track`, having left files for `tracks`."""
    if track not in evaluate.KERNEL_TRACKS:
        return "the contestant has no output for it"
    if "kernel" not in entry.outputs:
        return "the contestant has no model of the blur"
    if "kernel-test" not in tracks:
        return "the contestant cannot tell the blur of a photograph that it was not trained on"
    if track == "kernel-own":
        return "the contestant renders no held-out view"
    return "the run was without --protocol paper"


def preamble(job: Mapping[str, Any], capture: Capture, entry: Entry, rasterizer: str | None) -> dict[str, Any]:
    """The parts of a record that are known whether or not the job succeeds."""
    difficulty = capture.manifest.get("difficulty")
    # What is known in mm is of no use in a world without a unit.
    optics = None if capture.manifest.get("unit") == "arbitrary" else capture.optics
    return {
        "identity": {"id": job["id"], "parts": job["parts"]},
        "capture": {
            "name": capture.name,
            "content_hash": capture.content_hash,
            "difficulty": difficulty,
            "unfocused_px": capture.manifest.get("unfocused_px"),
            "optics": {"f_mm": optics.focal_length, "f_number": optics.f_number} if optics else None,
            "views_train": len(capture.train),
            "views_test": len(capture.test),
        },
        "method": {
            "name": entry.name,
            "title": entry.title,
            "version": entry.version,
            "status": entry.status,
            "oracle": entry.oracle is not None,
            "citation": entry.citation,
            "licence": entry.licence,
            "trained_on": entry.trained_on,
            "outputs": entry.outputs,
            "config": job["configs"],
            "config_hash": configuration.digest(job["configs"]),
            "weights": {Path(name).name: sha for name, sha in job["parts"].get("weights", {}).items() if sha},
            "preset": " with ".join(filter(None, [job["preset"], ", ".join(job["changed"])])),
            "uses_optics": entry.uses_optics,
            "published": entry.published,
        },
        "environment": environment.describe(job["device"], rasterizer),
        "command": job["command"],
        "seed": job["seed"],
    }


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that the job left, by path relative to its folder; the log may still grow."""
    apart = {folder / RECORD, folder / LOG}
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path not in apart)
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def headline(record: records.Record) -> dict[str, Any]:
    """What the runner shows of a finished job: PSNR by track (of kernel accuracy, re-blurred; without truth, of what is
    in focus) and seconds."""
    means: dict[tuple[str, str], float] = {(a.track, a.metric): a.mean for a in record.aggregates}
    psnr: dict[str, float] = {track: mean for (track, metric), mean in means.items() if metric == "psnr"}
    if ("kernel", "reblur_psnr") in means:
        psnr["kernel"] = means["kernel", "reblur_psnr"]
    if "novel" not in psnr and ("novel", "in_focus_psnr") in means:
        psnr["in focus"] = means["novel", "in_focus_psnr"]
    return {"psnr": psnr, "train_s": (record.times or {}).get("train_s")}


if __name__ == "__main__":
    main()
