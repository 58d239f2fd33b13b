"""`bench synth macro8`: the captures of a suite, a few objects at a time."""

import json
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Empty, Queue

from bench.environment import cores
from bench.synth import default_folder, telling
from datasets.errors import InputError
from datasets.synthesis import catalogue, recipes
from datasets.synthesis.synthesize import Progress, SynthesisResult, synthesize
from datasets.worker_process import dealt_cores

Outcome = SynthesisResult | Exception
Say = Callable[[Path, Progress], None]


def render(suite: str, preset: str | None, out: Path | None, jobs: int | None, as_json: bool) -> int:
    """Render every object of the suite at `preset` into `out`/OBJECT-PRESET, by default in captures/; the exit code.

    An object that fails does not keep the others from being rendered; it is told at the end.
    """
    names = catalogue.SUITES[suite]
    folders = {name: default_folder(name, preset) for name in names}
    wanted = {(out or folders[name].parent) / folders[name].name: recipes.load(name, preset) for name in names}
    at_once = min(jobs or cores(), len(wanted))
    with telling() as say:
        outcomes = render_all(wanted, at_once, say)
    return _told(outcomes, as_json)


def render_all(wanted: dict[Path, recipes.Recipe], at_once: int, say: Say) -> dict[Path, Outcome]:
    """Render recipes into their folders, `at_once` of them side by side, and share the cores among those.

    Daemon threads: an interrupted command ends at once, and with it its Blenders; finished views are kept.
    """
    waiting: Queue[tuple[Path, recipes.Recipe]] = Queue()
    ended: Queue[tuple[Path, Outcome]] = Queue()
    for item in wanted.items():
        waiting.put(item)

    def work(own_cores: tuple[int, ...]) -> None:
        while True:
            try:
                folder, recipe = waiting.get_nowait()
            except Empty:
                return
            try:
                ended.put((folder, synthesize(recipe, folder, partial(say, folder), own_cores)))
            except Exception as error:  # whatever it is, the others go on
                ended.put((folder, error))

    for own_cores in dealt_cores(at_once):
        threading.Thread(target=work, args=(own_cores,), daemon=True).start()
    found = dict(ended.get() for _ in wanted)
    return {folder: found[folder] for folder in wanted}


def _told(outcomes: dict[Path, Outcome], as_json: bool) -> int:
    """Say how each object went; 0 if all are there, 2 if one was refused. Raises what is nobody's mistake."""
    done = {folder: result for folder, result in outcomes.items() if isinstance(result, SynthesisResult)}
    refused = {folder: error for folder, error in outcomes.items() if isinstance(error, InputError)}
    for error in outcomes.values():
        if isinstance(error, Exception) and not isinstance(error, InputError):
            raise error
    if as_json:
        print(json.dumps([{"path": str(folder), "outcome": result.outcome} for folder, result in done.items()]))
    else:
        for folder, result in done.items():
            print(f"{folder} {'is done' if result.outcome == 'created' else 'was there already, whole'}.")
        if done and not refused:
            print(f"Let contestants compete on them: bench run {' '.join(map(str, done))}")
    for folder, error in refused.items():
        print(f"Error: {folder.name}: {error}", file=sys.stderr)
    return 2 if refused else 0
