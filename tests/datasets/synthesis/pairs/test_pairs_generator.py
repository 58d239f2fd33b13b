"""Random objects and takes without Blender: repeatable, well formed, in view, blurred as wished, and disjoint."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from datasets.synthesis import catalogue
from datasets.synthesis.objects.surface import vertex_normals
from datasets.synthesis.pairs import bodies, implicit, order, specimen, takes

TOOLS = {f"{catalogue.PACKAGE}.{name}" for name in ("hair", "model", "noise", "stage", "surface")}
SEEDS = range(500, 518)


@pytest.fixture(scope="module")
def models():
    return {seed: specimen.build(seed) for seed in SEEDS}


def test_the_same_number_grows_the_same_object_and_another_number_another(models):
    assert specimen.build(500).digest() == models[500].digest()
    assert len({model.digest() for model in models.values()}) == len(SEEDS)


def test_objects_are_well_formed_and_light(models):
    for seed, model in models.items():
        assert 40_000 < model.triangles < 700_000, seed
        for part in model.parts:
            assert (part.vertices.dtype, part.faces.dtype, part.albedo.dtype) == (np.float32, np.int32, np.float32)
            assert np.isfinite(part.vertices).all(), seed
            assert part.albedo.shape == part.vertices.shape
            assert 0 <= part.faces.min() <= part.faces.max() < len(part.vertices)
            assert 0 < part.albedo.min() <= part.albedo.max() <= 1
        for hairs in model.hairs:
            assert np.isfinite(hairs.points).all()
        own = np.concatenate([part.vertices for part in model.parts if part.name != "ground"])
        assert np.linalg.norm(own, axis=1).max() <= model.radius * 1.0001


def test_objects_are_textured_and_of_many_brightnesses_and_colours(models):
    albedos = [max(model.parts, key=lambda part: len(part.vertices)).albedo for model in models.values()]
    contrasts = [albedo.mean(axis=1).std() / albedo.mean() for albedo in albedos]
    assert np.median(contrasts) > 0.25
    means = np.array([albedo.mean(axis=0) for albedo in albedos])
    assert means.mean(axis=1).max() > 3 * means.mean(axis=1).min()
    saturations = 1 - means.min(axis=1) / means.max(axis=1)
    assert saturations.min() < 0.15
    assert saturations.max() > 0.5


CLOSED = [
    *(bodies.superquadric, bodies.crystal, bodies.pillow, bodies.lathe, bodies.swept, bodies.seashell),
    *(implicit.blend, implicit.foam, implicit.lattice, implicit.sponge),
]


@pytest.mark.parametrize("maker", CLOSED, ids=lambda maker: maker.__name__)
def test_closed_bodies_face_outwards_are_about_1_in_radius_and_spend_what_they_may(maker):
    for seed in range(6):
        body = maker(np.random.default_rng(seed), 20_000)
        a, b, c = (body.vertices[body.faces[:, k]].astype(np.float64) for k in range(3))
        assert np.einsum("fk,fk->", a, np.cross(b, c)) > 0
        assert 0.4 < np.linalg.norm(body.vertices, axis=1).max() < 1.8
        assert 4_000 < len(body.vertices) < 60_000
        assert {len(array) for array in (body.along, body.around, body.girth)} == {len(body.vertices)}
        assert (body.girth > 0).all()


def test_relief_does_not_turn_bodies_inside_out(models):
    for model in models.values():
        for part in model.parts:
            lengths = np.linalg.norm(vertex_normals(part.vertices, part.faces), axis=1)
            assert np.mean(lengths < 0.99) < 0.01


@pytest.fixture(scope="module")
def shots(models):
    """Two takes of each object."""
    return [
        (seed, takes.take(model, 128, np.random.default_rng([seed, 1, index])))
        for seed, model in models.items()
        for index in range(2)
    ]


def coc_diameters(model, take):
    """Of the vertices in the frame."""
    points = np.concatenate([part.vertices for part in model.parts])
    pixels, depth = take.camera.project(points)
    inside = ((pixels >= 0) & (pixels < 128)).all(axis=1) & (depth > 0)
    return 2 * np.abs(take.lens.coc_radius(depth[inside])), inside.sum()


def test_every_take_sees_the_object_and_blurs_it_from_hardly_to_strongly(models, shots):
    largest = []
    for seed, take in shots:
        diameters, seen = coc_diameters(models[seed], take)
        assert seen > 500, seed
        largest.append(np.quantile(diameters, 0.98))
    assert np.quantile(largest, 0.05) < 2.5
    assert 3 < np.median(largest) < 14
    assert 10 < np.quantile(largest, 0.95) < 45


def test_takes_differ_in_field_focus_light_backdrop_and_sensor(shots):
    all_takes = [take for _, take in shots]
    assert 0.15 < np.mean([take.backdrop.is_black for take in all_takes]) < 0.7
    assert 0.15 < np.mean([take.sensor is not None for take in all_takes]) < 0.7
    assert any(take.blades for take in all_takes)
    assert len({take.lamps for take in all_takes}) == len(all_takes)
    magnifications = [take.lens.magnification for take in all_takes]
    assert max(magnifications) > 4 * min(magnifications)


def test_a_body_that_lies_all_on_one_side_is_photographed_from_wherever_it_can_be_seen(models):
    model = models[501]
    parts = [replace(part, vertices=part.vertices * 0.05 + np.float32([0.9, 0, 0])) for part in model.parts]
    lopsided = replace(model, parts=parts)
    shots = [takes.take(lopsided, 32, np.random.default_rng(seed)) for seed in range(40)]
    assert all(np.isfinite(shot.camera.c2w).all() for shot in shots)


def test_a_take_scales_with_the_size_of_the_picture(models):
    small, large = (takes.take(models[501], size, np.random.default_rng(4)) for size in (128, 256))
    assert np.array_equal(small.camera.c2w, large.camera.c2w)
    assert large.camera.fx == pytest.approx(2 * small.camera.fx)
    assert large.lens.f_number == pytest.approx(small.lens.f_number)
    assert large.lens.coc_scale == pytest.approx(2 * small.lens.coc_scale)


# ---------------------------------------------------------------- disjoint


def test_no_module_of_an_object_decides_how_pairs_look():
    mine = order.identity(order.Order())["generator"]
    assert {module for module in mine if module.startswith(catalogue.PACKAGE)} == TOOLS
    proof = order.disjoint(mine)
    assert set(proof["benchmark_objects"]) == set(catalogue.OBJECTS)
    assert not any(known["in_generator"] for known in proof["benchmark_objects"].values())
    assert proof["benchmark_objects"]["beetle"]["source_hash"] == catalogue.source_hash("beetle")
    assert set(proof["shared_tools"]) == TOOLS


def test_none_is_loaded_when_an_object_is_built_and_all_that_is_loaded_is_hashed():
    program = (
        "import json, sys; from datasets.synthesis.pairs import specimen, takes, lighting; specimen.build(3); "
        "print(json.dumps([name for name in sys.modules if name.startswith('datasets.synthesis.')]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded & set(catalogue.OBJECTS.values())
    assert {name for name in loaded if name.startswith(catalogue.PACKAGE + ".")} <= TOOLS
    hashed = set(order.identity(order.Order())["generator"])
    assert {name for name in loaded if name.startswith("datasets.synthesis.pairs.")} <= hashed


def test_the_proof_would_notice_an_object_in_the_generator():
    borrowed = {**order.identity(order.Order())["generator"], catalogue.OBJECTS["beetle"]: "hash"}
    assert order.disjoint(borrowed)["benchmark_objects"]["beetle"]["in_generator"]
