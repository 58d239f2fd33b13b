"""Poses computed on the spot are those with which the photographs were made, up to place, turn and scale."""

import numpy as np
import pytest
from textured_corner import cameras, photograph

from datasets.captures import open_capture
from datasets.images import write_png
from datasets.interchange.importing import import_capture

VIEWS = 8


@pytest.fixture(scope="module")
def corner(tmp_path_factory):
    """A folder of photographs of the corner."""
    folder = tmp_path_factory.mktemp("corner") / "images"
    folder.mkdir()
    for index, camera in enumerate(cameras(VIEWS)):
        write_png(folder / f"{index:02d}.png", photograph(camera))
    return folder


@pytest.fixture(scope="module")
def computed(corner, tmp_path_factory):
    """The capture made of them, and what was told on the way."""
    told = []
    out = tmp_path_factory.mktemp("computed") / "corner"
    made = import_capture(corner, "compute", out, progress=lambda *event: told.append(event))
    return open_capture(out), made, told


def similarity(source, target):
    """Scale, rotation [3, 3] and translation [3] that carry points `source` [N, 3] to `target` in least squares."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = np.trace(np.diag(s) @ sign) / (a**2).sum()
    return scale, rotation, target.mean(axis=0) - scale * rotation @ source.mean(axis=0)


def test_every_camera_stands_where_it_stood_and_looks_where_it_looked(computed):
    capture, made, _ = computed
    assert made.views == VIEWS
    found = sorted((*capture.train, *capture.test), key=lambda view: view.name)
    true = cameras(VIEWS)
    scale, rotation, translation = similarity(
        np.array([view.camera.position for view in found]), np.array([camera.position for camera in true])
    )
    for view, camera in zip(found, true, strict=True):
        off = scale * rotation @ view.camera.position + translation - camera.position
        assert np.linalg.norm(off) < 0.02  # of 4 from the corner
        angle = np.arccos(
            np.clip((np.trace((rotation @ view.camera.c2w[:3, :3]).T @ camera.c2w[:3, :3]) - 1) / 2, -1, 1)
        )
        assert np.rad2deg(angle) < 0.3
        assert view.camera.fx == pytest.approx(camera.fx, rel=0.01)


def test_the_points_lie_on_the_corner(computed):
    capture, _, _ = computed
    found = sorted((*capture.train, *capture.test), key=lambda view: view.name)
    scale, rotation, translation = similarity(
        np.array([view.camera.position for view in found]), np.array([c.position for c in cameras(VIEWS)])
    )
    points = scale * capture.points.xyz @ rotation.T + translation
    from_faces = np.abs(np.stack([points[:, 2], points[:, 1] - 1, points[:, 0] + 1], axis=1)).min(axis=1)
    assert len(points) > 300
    assert np.median(from_faces) < 0.01
    assert capture.points.rgb.std() > 20


def test_the_capture_says_how_it_was_made_and_that_it_has_no_unit(computed, corner):
    capture, made, told = computed
    assert (capture.manifest["poses"], capture.manifest["unit"]) == ("compute", "arbitrary")
    assert "no unit" in made.unit
    assert {what for what, _, _ in told} == {"features", "matches", "poses", "photographs"}
    assert {path.name for path in capture.root.iterdir()} == {
        "images",
        "manifest.json",
        "points.ply",
        "transforms.json",
    }
    assert [path.name for path in capture.root.parent.iterdir()] == ["corner"]


def test_a_macro_lens_of_a_few_degrees_is_no_obstacle(tmp_path):
    """Ten times as far with ten times the focal length: 13 widths of the image, as in life-size photographs."""
    true = cameras(VIEWS, away=40.0)
    (tmp_path / "photos").mkdir()
    for index, camera in enumerate(true):
        write_png(tmp_path / "photos" / f"{index:02d}.png", photograph(camera))
    import_capture(tmp_path / "photos", "compute", tmp_path / "out")
    capture = open_capture(tmp_path / "out")
    found = sorted((*capture.train, *capture.test), key=lambda view: view.name)
    assert len(found) == VIEWS
    for view, camera in zip(found, true, strict=True):
        # Nearly parallel rays tell focal length and distance apart badly, but turns well.
        assert view.camera.fx == pytest.approx(camera.fx, rel=0.15)
        turn = view.camera.c2w[:3, :3].T @ found[0].camera.c2w[:3, :3]
        np.testing.assert_allclose(turn, camera.c2w[:3, :3].T @ true[0].c2w[:3, :3], atol=0.03)


def test_photographs_that_share_nothing_are_refused_and_nothing_is_left(tmp_path, refused):
    (tmp_path / "noise").mkdir()
    for index in range(4):
        noise = np.random.default_rng(index).integers(0, 256, (96, 128, 3), dtype=np.uint8)
        write_png(tmp_path / "noise" / f"{index}.png", noise)
    with refused("registered 0 of 4 photographs, fewer than 3"):
        import_capture(tmp_path / "noise", "compute", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["noise"]


def test_too_few_photographs_or_of_two_sizes_are_refused_at_once(corner, tmp_path, refused):
    (tmp_path / "few").mkdir()
    for index, shape in enumerate([(12, 16, 3), (12, 16, 3)]):
        write_png(tmp_path / "few" / f"{index}.png", np.zeros(shape, np.uint8))
    with refused("2 photographs", "takes 3"):
        import_capture(tmp_path / "few", "compute", tmp_path / "out")
    write_png(tmp_path / "few" / "2.png", np.zeros((16, 12, 3), np.uint8))
    with refused("0.png (16 x 12 px)", "2.png (12 x 16 px)", "one size"):
        import_capture(tmp_path / "few", "compute", tmp_path / "out")


def test_what_masks_hide_moves_no_camera(tmp_path, refused):
    """A turntable: the object turns before a wall that stays; only masked photographs tell of the object's turn."""
    wall = photograph(cameras(VIEWS)[0])[::-1]
    (tmp_path / "photos").mkdir()
    (tmp_path / "masks").mkdir()
    for index, camera in enumerate(cameras(VIEWS)):
        image = photograph(camera)
        mask = np.full(image.shape[:2], 255, np.uint8)
        mask[:, :100] = 0
        image[:, :100] = wall[:, :100]
        write_png(tmp_path / "photos" / f"{index:02d}.png", image)
        write_png(tmp_path / "masks" / f"{index:02d}.png", mask)
    with refused("a distortion that no lens has", "--masks"):
        import_capture(tmp_path / "photos", "compute", tmp_path / "out")
    import_capture(tmp_path / "photos", "compute", tmp_path / "out", masks=tmp_path / "masks")
    capture = open_capture(tmp_path / "out")
    found = sorted((*capture.train, *capture.test), key=lambda view: view.name)
    true = cameras(VIEWS)
    turned = [f.camera.c2w[:3, :3].T @ found[0].camera.c2w[:3, :3] for f in found]
    for turn, camera in zip(turned, true, strict=True):
        expected = camera.c2w[:3, :3].T @ true[0].c2w[:3, :3]
        np.testing.assert_allclose(turn, expected, atol=0.02)
    assert not capture.train[0].photograph().image[:, :90].any()
