"""Recipes: what the presets say, how a user's YAML changes them, and what is refused in which words."""

import subprocess
import sys
from dataclasses import replace

import pytest

from datasets.errors import InputError
from datasets.synthesis import catalogue, recipes


def written(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    return path


def test_presets_are_of_the_sizes_they_promise():
    sizes = {name: recipes.load("beetle", name) for name in catalogue.presets()}
    assert {name: (r.size, r.views) for name, r in sizes.items()} == {
        "demo": ((128, 128), 32),
        "small": ((200, 200), 48),
        "paper": ((800, 800), 100),
    }
    assert all(recipe.test_every == 8 and recipe.backdrop == "black" for recipe in sizes.values())


def test_every_object_has_every_preset_and_a_title():
    for name, title in catalogue.objects().items():
        assert title
        assert all(recipes.load(name, preset).object == name for preset in catalogue.presets())


def test_listing_what_there_is_needs_neither_numpy_nor_blender():
    code = (
        "import sys; from datasets.synthesis import catalogue, recipes; catalogue.presets(); catalogue.objects();"
        "print(sorted({'numpy', 'bpy', 'cv2', 'torch'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_file_changes_what_it_names_of_its_preset(tmp_path):
    path = written(tmp_path, "preset: demo\nobject: seed\nviews: 16\nlens: {f_number: 8}\nbackdrop: gray\n")
    recipe, base = recipes.load(path), recipes.load("seed", "demo")
    assert recipe == replace(base, views=16, lens=replace(base.lens, f_number=8.0), backdrop="gray")


def test_per_object_changes_touch_their_object_only(tmp_path):
    text = "preset: demo\nobject: {0}\nper_object: {{seed: {{lens: {{f_number: 11}}}}}}\n"
    assert recipes.load(written(tmp_path, text.format("seed"))).lens.f_number == 11
    assert recipes.load(written(tmp_path, text.format("beetle"))) == recipes.load("beetle", "demo")


SMALLER = "preset: demo\nviews: 16\nper_object: {seed: {lens: {f_number: 11}}}\n"


def test_a_preset_may_be_a_file(tmp_path):
    path = written(tmp_path, SMALLER)
    for name in ("beetle", "seed"):
        base = recipes.load(name, "demo")
        lens = replace(base.lens, f_number=11.0) if name == "seed" else base.lens
        assert recipes.load(name, str(path)) == replace(base, views=16, lens=lens)


def test_a_preset_that_is_whole_needs_no_other(tmp_path):
    whole = (catalogue.PRESETS / "small.yaml").read_text()
    assert recipes.load("seed", str(written(tmp_path, whole))) == recipes.load("seed", "small")


def test_the_preset_of_a_file_is_sought_beside_it_and_then_in_the_working_directory(tmp_path, monkeypatch):
    for folder, views in (("mine", 24), ("here", 40)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "base.yml").write_text(f"preset: demo\nviews: {views}\n")
    monkeypatch.chdir(tmp_path / "here")
    recipe = written(tmp_path / "mine", "preset: base.yml\nobject: beetle\n")
    assert recipes.load(recipe) == replace(recipes.load("beetle", "demo"), views=24)
    (tmp_path / "mine" / "base.yml").unlink()
    assert recipes.load(recipe).views == 40
    assert recipes.load(written(tmp_path / "mine", "object: beetle\n"), "base.yml").views == 40


def test_the_object_of_the_command_line_stands_over_that_of_a_preset(tmp_path):
    path = written(tmp_path, "preset: demo\nobject: seed\n")
    assert recipes.load("beetle", str(path)) == recipes.load("beetle", "demo")


def test_json_gives_the_recipe_back():
    recipe = recipes.load("beetle", "small")
    assert recipes.from_json(recipe.as_json()) == recipe


def test_hash_changes_with_every_key_and_with_the_synthesizer(monkeypatch):
    recipe = recipes.load("beetle", "demo")
    changes = [
        {"object": "seed"},
        {"seed": 1},
        {"views": 40},
        {"linear": True},
        {"samples": replace(recipe.samples, sharp=1)},
        {"lens": replace(recipe.lens, f_number=9.0)},
        {"lens": replace(recipe.lens, blades=6)},
        {"sensor": recipes.Sensor(4000.0, 4.0)},
        {"pose_error": recipes.PoseError(0.1, 0.01)},
        {"test_focus": recipes.Focus("fixed", (0.0, 0.0))},
        {"test_f_number": 9.0},
        {"focus": recipes.Focus("stack", recipe.focus.range, steps=2)},
    ]
    hashes = {recipe.hash, *(replace(recipe, **change).hash for change in changes)}
    monkeypatch.setattr(recipes, "VERSION", recipes.VERSION + 1)
    assert len(hashes | {recipe.hash}) == len(changes) + 2


def test_what_recipes_did_not_have_from_the_start_is_written_only_where_it_is_used():
    recipe = recipes.load("beetle", "demo")
    assert not {"sensor", "pose_error", "test_focus", "test_f_number"} & set(recipe.as_json())
    assert "blades" not in recipe.as_json()["lens"]
    assert "steps" not in recipe.as_json()["focus"]
    full = replace(
        recipe,
        lens=replace(recipe.lens, blades=6),
        focus=recipes.Focus("stack", (-0.5, 0.5), steps=4),
        sensor=recipes.Sensor(4000.0, 4.0),
        pose_error=recipes.PoseError(0.1, 0.01),
        test_focus=recipes.Focus("fixed", (0.0, 0.0)),
        test_f_number=9.0,
    )
    assert recipes.from_json(full.as_json()) == full
    assert recipes.from_json({**recipe.as_json(), "sensor": None}) == recipe


def test_hash_covers_the_source_of_an_object_and_what_it_shares_but_no_other_object(tmp_path, monkeypatch):
    names = {path.name for path in catalogue.sources("seed")}
    assert {"seed.py", "noise.py", "model.py", "stage.py"} <= names
    assert "beetle.py" not in names

    (tmp_path / "stone.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(catalogue.OBJECTS, "stone", "stone")
    recipe = replace(recipes.from_json(BASE), object="stone")
    before = recipe.hash
    (tmp_path / "stone.py").write_text("# another look")
    assert recipe.hash != before


BASE = {
    "object": "beetle",
    "size": [64, 64],
    "views": 16,
    "rig": {"kind": "hemisphere", "elevation": [0, 60]},
    "lens": {"focal_length": 60, "f_number": 2.8, "sensor_width": 8.8},
    "field": 1.1,
    "focus": {"policy": "jitter", "range": [-0.2, 0.8]},
    "samples": {"sharp": 4, "defocused": 8},
}

REFUSED = [
    ({"fields": 3}, "did you mean field?"),
    ({"lens": {**BASE["lens"], "f_numbr": 2}}, "did you mean f_number?"),
    ({"lens": 60}, "lens is 60; it must be a mapping"),
    ({"lens": {"focal_length": 60, "f_number": 2}}, "lens lacks the key sensor_width"),
    ({"views": "many"}, "views is 'many'; it must be a whole number"),
    ({"views": True}, "views is True; it must be a whole number"),
    ({"linear": 1}, "linear is 1; it must be true or false"),
    ({"size": [64]}, "list of 2 numbers"),
    ({"size": [64, 0]}, "size is 0; it must be greater than 0"),
    ({"field": float("nan")}, "field is nan; it must be a number"),
    ({"field": 10**400}, "it must be a number"),
    ({"lens": {**BASE["lens"], "f_number": 0}}, "f_number is 0.0; it must be greater than 0"),
    ({"lens": {**BASE["lens"], "f_number": -2.8}}, "f_number is -2.8; it must be greater than 0"),
    ({"lens": {**BASE["lens"], "sensor_width": 0.5}}, "at least 1 mm"),
    ({"samples": {"sharp": 0, "defocused": 8}}, "sharp is 0; it must be greater than 0"),
    ({"views": 7}, "too few for a test split"),
    ({"views": 1, "test_every": 1}, "too few for a test split"),
    ({"seed": -1}, "seed is -1"),
    ({"backdrop": "grey"}, "did you mean gray?"),
    ({"rig": {"kind": "hemishpere", "elevation": [0, 60]}}, "did you mean hemisphere?"),
    ({"rig": {"kind": "hemisphere", "elevation": [60, 0]}}, "lowest, highest"),
    ({"rig": {"kind": "hemisphere", "elevation": [0, 60], "rings": 3}}, "rings belong to a turntable"),
    ({"rig": {"kind": "turntable", "elevation": [0, 60], "rings": 17}}, "more than the 16 views"),
    ({"focus": {"policy": "sharp", "range": [0, 0]}}, "focus policy"),
    ({"focus": {"policy": "fixed", "range": [0, 0.5]}}, "both equal where fixed"),
    ({"focus": {"policy": "jitter", "range": [0, 15]}}, "within the focal length of 60.0 mm"),
    ({"focus": {"policy": "consistent", "range": [-0.5, -0.5]}}, "take less than -1"),
    ({"focus": {"policy": "consistent", "range": [-2, -1.5]}}, "both equal where consistent"),
    ({"test_focus": {"policy": "jitter", "range": [0.8, 0]}}, "test_focus: range is [0.8, 0.0]"),
    ({"test_focus": 3}, "test_focus is 3; it must be a mapping"),
    ({"test_focus": {"policy": "stack", "range": [0, 1], "steps": 2}}, "test_focus: policy is stack"),
    ({"test_f_number": 0}, "test_f_number is 0.0; it must be greater than 0"),
    ({"focus": {"policy": "stack", "range": [0, 1]}}, "focus: steps is 1; it must be at least 2"),
    ({"focus": {"policy": "jitter", "range": [0, 1], "steps": 2}}, "focus: steps is 2; it must be at least 2"),
    ({"focus": {"policy": "stack", "range": [0, 1], "steps": 0}}, "focus: steps is 0; it must be at least 2"),
    ({"focus": {"policy": "stack", "range": [0, 1], "steps": 3}}, "must be a multiple of the 3 steps"),
    ({"focus": {"policy": "stack", "range": [0, 1], "steps": 4}}, "4 poses with every 8th held out are too few"),
    ({"lens": {**BASE["lens"], "blades": 2}}, "blades is 2; it must be from 3 to 64"),
    ({"sensor": {"full_well": 0, "read_noise": 1}}, "0.0 electrons at white"),
    ({"sensor": {"full_well": 4000}}, "sensor lacks the key read_noise"),
    ({"pose_error": {"rotation": -1, "position": 0}}, "must be at least 0"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_a_wrong_recipe_is_refused_in_one_sentence(change, words):
    with pytest.raises(InputError) as refused:
        recipes.from_json({**BASE, **change})
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_unknown_names_are_refused_with_the_nearest_known(tmp_path):
    for attempt, hint in (
        (lambda: recipes.load("beatle"), "did you mean beetle?"),
        (lambda: recipes.load("beetle", "smal"), "did you mean small?"),
        (lambda: recipes.load(written(tmp_path, "preset: demo\nobject: sead\n")), "did you mean seed?"),
        (lambda: recipes.load(written(tmp_path, "preset: dem\nobject: seed\n")), "did you mean demo?"),
        (lambda: recipes.load(written(tmp_path, "preset: demo\n")), "names no object"),
        (lambda: recipes.load(written(tmp_path, "preset: demo\nobject: seed\n"), "small"), "name one of them"),
        (lambda: recipes.load(written(tmp_path, "a: [1")), "is not YAML"),
        (lambda: recipes.load(written(tmp_path, "")), "holds no keys"),
        (lambda: recipes.load(tmp_path / "none.yaml"), "does not exist"),
    ):
        with pytest.raises(InputError) as refused:
            attempt()
        assert hint in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(tmp_path):
    def load(text, what="recipe"):
        def attempt():
            path = written(tmp_path, text)
            return recipes.load(path) if what == "recipe" else recipes.load("beetle", str(path))

        return attempt

    for attempt, hint in (
        (load("preset: demo\nobject: seed\nper_object: {seed: 3}\n"), "per_object: seed is 3; it must be a mapping"),
        (load("preset: demo\nobject: beetle\nper_object: {seed: 3}\n"), "per_object: seed is 3; it must be a mapping"),
        (load("preset: demo\nobject: seed\nper_object: [seed]\n"), "per_object must map"),
        (load("preset: demo\nobject: seed\nviews: 2024-13-45\n"), "cannot be read"),
        (load("preset: none.yaml\nobject: seed\n"), "The preset none.yaml does not exist"),
        (load("preset: own.yaml\nobject: seed\n"), "builds on itself"),
        (load("preset: own.yaml\n", "preset"), "builds on itself"),
        (load("preset: dem\n", "preset"), "did you mean demo?"),
        (load("preset: [demo]\nobject: seed\n"), "There is no preset"),
        (load("views: 9\n", "preset"), "own.yaml lacks the key size"),
        (load("a: [1", "preset"), "is not YAML"),
        (load("[]", "preset"), "a preset is a mapping"),
        (lambda: recipes.load("beetle", str(tmp_path / "none.yml")), "none.yml does not exist"),
        (lambda: recipes.load("beetle", f"{tmp_path.parent}/."), "There is no preset"),
    ):
        with pytest.raises(InputError) as refused:
            attempt()
        assert hint in str(refused.value)
        assert "\n" not in str(refused.value)
