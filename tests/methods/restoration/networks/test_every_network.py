"""What holds for every architecture, in the size of preset tiny."""

import pytest
import torch
from torch import Tensor, nn

from methods.restoration import architectures
from methods.restoration.architectures import ARCHITECTURES
from methods.restoration.learning import objectives
from methods.restoration.learning.examples import Batch
from methods.restoration.learning.recipe import plan

every = pytest.mark.parametrize("architecture", ARCHITECTURES)


def network(architecture: str) -> nn.Module:
    torch.manual_seed(0)
    return architectures.network(architecture, plan(architecture, "tiny").network)


def batch() -> Batch:
    """Two patches of random texture, blurred by 3 x 3 px."""
    sharp = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    blurred = nn.functional.avg_pool2d(nn.functional.pad(sharp, (1, 1, 1, 1), mode="reflect"), 3, 1)
    return Batch(blurred, sharp, torch.full((2, 32, 32), 1.5), torch.ones(2, 32, 32))


def loss(architecture: str, net: nn.Module, patches: Batch) -> Tensor:
    terms = objectives.of(architecture)(net, patches, None, 1, plan(architecture, "tiny").recipe)
    return torch.stack(list(terms.values())).sum()


@every
def test_gradients_reach_all_parameters(architecture: str) -> None:
    net = network(architecture)
    loss(architecture, net, batch()).backward()
    unreached = [name for name, value in net.named_parameters() if value.grad is None or not value.grad.any()]
    # What conditions the kernel begins as no change, whatever the class.
    assert [name for name in unreached if ".film." not in name] == []


@every
def test_a_step_down_the_gradient_lowers_the_loss(architecture: str) -> None:
    net, patches = network(architecture), batch()
    before = loss(architecture, net, patches)
    before.backward()
    with torch.no_grad():
        length = torch.nn.utils.get_total_norm(value.grad for value in net.parameters() if value.grad is not None)
        for value in net.parameters():
            if value.grad is not None:
                value -= 0.01 / length * value.grad
        assert loss(architecture, net, patches) < before


@every
def test_an_image_is_restored_alike_alone_and_in_a_batch_and_a_seed_makes_one_network(architecture: str) -> None:
    photographs = batch().photograph
    with torch.no_grad():
        together = network(architecture).eval()(photographs)
        alone = network(architecture).eval()(photographs[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)


@every
def test_it_runs_under_autocast_and_in_double_precision(architecture: str) -> None:
    photographs, net = batch().photograph, network(architecture).eval()
    with torch.no_grad():
        result = net(photographs)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = net(photographs)
        precise = net.double()(photographs.double())
    assert precise.dtype == torch.float64
    torch.testing.assert_close(rough.float(), result, atol=0.05, rtol=0.05)
    torch.testing.assert_close(precise.float(), result, atol=1e-4, rtol=1e-3)
