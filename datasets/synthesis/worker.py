"""The Blender worker: a process of its own that builds one object and renders its views to EXR files.

    python -m datasets.synthesis.worker JOB.json     (without a job it says which Blender it has, and ends)

Blender is GPL-3.0: nothing else in the project imports it (but for `objects.stage` and `imported`, which only this
process calls), and the rest speaks to it through files and pipes. The job is what `datasets.synthesis.blender.render`
writes; each event is one JSON line on the standard output that the process was started with, and whatever
Blender prints goes to the standard error. The process ends when its standard input is closed, that is, when
its parent dies, however that dies.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from datasets.cameras import OPENGL_FROM_OPENCV, Camera
from datasets.errors import InputError
from datasets.optics import ThinLens
from datasets.synthesis import develop, model_files, recipes, rig
from datasets.synthesis.objects.model import Model
from datasets.worker_process import end_with_parent, keep_to

Emit = Callable[..., None]

# Each pass has noise of its own; "repeat" is the defocused pass again, to measure that noise.
PASSES = ("sharp", "defocused", "repeat")

_EXPOSURE_SAMPLES = 32  # per pixel of the views that the exposure of a model is measured from


def main(work: Callable[[dict[str, Any], Emit], None]) -> int:
    """Say which Blender this is, and do the `work` of the job named on the command line, if any; the exit code."""
    emit = claim_stdout()
    end_with_parent()
    job = json.loads(Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else None
    if job is not None:
        keep_to(job["cores"])  # Cycles takes as many threads as there are cores, whatever it is told
    try:
        import bpy
    except ImportError as error:
        emit("unavailable", module=error.name, reason=str(error))
        return 3
    emit("ready", blender=bpy.app.version_string)
    if job is not None:
        try:
            work(job, emit)
        except InputError as error:
            emit("refused", reason=str(error))
            return 2
    return 0


def _work(job: dict[str, Any], emit: Emit) -> None:
    recipe = recipes.from_json(job["recipe"])
    if recipe.model is None:
        scene, surface, built = _object(import_module(job["module"]).build(recipe.seed), len(job["cores"]))
    else:
        scene, surface, built = _model(recipe, recipe.model, Path(job["model"]), len(job["cores"]))
    # Depth and coverage are all that is used; sample 0 of the pinhole pass makes depth exact.
    scene.view_layers[0].use_pass_position = False
    scene.view_layers[0].use_pass_object_index = False
    set_up(scene, max(recipe.samples.sharp, recipe.samples.defocused))
    if recipe.model is not None:
        built["exposure"] = _exposure(scene, recipe, built["radius"], Path(job["model"]))
    shots = rig.shots(recipe, built["radius"])
    train = [shot for i, shot in enumerate(shots) if not recipe.is_held_out(i)]
    emit("built", **built, unfocused=float(np.quantile(rig.never_in_focus(surface, train), 0.99)))
    del surface
    samples = {"sharp": recipe.samples.sharp}
    for task in job["tasks"]:
        shot, kind = shots[task["view"]], task["pass"]
        seed = (recipe.seed * 1_000_003 + task["view"] * len(PASSES) + PASSES.index(kind)) % 2**31
        start = time.perf_counter()
        set_camera(scene, shot.camera, shot.lens, defocus=kind != "sharp", blades=recipe.lens.blades)
        render(scene, Path(task["file"]), samples.get(kind, recipe.samples.defocused), seed)
        emit("rendered", **task, seconds=round(time.perf_counter() - start, 3))
    emit("done")


def _object(model: Model, threads: int) -> tuple[Any, np.ndarray, dict[str, Any]]:
    """The scene of a procedural object, points on its surface [P, 3] mm, and what to say of it."""
    from datasets.synthesis.objects import stage

    scene = stage.prepare_scene(model.radius, threads)
    stage.to_blender(model, scene)
    built = {
        "radius": model.radius,
        "exposure": model.exposure,
        "triangles": model.triangles,
        "strands": model.strands,
        "digest": model.digest(),
    }
    return scene, np.concatenate([part.vertices for part in model.parts]), built


def _model(
    recipe: recipes.Recipe, model: recipes.ModelFile, path: Path, threads: int
) -> tuple[Any, np.ndarray, dict[str, Any]]:
    """The scene of a model of the user's own, points on its surface [P, 3] mm, and what to say of it."""
    from datasets.synthesis import imported
    from datasets.synthesis.objects import stage

    scene = stage.prepare_scene(model.size_mm / 2, threads)
    made = imported.import_model(path, model.size_mm / 2, model.texture, model.content, recipe.seed, scene)
    if model_files.content(path, own=model.texture == "own") != model.content:
        raise InputError(f"The model {path} has changed while it was read: start again.")
    built = {
        "radius": made.radius,
        "triangles": made.triangles,
        "strands": 0,
        "digest": made.digest,
        "colours": list(made.colours),
    }
    return scene, made.surface, built


def _exposure(scene: Any, recipe: recipes.Recipe, radius: float, path: Path) -> float:
    """What to multiply renders by for the 99th percentile of the object's pixels to be 0.9, from eight small views."""
    fixed = replace(
        recipe,
        size=(64, 64),
        views=8,
        test_every=8,
        seed=0,
        rig=recipes.Rig("hemisphere", (0.0, 72.0)),
        focus=recipes.Focus("fixed", (0.0, 0.0)),
        test_focus=None,
    )
    levels = []
    with TemporaryDirectory() as folder:
        file = Path(folder) / "exposure.exr"
        for shot in rig.shots(fixed, radius):
            set_camera(scene, shot.camera, shot.lens, defocus=False)
            render(scene, file, _EXPOSURE_SAMPLES, 0)
            light, alpha, _ = develop.read_render(file)
            levels.append(light[alpha > 0.99].ravel())
    seen = np.concatenate(levels)
    white = float(np.quantile(seen, 0.99)) if len(seen) else 0.0
    if not white > 0:
        raise InputError(f"The model {path} shows black in every photograph: take --texture fractal.")
    return float(f"{0.9 / white:.4g}")


# ---------------------------------------------------------------- Blender as the thin lens


def set_up(scene: Any, most_samples: int) -> None:
    """Give `scene` a camera for `set_camera`, and make each `render` independent of those before it.

    Cycles sizes its table of sample patterns by `cycles.samples`, and keeps a larger one of an earlier render:
    a view would look different after a resumption. So the table is always that of `most_samples`, of which a
    render takes the first few.
    """
    import bpy

    data = bpy.data.cameras.new("camera")
    scene.camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(scene.camera)
    scene.cycles.samples = most_samples
    scene.cycles.use_sample_subset = True
    scene.cycles.sample_offset = 0


def set_camera(scene: Any, camera: Camera, lens: ThinLens, defocus: bool, blades: int = 0) -> None:
    """Make the scene's camera the thin `lens` at the pose and size of `camera`, or its pinhole.

    One Blender unit is 1 mm. Blender's lens knows no focus breathing: its "focal length" is the image
    distance v, its aperture is lens / (2 fstop) in metres taken as units, and the focal plane is planar. So
    lens = v and fstop = v / D / 1000 give the ideal lens exactly (f-number and focal length as engraved would
    be wrong by the magnification). `blades`: corners of the aperture, 0 for a round one.
    """
    from mathutils import Matrix

    data = scene.camera.data
    data.type = "PERSP"
    data.sensor_fit = "HORIZONTAL"
    data.sensor_width = camera.width * lens.pixel_pitch
    data.lens = lens.image_distance
    data.shift_x = data.shift_y = 0.0
    data.dof.use_dof = defocus
    data.dof.focus_distance = lens.focus_distance
    data.dof.aperture_fstop = lens.image_distance / lens.aperture_diameter / 1000
    data.dof.aperture_blades = blades
    data.dof.aperture_ratio = 1.0
    data.clip_start, data.clip_end = lens.focus_distance * 1e-3, lens.focus_distance * 1e3
    scene.camera.matrix_world = Matrix((camera.c2w @ OPENGL_FROM_OPENCV).tolist())
    scene.render.resolution_x, scene.render.resolution_y = camera.width, camera.height


def render(scene: Any, path: Path, samples: int, seed: int) -> None:
    """Render `samples` samples per pixel to the multilayer EXR `path`."""
    import bpy

    scene.cycles.sample_subset_length, scene.cycles.seed = samples, seed
    scene.update_tag()  # persistent data would keep the last seed otherwise
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


# ---------------------------------------------------------------- the process


def claim_stdout() -> Emit:
    """Keep standard output for events; what else is printed, by Blender's C code too, goes to stderr."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def emit(event: str, **values: Any) -> None:
        events.write(json.dumps({"event": event, **values}) + "\n")
        events.flush()

    return emit


if __name__ == "__main__":
    sys.exit(main(_work))
