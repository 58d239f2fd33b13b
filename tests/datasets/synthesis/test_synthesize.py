"""Folders, resuming and bad input, with a stand-in for Blender that renders a disk in no time."""

import errno
import fcntl
import json
import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from datasets import store
from datasets.errors import InputError
from datasets.images import read_exr, write_exr
from datasets.synthesis import blender, develop
from datasets.synthesis import synthesize as module
from datasets.synthesis.recipes import Focus, PoseError, Sensor, load_model
from datasets.synthesis.rig import camera_distance
from datasets.synthesis.synthesize import Progress, synthesize

RADIUS = 2.0


@pytest.fixture
def studio(monkeypatch):
    """Stands in for the worker; holds what was asked of it, and can be told to end early."""

    class Studio:
        def __init__(self):
            self.asked, self.end_after, self.unfocused, self.digest = [], None, 0.5, "d"

        def render(self, recipe, tasks, folder, cores=()):
            self.asked.append(list(tasks))
            yield {"event": "ready", "blender": "5.0.1"}
            facts = {"radius": RADIUS, "exposure": 1.0, "triangles": 1, "strands": 0, "digest": self.digest}
            yield {"event": "built", **facts, "unfocused": self.unfocused}
            for count, (view, kind) in enumerate(tasks):
                if count == self.end_after:
                    raise InputError("ended")
                path = blender.render_path(folder, view, kind)
                draw(path, recipe, view, kind)
                yield {"event": "rendered", "view": view, "pass": kind, "file": str(path), "seconds": 0.1}
            yield {"event": "done"}

    studio = Studio()
    monkeypatch.setattr(blender, "render", studio.render)
    return studio


def draw(path, recipe, view, kind):
    width, height = recipe.size
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.hypot(x - width / 2, y - height / 2) < width / 3
    noise = np.random.default_rng([view, len(kind)]).uniform(0, 0.05, (height, width))
    alpha = inside.astype(np.float32)
    gray = (alpha * (0.4 + noise)).astype(np.float32)
    depth = np.where(inside, camera_distance(recipe, RADIUS) - 0.1 * view, 1e10).astype(np.float32)
    planes = {f"ViewLayer.Combined.{c}": gray for c in "RGB"}
    planes |= {"ViewLayer.Combined.A": alpha, "ViewLayer.Depth.Z": depth}
    import OpenEXR

    OpenEXR.File({"type": OpenEXR.scanlineimage}, planes).write(str(path))


def test_a_new_capture_is_whole_and_readable(pebble, studio, tmp_path):
    steps = []
    result = synthesize(pebble, tmp_path / "new" / "pebble", steps.append)
    assert result.outcome == "created"
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1] == Progress(9, 9, "done")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["pebble"]

    capture = store.read(result.path)
    assert (len(capture.train), len(capture.test)) == (7, 2)
    assert capture.has_truth
    assert capture.points is not None
    for view in capture.train:
        assert view.focus_distance is not None
        lens, truth = capture.optics.lens(view.focus_distance), view.truth()
        assert view.camera.fx == pytest.approx(lens.focal_length_px)
        seen = truth.depth > 0
        assert np.abs(truth.coc[seen] - lens.coc_radius(truth.depth[seen])).max() <= 0.002
        assert not truth.coc[~seen].any()
    linear = read_exr(result.path / "linear" / "001.exr", "RGB")
    assert linear.shape == (24, 24, 3)


def test_the_manifest_says_what_was_made_and_how_hard_it_is(pebble, studio, tmp_path):
    synthesize(pebble, tmp_path / "out")
    manifest = store.read_json(tmp_path / "out" / store.MANIFEST)
    assert manifest["recipe"] == pebble.as_json()
    assert manifest["recipe_hash"] == pebble.hash
    assert manifest["timing"]["seconds_per_view"] == {"sharp": 0.1, "defocused": 0.1}
    difficulty = manifest["difficulty"]
    assert 20 < difficulty["psnr_photograph_sharp_on_object"] < difficulty["psnr_photograph_sharp"] < 60
    assert 30 < difficulty["noise_floor_on_object"] < 50
    radii = difficulty["coc_radius_px"]
    assert 0 <= radii["median"] <= radii["q90"] <= radii["max"]


def test_a_noisy_sensor_is_in_the_photographs_and_in_the_noise_floor_but_not_in_the_truth(pebble, studio, tmp_path):
    noisy = replace(pebble, sensor=Sensor(full_well=500.0, read_noise=5.0))
    clean, grainy, again = (
        store.read(synthesize(recipe, tmp_path / name).path)
        for recipe, name in ((pebble, "clean"), (noisy, "noisy"), (noisy, "again"))
    )
    floors = [capture.manifest["difficulty"]["noise_floor_on_object"] for capture in (clean, grainy)]
    assert floors[1] < floors[0] - 3
    for a, b, c in zip(clean.train, grainy.train, again.train, strict=True):
        assert np.array_equal(a.truth().sharp, b.truth().sharp)
        assert not np.array_equal(a.photograph().image, b.photograph().image)
        assert np.array_equal(b.photograph().image, c.photograph().image)


def test_a_sensor_counts_photons_adds_its_own_and_is_full_at_its_well():
    light = np.full((200, 200, 3), 0.2, dtype=np.float32)
    rng = np.random.default_rng(0)
    seen = develop.sensed(light, Sensor(full_well=1000.0, read_noise=5.0), rng)
    assert seen.mean() == pytest.approx(0.2, rel=2e-3)
    assert seen.std() == pytest.approx(np.sqrt(200 + 25) / 1000, rel=0.02)
    assert develop.sensed(5 * light, Sensor(1000.0, 5.0), rng).max() == 1
    assert develop.sensed(light, None, rng) is light


def test_a_pose_error_is_in_what_the_capture_tells_and_in_nothing_else(pebble, studio, tmp_path):
    exact, off = (
        store.read(synthesize(recipe, tmp_path / name).path)
        for recipe, name in ((pebble, "exact"), (replace(pebble, pose_error=PoseError(1.0, 0.1)), "off"))
    )
    for a, b in zip(exact.train, off.train, strict=True):
        assert np.abs(a.camera.position - b.camera.position).max() > 1e-3
        assert np.array_equal(a.truth().depth, b.truth().depth)
    for a, b in zip(exact.test, off.test, strict=True):
        assert np.allclose(a.camera.c2w, b.camera.c2w)


def test_a_stack_is_a_capture_with_all_photographs_of_a_pose_on_one_side_of_the_split(pebble, studio, tmp_path):
    stack = replace(pebble, views=27, focus=Focus("stack", (-0.5, 0.5), steps=3))
    capture = store.read(synthesize(stack, tmp_path / "stack").path)
    assert [view.name for view in capture.test] == ["000", "001", "002", "024", "025", "026"]
    assert len(capture.train) == 21
    first, second, third = capture.test[:3]
    assert first.focus_distance < second.focus_distance < third.focus_distance
    assert np.allclose(first.camera.c2w, third.camera.c2w)


def test_another_aperture_of_held_out_views_is_told_with_them_and_is_in_their_truth(pebble, studio, tmp_path):
    capture = store.read(synthesize(replace(pebble, test_f_number=11.0), tmp_path / "out").path)
    assert capture.optics.f_number == pebble.lens.f_number
    for view in (*capture.train, *capture.test):
        lens, truth = capture.lens(view), view.truth()
        assert lens.f_number == (11.0 if view in capture.test else pebble.lens.f_number)
        seen = truth.depth > 0
        assert np.abs(truth.coc[seen] - lens.coc_radius(truth.depth[seen])).max() <= 0.002


def test_consistent_focus_needs_no_leave_to_be_unfocused(pebble, studio, tmp_path):
    studio.unfocused = 7.0
    behind = replace(pebble, allow_unfocused=False, focus=Focus("consistent", (-1.5, -1.5)))
    assert synthesize(behind, tmp_path / "out").outcome == "created"


def test_the_same_recipe_again_does_nothing(pebble, studio, tmp_path):
    synthesize(pebble, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert synthesize(pebble, tmp_path / "out").outcome == "already there"
    assert len(studio.asked) == 1
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


@pytest.mark.parametrize("end_after", [1, 2, 3, 11, 18, 19])
def test_an_interrupted_run_goes_on_where_it_was_and_ends_the_same(pebble, studio, tmp_path, contents, end_after):
    synthesize(pebble, tmp_path / "whole")
    studio.end_after = end_after
    with pytest.raises(InputError, match="ended"):
        synthesize(pebble, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    studio.end_after = None
    assert synthesize(pebble, tmp_path / "out").outcome == "created"
    finished = min(end_after // 2, 9)
    assert len(studio.asked[-1]) == 20 - 2 * finished - max(0, end_after - 18)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


def test_a_finished_view_that_was_damaged_meanwhile_is_rendered_again(pebble, studio, tmp_path, contents):
    synthesize(pebble, tmp_path / "whole")
    studio.end_after = 9
    with pytest.raises(InputError):
        synthesize(pebble, tmp_path / "out")
    (tmp_path / "out.partial" / "capture" / "images" / "001.png").write_bytes(b"half")
    studio.end_after = None
    synthesize(pebble, tmp_path / "out")
    assert (1, "sharp") in studio.asked[-1]
    assert (2, "sharp") not in studio.asked[-1]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_run_killed_after_its_last_rename_leaves_nothing_behind(pebble, studio, tmp_path):
    synthesize(pebble, tmp_path / "out")
    (tmp_path / "out.partial").mkdir()
    store.write_json(tmp_path / "out.partial" / "recipe.json", {"hash": pebble.hash})
    assert synthesize(pebble, tmp_path / "out").outcome == "already there"
    assert not (tmp_path / "out.partial").exists()


# ---------------------------------------------------------------- bad input


def refused(*arguments):
    with pytest.raises(InputError) as error:
        synthesize(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_damage_is_named_file_by_file(pebble, studio, tmp_path):
    out = tmp_path / "out"
    synthesize(pebble, out)
    (out / "images" / "003.png").write_bytes(b"")
    (out / "depth" / "004.exr").unlink()
    words = refused(pebble, out)
    assert "images/003.png has changed" in words
    assert "depth/004.exr is missing" in words
    assert (out / "images" / "002.png").exists()


def test_a_capture_of_another_recipe_is_left_alone_and_the_difference_named(pebble, studio, tmp_path):
    synthesize(pebble, tmp_path / "out")
    words = refused(replace(pebble, seed=5), tmp_path / "out")
    assert "seed: 0 there, 5 here" in words
    assert store.verify(tmp_path / "out") == []


def test_unfinished_work_of_another_recipe_is_left_alone(pebble, studio, tmp_path):
    studio.end_after = 4
    refused(pebble, tmp_path / "out")
    assert "views: 9 there, 10 here" in refused(replace(pebble, views=10), tmp_path / "out")
    assert (tmp_path / "out.partial" / "views" / "001.json").exists()


@pytest.mark.parametrize("folder", ["out", "out.partial"])
def test_a_users_own_files_are_left_alone(pebble, studio, tmp_path, folder):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "thesis.tex").write_text("precious")
    assert "choose another --out" in refused(pebble, tmp_path / "out")
    assert (tmp_path / folder / "thesis.tex").read_text() == "precious"
    assert not studio.asked


def test_an_empty_folder_is_taken(pebble, studio, tmp_path):
    (tmp_path / "out").mkdir()
    assert synthesize(pebble, tmp_path / "out").outcome == "created"


def test_two_runs_into_one_folder_are_kept_apart(pebble, studio, tmp_path):
    (tmp_path / "out.partial").mkdir()
    held = os.open(tmp_path / "out.partial", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        assert "Another run" in refused(pebble, tmp_path / "out")
    finally:
        os.close(held)
    assert synthesize(pebble, tmp_path / "out").outcome == "created"


def test_an_unwritable_place_is_named(pebble, studio, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(pebble, tmp_path / "file" / "out")
    assert "cannot be written" in refused(pebble, "/sys/out")


def test_a_full_disk_is_one_sentence_and_costs_no_finished_view(pebble, studio, tmp_path, monkeypatch, contents):
    synthesize(pebble, tmp_path / "whole")
    written = []

    def write_until_full(path, image, channels="Y"):
        written.append(path)
        if len(written) > 8:
            path.write_bytes(b"begun")
            raise OSError(errno.ENOSPC, "No space left on device")
        write_exr(path, image, channels)

    monkeypatch.setattr(module.develop, "write_exr", write_until_full)
    assert "is full" in refused(pebble, tmp_path / "out")
    assert sorted(path.stem for path in (tmp_path / "out.partial" / "views").iterdir()) == ["000", "001"]
    monkeypatch.setattr(module.develop, "write_exr", write_exr)
    synthesize(pebble, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_rig_that_leaves_parts_unfocused_is_refused_unless_asked_for(pebble, studio, tmp_path):
    studio.unfocused = 1.2
    words = refused(replace(pebble, allow_unfocused=False), tmp_path / "out")
    assert "1.20 px" in words
    assert list(tmp_path.iterdir()) == []
    consistent = replace(pebble, focus=Focus("fixed", (-1.5, -1.5)))
    assert synthesize(consistent, tmp_path / "out").outcome == "created"


def test_views_of_another_object_are_never_mixed(pebble, studio, tmp_path):
    studio.end_after = 4
    refused(pebble, tmp_path / "out")
    studio.digest, studio.end_after = "another", None
    assert "builds another object" in refused(pebble, tmp_path / "out")


# ---------------------------------------------------------------- where Blender cannot run


@pytest.fixture
def fake_bpy(tmp_path, monkeypatch):
    def install(code):
        (tmp_path / "bpy.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return install


def test_missing_system_libraries_are_named_with_their_debian_packages(fake_bpy):
    reason = "libXrender.so.1: cannot open shared object file: No such file or directory"
    fake_bpy(f"raise ImportError({reason!r})")
    words = blender.why_unavailable()
    assert words is not None
    assert "libXrender.so.1" in words
    assert "apt install libx11-6 libxrender1" in words


def test_missing_bpy_is_named_with_the_python_it_needs(monkeypatch):
    for version, hint in (((3, 11, 7), "uv sync"), ((3, 13, 0), "Python 3.11 only, and this is Python 3.13")):
        monkeypatch.setattr(sys, "version_info", version)
        assert hint in blender._unavailable("bpy", "No module named 'bpy'")


def test_a_killed_worker_and_a_failed_one_are_told_apart(fake_bpy, tmp_path):
    fake_bpy("import os; os.kill(os.getpid(), 9)")
    assert "signal 9" in str(blender.why_unavailable())
    fake_bpy("raise ValueError('broken')")
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"cores": []}))
    with pytest.raises(RuntimeError, match="ValueError: broken"):
        list(blender.events("datasets.synthesis.worker", [str(job)], tmp_path / "log"))


def test_a_crash_while_a_model_is_read_is_blamed_on_the_model(fake_bpy, tmp_path):
    (tmp_path / "thing.stl").write_text("solid")
    fake_bpy(
        "import os, types\napp = types.SimpleNamespace(version_string='5')\n"
        "def __getattr__(name): os.kill(os.getpid(), 11)"
    )
    with pytest.raises(InputError, match=r"crashed \(signal 11\) on the model .*thing\.stl: it is damaged"):
        synthesize(load_model(tmp_path / "thing.stl", 6), tmp_path / "out")
    assert not list(tmp_path.glob("out*"))
