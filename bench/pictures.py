"""The pictures of a run: of every capture, who makes what of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.blur_maps import write_blur_maps
from bench.comparison import most_defocused, shown_view, write_comparison
from bench.plan import job_folder
from bench.variance_maps import write_variance_maps
from datasets.capture import Capture
from reports import leaderboard
from reports.records import Record


def write(run: Path, capture: Capture, found: Sequence[Record]) -> None:
    """Write those of `capture` into the folder of a run, whose records are `found`."""
    jobs = first_jobs(record for record in found if record.capture.name == capture.name)
    _comparison(run, capture, jobs)
    _blur(run, capture, [record for record in jobs if "kernel" in record.method.outputs])


def first_jobs(found: Iterable[Record]) -> list[Record]:
    """Of every method the finished job with the first seed, from the worst novel views to the best."""
    finished = [record for record in found if record.status == "ok"]
    order = [row.method for row in reversed(leaderboard.rows(finished))]
    first: dict[str, Record] = {}
    for record in sorted(finished, key=lambda record: record.seed):
        first.setdefault(record.method.name, record)
    return sorted(first.values(), key=lambda record: order.index(record.method.name))


def folder_of(record: Record) -> Path:
    """Where the files of its job lie, relative to the run."""
    return job_folder(record.capture.name, record.method.name, record.seed)


def titled(record: Record, track: str, view: str) -> str:
    """The method, with its PSNR on that view; where in focus, if there is no truth to tell another."""
    own = {v.metric: v.value for v in record.values if (v.track, v.view) == (track, view)}
    score = own.get("psnr", own.get("in_focus_psnr"))
    return record.method.name if score is None else f"{record.method.name}  {score:.1f} dB"


def _comparison(run: Path, capture: Capture, jobs: Sequence[Record]) -> None:
    """One held-out view as everybody renders it, with their scores on it."""
    shown = shown_view(capture).name
    renders = [(titled(record, "novel", shown), run / folder_of(record)) for record in jobs]
    write_comparison(run / f"comparison-{capture.name}.png", capture, renders)


def _blur(run: Path, capture: Capture, jobs: Sequence[Record]) -> None:
    """The models of the blur: some photographs in detail, and several beside the width of their blur.

    In detail are shown the training photograph that is the most out of focus, and every held-out one.
    """
    if capture.has_truth:
        for track, views in (("kernel", [most_defocused(capture.train)]), ("kernel-test", capture.test)):
            reblurred = {
                record.method.name: (-a.mean, record)
                for record in jobs
                for a in record.aggregates
                if (a.track, a.metric) == (track, "reblur_psnr")
            }
            best_first = sorted(reblurred.items(), key=lambda item: (item[1][0], item[0]))
            models = [(method, run / folder_of(record) / track) for method, (_, record) in best_first]
            for view in views:
                write_blur_maps(run / f"blur-{capture.name}-{view.name}.png", capture, view, models)
    models = sorted((record.method.name, run / folder_of(record) / "kernel") for record in jobs)
    write_variance_maps(run / f"variance-{capture.name}.png", capture, models)
