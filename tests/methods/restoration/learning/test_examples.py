"""Patches: what they are made of, and that a step always sees the same ones."""

import numpy as np
import pytest
import torch
from training_pairs import write_pairs

from datasets.errors import InputError
from datasets.pairs import open_pairs
from methods.restoration.learning.examples import Examples


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return open_pairs(write_pairs(tmp_path_factory.mktemp("pairs"), objects=3, size=24))


def test_a_step_sees_the_same_patches_whenever_it_is_asked_for_and_others_see_others(pairs):
    examples = Examples(pairs, patch=16, seed=1)
    once, later, again = examples.batch(5, 4), examples.batch(6, 4), Examples(pairs, 16, 1).batch(5, 4)
    for mine, same, other in zip(once, again, later, strict=True):
        assert torch.equal(mine, same)
        assert mine.shape == other.shape
    assert not torch.equal(once.photograph, later.photograph)
    assert not torch.equal(once.photograph, Examples(pairs, 16, 2).batch(5, 4).photograph)


def test_patches_are_images_from_0_to_1_with_the_maps_of_the_same_place(pairs):
    batch = Examples(pairs, patch=16, seed=0).batch(0, 6)
    assert batch.photograph.shape == batch.sharp.shape == (6, 3, 16, 16)
    assert batch.coc.shape == batch.mask.shape == (6, 16, 16)
    assert all(part.dtype == torch.float32 for part in batch)
    assert 0 <= batch.photograph.min() <= batch.photograph.max() <= 1
    assert torch.equal(batch.mask, torch.ones(6, 16, 16))
    radii = {float(radius) for shard in range(3) for radius in pairs.read_shard(shard).coc[:, 0, 0]}
    assert {float(radius) for radius in batch.coc[:, 0, 0]} <= radii


@pytest.mark.parametrize("exchange", [False, True])
def test_a_patch_is_cut_from_photograph_and_twin_alike_turned_mirrored_and_its_colours_exchanged(pairs, exchange):
    examples = Examples(pairs, patch=24, seed=0, exchange=exchange)
    batch = examples.batch(0, 32)
    sharps, photographs = (
        np.concatenate([getattr(pairs.read_shard(i), name) for i in range(3)]) for name in ("sharp", "photograph")
    )
    exchanged = 0
    for photograph, sharp in zip(batch.photograph.numpy(), batch.sharp.numpy(), strict=True):
        means = sharps.mean(axis=(1, 2)) / 255  # of colours, which neither turning nor mirroring changes
        matches = [
            (index, order)
            for index in range(len(means))
            for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])
            if np.allclose(means[index][order], sharp.mean(axis=(1, 2)), atol=1e-6)
        ]
        assert len(matches) == 1
        index, order = matches[0]
        exchanged += order != [0, 1, 2]
        assert np.allclose(photographs[index].mean(axis=(0, 1))[order] / 255, photograph.mean(axis=(1, 2)))
    assert (exchanged > 16) == exchange
    assert len({image.tobytes() for image in batch.sharp.numpy()}) > 16  # of six pairs: turned and mirrored


def test_patches_prefer_what_shows_something(pairs):
    examples = Examples(pairs, patch=8, seed=0)
    examples.mask = examples.mask.copy()
    examples.mask[:, :, 8:] = 0
    covered = examples.batch(0, 64).mask.mean(dim=(1, 2))
    assert (covered > 0.2).float().mean() > 0.9


def test_patches_prefer_what_is_out_of_focus_and_take_some_that_is_not(pairs):
    examples = Examples(pairs, patch=8, seed=0)
    examples.coc = examples.coc.copy()
    examples.coc[:3] = -0.2
    sharp = (examples.batch(0, 200).coc.abs().amax(dim=(1, 2)) < 1).float().mean()
    assert 0.1 < sharp < 0.3  # half of all patches, of which a quarter is taken: one in five


def test_twins_can_be_photographed_again(pairs):
    own, more = Examples(pairs, 16, 0), Examples(pairs, 16, 0, again=2)
    assert len(more.photograph) == len(more.coc) == 3 * len(own.photograph)
    assert np.array_equal(more.photograph[: len(own.photograph)], own.photograph)
    assert np.array_equal(more.photograph, Examples(pairs, 16, 0, again=2).photograph)
    assert not np.array_equal(more.photograph, Examples(pairs, 16, 1, again=2).photograph)


def test_a_patch_larger_than_the_pairs_is_refused(pairs):
    with pytest.raises(InputError, match="Patches of 32 px do not fit into pairs of 24 px"):
        Examples(pairs, 32, 0)
