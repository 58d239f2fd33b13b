"""What a person sees while jobs run: a live table on a terminal, a line per event elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from bench.runner import Progress

_STATE = {
    "waiting": "[dim]waiting",
    "running": "[cyan]running",
    "ok": "[green]done",
    "kept": "[green]done before",
    "failed": "[red]failed",
    "skipped": "[yellow]skipped",
}

TITLES = {"novel": "novel", "in focus": "in focus", "deblur": "deblur", "kernel": "re-blur"}


class Board:
    """Shows the states of jobs as they change; use as a context manager and call it with them."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._drawn = 0.0
        self._said: dict[int, str] = {}

    def __enter__(self) -> "Board":
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.__exit__(kind, error, trace)

    def __call__(self, board: list[Progress]) -> None:
        now = time.monotonic()
        for progress in board:
            if progress.state == "running" and progress.what != progress.since_what:
                progress.since, progress.since_what = now, progress.what
        if self._live:
            settled = all(progress.state not in ("waiting", "running") for progress in board)
            if settled or now - self._drawn > 0.1:
                self._drawn = now
                self._live.update(table(board, now), refresh=True)
            return
        for index, progress in enumerate(board):
            line = _line(progress)
            if line and self._said.get(index) != line:
                self._said[index] = line
                self.console.print(f"{_name(progress)}: {line}", highlight=False, markup=False, soft_wrap=True)


def table(board: list[Progress], now: float) -> Table:
    """All jobs as they stand at `now` (monotonic seconds)."""
    shown = Table(box=None, pad_edge=False)
    # Scores that nobody has yet keep their column, but for what stands for PSNR where there is no truth.
    tracks = [track for track in TITLES if track != "in focus" or any(track in progress.psnr for progress in board)]
    scores = (f"{TITLES[track]} dB" for track in tracks)
    for column in ("capture", "method", "seed", "state", "progress", *scores, "train s"):
        shown.add_column(column, justify="right" if column.endswith(("dB", " s")) else "left")
    for progress in board:
        shown.add_row(
            progress.job.capture_name,
            _method(progress),
            str(progress.job.seed),
            _STATE[progress.state],
            progress.reason or _advance(progress, now),
            *(f"{progress.psnr[track]:.2f}" if track in progress.psnr else "" for track in tracks),
            f"{progress.train_s:.1f}" if progress.train_s is not None else "",
        )
    return shown


def _name(progress: Progress) -> str:
    return f"{progress.job.capture_name} / {_method(progress)} / seed {progress.job.seed}"


def _method(progress: Progress) -> str:
    """Its name; with what an ablation changes, where jobs of several changes run side by side."""
    job = progress.job
    return f"{job.entry.name} ({', '.join(job.changed)})" if job.within and job.changed else job.entry.name


def _advance(progress: Progress, now: float) -> str:
    if progress.state != "running" or not progress.total:
        return ""
    fraction = progress.done / progress.total
    bar = "━" * round(20 * fraction) + "[dim]" + "━" * (20 - round(20 * fraction)) + "[/dim]"
    eta = ""
    if progress.what in ("training", "restoring") and progress.done and now - progress.since > 1:
        eta = f" {(now - progress.since) / progress.done * (progress.total - progress.done):.0f} s left"
    return f"{bar} {fraction:4.0%} {progress.what}{eta}"


def _line(progress: Progress) -> str:
    """What is worth a line of its own where there is no live table: a tenth of the way, or an end."""
    if progress.state == "running":
        tenth = 10 * (10 * progress.done // progress.total) if progress.total else 0
        return f"{progress.what} {tenth} %" if progress.what in ("training", "restoring") else progress.what
    if progress.state in ("ok", "kept"):
        psnr = ", ".join(f"{TITLES[track]} {value:.2f} dB" for track, value in progress.psnr.items())
        return f"{'done' if progress.state == 'ok' else 'done before'} ({psnr or 'nothing to score'})"
    return f"{progress.state}: {progress.reason}" if progress.reason else ""
