"""`bench synth` at the terminal: a rendering and how far it is, view by view."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from datasets.errors import InputError
from datasets.synthesis import recipes
from datasets.synthesis.synthesize import Progress, SynthesisResult, synthesize


def chosen(
    what: str | None, preset: str | None, model: Path | None, size_mm: float | None, texture: str | None
) -> recipes.Recipe:
    """The recipe that the options name: an object's, a file's, or that of a model's file. Raises InputError."""
    if (what is None) == (model is None):
        raise InputError("Name what to photograph: an object, a recipe's YAML file, or --model FILE; one of them.")
    if model is None:
        if size_mm is not None or texture is not None:
            raise InputError(
                "--size-mm and --texture belong to --model; a recipe says `model: {file, size_mm, texture}`."
            )
        return recipes.load(str(what), preset)
    if size_mm is None:
        raise InputError(f"--model {model} needs --size-mm: the diameter in mm of the sphere around it.")
    return recipes.load_model(model, size_mm, texture or recipes.TEXTURES[0], preset)


def render(recipe: recipes.Recipe, folder: Path, as_json: bool) -> int:
    """Render the recipe into `folder` and say where it is; the exit code."""
    result = watched(recipe, folder)
    if as_json:
        print(json.dumps({"path": str(result.path), "outcome": result.outcome}))
    elif result.outcome == "already there":
        print(f"{result.path} is this very capture, whole; nothing to do.")
    else:
        print(f"{result.path} is done. Let contestants compete on it: bench run {result.path}")
    return 0


def default_folder(what: str, preset: str | None) -> Path:
    """captures/OBJECT-PRESET, as for a model's file, or captures/NAME for a recipe's file."""
    name = Path(what).stem
    return Path("captures") / (name if recipes.is_file(what) else f"{name}-{Path(preset or 'demo').stem}")


def watched(recipe: recipes.Recipe, folder: Path) -> SynthesisResult:
    """Render `recipe` into `folder`, telling the terminal how far it is."""
    with telling() as say:
        return synthesize(recipe, folder, partial(say, folder))


@contextmanager
def telling() -> Iterator[Callable[[Path, Progress], None]]:
    """What tells how far the work on a folder is: a bar for each on a terminal, else a line each time."""
    console = Console(stderr=True)
    adding = Lock()  # folders are filled by threads of their own

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    if not console.is_terminal:

        def say(folder: Path, progress: Progress) -> None:
            if progress.warning:
                line(f"Warning: {progress.warning}")
            line(f"{folder}: {progress.done}/{progress.total} {progress.text}")

        yield say
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(TextColumn("{task.description}"), *columns, console=console) as bar:
        tasks: dict[Path, TaskID] = {}

        def advance(folder: Path, progress: Progress) -> None:
            with adding:
                if folder not in tasks:
                    tasks[folder] = bar.add_task(str(folder), total=progress.total)
            if progress.warning:
                line(f"Warning: {progress.warning}")
            text = f"{folder.name}: {progress.text}"
            bar.update(tasks[folder], completed=progress.done, total=progress.total, description=text)

        yield advance
