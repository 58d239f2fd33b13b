"""What a restorer is judged by while it is trained."""

import numpy as np
import pytest
from torch import nn
from training_pairs import write_pairs

from datasets.pairs import open_pairs
from methods.restoration import architectures, checkpoint
from methods.restoration.learning.judge import Judge
from methods.restoration.learning.recipe import plan


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return open_pairs(write_pairs(tmp_path_factory.mktemp("pairs") / "there", objects=4, size=32))


class Nothing(nn.Module):
    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter()

    def forward(self, image):
        return image


def test_what_leaves_photographs_as_they_are_scores_as_they_do(pairs):
    scores = Judge(pairs, 8).scores(Nothing(), 32)
    errors = [np.square(pair.photograph / 255 - pair.sharp / 255).mean() for pair in pairs]
    assert scores["psnr"] == pytest.approx(scores["input_psnr"], abs=1e-4)
    assert scores["input_psnr"] == pytest.approx(np.mean(-10 * np.log10(errors)), abs=1e-4)


def test_no_more_pairs_are_judged_than_asked_and_they_are_spread_evenly(pairs):
    judged = Judge(pairs, 3).pairs
    assert [pair.facts["object_seed"] for pair in judged] == [0, 1, 3]
    assert len(Judge(pairs, 100).pairs) == 8


def test_twins_that_are_photographed_again_are_scored_beside(pairs):
    scores = Judge(pairs, 8).scores(Nothing(), 32)
    assert scores["again_psnr"] == pytest.approx(scores["again_input_psnr"], abs=1e-4)
    assert scores["again_input_psnr"] > scores["input_psnr"]  # of one depth each: all of it is in focus
    assert len(Judge(pairs, 3).again) == 3


def test_true_disks_are_a_ceiling_that_the_twin_itself_is_below(pairs):
    wanted = plan("kernel-guided", "tiny")
    network = checkpoint.ready(architectures.network("kernel-guided", wanted.network), "cpu")
    scores = Judge(pairs, 8).scores(network, wanted.recipe.patch)
    assert scores["ceiling_psnr"] > scores["identity_psnr"] + 3
    assert scores["identity_ssim"] < scores["ceiling_ssim"] <= 1
    assert scores["ceiling_ssim"] > 0.95
