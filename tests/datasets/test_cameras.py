"""Cameras project as OpenCV's do, undo what they do, and take no pose that is not rigid."""

from dataclasses import FrozenInstanceError, replace
from math import inf, nan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datasets.cameras import OPENGL_FROM_OPENCV, Camera, look_at

UNPOSED = Camera(40, 30, 50.0, 60.0, 20.0, 15.0, np.eye(4))

quick = settings(max_examples=30, deadline=None)


def vectors(length, bound):
    return arrays(np.float64, length, elements=st.floats(-bound, bound))


@st.composite
def poses(draw):
    w, x, y, z = quaternion = draw(vectors(4, 1).filter(lambda q: np.linalg.norm(q) > 0.1))
    rotation = np.array(
        [
            [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
        ]
    )
    c2w = np.eye(4)
    c2w[:3, :3] = rotation / (quaternion @ quaternion)
    c2w[:3, 3] = draw(vectors(3, 500))
    return c2w


@st.composite
def cameras(draw):
    width, height = draw(st.integers(1, 2000)), draw(st.integers(1, 2000))
    fx, fy = draw(st.floats(10, 5000)), draw(st.floats(10, 5000))
    cx, cy = draw(st.floats(-0.5, 1.5)) * width, draw(st.floats(-0.5, 1.5)) * height
    return Camera(width, height, fx, fy, cx, cy, draw(poses()))


pixels = vectors((5, 2), 3000)
depths = arrays(np.float64, 5, elements=st.floats(0.1, 1000))
# Homogeneous [4, 6] points before a camera, in its own axes.
points_ahead = st.builds(
    lambda across, ahead: np.concatenate([across, ahead, np.ones((1, 6))]),
    across=vectors((2, 6), 1000),
    ahead=arrays(np.float64, (1, 6), elements=st.floats(0.1, 1000)),
)


def test_pixels_lie_right_and_down_of_the_image_corner_and_depth_lies_ahead():
    found, depth = UNPOSED.project(np.array([[0, 0, 2], [0.4, 0, 1], [0, 0.25, 1]]))
    np.testing.assert_allclose(found, [[20, 15], [40, 15], [20, 30]])
    np.testing.assert_allclose(depth, [2, 1, 1])


@quick
@given(cameras())
def test_w2c_is_the_inverse_of_c2w(camera):
    np.testing.assert_allclose(camera.w2c @ camera.c2w, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(camera.c2w @ camera.w2c, np.eye(4), atol=1e-9)


@quick
@given(cameras(), pixels, depths)
def test_project_inverts_unproject(camera, at, depth):
    found, found_depth = camera.project(camera.unproject(at, depth))
    np.testing.assert_allclose(found_depth, depth, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(found, at, atol=1e-3)


@quick
@given(cameras(), points_ahead)
def test_unproject_inverts_project(camera, local):
    points = (camera.c2w @ local)[:3].T
    found, depth = camera.project(points)
    np.testing.assert_allclose(camera.unproject(found, depth), points, atol=1e-6)


@quick
@given(cameras(), points_ahead)
def test_project_agrees_with_the_matrices(camera, local):
    world = camera.c2w @ local
    found, depth = camera.project(world[:3].T)
    np.testing.assert_allclose(depth, local[2], atol=1e-8)
    np.testing.assert_allclose(camera.depth(world[:3].T), depth, atol=1e-8)
    k = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
    u, v, w = k @ (camera.w2c @ world)[:3]
    np.testing.assert_allclose(found, np.stack([u / w, v / w], axis=-1), rtol=1e-9, atol=1e-4)


@quick
@given(cameras())
def test_position_and_forward_place_the_principal_point(camera):
    found, depth = camera.project(camera.position + 7 * camera.forward)
    np.testing.assert_allclose(found, [camera.cx, camera.cy], atol=1e-6)
    assert depth == pytest.approx(7)


@quick
@given(cameras(), st.integers(1, 500), st.integers(1, 500), pixels, depths)
def test_a_resized_camera_sees_the_same_points_at_scaled_pixels(camera, width, height, at, depth):
    points = camera.unproject(at, depth)
    small = camera.resized(width, height)
    assert (small.width, small.height) == (width, height)
    scale = np.array([width / camera.width, height / camera.height])
    np.testing.assert_allclose(small.project(points)[0], camera.project(points)[0] * scale, rtol=1e-9, atol=1e-6)
    back = small.resized(camera.width, camera.height)
    np.testing.assert_allclose([back.fx, back.fy, back.cx, back.cy], [camera.fx, camera.fy, camera.cx, camera.cy])


@quick
@given(vectors(3, 300), vectors(3, 300))
def test_look_at_puts_its_target_on_the_principal_point_and_z_up_in_the_image(position, target):
    distance = np.linalg.norm(target - position)
    assume(distance > 1)
    assume(np.linalg.norm((target - position)[:2]) > 0.01 * distance)
    camera = replace(UNPOSED, c2w=look_at(position, target))
    found, depth = camera.project(target)
    np.testing.assert_allclose(found, [camera.cx, camera.cy], atol=1e-6)
    assert depth == pytest.approx(distance)
    (u, v), _ = camera.project(target + np.array([0, 0, 0.001 * distance]))
    assert u == pytest.approx(camera.cx, abs=1e-6)
    assert v < camera.cy


@pytest.mark.parametrize("up", [None, [0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, -2], [0, 0, 0]])
@pytest.mark.parametrize("direction", [[0, 0, 1], [0, 0, -1], [0, 1, 0], [0, -1, 0], [1, 0, 0], [-3, 2, 1]])
def test_look_at_is_right_handed_and_rigid_whatever_is_up(direction, up):
    position = np.array([4.0, -5.0, 6.0])
    c2w = look_at(position, position + np.array(direction), up)
    np.testing.assert_allclose(c2w[:3, :3].T @ c2w[:3, :3], np.eye(3), atol=1e-12)
    assert np.linalg.det(c2w[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose(c2w[:3, 2], np.array(direction) / np.linalg.norm(direction))
    np.testing.assert_array_equal(c2w[:3, 3], position)
    np.testing.assert_array_equal(c2w[3], [0, 0, 0, 1])


def test_up_can_be_another_direction_than_z():
    camera = replace(UNPOSED, c2w=look_at(np.array([0.0, 0.0, 9.0]), np.zeros(3), up=np.array([1.0, 0.0, 0.0])))
    (u, v), _ = camera.project(np.array([1.0, 0.0, 0.0]))
    assert u == pytest.approx(camera.cx)
    assert v < camera.cy


def test_a_camera_cannot_look_at_where_it_stands(refused):
    with refused("looks at"):
        look_at(np.ones(3), np.ones(3))


def test_opengl_cameras_look_backward_with_y_up():
    c2w = look_at(np.array([9.0, 0.0, 0.0]), np.zeros(3))
    opengl = c2w @ OPENGL_FROM_OPENCV
    np.testing.assert_allclose(opengl[:3, 2], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(opengl[:3, 1], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(opengl @ OPENGL_FROM_OPENCV, c2w, atol=0)


def test_a_pose_cannot_be_changed_in_place():
    c2w = np.eye(4)
    camera = replace(UNPOSED, c2w=c2w)
    for array in (camera.c2w, camera.position, camera.forward):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5
    with pytest.raises(FrozenInstanceError):
        camera.c2w = np.eye(4)
    c2w[0, 3] = 5
    assert camera.position[0] == 0


def changed(row, column, value):
    c2w = np.eye(4)
    c2w[row, column] = value
    return c2w


@pytest.mark.parametrize(
    "c2w",
    [
        pytest.param(changed(0, 3, nan), id="NaN in the translation"),
        pytest.param(changed(1, 1, nan), id="NaN in the rotation"),
        pytest.param(changed(2, 3, inf), id="infinite"),
        pytest.param(np.eye(3), id="3 x 3"),
        pytest.param(np.eye(4)[:3], id="3 x 4"),
        pytest.param(np.eye(4).ravel(), id="flat"),
        pytest.param(None, id="none"),
        pytest.param(np.diag([2.0, 2.0, 2.0, 1.0]), id="scaled"),
        pytest.param(np.diag([1.0, 1.0, -1.0, 1.0]), id="reflected"),
        pytest.param(-np.eye(4), id="inverted"),
        pytest.param(changed(0, 1, 0.1), id="sheared"),
        pytest.param(np.zeros((4, 4)), id="zero"),
        pytest.param(changed(3, 0, 0.5), id="projective"),
        pytest.param(changed(3, 3, 2.0), id="homogeneous scale"),
    ],
)
def test_a_pose_that_is_not_a_rigid_4_x_4_is_refused(refused, c2w):
    with refused("pose is not"):
        replace(UNPOSED, c2w=c2w)


@pytest.mark.parametrize(
    "bad", [{"fx": 0.0}, {"fx": -1.0}, {"fy": 0.0}, {"fy": nan}, {"cx": inf}, {"cy": nan}], ids=lambda bad: str(bad)
)
def test_unusable_intrinsics_are_refused(refused, bad):
    with refused("intrinsics", next(iter(bad.values()))):
        replace(UNPOSED, **bad)


@pytest.mark.parametrize(("width", "height"), [(0, 30), (40, 0), (-1, 30)])
def test_a_camera_without_pixels_is_refused(refused, width, height):
    with refused(f"{width} x {height}"):
        replace(UNPOSED, width=width, height=height)
    with refused(f"{width} x {height}"):
        UNPOSED.resized(width, height)
