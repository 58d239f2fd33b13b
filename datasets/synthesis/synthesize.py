"""`bench synth`: from a recipe to a capture on disk, resumable view by view."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datasets import store
from datasets.capture import BACKDROPS, Optics
from datasets.errors import InputError
from datasets.images import write_png
from datasets.synthesis import blender, develop
from datasets.synthesis.recipes import VERSION, Recipe
from datasets.synthesis.rig import Shot, camera_distance, shots, told_cameras
from datasets.synthesis.workfolder import claimed, is_there, partial_of, plain_disk_errors

_GRAY = (
    "the model, or a part of it, has no material and no vertex colours, and is gray: there is little on it that "
    "defocus could blur, so take --texture fractal."
)

# Above this CoC radius (px), in every training view, a part of the surface counts as never in focus.
UNFOCUSED_RADIUS = 1.0


@dataclass(frozen=True)
class Progress:
    """`done` of `total` views, or training pairs, are on disk; `text` says what has just happened, in a few words, and
    `warning`, in one sentence, what is wrong with the object, if anything."""

    done: int
    total: int
    text: str
    warning: str = ""


@dataclass(frozen=True)
class SynthesisResult:
    """The capture at `path`, and whether this call made it or found it there."""

    path: Path
    outcome: Literal["created", "already there"]


def synthesize(
    recipe: Recipe,
    out: Path,
    progress: Callable[[Progress], None] = lambda _: None,
    cores: Sequence[int] = (),
) -> SynthesisResult:
    """Make the capture of `recipe` in the folder `out`, going on from what an interrupted call has finished.

    The result is the same, byte for byte but for the timings in its manifest, however often it was
    interrupted. `cores`: numbers of those to render on; by default all.

    Raises InputError in one sentence, nothing being lost, if `out` holds anything else than this very
    capture or is damaged (file by file), if it is in use, unwritable or the disk is full, if Blender cannot
    run here, if it cannot read the recipe's model, or if the rig leaves part of the surface unfocused.
    """
    out = Path(out)
    if recipe.model is not None:
        shots(recipe, recipe.model.size_mm / 2)  # raises, before anything is written, where no camera can stand
    partial = partial_of(out)
    with plain_disk_errors(out):
        if is_there(recipe, out):
            return SynthesisResult(out, "already there")
        # The inner guard asks the disk before a fruitless work folder is removed, which may make room.
        with claimed(recipe, partial), plain_disk_errors(out):
            if is_there(recipe, out):  # made by another run in the meantime
                return SynthesisResult(out, "already there")
            _render_missing(recipe, partial, progress, cores)
            capture = _finish(recipe, partial)
            os.rename(capture, out)
            shutil.rmtree(partial, ignore_errors=True)
    progress(Progress(recipe.views, recipe.views, "done"))
    return SynthesisResult(out, "created")


# ---------------------------------------------------------------- views


def _render_missing(recipe: Recipe, partial: Path, progress: Callable[[Progress], None], cores: Sequence[int]) -> None:
    """Render every view that is not marked as done, and the repeats for the noise floor."""
    names = _names(recipe)
    done = {name for name in names if _is_done(partial, name)}
    tasks = [(view, kind) for view, name in enumerate(names) if name not in done for kind in ("sharp", "defocused")]
    tasks += [
        (names.index(name), "repeat") for name in _repeated(recipe) if not (partial / "repeat" / f"{name}.png").exists()
    ]
    if not tasks:
        return
    attempt = Path(tempfile.mkdtemp(prefix="attempt-", dir=partial))
    said: dict[str, Any] = {}
    placed: list[Shot] = []
    seconds: dict[str, float] = {}
    progress(Progress(len(done), len(names), f"building the {recipe.object} in Blender"))
    with closing(blender.render(recipe, tasks, attempt, cores)) as events:
        for event in events:
            kind = event.pop("event")
            if kind in ("ready", "built"):
                said.update(event)
            if kind == "built":
                _check_focus(recipe, said["unfocused"])
                _check_same_object(partial, said)
                placed = shots(recipe, said["radius"])
                if "gray" in said.get("colours", ()):
                    progress(Progress(len(done), len(names), f"the {recipe.object} is gray", _GRAY))
            if kind == "rendered":
                shot, render = placed[event["view"]], Path(event["file"])
                seconds[event["pass"]] = event["seconds"]
                if event["pass"] == "defocused":
                    sharp = blender.render_path(attempt, event["view"], "sharp")
                    _develop_view(recipe, partial, shot, sharp, render, said["exposure"], seconds)
                    done.add(shot.name)
                    text = f"view {shot.name}: {sum(seconds.values()):.1f} s"
                    progress(Progress(len(done), len(names), text))
                    seconds = {}
                if event["pass"] == "repeat":
                    _develop_repeat(recipe, partial, shot, render, said["exposure"])
                    progress(Progress(len(done), len(names), f"view {shot.name} again, to measure its noise"))
    shutil.rmtree(attempt)


def _check_focus(recipe: Recipe, unfocused: float) -> None:
    allowed = recipe.allow_unfocused or recipe.focus.policy == "consistent"
    if unfocused >= UNFOCUSED_RADIUS and not allowed:
        raise InputError(
            f"Parts of the {recipe.object} would be in focus in no training view (the 99th percentile over "
            f"its surface of the smallest CoC radius is {unfocused:.2f} px, and must be below "
            f"{UNFOCUSED_RADIUS:g}): widen the focus range, raise the f-number, or set allow_unfocused."
        )


def _check_same_object(partial: Path, said: dict[str, Any]) -> None:
    """Views of an interrupted call must show the very object that this one has built."""
    path = partial / "object.json"
    if path.exists() and store.read_json(path) != said:
        raise InputError(
            f"{partial} was begun with another version of Blender or numpy, which builds another object: "
            "delete it, or choose another --out."
        )
    store.write_json(path, said)


def _develop_view(
    recipe: Recipe,
    partial: Path,
    shot: Shot,
    sharp: Path,
    defocused: Path,
    exposure: float,
    seconds: dict[str, float],
) -> None:
    """Write the files of one view, each whole or not at all, and mark the view as done."""
    background = BACKDROPS[recipe.backdrop]
    hashes = {}
    photograph = _photographed(recipe, shot, defocused, exposure, 0)
    files = develop.files_of(shot, sharp, photograph, exposure, background, recipe.linear)
    for name, write in files.items():
        target, draft = partial / "capture" / name, defocused.with_name("draft")
        write(draft)
        hashes[name] = store.sha256(draft)
        target.parent.mkdir(exist_ok=True)
        os.replace(draft, target)
    store.write_json(partial / "views" / f"{shot.name}.json", {"files": hashes, "seconds": seconds})
    sharp.unlink()
    defocused.unlink()


def _develop_repeat(recipe: Recipe, partial: Path, shot: Shot, render: Path, exposure: float) -> None:
    photograph = _photographed(recipe, shot, render, exposure, 1)
    draft = render.with_name("draft")
    write_png(draft, develop.encoded(photograph))
    os.replace(draft, partial / "repeat" / f"{shot.name}.png")
    render.unlink()


def _photographed(recipe: Recipe, shot: Shot, render: Path, exposure: float, time: int) -> np.ndarray:
    """[H, W, 3] linear light: what the sensor makes of a defocused render, the first (0) or the second (1) time."""
    light = develop.exposed(develop.read_render(render), exposure, BACKDROPS[recipe.backdrop])
    return develop.sensed(light, recipe.sensor, np.random.default_rng([recipe.seed, 6, int(shot.name), time]))


def _is_done(partial: Path, name: str) -> bool:
    mark = partial / "views" / f"{name}.json"
    if not mark.exists():
        return False
    capture = partial / "capture"
    files = store.read_json(mark)["files"]
    return all((capture / path).is_file() and store.sha256(capture / path) == files[path] for path in files)


def _names(recipe: Recipe) -> list[str]:
    return [f"{i:03d}" for i in range(recipe.views)]


def _repeated(recipe: Recipe) -> list[str]:
    """Two training views, the first and the middle one, to be photographed twice."""
    train = [name for i, name in enumerate(_names(recipe)) if not recipe.is_held_out(i)]
    return [train[0], train[len(train) // 2]][: len(train)]


# ---------------------------------------------------------------- the capture as a whole


def _finish(recipe: Recipe, partial: Path) -> Path:
    """Write what belongs to all views together; the finished capture, still inside `partial`."""
    capture = partial / "capture"
    said = store.read_json(partial / "object.json")
    placed = shots(recipe, said["radius"])
    test = [shot.name for i, shot in enumerate(placed) if recipe.is_held_out(i)]
    train = [shot for i, shot in enumerate(placed) if not recipe.is_held_out(i)]
    points = develop.initial_points(capture, train, said["radius"], np.random.default_rng([recipe.seed, 3]))
    if len(points.xyz):
        store.write_points(capture / store.POINTS, points)
    pitch = placed[0].lens.pixel_pitch
    store.write_transforms(
        capture,
        [
            store.frame(shot.name, camera, shot.lens.focus_distance, _own_f_number(recipe, shot))
            for shot, camera in zip(placed, told_cameras(recipe, said["radius"], placed), strict=True)
        ],
        test,
        BACKDROPS[recipe.backdrop],
        Optics(recipe.lens.focal_length, recipe.lens.f_number, pitch),
        has_points=len(points.xyz) > 0,
    )
    distance = camera_distance(recipe, said["radius"])
    repeats = {name: partial / "repeat" / f"{name}.png" for name in _repeated(recipe)}
    provenance = {
        "made_by": f"bench synth, synthesizer version {VERSION}",
        "recipe": recipe.as_json(),
        "recipe_hash": recipe.hash,
        "blender": said["blender"],
        "object": {key: said[key] for key in said if key not in ("blender", "unfocused")},
        "camera_distance_mm": distance,
        "magnification": recipe.lens.focal_length / (distance - recipe.lens.focal_length),
        "pixel_pitch_mm": pitch,
        "unfocused_px": said["unfocused"],
        "points": {"count": len(points.xyz), "recipe": develop.POINTS_RECIPE},
        "difficulty": develop.difficulty(capture, placed, repeats),
        "timing": _timing(recipe, partial),
    }
    store.write_manifest(capture, provenance)
    return capture


def _own_f_number(recipe: Recipe, shot: Shot) -> float | None:
    """That of a view whose lens is stopped down otherwise than the capture's."""
    return None if shot.lens.f_number == recipe.lens.f_number else shot.lens.f_number


def _timing(recipe: Recipe, partial: Path) -> dict[str, Any]:
    marks = [store.read_json(partial / "views" / f"{name}.json")["seconds"] for name in _names(recipe)]
    means = {kind: round(float(np.mean([mark[kind] for mark in marks])), 3) for kind in ("sharp", "defocused")}
    return {"seconds_per_view": means, "cores": os.cpu_count(), "python": sys.version.split()[0]}
