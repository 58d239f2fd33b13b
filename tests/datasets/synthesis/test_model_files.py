"""Recipes with a model of the user's own, before Blender sees it: what identifies it, and what is refused."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from datasets.errors import InputError
from datasets.synthesis import catalogue, model_files, recipes
from datasets.synthesis.rig import never_in_focus, shots
from datasets.synthesis.synthesize import UNFOCUSED_RADIUS, synthesize

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


@pytest.fixture
def obj(tmp_path):
    """An OBJ with an .mtl and a picture in a folder of their own."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "thing.obj").write_text(f"mtllib my paint.mtl\n{TRIANGLE}usemtl red\n")
    (folder / "my paint.mtl").write_text("newmtl red\nmap_Kd -s 1 1 1 -bm 0.5 maps\\red.png\nmap_Bump none.png\n")
    (folder / "maps").mkdir()
    (folder / "maps" / "red.png").write_bytes(b"red")
    return folder / "thing.obj"


def test_the_recipe_of_a_model_says_what_it_is_but_not_where(obj):
    recipe = recipes.load_model(obj, 6, preset="small")
    assert recipe.object == "thing"
    assert recipe.model.path == obj
    assert recipe.size == (200, 200)
    document = recipe.as_json()
    assert document["model"] == {
        "file": "thing.obj",
        "size_mm": 6.0,
        "content": model_files.content(obj, own=True),
        "texture": "own",
    }
    assert str(obj.parent) not in json.dumps(document)
    assert recipes.from_json(document) == recipe
    assert recipes.from_json(document).hash == recipe.hash


def test_its_hash_does_not_depend_on_where_it_lies(obj):
    here = recipes.load_model(obj, 6).hash
    obj.parent.rename(obj.parent.with_name("elsewhere"))
    assert recipes.load_model(obj.parent.with_name("elsewhere") / obj.name, 6).hash == here


@pytest.mark.parametrize("name", ["thing.obj", "my paint.mtl", "maps/red.png"])
def test_a_change_in_the_file_or_in_what_it_names_makes_another_recipe(obj, name):
    before = recipes.load_model(obj, 6).hash
    with (obj.parent / name).open("ab") as file:
        file.write(b"\n# changed\n")
    assert recipes.load_model(obj, 6).hash != before


def test_size_texture_and_preset_make_other_recipes(obj):
    made = [recipes.load_model(obj, *rest).hash for rest in ((6,), (7,), (6, "fractal"), (6, "own", "small"))]
    assert len(set(made)) == 4


def test_a_recipe_without_a_model_says_nothing_of_models():
    assert "model" not in recipes.load("seed").as_json()


def test_the_source_that_counts_is_the_importer_and_the_studio():
    assert {path.name for path in catalogue.sources(None)} == {"imported.py", "stage.py", "model.py"}


def test_buffers_and_pictures_of_a_gltf_count_where_they_are_files(tmp_path):
    path = tmp_path / "thing.gltf"
    images = [{"uri": "a%20b.png"}, {"uri": "data:image/png;base64,AA=="}, {"bufferView": 0}]
    path.write_text(json.dumps({"buffers": [{"uri": "thing.bin"}], "images": images}))
    (tmp_path / "thing.bin").write_bytes(b"1")
    with pytest.raises(InputError, match=r"a%20b\.png"):
        model_files.content(path, own=True)
    bare = model_files.content(path, own=False)
    (tmp_path / "a b.png").write_bytes(b"2")
    assert model_files.content(path, own=True) != bare
    (tmp_path / "thing.bin").unlink()
    with pytest.raises(InputError, match=r"thing\.bin"):
        model_files.content(path, own=False)


def test_a_single_file_has_the_hash_that_is_documented(tmp_path):
    (tmp_path / "a.stl").write_bytes(b"solid")
    line = f"a.stl {hashlib.sha256(b'solid').hexdigest()}\n"
    assert model_files.content(tmp_path / "a.stl", own=True) == hashlib.sha256(line.encode()).hexdigest()


def test_materials_that_are_missing_matter_only_where_they_are_asked_for(obj):
    (obj.parent / "my paint.mtl").unlink()
    with pytest.raises(InputError, match=r"my paint\.mtl.*--texture fractal"):
        recipes.load_model(obj, 6)
    assert recipes.load_model(obj, 6, "fractal").model.texture == "fractal"


def test_a_recipes_file_names_its_model_beside_itself(obj, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (obj.parent / "my.yaml").write_text("preset: demo\nviews: 16\nmodel: {file: thing.obj, size_mm: 6}\n")
    recipe = recipes.load("models/my.yaml")
    assert recipe.model.path.samefile(obj)
    assert recipe == replace(recipes.load_model(obj, 6), views=16)


def test_what_presets_say_for_an_object_is_not_for_a_model_of_that_name(tmp_path):
    (tmp_path / "seed.obj").write_text(TRIANGLE)
    recipe = recipes.load_model(tmp_path / "seed.obj", 6)
    assert (recipe.object, recipe.field, recipe.lens.f_number) == ("seed", 1.2, 4.0)
    assert (recipes.load("seed").field, recipes.load("seed").lens.f_number) == (1.5, 1.6)


@pytest.mark.parametrize("preset", catalogue.presets())
@pytest.mark.parametrize("size", [0.2, 6, 100])
def test_whatever_its_shape_and_size_all_of_a_model_is_in_focus_somewhere(obj, preset, size):
    recipe = recipes.load_model(obj, size, preset=preset)
    sphere = np.random.default_rng(0).normal(size=(5000, 3))
    sphere *= size / 2 / np.linalg.norm(sphere, axis=1, keepdims=True)
    train = [shot for i, shot in enumerate(shots(recipe, size / 2)) if i % recipe.test_every]
    assert np.quantile(never_in_focus(sphere, train), 0.99) < UNFOCUSED_RADIUS


def test_a_recipe_that_knows_the_content_refuses_another(obj):
    known = model_files.content(obj, own=True)
    yaml = obj.with_name("my.yaml")
    yaml.write_text(f"preset: demo\nmodel: {{file: thing.obj, size_mm: 6, content: {known}}}\n")
    assert recipes.load(yaml).model.content == known
    obj.write_text(TRIANGLE + "f 3 2 1\n")
    with pytest.raises(InputError, match="has changed"):
        recipes.load(yaml)


REFUSED = [
    ("thing.obj", 0, "own", "size_mm is 0.0; it must be greater than 0"),
    ("thing.obj", -6, "own", "size_mm is -6.0; it must be greater than 0"),
    ("thing.obj", float("nan"), "own", "size_mm is nan; it must be a number"),
    ("thing.obj", float("inf"), "own", "size_mm is inf; it must be a number"),
    ("thing.obj", 5000, "own", "makes no macro photograph"),
    ("thing.obj", 0.01, "own", "makes no macro photograph"),
    ("thing.obj", 6, "fractl", "did you mean fractal?"),
    ("thing.max", 6, "own", "known are glb, gltf, obj"),
    ("thing", 6, "own", "known are glb, gltf, obj"),
    ("none.obj", 6, "own", "does not exist"),
    ("folder.obj", 6, "own", "is a folder"),
    ("bad.glb", 6, "own", "is damaged or no glTF"),
    ("bad.gltf", 6, "own", "is damaged or no glTF"),
    ("list.gltf", 6, "own", "is damaged or no glTF"),
]


@pytest.mark.parametrize(("name", "size", "texture", "words"), REFUSED)
def test_what_cannot_be_photographed_is_refused_in_one_sentence(obj, name, size, texture, words):
    obj.with_name("folder.obj").mkdir()
    obj.with_name("thing.max").write_text("")
    obj.with_name("bad.glb").write_bytes(b"glTF\x02\x00\x00\x00")
    obj.with_name("bad.gltf").write_text("{")
    obj.with_name("list.gltf").write_text('{"buffers": [3]}')
    with pytest.raises(InputError) as refused:
        recipes.load_model(obj.with_name(name), size, texture)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: thing.obj", "model is 'thing.obj'; it must be a mapping"),
        ("model: {file: thing.obj}", "model lacks the key size_mm"),
        ("model: {size_mm: 6}", "model lacks the key file"),
        ("model: {file: thing.obj, size_mm: 6, path: /tmp}", "key in"),
        ("model: {file: other.obj, size_mm: 6}", "other.obj does not exist"),
    ],
)
def test_a_wrong_model_in_a_recipes_file_is_refused_in_one_sentence(obj, text, words):
    yaml = obj.with_name("my.yaml")
    yaml.write_text(f"preset: demo\n{text}\n")
    with pytest.raises(InputError) as refused:
        recipes.load(yaml)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_model_in_which_the_cameras_would_stand_is_refused_before_anything_is_written(obj, tmp_path):
    lens = recipes.Lens(focal_length=1.0, f_number=2.0, sensor_width=50.0)
    recipe = replace(recipes.load_model(obj, 100), lens=lens, field=1.0, focus=recipes.Focus("fixed", (0.0, 0.0)))
    with pytest.raises(InputError, match="inside the object"):
        synthesize(recipe, tmp_path / "new" / "out")
    assert not (tmp_path / "new").exists()
