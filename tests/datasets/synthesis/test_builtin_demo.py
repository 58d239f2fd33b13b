"""The capture that ships is what the synthesizer makes: two of its views, rendered again."""

import numpy as np
import pytest

from datasets import captures, store
from datasets.capture import BACKDROPS
from datasets.difficulty import psnr
from datasets.images import read_exr, read_png, read_rgb
from datasets.synthesis import blender, develop, recipes, rig

DEMO = captures.BUILTIN / "demo"
VIEWS = (0, 17)  # held out, and for training


@pytest.fixture(scope="module")
def rendered_again(tmp_path_factory):
    """Folder with the files of VIEWS, made anew by the recipe in the demo's manifest."""
    folder = tmp_path_factory.mktemp("demo")
    recipe = recipes.from_json(store.read_json(DEMO / store.MANIFEST)["recipe"])
    built = {}
    for event in blender.render(recipe, [(v, k) for v in VIEWS for k in ("sharp", "defocused")], folder):
        if event["event"] == "built":
            built = event
    for view, shot in enumerate(rig.shots(recipe, built["radius"])):
        if view in VIEWS:
            sharp, defocused = (blender.render_path(folder, view, kind) for kind in ("sharp", "defocused"))
            exposure, backdrop = built["exposure"], BACKDROPS[recipe.backdrop]
            photograph = develop.exposed(develop.read_render(defocused), exposure, backdrop)
            for name, write in develop.files_of(shot, sharp, photograph, exposure, backdrop, False).items():
                (folder / name).parent.mkdir(exist_ok=True)
                write(folder / name)
    return folder


def test_the_demo_is_the_beetle_at_preset_demo_and_small():
    manifest = store.read_json(DEMO / store.MANIFEST)
    assert recipes.from_json(manifest["recipe"]) == recipes.load("beetle", "demo")
    assert sum(path.stat().st_size for path in DEMO.rglob("*")) <= 3e6


def test_the_demo_is_as_hard_and_as_clean_as_it_should_be():
    difficulty = store.read_json(DEMO / store.MANIFEST)["difficulty"]
    assert 25 <= difficulty["psnr_photograph_sharp"] <= 28
    assert 2.0 <= difficulty["coc_radius_px"]["median"] <= 2.5
    assert difficulty["noise_floor_on_object"] >= 40


@pytest.mark.blender
@pytest.mark.parametrize("kind", ["images", "sharp"])
def test_pictures_are_the_same(rendered_again, kind):
    for view in VIEWS:
        again, shipped = (read_rgb(root / kind / f"{view:03d}.png") for root in (rendered_again, DEMO))
        assert psnr(again, shipped) > 45


@pytest.mark.blender
def test_truth_is_the_same(rendered_again):
    for view in VIEWS:
        for kind, tolerance in (("depth", 0.01), ("coc", 0.01)):
            again, shipped = (read_exr(root / kind / f"{view:03d}.exr") for root in (rendered_again, DEMO))
            assert np.quantile(np.abs(again - shipped), 0.99) < tolerance, kind
        again, shipped = (read_png(root / "mask" / f"{view:03d}.png") for root in (rendered_again, DEMO))
        assert np.abs(again.astype(float) - shipped).mean() < 1
