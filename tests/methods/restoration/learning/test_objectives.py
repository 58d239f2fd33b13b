"""A loss in which what is hardly out of focus counts as much as what is very much."""

import pytest
import torch

from methods.restoration import architectures
from methods.restoration.learning import objectives
from methods.restoration.learning.examples import Batch
from methods.restoration.learning.recipe import plan


def batch(*differences):
    """One patch for each of `differences` of the photograph to its twin."""
    sharp = torch.full((len(differences), 3, 8, 8), 0.5)
    photograph = sharp + torch.tensor(differences)[:, None, None, None]
    return Batch(photograph, sharp, torch.zeros(len(differences), 8, 8), torch.ones(len(differences), 8, 8))


def test_patches_that_are_alike_weigh_alike_and_the_scale_stays():
    patches = batch(0.2, 0.2)
    output = patches.sharp + torch.tensor([0.1, 0.3])[:, None, None, None]
    found = objectives.balanced_loss(output, patches)
    assert float(found) == pytest.approx(float((output - patches.sharp).square().mean()), rel=1e-3)


def test_the_same_share_of_its_difference_counts_alike_and_no_patch_weighs_without_bound():
    patches = batch(0.0, 0.04, 0.4)
    shares = [float(objectives.balanced_loss(output, patches)) for output in restored_in_turn(patches)]
    whole = float(objectives.balanced_loss(patches.photograph, patches))
    gains = [whole - share for share in shares]
    assert gains[0] == pytest.approx(gains[1], rel=0.1)  # 0.0016 / 0.0017 of one patch, 0.16 / 0.1601 of the other
    sharp = patches.photograph.clone()
    sharp[0] += 0.01
    harm = float(objectives.balanced_loss(sharp, patches)) - whole
    assert harm == pytest.approx(gains[1], rel=0.1)  # 0.0001 of a patch that had none, which weighs 1 / 0.0001


def restored_in_turn(patches):
    for index in (1, 2):
        output = patches.photograph.clone()
        output[index] = patches.sharp[index]
        yield output


def test_the_recipe_says_whether_patches_are_balanced():
    generator = torch.Generator().manual_seed(0)
    sharp = torch.rand(2, 3, 32, 32, generator=generator)
    blurred = torch.nn.functional.avg_pool2d(sharp[1], 5, 1, 2)
    patches = Batch(torch.stack([0.99 * sharp[0], blurred]), sharp, torch.ones(2, 32, 32), torch.ones(2, 32, 32))
    found = []
    for said in ("true", "false"):
        wanted = plan("kernel-guided", "tiny", [f"recipe.balanced={said}"])
        torch.manual_seed(0)
        network = architectures.network("kernel-guided", wanted.network)
        terms = objectives.of("kernel-guided")(network, patches, None, 0, wanted.recipe)
        found.append(float(terms["restoration"].detach()))
    assert found[0] != pytest.approx(found[1], rel=0.01)
