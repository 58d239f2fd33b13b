"""Losses in which what is hardly out of focus counts as much as what is very much."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from methods.restoration.learning import objectives
from methods.restoration.learning.examples import Batch
from methods.restoration.learning.recipe import plan


def batch(*differences):
    """One patch for each of `differences` of the photograph to its twin."""
    sharp = torch.full((len(differences), 3, 8, 8), 0.5)
    photograph = sharp + torch.tensor(differences)[:, None, None, None]
    return Batch(photograph, sharp, torch.zeros(len(differences), 8, 8), torch.ones(len(differences), 8, 8))


@pytest.mark.parametrize("loss", [functional.l1_loss, functional.mse_loss])
def test_patches_that_are_alike_weigh_alike_and_the_scale_stays(loss):
    patches = batch(0.2, 0.2)
    output = patches.sharp + torch.tensor([0.1, 0.3])[:, None, None, None]
    found = objectives.balanced(loss, output, patches, 1e-4)
    assert float(found) == pytest.approx(float(loss(output, patches.sharp)), rel=1e-3)


def test_half_of_its_difference_counts_as_much_of_any_patch_and_no_patch_weighs_without_bound():
    patches = batch(0.0, 0.01, 0.4)
    output = patches.photograph.clone().requires_grad_()
    objectives.balanced(functional.l1_loss, output, patches, 1e-9).backward()
    weights = output.grad[1:, 0, 0, 0]
    assert float(weights[0] / weights[1]) == pytest.approx(40, rel=1e-3)
    again = (patches.photograph + 0.01).requires_grad_()
    objectives.balanced(functional.l1_loss, again, patches, 0.005).backward()
    assert float(again.grad[0, 0, 0, 0] / again.grad[1, 0, 0, 0]) == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize(("architecture", "term"), [("kernel-guided", "restoration"), ("mpt", "l1")])
def test_the_recipe_says_whether_patches_are_balanced(architecture, term):
    from methods.restoration import architectures

    generator = torch.Generator().manual_seed(0)
    sharp = torch.rand(2, 3, 32, 32, generator=generator)
    photograph = torch.stack([0.99 * sharp[0], nn.functional.avg_pool2d(sharp[1], 5, 1, 2)])
    patches = Batch(photograph, sharp, torch.ones(2, 32, 32), torch.ones(2, 32, 32))
    found = {}
    for said in ("true", "false"):
        wanted = plan(architecture, "tiny", [f"recipe.balanced={said}"])
        torch.manual_seed(0)
        network = architectures.network(architecture, wanted.network)
        found[said] = float(objectives.of(architecture)(network, patches, None, 0, wanted.recipe)[term])
    assert found["true"] != pytest.approx(found["false"], rel=0.01)
