"""Twins that are photographed again: what a lens would give, and never the same twice."""

import numpy as np
import pytest
from training_pairs import make_shard

from datasets.capture import Background
from datasets.captures import open_capture
from datasets.color import linear_to_srgb, srgb_to_linear
from datasets.optics import ThinLens
from datasets.pairs import Pair
from methods.restoration.learning.refocus import LARGEST, photograph, photographed_again, radii


def psnr(a, b):
    return -10 * np.log10(np.mean(np.square(a - b)))


@pytest.fixture(scope="module")
def beetle():
    capture = open_capture("demo")
    view = capture.train[3]
    truth = view.truth()
    mask = np.round(255 * truth.mask).astype(np.uint8)
    black = {"top": [0.0, 0.0, 0.0], "bottom": [0.0, 0.0, 0.0]}
    return Pair(view.photograph().image, truth.sharp, mask, truth.coc.astype(np.float16), {"backdrop": black})


def test_through_its_own_lens_a_twin_gives_the_photograph(beetle):
    blurred, sharp = photograph(beetle, radii(beetle))
    taken = beetle.photograph / 255
    again = psnr(linear_to_srgb(blurred), taken)
    assert again > 36
    assert again > psnr(beetle.sharp / 255, taken) + 10
    assert psnr(linear_to_srgb(sharp), beetle.sharp / 255) > 50


def test_what_is_partly_covered_has_the_radius_of_what_covers_it(beetle):
    radius, known = radii(beetle), beetle.coc != 0
    assert np.array_equal(radius[known], beetle.coc[known].astype(np.float32))
    on_outline = (beetle.mask > 0) & ~known
    assert on_outline.sum() > 100
    assert (radius[on_outline] != 0).all()


def test_another_lens_makes_of_radii_a_multiple_and_a_constant_more():
    depth = np.linspace(60, 140, 9)
    own, other = ThinLens(50, 2.8, 90, 0.01), ThinLens(50, 8, 110, 0.01)
    scale = other.coc_scale / own.coc_scale
    shift = other.coc_scale * (1 / other.focus_distance - 1 / own.focus_distance)
    assert np.allclose(scale * own.coc_radius(depth) + shift, other.coc_radius(depth))


def test_where_all_is_in_focus_the_photograph_is_the_twin(beetle):
    blurred, sharp = photograph(beetle, np.zeros(beetle.mask.shape))
    assert np.allclose(blurred, sharp, atol=1e-3)


def test_what_stands_behind_and_what_colours_are_can_be_others(beetle):
    gray = Background((0.3, 0.3, 0.3), (0.3, 0.3, 0.3))
    to_gray = np.full((3, 3), 1 / 3)
    blurred, sharp = photograph(beetle, radii(beetle), to_gray, gray)
    far = np.s_[:4, :4]
    assert np.allclose(blurred[far], 0.3, atol=1e-3)
    assert np.allclose(sharp[far], 0.3, atol=1e-3)
    assert np.allclose(sharp.std(axis=-1), 0, atol=1e-6)
    inside = beetle.mask == 255
    means = srgb_to_linear(beetle.sharp / 255).mean(axis=-1)
    assert np.allclose(sharp[inside][:, 0], means[inside], atol=1e-5)


def test_every_pair_that_shows_enough_gives_others_the_same_whenever_asked():
    shard = make_shard(0, 32)
    slope = np.linspace(-3, 5, 32, dtype=np.float16)
    coc = np.broadcast_to(slope, (2, 32, 32))
    mask = np.stack([np.full((32, 32), 255, np.uint8), np.zeros((32, 32), np.uint8)])
    shard = type(shard)(shard.photograph, shard.sharp, mask, coc, shard.facts)
    first, second = (photographed_again(shard, 6, np.random.default_rng(1)) for _ in range(2))
    assert len(first) == 6
    assert {facts["take"] for facts in first.facts} == {0}
    for name in ("photograph", "sharp", "mask", "coc"):
        made = getattr(first, name)
        assert np.array_equal(made, getattr(second, name))
        assert made.dtype == getattr(shard, name).dtype
        assert made.shape[1:] == getattr(shard, name).shape[1:]
    assert len({image.tobytes() for image in first.photograph}) == 6
    assert np.abs(first.coc).max() <= 2 * LARGEST * 32
    blur = [psnr(p / 255, s / 255) for p, s in zip(first.photograph, first.sharp, strict=True)]
    assert max(blur) > min(blur) + 3


def test_a_shard_that_shows_nothing_gives_nothing():
    shard = make_shard(0, 32)
    empty = type(shard)(shard.photograph, shard.sharp, np.zeros_like(shard.mask), shard.coc, shard.facts)
    assert len(photographed_again(empty, 3, np.random.default_rng(0))) == 0
