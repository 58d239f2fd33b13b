"""Poses and focus distances of a recipe."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.errors import InputError
from datasets.synthesis import recipes, rig

RADIUS = 4.6
DEMO = recipes.load("beetle", "demo")
TURNTABLE = replace(DEMO, rig=recipes.Rig("turntable", (10.0, 50.0), rings=3), views=33)


def directions(recipe):
    return np.stack([shot.camera.position for shot in rig.shots(recipe, RADIUS)]) / rig.camera_distance(recipe, RADIUS)


def test_same_seed_gives_the_same_rig_and_another_seed_another():
    first, again, other = (rig.shots(replace(DEMO, seed=seed), RADIUS) for seed in (1, 1, 2))
    assert all(np.array_equal(a.camera.c2w, b.camera.c2w) for a, b in zip(first, again, strict=True))
    assert [a.lens for a in first] == [b.lens for b in again]
    assert not np.allclose(first[0].camera.c2w, other[0].camera.c2w)
    assert first[0].lens != other[0].lens


@pytest.mark.parametrize("recipe", [DEMO, TURNTABLE])
def test_every_camera_looks_at_the_object_from_the_recipes_elevations(recipe):
    for shot in rig.shots(recipe, RADIUS):
        pixel, depth = shot.camera.project(np.zeros(3))
        assert pixel == pytest.approx([recipe.size[0] / 2, recipe.size[1] / 2])
        assert depth == pytest.approx(rig.camera_distance(recipe, RADIUS))
    elevation = np.degrees(np.arcsin(directions(recipe)[:, 2]))
    low, high = recipe.rig.elevation
    assert low - 1e-6 <= elevation.min() < elevation.max() <= high + 1e-6


def test_field_of_view_is_the_recipes_where_the_lens_is_focused_on_the_centre():
    still = replace(DEMO, focus=recipes.Focus("fixed", (0.0, 0.0)))
    camera = rig.shots(still, RADIUS)[0].camera
    left, right = camera.unproject(np.array([[0.0, 64.0], [128.0, 64.0]]), np.full(2, camera.depth(np.zeros(3))))
    assert np.linalg.norm(right - left) == pytest.approx(still.field * 2 * RADIUS)


def test_focal_length_in_pixels_follows_the_focus():
    shots = rig.shots(DEMO, RADIUS)
    assert all(shot.camera.fx == shot.lens.focal_length_px for shot in shots)
    nearest = min(shots, key=lambda shot: shot.lens.focus_distance)
    farthest = max(shots, key=lambda shot: shot.lens.focus_distance)
    assert nearest.camera.fx > farthest.camera.fx


def test_jitter_covers_its_range_evenly_and_fixed_focus_stays():
    offsets = rig.focus_offsets(recipes.Focus("jitter", (-0.2, 0.8)), 40, np.random.default_rng(0))
    assert np.histogram(offsets, 10, (-0.2, 0.8))[0].tolist() == [4] * 10
    fixed = rig.focus_offsets(recipes.Focus("fixed", (0.3, 0.3)), 5, np.random.default_rng(0))
    assert fixed.tolist() == pytest.approx([0.3] * 5)


@pytest.mark.parametrize("preset", ["demo", "small", "paper"])
def test_held_out_views_look_from_all_sides(preset):
    recipe = recipes.load("beetle", preset)
    held_out = directions(recipe)[:: recipe.test_every]
    azimuth = np.sort(np.arctan2(held_out[:, 1], held_out[:, 0]))
    widest_gap = np.diff(np.append(azimuth, azimuth[0] + 2 * np.pi)).max()
    assert widest_gap < 2.2 * 2 * np.pi / len(azimuth)
    every = directions(recipe)
    assert held_out[:, 2].mean() == pytest.approx(every[:, 2].mean(), abs=0.06)


def test_a_point_on_some_focal_plane_is_in_focus_and_one_beyond_all_is_not():
    shots = rig.shots(DEMO, RADIUS)
    on_plane = shots[3].camera.unproject(np.array([70.0, 60.0]), shots[3].lens.focus_distance)
    far_off = np.array([0.0, 0.0, -8 * RADIUS])
    radius = rig.never_in_focus(np.stack([on_plane, far_off]), shots)
    assert radius[0] < 1e-6
    assert radius[1] > 1.5


def test_a_camera_inside_the_object_is_refused():
    wide = replace(
        DEMO,
        lens=recipes.Lens(4.0, 2.0, 36.0),
        focus=recipes.Focus("fixed", (0.0, 0.0)),
    )
    with pytest.raises(InputError, match="inside the object"):
        rig.shots(wide, 40.0)


def test_held_out_views_may_be_focused_elsewhere_and_the_others_stay_as_they_were():
    other = replace(DEMO, test_focus=recipes.Focus("jitter", (-1.0, -0.5)))
    distance = rig.camera_distance(DEMO, RADIUS)
    for i, (before, after) in enumerate(zip(rig.shots(DEMO, RADIUS), rig.shots(other, RADIUS), strict=True)):
        offset = (distance - after.lens.focus_distance) / RADIUS
        assert (after.lens == before.lens) == bool(i % DEMO.test_every)
        assert np.array_equal(after.camera.c2w, before.camera.c2w)
        assert i % DEMO.test_every or -1.0 <= offset <= -0.5


def test_a_stack_goes_from_near_to_far_at_every_pose_and_is_held_out_whole():
    stack = replace(DEMO, views=48, test_every=4, focus=recipes.Focus("stack", (-1.0, 1.0), steps=3))
    views = rig.shots(stack, RADIUS)
    assert len(views) == 48
    distance = rig.camera_distance(stack, RADIUS)
    for pose in range(16):
        of_pose = views[3 * pose : 3 * pose + 3]
        assert all(np.array_equal(view.camera.c2w, of_pose[0].camera.c2w) for view in of_pose)
        focus = [view.lens.focus_distance for view in of_pose]
        assert focus == pytest.approx([distance - RADIUS, distance, distance + RADIUS])
        held_out = {stack.is_held_out(3 * pose + step) for step in range(3)}
        assert held_out == {pose % 4 == 0}
    assert len({view.camera.position.tobytes() for view in views}) == 16


def test_held_out_views_may_be_taken_with_another_aperture():
    other = replace(DEMO, test_f_number=8.0)
    for i, (before, after) in enumerate(zip(rig.shots(DEMO, RADIUS), rig.shots(other, RADIUS), strict=True)):
        assert after.lens == replace(before.lens, f_number=before.lens.f_number if i % DEMO.test_every else 8.0)
        assert np.array_equal(after.camera.c2w, before.camera.c2w)
        assert after.camera.fx == before.camera.fx


def test_poses_told_are_off_by_what_the_recipe_says_but_for_held_out_ones():
    recipe = replace(DEMO, views=400, pose_error=recipes.PoseError(rotation=0.2, position=0.03))
    views = rig.shots(recipe, RADIUS)
    turns, shifts = [], []
    for i, (view, told) in enumerate(zip(views, rig.told_cameras(recipe, RADIUS, views), strict=True)):
        if i % recipe.test_every == 0:
            assert told == view.camera
            continue
        turn = view.camera.c2w[:3, :3].T @ told.c2w[:3, :3]
        assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-12)
        turns.append(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
        shifts.append(told.position - view.camera.position)
    assert np.sqrt(np.mean(np.square(turns)) / 3) == pytest.approx(0.2, rel=0.1)
    assert np.std(shifts) == pytest.approx(0.03 * RADIUS, rel=0.1)


def test_without_an_error_the_cameras_told_are_the_true_ones():
    views = rig.shots(DEMO, RADIUS)
    assert rig.told_cameras(DEMO, RADIUS, views) == [view.camera for view in views]
