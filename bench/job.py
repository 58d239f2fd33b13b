"""One job in a process of its own: fit a contestant, write its files, score them, write the record.

Run by the runner as `python -m bench.job JOB.json`. It speaks in JSON lines on standard output, and dies when
its standard input closes: with the runner gone nobody waits for it.
"""

import errno
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench import environment, evaluate
from bench.metric_table import METRICS
from datasets.capture import Capture, View
from datasets.captures import open_capture
from datasets.color import to_uint8
from datasets.images import write_png
from datasets.store import sha256
from methods import configuration, contestants
from methods.contestant import Diverged, Entry, Fitted, Setting
from reports import records, statistics

RECORD = "record.json"
LOG = "log.txt"


class BadOutput(RuntimeError):
    """A contestant gave back something that is no image of the asked size."""


def main() -> None:
    """Read the job named on the command line and do it."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
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


def _die_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


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
    photographs = capture.sharp_twins() if entry.oracle else capture.photographs()
    if not entry.uses_optics:
        photographs = photographs.without_optics()
    setting = Setting(job["seed"], job["device"], job["configs"], job["preset"], speak.progress, {})
    fitted = contestants.fit_of(entry)(photographs, setting)
    frames_per_second = write_outputs(fitted, entry, capture, folder, speak)
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
    for track in entry.outputs:
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


def checked(image: Any, view: View, entry: Entry) -> np.ndarray:
    """`image` if it is one of the asked size; raises BadOutput, in one sentence, if not."""
    expected = (view.camera.height, view.camera.width, 3)
    shape = getattr(image, "shape", None)
    if not isinstance(image, np.ndarray) or shape != expected or image.dtype.kind != "f":
        got = f"{image.dtype} {list(shape)}" if isinstance(image, np.ndarray) and shape else type(image).__name__
        raise BadOutput(f"{entry.name} gave {got} for view {view.name}, not a float image {list(expected)}.")
    if not np.isfinite(image).all():
        raise BadOutput(f"{entry.name} gave an image for view {view.name} with values that are not finite.")
    return image


def scores(capture: Capture, folder: Path, entry: Entry, weights: str | None, speak: Speaker) -> dict[str, Any]:
    """The parts of a record that come from scoring the files in `folder`."""
    found = evaluate.score(capture, folder, entry.outputs, Path(weights) if weights else None, speak.progress)
    values = [records.Value(**vars(value)) for value in found.values]
    used = sorted({value.metric for value in found.values})
    absent = {track: "the contestant has no output for it" for track in evaluate.TRACKS if track not in entry.outputs}
    return {
        "values": values,
        "aggregates": statistics.aggregates(values),
        "unavailable": absent | found.unavailable,
        "metrics": {
            name: {"version": METRICS[name].version, "weights_sha256": found.lpips_sha256 if name == "lpips" else None}
            for name in used
        },
    }


def preamble(job: Mapping[str, Any], capture: Capture, entry: Entry, rasterizer: str | None) -> dict[str, Any]:
    """The parts of a record that are known whether or not the job succeeds."""
    difficulty = capture.manifest.get("difficulty")
    optics = capture.optics
    return {
        "identity": {"id": job["id"], "parts": job["parts"]},
        "capture": {
            "name": capture.name,
            "content_hash": capture.content_hash,
            "difficulty": difficulty,
            "optics": {"f_mm": optics.focal_length, "f_number": optics.f_number} if optics else None,
            "views_train": len(capture.train),
            "views_test": len(capture.test),
        },
        "method": {
            "name": entry.name,
            "title": entry.title,
            "version": entry.version,
            "status": entry.status,
            "oracle": entry.oracle,
            "citation": entry.citation,
            "licence": entry.licence,
            "trained_on": entry.trained_on,
            "outputs": entry.outputs,
            "config": job["configs"],
            "config_hash": configuration.digest(job["configs"]),
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
    """What the runner shows of a finished job."""
    psnr = {a.track: a.mean for a in record.aggregates if a.metric == "psnr"}
    return {"psnr": psnr, "train_s": (record.times or {}).get("train_s")}


if __name__ == "__main__":
    main()
