"""The procedural objects: repeatable, well formed, centred, and bright enough when Blender renders them."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from datasets.synthesis import recipes, rig
from datasets.synthesis.objects import (
    beetle,
    connector,
    coral,
    coral_colony,
    fern,
    grain,
    grain_packing,
    grain_solids,
    implicit,
    lettering,
    locust,
    noise,
    seed,
    spider,
    surface,
)
from datasets.synthesis.objects.model import bounding_sphere_centre

RECIPES = {
    "beetle": beetle,
    "connector": connector,
    "coral": coral,
    "fern": fern,
    "grain": grain,
    "locust": locust,
    "seed": seed,
    "spider": spider,
}
TRIANGLES = {
    "beetle": (0.7e6, 1.4e6),
    "connector": (1.0e6, 1.4e6),
    "coral": (1.0e6, 1.5e6),
    "fern": (1.2e6, 1.5e6),
    "grain": (1.0e6, 1.5e6),
    "locust": (0.9e6, 1.5e6),
    "seed": (0.5e6, 0.9e6),
    "spider": (0.8e6, 1.3e6),
}
STRANDS = {
    "beetle": (5000, 7000),
    "connector": (30, 100),
    "coral": (200, 1000),
    "fern": (1500, 4000),
    "grain": (0, 0),
    "locust": (5000, 8000),
    "seed": (200, 1000),
    "spider": (25_000, 40_000),
}
LEGS = {"beetle": 6, "locust": 6, "spider": 8}


@pytest.fixture(scope="module")
def models():
    return {name: recipe.build(seed=0) for name, recipe in RECIPES.items()}


@pytest.fixture(params=sorted(RECIPES))
def model(request, models):
    return models[request.param]


@pytest.mark.parametrize("name", ["coral", "grain", "locust", "seed", "spider"])
def test_the_same_number_grows_the_same_bytes_and_another_number_another_individual(models, name):
    assert RECIPES[name].build(0).digest() == models[name].digest()
    assert RECIPES[name].build(1).digest() != models[name].digest()


def test_the_digest_sees_every_array_and_number(models):
    model = models["seed"]
    part = model.parts[0]
    albedo = part.albedo.copy()
    albedo[-1, 2] += 1e-3
    for changed in (replace(part, albedo=albedo), replace(part, roughness=0.1)):
        assert replace(model, parts=(changed,)).digest() != model.digest()


def test_triangles_and_hairs_are_within_the_budget_of_a_render(model):
    low, high = TRIANGLES[model.name]
    assert low <= model.triangles <= high
    low, high = STRANDS[model.name]
    assert low <= model.strands <= high


def test_arrays_are_finite_typed_and_albedo_is_a_reflectance(model):
    for part in model.parts:
        assert (part.vertices.dtype, part.faces.dtype, part.albedo.dtype) == (np.float32, np.int32, np.float32)
        assert part.albedo.shape == part.vertices.shape
        assert np.isfinite(part.vertices).all()
        assert 0 <= part.faces.min() <= part.faces.max() < len(part.vertices)
        assert 0 <= part.albedo.min() <= part.albedo.max() <= 1
        assert part.roughness >= 0.35  # sharper highlights change too much from view to view
    for hairs in model.hairs:
        assert (hairs.points.dtype, hairs.albedo.dtype) == (np.float32, np.float32)
        assert np.isfinite(hairs.points).all()
        assert 0 <= hairs.albedo.min() <= hairs.albedo.max() <= 1
        assert hairs.radius_root > hairs.radius_tip > 0


def test_every_vertex_has_a_normal(model):
    for part in model.parts:
        lengths = np.linalg.norm(surface.vertex_normals(part.vertices, part.faces), axis=1)
        np.testing.assert_allclose(lengths, 1, atol=1e-4)


@pytest.mark.parametrize("preset", ["demo", "small", "paper"])
def test_everything_is_in_focus_somewhere(model, preset):
    recipe = recipes.load(model.name, preset)
    train = [shot for i, shot in enumerate(rig.shots(recipe, model.radius)) if not recipe.is_held_out(i)]
    points = np.concatenate([part.vertices for part in model.parts])[::8]
    assert np.quantile(rig.never_in_focus(points, train), 0.99) < 0.9  # px; a render is refused from 1 on


def test_the_bounding_sphere_is_centred_at_the_origin(model):
    points = np.concatenate([part.vertices for part in model.parts] + [h.points.reshape(-1, 3) for h in model.hairs])
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(model.radius, rel=1e-5)
    # No small step of the centre makes the sphere smaller by more than the search's own tolerance.
    for step in 0.02 * model.radius * np.vstack([np.eye(3), -np.eye(3)]):
        assert np.linalg.norm(points - step.astype(np.float32), axis=1).max() > 0.998 * model.radius
    size = 2 * model.radius
    assert 5 < size < 10  # mm


def test_albedo_varies_at_the_scale_of_a_few_vertices(model):
    """Else blur would destroy nothing, and no method could be told from another."""
    part = max(model.parts, key=lambda part: len(part.faces))
    ends = part.albedo[part.faces[:, :2]].mean(axis=-1)
    assert np.abs(ends[:, 0] - ends[:, 1]).mean() > 0.06 * ends.mean()


@pytest.mark.parametrize("name", sorted(LEGS))
def test_an_animal_stands_on_all_its_feet(models, name):
    vertices = np.concatenate([part.vertices for part in models[name].parts])
    low = vertices[vertices[:, 2] < vertices[:, 2].min() + 0.12][::5]  # mm
    i, j = cKDTree(low).query_pairs(0.2, output_type="ndarray").T
    feet, _ = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=2 * [len(low)]), directed=False)
    assert feet == LEGS[name]


def test_bounding_sphere_of_a_cap_is_the_sphere_through_its_rim():
    angle = np.linspace(0, 2 * np.pi, 400, dtype=np.float32)
    rim = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    cap = np.concatenate([rim, [[0, 0, 0.3]], 0.5 * rim + np.array([0, 0, 0.2])]).astype(np.float32)
    np.testing.assert_allclose(bounding_sphere_centre(cap + 5), [5, 5, 5], atol=5e-3)


# ------------------------------------------------------------------------------------------------ each object


def part_of(model, name):
    return next(part for part in model.parts if part.name == name)


def pieces_of(part):
    """The connected pieces of a part: their number, and for each face the number of its piece."""
    edges = part.faces[:, [0, 1, 1, 2]].reshape(-1, 2).T
    graph = coo_array((np.ones(edges.shape[1], dtype=bool), edges), shape=2 * (len(part.vertices),))
    count, label = connected_components(graph, directed=False)
    return count, label[part.faces[:, 0]]


def test_every_leaflet_of_the_fern_is_a_closed_thin_sheet_with_two_outward_surfaces(models):
    leaves = part_of(models["fern"], "leaves")
    count, piece = pieces_of(leaves)
    assert count > 150
    a, b, c = (leaves.vertices[leaves.faces[:, k]].astype(np.float64) for k in range(3))
    area = np.bincount(piece, np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)
    volume = np.bincount(piece, np.einsum("fk,fk->f", a, np.cross(b, c)) / 6)
    thickness = volume / (area / 2)  # mm; negative where the faces look inwards
    assert thickness.min() > 0
    assert 0.015 < np.median(thickness) < thickness.max() < 0.060


def test_the_connector_has_two_rows_of_contacts_and_a_tab_at_each_end(models):
    metal = part_of(models["connector"], "contacts")
    count, piece = pieces_of(metal)
    assert count == 2 * connector.CONTACTS + 2
    tips = np.array([metal.vertices[metal.faces[piece == number, 0]].max(axis=0)[2] for number in range(count)])
    assert (tips > 0.5).sum() == 2 * connector.CONTACTS  # the tabs end below


def test_letters_are_as_far_from_points_as_their_strokes():
    corner = lettering.strokes("L", height=6.0, centre=(2.0, 3.0))  # from (0, 6) down to (0, 0) and on to (4, 0)
    far = lettering.distance([0, 2, 7, -1], [3, 1, 4, 9], corner)
    np.testing.assert_allclose(far, [0, 1, 5, np.hypot(1, 3)], atol=1e-5)


def test_the_grains_rest_against_each_other_in_one_clump():
    rng = np.random.default_rng(5)
    solids = [maker(rng, size) for size in (0.5, 1.4) for maker in grain_solids_of_every_kind()]
    packing = grain_packing.packed(solids, rng)
    assert packing.clumps == 1
    assert packing.overlap < 0.10
    touched = np.bincount(packing.contacts.ravel(), minlength=len(solids))
    assert touched.min() > 0
    loose = replace(packing, contacts=packing.contacts[(packing.contacts != 3).all(axis=1)])
    assert loose.clumps > 1


def grain_solids_of_every_kind():
    return (
        grain_solids.broken,
        grain_solids.worn,
        grain_solids.blocky,
        grain_solids.rhombic,
        grain_solids.dodecahedral,
        grain_solids.octahedral,
        grain_solids.platy,
        grain_solids.columnar,
    )


def test_every_kind_of_grain_is_closed_faces_outwards_and_is_as_wide_as_asked():
    directions, faces = surface.icosphere(16)
    for maker in grain_solids_of_every_kind():
        for number in range(8):
            points, _, _ = maker(np.random.default_rng(number), 1.2).surface(directions)
            across = np.cbrt(6 / np.pi * enclosed_volume(points, faces))
            assert 0.7 * 1.2 < across < 1.3 * 1.2, maker.__name__


def test_the_parts_of_grain_and_coral_face_outwards(models):
    for part in (*models["grain"].parts, *models["coral"].parts):
        assert enclosed_volume(part.vertices, part.faces) > 0.1, part.name


def test_the_coral_is_one_piece_with_hundreds_of_cups_and_one_that_leads_each_tip(models):
    (body,) = models["coral"].parts
    assert pieces_of(body)[0] == 1
    rng = np.random.default_rng(0)
    colony = coral_colony.branches(rng, np.zeros(3))
    cups = coral_colony.corallites(colony, rng)
    assert 250 < len(cups.radius) < 900
    forks = {tuple(branch.axis[0]) for branch in colony}
    tips = [branch.axis[-1] for branch in colony if tuple(branch.axis[-1]) not in forks]
    assert cups.axial.sum() == len(tips) >= 6


# ------------------------------------------------------------------------------------------- noise and meshes


def test_blended_rods_face_outwards_and_enclose_what_they_should():
    blend = implicit.Blend(np.full(3, -1.0), (80, 80, 80), step=0.025, width=0.03)
    blend.add_cone((-0.3, 0, 0), (0.3, 0, 0), 0.4, 0.4)
    rod = implicit.meshed(blend.distance, blend.low, blend.step)
    expected = np.pi * (0.4**2 * 0.6 + 4 / 3 * 0.4**3)
    assert enclosed_volume(*rod) == pytest.approx(expected, rel=0.01)

    blend.add_cone((0, -0.3, 0.3), (0, 0.3, 0.3), 0.2, 0.3)  # a junction is filled, so the union grows
    both = implicit.meshed(blend.distance, blend.low, blend.step)
    assert enclosed_volume(*both) > 1.1 * expected


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(3).uniform(-40, 40, (50_000, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("function", "low", "spread"),
    [
        (lambda p: noise.value_noise(p, 1), -1, 0.3),
        (lambda p: noise.gradient_noise(p, 1), -1, 0.15),
        (lambda p: noise.fbm(p, 4, 1), -1, 0.1),
        (lambda p: noise.ridged(p, 4, 1), 0, 0.1),
    ],
)
def test_noise_fills_its_range_and_stays_within(points, function, low, spread):
    value = function(points)
    assert low <= value.min() < value.max() <= 1
    assert value.std() > spread


@pytest.mark.parametrize("function", [noise.value_noise, noise.gradient_noise])
def test_noise_is_continuous_across_lattice_planes(points, function):
    planes = points.copy()
    planes[:, 0] = np.round(planes[:, 0])
    step = np.array([1e-3, 0, 0], dtype=np.float32)
    jump = np.abs(function(planes + step, seed=4) - function(planes - step, seed=4))
    assert jump.max() < 0.01


def test_gradient_noise_vanishes_on_the_lattice_and_differs_by_seed(points):
    np.testing.assert_allclose(noise.gradient_noise(np.round(points), seed=2), 0, atol=1e-6)
    pair = noise.gradient_noise(points, seed=2), noise.gradient_noise(points, seed=3)
    assert abs(np.corrcoef(*pair)[0, 1]) < 0.03


def test_noise_depends_on_the_point_and_not_on_its_company(points):
    np.testing.assert_array_equal(noise.fbm(points, 3, 7)[123:130], noise.fbm(points[123:130], 3, 7))


def test_worley_border_is_the_distance_to_the_wall_between_two_features():
    features = np.array([[0, 0, 0], [2, 0, 0]], dtype=np.float32)
    cells = noise.worley(np.array([[0.25, 0.7, 0], [1.9, -3, 1]], dtype=np.float32), features)
    np.testing.assert_allclose(cells.border, [0.75, 0.9], rtol=1e-5)
    np.testing.assert_array_equal(cells.nearest, [0, 1])


def enclosed_volume(vertices, faces):
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    return np.einsum("fk,fk->", a, np.cross(b, c)) / 6


def test_icosphere_is_closed_and_faces_outwards():
    vertices, faces = surface.icosphere(12)
    assert (len(vertices), len(faces)) == (10 * 12**2 + 2, 20 * 12**2)
    assert enclosed_volume(vertices, faces) == pytest.approx(4 / 3 * np.pi, rel=0.01)


def test_tubes_and_lofts_face_outwards_and_enclose_what_they_should():
    t = np.linspace(0, 1, 200, dtype=np.float32)
    arc = np.stack([np.cos(2 * t), np.sin(2 * t), 0 * t], axis=1)
    radius = 0.1 * np.sqrt(np.clip(1 - (2 * t - 1) ** 8, 0, 1))
    length = np.linalg.norm(np.diff(arc, axis=0), axis=1)
    expected = np.pi * (radius[1:] ** 2 * length).sum()
    limb = surface.tube(arc, radius, 64)
    assert enclosed_volume(limb.vertices, limb.faces) == pytest.approx(expected, rel=0.02)

    half = np.sqrt(1 - (2 * surface.eased(200) - 1) ** 2)
    for x in (2 * surface.eased(200) - 1, 1 - 2 * surface.eased(200)):
        ball = surface.loft(x, half, half, -half, sides=64)
        assert enclosed_volume(ball.vertices, ball.faces) == pytest.approx(4 / 3 * np.pi, rel=0.02)


def test_scattered_points_follow_the_density():
    vertices, faces = surface.icosphere(30)
    north = (vertices[:, 2] > 0).astype(np.float32)
    roots, normals = surface.scattered(vertices, faces, 500, np.random.default_rng(0), density=north)
    assert (roots[:, 2] > -0.05).all()
    np.testing.assert_allclose(np.einsum("nk,nk->n", roots, normals), 1, atol=0.01)


# ------------------------------------------------------------------------------------------------------ Blender

RENDER = """
import json, math, sys
from datasets.synthesis.objects import beetle, stage
import bpy, numpy as np, OpenEXR
model = beetle.build(0)
scene = stage.prepare_scene(model.radius, threads=1)
stage.to_blender(model, scene)
camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
camera.location, camera.rotation_euler = (0, -70, 70), (math.radians(45), 0, 0)
camera.data.lens, camera.data.sensor_width = 100, 100 * 2.5 * model.radius / math.hypot(70, 70)
scene.collection.objects.link(camera)
scene.camera = camera
scene.render.resolution_x = scene.render.resolution_y = 48
scene.cycles.samples = 16
scene.render.filepath = sys.argv[1]
bpy.ops.render.render(write_still=True)
with OpenEXR.File(sys.argv[1]) as file:
    channels = {name: c.pixels for part in file.parts for name, c in part.channels.items()}
rgba = next((v for k, v in channels.items() if k.endswith("Combined")), None)
if rgba is None:
    rgba = np.stack([channels["ViewLayer.Combined." + k] for k in "RGBA"], axis=-1)
index = channels["ViewLayer.Object Index.X"]
solid = rgba[rgba[..., 3] > 0.95][:, :3] * model.exposure
print("RESULT", json.dumps({
    "digest": model.digest(),
    "coverage": float((index == stage.OBJECT_INDEX).mean()),
    "indices": sorted(set(np.unique(index).tolist())),
    "median": float(np.median(solid)),
    "bright": float(np.percentile(solid.max(axis=1), 99)),
    "green": bool(solid[:, 1].mean() > solid[:, 2].mean()),
}))
"""


@pytest.mark.blender
def test_the_beetle_fills_the_frame_and_is_well_exposed(models, tmp_path):
    command = [sys.executable, "-c", RENDER, str(tmp_path / "beetle.exr")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    result = json.loads(line.removeprefix("RESULT"))
    assert result["digest"] == models["beetle"].digest()  # the same bytes in another process
    assert 0.08 < result["coverage"] < 0.5
    assert result["indices"] == [0, 1]
    assert 0.08 < result["median"] < 0.4
    assert 0.4 < result["bright"] < 1.3
    assert result["green"]
