"""Contestants get photographs and what may be known of them; the truth stays with the capture."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import store
from datasets.capture import BACKDROPS, Background, Capture, Optics, Photograph, Photographs, Truth, View, split
from datasets.optics import ThinLens


@pytest.fixture(scope="module")
def capture(tiny):
    return store.read(tiny)


def leaves(value):
    """Every value that can be reached from `value` through fields and sequences, itself included."""
    yield value
    if is_dataclass(value):
        for field in fields(value):
            yield from leaves(getattr(value, field.name))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()))


# ---------------------------------------------------------------- backgrounds


def test_a_background_goes_from_top_to_bottom_and_is_constant_along_rows():
    image = Background((1.0, 0.0, 0.25), (0.0, 1.0, 0.25)).image(4, 3)
    assert (image.shape, image.dtype) == ((4, 3, 3), np.float32)
    np.testing.assert_allclose(image[:, 0, 0], [0.875, 0.625, 0.375, 0.125])
    np.testing.assert_allclose(image[:, 0, 1], [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(image[:, :, 2], 0.25)
    np.testing.assert_array_equal(image, np.repeat(image[:, :1], 3, axis=1))


def test_a_background_is_the_same_at_every_size():
    background = BACKDROPS["gray"]
    fine = background.image(8, 6).reshape(4, 2, 3, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(fine, background.image(4, 3), atol=1e-7)


def test_a_background_image_is_a_fresh_array():
    background = Background()
    background.image(2, 2)[:] = 1
    assert not background.image(2, 2).any()


def test_only_the_black_backdrop_is_black():
    assert {name for name, backdrop in BACKDROPS.items() if backdrop.is_black} == {"black"}
    assert not BACKDROPS["black"].image(3, 2).any()
    assert (BACKDROPS["white"].image(3, 2) == 1).all()
    assert not Background(bottom=(0.0, 0.0, 0.1)).is_black


# ---------------------------------------------------------------- the split


def test_every_eighth_view_from_the_first_on_is_held_out():
    names = [f"{index:03d}" for index in range(18)]
    train, test = split(names, 8)
    assert test == ["000", "008", "016"]
    assert len(train) == 15


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=3), unique=True, max_size=30), st.integers(1, 40))
def test_a_split_loses_no_name_and_keeps_the_order(names, test_every):
    train, test = split(names, test_every)
    assert set(train).isdisjoint(test)
    assert sorted([*train, *test], key=names.index) == names
    assert train == sorted(train, key=names.index)
    assert test == sorted(test, key=names.index)
    assert [names.index(name) % test_every for name in test] == [0] * len(test)


# ---------------------------------------------------------------- what contestants see


def test_photographs_have_no_field_for_the_truth():
    assert {field.name for field in fields(Photographs)} == {"views", "background", "points", "optics"}
    assert {field.name for field in fields(Photograph)} == {"name", "image", "camera", "focus_distance"}


def test_nothing_of_the_truth_can_be_reached_from_the_photographs(capture):
    reached = list(leaves(capture.photographs()))
    assert sum(isinstance(value, Photograph) for value in reached) == len(capture.train)
    assert not [value for value in reached if isinstance(value, (Truth, View, Capture)) or callable(value)]
    shown = [value for value in reached if isinstance(value, np.ndarray)]
    for view in (*capture.train, *capture.test):
        truth = view.truth()
        for secret in (truth.sharp, truth.mask, truth.depth, truth.coc):
            assert not any(np.array_equal(secret, array) for array in shown)


def test_photographs_are_the_training_views_in_capture_order(capture):
    photographs = capture.photographs()
    assert [view.name for view in photographs.views] == [view.name for view in capture.train]
    assert {view.name for view in photographs.views}.isdisjoint(view.name for view in capture.test)
    for shown, view in zip(photographs.views, capture.train, strict=True):
        np.testing.assert_array_equal(shown.image, view.photograph().image)
        assert shown.camera is view.camera
        assert shown.focus_distance == view.focus_distance
    assert photographs.points is capture.points
    assert photographs.optics == capture.optics
    assert photographs.background == capture.background


def test_without_optics_removes_every_hint_about_the_lens(capture):
    photographs = capture.photographs()
    blind = photographs.without_optics()
    assert not [value for value in leaves(blind) if isinstance(value, (Optics, ThinLens))]
    assert {view.focus_distance for view in blind.views} == {None}
    for shown, known in zip(blind.views, photographs.views, strict=True):
        assert (shown.name, shown.image, shown.camera) == (known.name, known.image, known.camera)
    assert blind.points is photographs.points
    assert blind.background == photographs.background
    assert photographs.optics is not None
    assert None not in {view.focus_distance for view in photographs.views}


def test_sharp_twins_show_the_truth_from_the_training_cameras(capture):
    twins = capture.sharp_twins()
    assert [twin.name for twin in twins.views] == [view.name for view in capture.train]
    for twin, view in zip(twins.views, capture.train, strict=True):
        np.testing.assert_array_equal(twin.image, view.truth().sharp)
        assert not np.array_equal(twin.image, view.photograph().image)
        assert twin.camera is view.camera
    assert twins.optics is None
    assert twins.points is capture.points


def test_photographs_come_with_their_blur_for_oracles_alone(capture):
    told = capture.photographs_with_coc()
    for view, other, own in zip(told.views, capture.train, capture.photographs().views, strict=True):
        coc = other.truth().coc
        np.testing.assert_array_equal(view.coc[coc != 0], coc[coc != 0])
        assert (view.coc != 0).all()
        np.testing.assert_array_equal(view.image, own.image)
        assert not hasattr(own, "coc")


def test_optics_focus_the_lens_per_view(capture):
    view = capture.train[0]
    lens = capture.optics.lens(view.focus_distance)
    assert lens.focus_distance == view.focus_distance
    assert lens.focal_length_px == pytest.approx(view.camera.fx)


# ---------------------------------------------------------------- views


def test_pixels_are_read_only_when_asked_for(capture):
    reads = []

    def read():
        reads.append(1)
        return np.zeros((12, 16, 3), np.uint8)

    view = replace(capture.train[0], read_photograph=read)
    assert not reads
    assert view.photograph().image.shape == (12, 16, 3)
    assert len(reads) == 1


def test_a_view_without_truth_says_so(capture, refused):
    view = replace(capture.test[0], read_truth=None)
    with refused("View 000", "no ground truth"):
        view.truth()


def test_one_view_without_truth_leaves_a_capture_without_truth(capture):
    assert capture.has_truth
    blind = replace(capture.test[-1], read_truth=None)
    assert not replace(capture, test=(*capture.test[:-1], blind)).has_truth
