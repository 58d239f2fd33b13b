"""Models of the user's own, of every kind, through Blender: all of them give the same picture of the same thing."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets import store
from datasets.errors import InputError
from datasets.synthesis import blender, develop, model_files, recipes
from datasets.synthesis.rig import shots
from datasets.synthesis.synthesize import synthesize

pytestmark = pytest.mark.blender

SPOT = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "models" / "spot_triangulated.obj"
WRITER = Path(__file__).with_name("model_writer.py")
SIZE = 6.0  # mm


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The folder that model_writer.py fills."""
    folder = tmp_path_factory.mktemp("models")
    done = subprocess.run([sys.executable, "-P", WRITER, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def photograph(tmp_path):
    """One sharp view, 32 px, of a model: what Blender said of it, and the render."""

    def take(path, texture="own", seed=0):
        recipe = replace(tiny(path, texture), seed=seed)
        said = {}
        for event in blender.render(recipe, [(0, "sharp")], tmp_path):
            said |= event
        return said, develop.read_render(blender.render_path(tmp_path, 0, "sharp"))

    return take


def tiny(path, texture="own"):
    recipe = recipes.load_model(path, SIZE, texture)
    samples = recipes.Samples(16, 16)
    return replace(recipe, size=(32, 32), views=8, samples=samples, allow_unfocused=True)


@pytest.fixture(scope="session")
def slab_depth(models):
    """Depth [32, 32] mm of the slab in the view of `photograph`, by hand: the turned box, intersected."""
    shot = shots(tiny(models / "slab.stl"), SIZE / 2)[0]
    scale = SIZE / np.linalg.norm([2, 1, 0.5])
    turn = np.array([[np.cos(0.5), -np.sin(0.5), 0], [np.sin(0.5), np.cos(0.5), 0], [0, 0, 1]])
    half = scale * np.array([2, 1, 0.5]) / 2
    rows, columns = np.mgrid[:32, :32] + 0.5
    ones = np.ones(32 * 32)
    far = shot.camera.unproject(np.stack([columns.ravel(), rows.ravel()], axis=1), ones)
    eye = shot.camera.position @ turn
    rays = far @ turn - eye
    near, away = np.sort(np.stack([(-half - eye) / rays, (half - eye) / rays]), axis=0)
    enters, leaves = near.max(axis=1), away.min(axis=1)
    return np.where(enters < leaves, enters, 0).reshape(32, 32)


@pytest.mark.parametrize("kind", model_files.FORMATS)
def test_a_model_of_every_kind_is_scaled_centred_and_keeps_its_colours(models, photograph, slab_depth, kind):
    said, (light, alpha, depth) = photograph(models / f"slab.{kind}")
    assert (said["radius"], said["triangles"], said["strands"]) == (SIZE / 2, 12, 0)
    assert said["colours"] == {"ply": ["vertex colours"], "stl": ["gray"]}.get(kind, ["materials"])
    both = (depth > 0) & (slab_depth > 0)
    assert ((depth > 0) != (slab_depth > 0)).sum() <= 4
    assert np.abs(depth - slab_depth)[both].max() < 0.01
    red, green = (light[:, :, i][alpha == 1] > 2 * light[:, :, 1 - i][alpha == 1] for i in (0, 1))
    assert bool(red.mean() > 0.1 and green.mean() > 0.1) is (kind != "stl")


def test_the_brightest_of_a_model_is_exposed_just_below_white(models, tmp_path):
    recipe = replace(tiny(models / "slab.glb"), linear=True)
    capture = store.read(synthesize(recipe, tmp_path / "out").path)
    views = (*capture.train, *capture.test)
    light = np.concatenate([view.truth().sharp[view.truth().mask == 1].ravel() for view in views])
    assert 230 < np.quantile(light, 0.99) <= 255


def test_a_fractal_takes_the_place_of_materials_and_varies_with_the_seed(models, photograph):
    (said, (one, *_)), (_, (other, *_)) = (photograph(models / "slab.glb", "fractal", seed) for seed in (0, 1))
    assert said["colours"] == ["fractal"]
    assert not np.array_equal(one, other)
    inside = one[12:20, 12:20].mean(axis=2)
    assert inside.std() > 0.15 * inside.mean()


def test_a_blend_is_photographed_as_it_renders(models, photograph):
    said, _ = photograph(models / "scene.blend")
    # The cube, subdivided once as for a render, and an instance of another, whose own collection is excluded.
    assert said["triangles"] == 4 * 12 + 12


def test_scripts_in_a_blend_never_run(models, photograph):
    ran = [models / "text.ran", models / "driver.ran"]
    assert photograph(models / "hostile.blend")[0]["triangles"] == 12
    assert not any(path.exists() for path in ran)
    trusting = "import bpy, sys; bpy.ops.wm.open_mainfile(filepath=sys.argv[1], use_scripts=True)"
    subprocess.run([sys.executable, "-P", "-c", trusting, models / "hostile.blend"], check=True, capture_output=True)
    assert all(path.exists() for path in ran)  # or this test would say nothing


def test_pictures_that_are_not_hashed_with_the_file_are_in_the_digest(models, photograph, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in [models / "slab.usda", *models.glob("textures/*")]:
        target = folder / path.relative_to(models)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    digest = photograph(models / "slab.usda")[0]["digest"]
    picture = next(folder.glob("textures/*"))
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert photograph(folder / "slab.usda")[0]["digest"] != digest
    picture.unlink()
    with pytest.raises(InputError, match=r"which is not there or cannot be read.*--texture fractal"):
        photograph(folder / "slab.usda")


def test_a_killed_worker_loses_nothing_and_the_same_recipe_gives_the_same_bytes(
    models, tmp_path, contents, monkeypatch
):
    slow = replace(tiny(models / "slab.obj", "fractal"), samples=recipes.Samples(16, 200))
    workers, start = [], blender._start
    monkeypatch.setattr(blender, "_start", lambda *a: workers.append(start(*a)) or workers[-1])

    def kill_after_three(step):
        if step.done == 3:
            workers[-1].kill()

    synthesize(slow, tmp_path / "slow")
    with pytest.raises(InputError, match="killed"):
        synthesize(slow, tmp_path / "out", kill_after_three)
    begun = len(list((tmp_path / "out.partial").glob("views/*")))
    assert 3 <= begun < 8
    steps = []
    assert synthesize(slow, tmp_path / "out", steps.append).outcome == "created"
    assert steps[0].done == begun
    assert contents(tmp_path / "out") == contents(tmp_path / "slow")
    assert synthesize(slow, tmp_path / "out").outcome == "already there"


def test_a_gray_model_is_photographed_with_a_warning(models, tmp_path):
    steps = []
    synthesize(tiny(models / "slab.stl"), tmp_path / "out", steps.append)
    warnings = [step.warning for step in steps if step.warning]
    assert len(warnings) == 1
    assert "--texture fractal" in warnings[0]
    manifest = store.read_json(tmp_path / "out" / store.MANIFEST)
    assert manifest["object"]["colours"] == ["gray"]
    assert str(models) not in (tmp_path / "out" / store.MANIFEST).read_text()


FACE = "f 1 2 3\n"
DAMAGED = {
    "half.glb": ("slab.glb", lambda data: data[: len(data) * 2 // 3], "cannot read"),
    "half.fbx": ("slab.fbx", lambda data: data[:900], "cannot read"),
    "half.usdc": ("slab.usdc", lambda data: data[: len(data) // 2], "cannot read"),
    "half.blend": ("plain.blend", lambda data: data[: len(data) // 2], "cannot read"),
    "text.ply": ("slab.ply", lambda _: b"hello", "cannot read"),
    "text.stl": ("slab.stl", lambda _: b"hello", "cannot read"),
    "empty.stl": ("slab.stl", lambda _: bytes(84), "no mesh with faces"),
    "empty.obj": ("slab.obj", lambda _: b"", "no mesh with faces"),
    "points.obj": ("slab.obj", lambda _: b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no mesh with faces"),
    "nan.obj": ("slab.obj", lambda _: b"v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
    "point.obj": ("slab.obj", lambda _: b"v 3 3 3\nv 3 3 3\nv 3 3 3\nf 1 2 3\n", "no "),
    "line.obj": ("slab.obj", lambda _: b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "no surface"),
    "newer.blend": ("plain.blend", lambda data: data.replace(b"v0500", b"v0599", 1), "saved by Blender 5.99"),
    "newest.blend": ("plain.blend", lambda data: data.replace(b"17-01v", b"17-02v", 1), "newer version of Blender"),
    "scenes.blend": ("scenes.blend", lambda data: data, "holds 2 scenes "),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_model_that_is_none_is_refused_in_one_sentence_and_leaves_nothing(models, tmp_path, name):
    source, damage, words = DAMAGED[name]
    path = tmp_path / name
    path.write_bytes(damage((models / source).read_bytes()))
    with pytest.raises(InputError) as refused:
        synthesize(tiny(path), tmp_path / "out")
    assert words in str(refused.value)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(not SPOT.exists(), reason="needs Spot in ../shared/data/models")
def test_spot_is_six_millimetres_long_and_stands_on_its_feet(photograph):
    said, (_, alpha, depth) = photograph(SPOT, "fractal")
    assert (said["triangles"], said["colours"]) == (5856, ["fractal"])
    assert 0.1 < (alpha > 0.5).mean() < 0.5
    assert np.ptp(depth[depth > 0]) < SIZE
