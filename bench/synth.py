"""`bench synth` at the terminal: a rendering and how far it is, view by view."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from datasets.synthesis import recipes
from datasets.synthesis.synthesize import Progress, SynthesisResult, synthesize

T = TypeVar("T")


def render(what: str, preset: str | None, out: Path | None, as_json: bool) -> int:
    """Render the recipe that `what` and `preset` name into `out` and say where it is; the exit code."""
    recipe = recipes.load(what, preset)
    folder = out or default_folder(what, preset)
    result = watched(recipe, folder)
    if as_json:
        print(json.dumps({"path": str(result.path), "outcome": result.outcome}))
    elif result.outcome == "already there":
        print(f"{result.path} is this very capture, whole; nothing to do.")
    else:
        print(f"{result.path} is done. Let contestants compete on it: bench run {result.path}")
    return 0


def default_folder(what: str, preset: str | None) -> Path:
    """captures/OBJECT-PRESET, or captures/NAME for a recipe's file."""
    name = f"{what}-{Path(preset or 'demo').stem}" if what in recipes.objects() else Path(what).stem
    return Path("captures") / name


def watched(recipe: recipes.Recipe, folder: Path) -> SynthesisResult:
    """Render `recipe` into `folder`, telling the terminal how far it is."""
    return shown(folder, lambda say: synthesize(recipe, folder, say))


def shown(folder: Path, work: Callable[[Callable[[Progress], None]], T]) -> T:
    """What `work` gives, which fills `folder` and says how far it is: a bar on a terminal, else a line each time."""
    console = Console(stderr=True)
    if not console.is_terminal:

        def say(progress: Progress) -> None:
            line = f"{folder}: {progress.done}/{progress.total} {progress.text}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)

        return work(say)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(TextColumn("{task.description}"), *columns, console=console) as bar:
        task = bar.add_task(str(folder), total=None)

        def advance(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.total, description=progress.text)

        return work(advance)
