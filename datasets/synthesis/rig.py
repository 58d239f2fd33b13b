"""Where the cameras of a recipe stand and where their lenses are focused. Pure numpy, seeded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi, sqrt

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.cameras import Camera, look_at
from datasets.errors import InputError
from datasets.optics import ThinLens
from datasets.synthesis.recipes import Focus, Recipe, Rig

GOLDEN_ANGLE = pi * (3 - sqrt(5))  # rad


@dataclass(frozen=True, eq=False)
class Shot:
    """One view of a rig: the focused lens and the pinhole camera that it makes (their fx agree)."""

    name: str
    camera: Camera
    lens: ThinLens


def shots(recipe: Recipe, radius: float) -> list[Shot]:
    """The views of an object of bounding sphere `radius` mm around the origin, in capture order.

    The cameras stand at one distance and look at the origin; each is focused for itself, and as the image
    distance follows the focus, each has its own focal length in px.
    """
    # Streams of their own, so that another focus policy leaves the poses as they are.
    pose_stream, focus_stream = (
        np.random.default_rng([recipe.seed, 1]),
        np.random.default_rng([recipe.seed, 2]),
    )
    distance = camera_distance(recipe, radius)
    if distance <= radius:
        raise InputError(
            f"The cameras would stand inside the object ({distance:.3g} mm from the centre of a sphere of "
            f"{radius:.3g} mm): take a longer focal length, a smaller sensor or a wider field."
        )
    width, height = recipe.size
    pitch = recipe.lens.sensor_width / width
    offsets = focus_offsets(recipe.focus, recipe.views, focus_stream)
    held_out = [i for i in range(recipe.views) if recipe.is_held_out(i)]
    if recipe.test_focus is not None:
        offsets[held_out] = focus_offsets(recipe.test_focus, len(held_out), np.random.default_rng([recipe.seed, 4]))
    f_numbers = np.full(recipe.views, recipe.lens.f_number)
    f_numbers[held_out] = recipe.test_f_number or recipe.lens.f_number
    towards = np.repeat(directions(recipe, pose_stream), recipe.focus.steps, axis=0)
    made = []
    for i, (direction, offset, f_number) in enumerate(zip(towards, offsets, f_numbers, strict=True)):
        lens = ThinLens(recipe.lens.focal_length, float(f_number), float(distance - offset * radius), pitch)
        fx = lens.focal_length_px
        pose = look_at(distance * direction, np.zeros(3))
        made.append(Shot(f"{i:03d}", Camera(width, height, fx, fx, width / 2, height / 2, pose), lens))
    return made


def told_cameras(recipe: Recipe, radius: float, views: Sequence[Shot]) -> list[Camera]:
    """The cameras that a capture tells for `views`: theirs, with the recipe's error in the poses of training views."""
    error = recipe.pose_error
    if error is None:
        return [view.camera for view in views]
    rng = np.random.default_rng([recipe.seed, 5])
    cameras = []
    for i, view in enumerate(views):
        turn, shift = rng.normal(0, np.radians(error.rotation), 3), rng.normal(0, error.position * radius, 3)
        pose = view.camera.c2w.copy()
        pose[:3, :3] = pose[:3, :3] @ Rotation.from_rotvec(turn).as_matrix()
        pose[:3, 3] += shift
        cameras.append(view.camera if recipe.is_held_out(i) else replace(view.camera, c2w=pose))
    return cameras


def camera_distance(recipe: Recipe, radius: float) -> float:
    """From the lens to the object's centre in mm: f (1 + 1 / m), with m = sensor width / field width."""
    magnification = recipe.lens.sensor_width / (recipe.field * 2 * radius)
    return recipe.lens.focal_length * (1 + 1 / magnification)


def directions(recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """Unit directions [poses, 3] from the object to its cameras; the rig as a whole is turned at random."""
    rig, views = recipe.rig, recipe.views // recipe.focus.steps
    if rig.kind == "hemisphere":
        azimuth, elevation = _fibonacci(rig, views)
        order = _spread_held_out(azimuth, recipe.test_every)
        azimuth, elevation = azimuth[order], elevation[order]
    else:
        azimuth, elevation = _rings(rig, views)
    azimuth = azimuth + rng.uniform(0, 2 * pi)
    return np.stack(
        [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)], axis=1
    )


def focus_offsets(focus: Focus, views: int, rng: np.random.Generator) -> np.ndarray:
    """How far before the object's centre each view is focused [views], in object radii.

    Jitter is stratified: each view draws from a slice of the range of its own, in random order, so that few
    views cover the range evenly too. A stack goes from the near end of the range, which is the high one, to the far.
    """
    low, high = focus.range
    if focus.policy == "stack":
        return np.tile(np.linspace(high, low, focus.steps), views // focus.steps)
    slices = (rng.permutation(views) + rng.uniform(0, 1, views)) / views
    return low + (high - low) * slices


def never_in_focus(points: np.ndarray, views: Sequence[Shot]) -> np.ndarray:
    """The smallest |CoC radius| in px that world `points` [P, 3] have in any of `views`; [P].

    Occlusion is not asked for: this is about the focal planes, whether they sweep the whole object.
    """
    smallest = np.full(len(points), np.inf)
    for view in views:
        np.minimum(smallest, np.abs(view.lens.coc_radius(view.camera.depth(points))), out=smallest)
    return smallest


def _fibonacci(rig: Rig, views: int) -> tuple[np.ndarray, np.ndarray]:
    """Azimuths and elevations [views] in rad, of equal density on the sphere, from the top downwards."""
    low, high = np.sin(np.radians(rig.elevation))
    i = np.arange(views)
    return i * GOLDEN_ANGLE % (2 * pi), np.arcsin(high - (high - low) * (i + 0.5) / views)


def _spread_held_out(azimuth: np.ndarray, test_every: int) -> np.ndarray:
    """An order [views] in which the held-out views (every `test_every`-th) look from all sides.

    Left in order they would not: 8 golden angles are three turns and 20 degrees. So in each run of
    `test_every` views, the one nearest to the next golden angle comes first.
    """
    order = np.arange(len(azimuth))
    for block, start in enumerate(range(0, len(azimuth), test_every)):
        run = order[start : start + test_every].copy()
        off = np.abs(np.angle(np.exp(1j * (azimuth[run] - block * GOLDEN_ANGLE))))
        first = int(off.argmin())
        order[start : start + test_every] = [run[first], *np.delete(run, first)]
    return order


def _rings(rig: Rig, views: int) -> tuple[np.ndarray, np.ndarray]:
    """Azimuths and elevations [views] in rad: rings from low to high, each turned against the last."""
    parts = np.array_split(np.arange(views), rig.rings)
    heights = np.radians(np.linspace(*rig.elevation, rig.rings) if rig.rings > 1 else [np.mean(rig.elevation)])
    azimuth = [2 * pi * np.arange(len(part)) / len(part) + ring * GOLDEN_ANGLE for ring, part in enumerate(parts)]
    return np.concatenate(azimuth), np.concatenate(
        [np.full(len(part), height) for part, height in zip(parts, heights, strict=True)]
    )
