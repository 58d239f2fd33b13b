"""The Blender worker of training pairs: builds one random object and renders its takes to EXR files.

    python -m datasets.synthesis.pairs.worker JOB.json

The same fence as in `datasets.synthesis.worker`. The job is what `making` writes: the object's seed, the size in px,
how many takes, which of them are measured, samples per pixel, cores to render on, and a folder. Events: "ready"
(blender), "built" (triangles, strands, digest), and for each take "rendered" (take, facts, files by pass, seconds),
"done".
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from datasets.synthesis import worker
from datasets.synthesis.pairs import specimen, takes
from datasets.synthesis.pairs.lighting import hang_lamps, relight


def _work(job: dict[str, Any], emit: worker.Emit) -> None:
    from datasets.synthesis.objects import stage

    model = specimen.build(job["seed"])
    emit("built", triangles=model.triangles, strands=model.strands, digest=model.digest())
    scene = stage.prepare_scene(model.radius, len(job["cores"]))
    lamps = hang_lamps(scene)
    stage.to_blender(model, scene)
    scene.view_layers[0].use_pass_position = False
    scene.view_layers[0].use_pass_object_index = False
    worker.set_up(scene, max(job["samples"].values()))
    for index in range(job["takes"]):
        start = time.perf_counter()
        take = takes.take(model, job["size"], np.random.default_rng([job["seed"], 1, index]))
        relight(scene, lamps, take, model.radius)
        files = {}
        passes = [*job["samples"], *(f"{kind} again" for kind in job["samples"] if index in job["measured"])]
        for number, kind in enumerate(passes):
            name = kind.removesuffix(" again")
            files[kind] = str(Path(job["folder"]) / f"{index}.{number}.exr")
            worker.set_camera(scene, take.camera, take.lens, defocus=name != "sharp", blades=take.blades)
            worker.render(scene, Path(files[kind]), job["samples"][name], take.seed + number)
        seconds = round(time.perf_counter() - start, 3)
        emit("rendered", take=index, facts=take.as_json(), files=files, seconds=seconds)
    emit("done", cpu_seconds=round(time.process_time(), 2))


if __name__ == "__main__":
    sys.exit(worker.main(_work))
