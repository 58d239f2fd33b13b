"""`bench import` at the terminal: where the capture goes, how far it is, and what to know of it."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from datasets.interchange.importing import import_capture

# Folders that are called after what they hold, and not after what was photographed.
PLAIN_NAMES = ("images", "photos", "input", "rgb", "train")


def import_photographs(photos: Path, poses: str, out: Path | None, **options: Any) -> int:
    """Make the capture and say where it is, and in which unit; the exit code."""
    folder = out or default_folder(photos)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(str(folder), total=None)

        def advance(what: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=f"{folder}: {what}")

        def warn(sentence: str) -> None:
            console.print(f"Warning: {sentence}", highlight=False, markup=False, soft_wrap=True)

        made = import_capture(photos, poses, folder, warn=warn, progress=advance, **options)
    print(f"{made.path} is done: {made.views} photographs, {made.held_out} of them held out; {made.unit}.")
    print(f"Let contestants compete on it: bench run {made.path}", file=sys.stderr)
    return 0


def default_folder(photos: Path) -> Path:
    """captures/NAME, called after `photos`, or after the folder around it where its own name says nothing."""
    whole = photos.absolute()
    return Path("captures") / (whole.parent.name if whole.name.lower() in PLAIN_NAMES else whole.name)
