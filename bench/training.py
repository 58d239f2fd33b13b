"""`bench train` at the terminal."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.environment import source_hash
from datasets.pairs import open_pairs
from methods.contestant import Diverged
from methods.restoration.learning.loop import Progress as Position
from methods.restoration.learning.loop import train
from methods.restoration.learning.recipe import Plan

LINE_EVERY = 30.0  # seconds, where there is no terminal


def train_restorer(plan: Plan, pairs: Path, out: Path, device: str, extra: Path | None, as_json: bool) -> int:
    """Train what `plan` says into the file `out` and say how good it is; the exit code."""
    found, more = open_pairs(pairs, verify=True), open_pairs(extra, verify=True) if extra else None
    console = Console(stderr=True)
    console.print(
        f"{plan.architecture} on {len(found)} pairs of {found.size} px, {plan.recipe.steps} steps of "
        f"{plan.recipe.batch} x {plan.recipe.patch} px on {device}; TensorBoard: {out.with_suffix('.log')}",
        highlight=False,
        soft_wrap=True,
    )
    try:
        with _telling(console, plan.recipe.steps) as say:
            trained = train(plan, found, out, device, source_hash(), more, say)
    except Diverged as error:
        console.print(f"{error} Take a smaller --learning-rate.", highlight=False)
        return 1
    facts = trained.facts
    if as_json:
        print(json.dumps({"path": str(out), "outcome": trained.outcome, "facts": facts}, indent=1))
        return 0
    there = " was there already, trained so" if trained.outcome == "already there" else ""
    print(f"{out}{there}: {_told(facts['curve'][-1])}. Let it compete: bench run --methods {out},{out}+3dgs")
    return 0


def _told(scores: dict[str, Any]) -> str:
    """Scores of a validation in a line."""
    named = [f"{name} {value:.4g}" for name, value in scores.items() if name != "step"]
    return f"step {scores['step']}, on held-out objects " + ", ".join(named)


@contextmanager
def _telling(console: Console, steps: int) -> Iterator[Callable[[Position], None]]:
    """What tells how far a training is: a bar on a terminal, else a line from time to time."""
    if console.is_terminal:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(TextColumn("{task.description}"), *columns, console=console) as bar:
            task = bar.add_task("", total=steps)
            yield lambda at: bar.update(task, completed=at.step, description=_line(at))
        return
    last, judged = 0.0, 0

    def say(at: Position) -> None:
        nonlocal last, judged
        news = at.scores and at.scores["step"] != judged
        if news or time.monotonic() - last > LINE_EVERY or at.step == steps:
            last, judged = time.monotonic(), int(at.scores["step"]) if at.scores else 0
            console.print(f"{at.step}/{steps} {_line(at)}", highlight=False, soft_wrap=True)

    yield say


def _line(at: Position) -> str:
    judged = f"; {_told(at.scores)}" if at.scores else ""
    return f"loss {at.loss:.4g}{judged}"
