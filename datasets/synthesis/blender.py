"""Blender as seen from this side of the fence: starts the worker process and reads its events."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import IO, Any

from datasets import worker_process
from datasets.errors import InputError
from datasets.synthesis.catalogue import OBJECTS
from datasets.synthesis.recipes import Recipe

# What bpy 5.0.1 needs of Debian 12 beyond its C library.
SYSTEM_LIBRARIES = "libx11-6 libxrender1 libxfixes3 libxi6 libxext6 libxkbcommon0 libsm6 libice6 libxt6 libgl1"

Event = dict[str, Any]

_WORKER = "datasets.synthesis.worker"


def why_unavailable() -> str | None:
    """One sentence on why Blender cannot run here, or None if it can. Starts it, for about a second."""
    try:
        for _ in events(_WORKER, [], None):
            pass
    except (InputError, RuntimeError) as error:
        return str(error)
    return None


def render(
    recipe: Recipe, tasks: Sequence[tuple[int, str]], folder: Path, cores: Sequence[int] = ()
) -> Generator[Event, None, None]:
    """Have a worker render `tasks` (index of a view, name of a pass) to EXR files in `folder`; its events.

    Events: "ready" (blender), "built" (radius, exposure, triangles, strands, digest, unfocused, and of a model its
    colours), "rendered" (view, pass, file, seconds) for each task in order, "done". `cores`: numbers of those
    to render on, by default all; the pictures do not depend on them. Closing the generator ends the worker.

    Raises InputError if Blender cannot run here, was killed, or finds the recipe or its model wrong; RuntimeError with
    its traceback if it failed.
    """
    model = str(recipe.model.path) if recipe.model and recipe.model.path else None
    job = {
        "recipe": recipe.as_json(),
        "module": None if recipe.model else OBJECTS[recipe.object],
        "model": model,
        "cores": list(cores),
        "tasks": [{"view": view, "pass": kind, "file": str(render_path(folder, view, kind))} for view, kind in tasks],
    }
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    yield from events(_WORKER, [str(path)], folder / "blender.log", model)


def render_path(folder: Path, view: int, kind: str) -> Path:
    """Where the worker leaves a pass of a view; absolute, as Blender takes relative paths its own way."""
    return folder.absolute() / f"{view:03d}.{kind}.exr"


def events(
    module: str, arguments: list[str], log: Path | None, model: str | None = None
) -> Generator[Event, None, None]:
    """What a worker, started from `module`, tells until it ends; what it prints besides goes to `log`.

    model: the file that it reads first, between "ready" and "built". Closing the generator ends the worker. Raises
    InputError if Blender cannot run here or was killed; RuntimeError with the end of the log if it failed.
    """
    with (log or Path(os.devnull)).open("w") as stderr:
        worker = _start(module, arguments, stderr)
    stdin, stdout = worker.stdin, worker.stdout
    if stdin is None or stdout is None:
        raise RuntimeError("The worker was started without its pipes.")
    last = ""
    try:
        for line in stdout:
            event = json.loads(line)
            last = event["event"]
            if event["event"] == "unavailable":
                raise InputError(_unavailable(event["module"], event["reason"]))
            if event["event"] == "refused":
                raise InputError(event["reason"])
            yield event
        code = worker.wait()
    finally:
        worker.kill()
        worker.wait()
        stdin.close()
        stdout.close()
    if code < 0 and model is not None and last == "ready":
        raise InputError(
            f"Blender crashed (signal {-code}) on the model {model}: it is damaged, or too large for this memory."
        )
    if code < 0:
        raise InputError(
            f"The Blender process was killed (signal {-code}; out of memory?): what is finished is kept, and "
            "the same command goes on from there."
        )
    if code > 0:
        tail = log.read_text(errors="replace")[-4000:] if log is not None else ""
        raise RuntimeError(f"The Blender worker failed with exit code {code}.\n{tail}")


def _start(module: str, arguments: list[str], stderr: IO[str]) -> "subprocess.Popen[str]":
    return worker_process.start(module, arguments, stderr)


def _unavailable(module: str | None, reason: str) -> str:
    version = ".".join(map(str, sys.version_info[:2]))
    library = re.match(r"(\S+\.so\S*): cannot open shared object", reason)
    if library:
        return f"Blender lacks the system library {library[1]}; on Debian: apt install {SYSTEM_LIBRARIES}"
    if module == "bpy" and version != "3.11":
        return f"Blender (bpy 5.0) runs on Python 3.11 only, and this is Python {version}."
    if module == "bpy":
        return "Blender (bpy) is not installed: `uv sync` on Python 3.11 installs it."
    return f"Blender (bpy) cannot be imported: {reason}"
