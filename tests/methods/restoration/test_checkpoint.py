"""Checkpoints: what is written comes back, and nothing else is taken for one."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from datasets.errors import InputError
from methods.restoration import architectures, checkpoint

NETWORK = {"width": 8, "blocks": 2, "heads": [1, 1, 2, 2], "pools": [[2, 1], [2, 1], [2, 1], [1, 1]]}
FACTS = {
    **{"architecture": "mpt", "network": NETWORK, "patch": 32, "trained_on": "nothing much", "pairs": {"count": 2}},
    **{"recipe": {"steps": 3}, "step": 3, "curve": [], "package": "0", "code": "none"},
}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return architectures.network("mpt", NETWORK)


@pytest.fixture
def path(tmp_path, network):
    checkpoint.write(tmp_path / "a.safetensors", network, FACTS)
    return tmp_path / "a.safetensors"


def test_the_network_and_all_facts_come_back_in_half_the_bytes(path, network):
    found = checkpoint.read(path)
    assert {name: found.facts[name] for name in FACTS} == FACTS
    assert found.sha256 == checkpoint.sha256(path)
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(found.network(image), network.eval()(image), atol=2e-3)
    assert not any(parameter.requires_grad for parameter in found.network.parameters())
    parameters = sum(tensor.numel() for tensor in network.state_dict().values())
    assert path.stat().st_size < 2 * parameters + 40_000
    assert [file.name for file in path.parent.iterdir()] == ["a.safetensors"]


def damage_truncated(path):
    path.write_bytes(path.read_bytes()[:-1000])


def damage_pickled(path):
    path.write_bytes(pickle.dumps({"a": print}))


def damage_not_ours(path):
    save_file({"a": torch.zeros(2)}, path)


def damage_emptied(path):
    path.write_bytes(b"")


def damage_renamed(path):
    text = json.dumps({"format": 1, **FACTS, "architecture": "restormer", "network": {"width": 8}})
    save_file({"a": torch.zeros(2)}, path, {"facts": text})


def damage_not_finite(path):
    network = architectures.network("mpt", NETWORK)
    network.output.weight.data[0] = torch.nan
    checkpoint.write(path, network, FACTS)


def damage_from_the_future(path):
    save_file({"a": torch.zeros(2)}, path, {"facts": json.dumps({**FACTS, "format": 2})})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_truncated, "no checkpoint that `bench train` wrote, or it is damaged"),
        (damage_pickled, "no checkpoint that `bench train` wrote, or it is damaged"),
        (damage_not_ours, "no checkpoint that `bench train` wrote, or it is damaged"),
        (damage_emptied, "no checkpoint that `bench train` wrote, or it is damaged"),
        (damage_renamed, "does not fit the network restormer that it names: the parameter patch_embed.proj.weight"),
        (damage_not_finite, "the parameter output.weight has values that are not finite"),
        (damage_from_the_future, "format 2; this version reads 1"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_a_sentence(path, damage, says):
    damage(path)
    with pytest.raises(InputError, match=says):
        checkpoint.read(path)


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"There is no checkpoint .*b.safetensors"):
        checkpoint.facts(tmp_path / "b.safetensors")


def test_parameters_of_another_shape_or_name_are_told(network):
    state = dict(network.state_dict())
    assert checkpoint.mismatch(network, state) is None
    assert checkpoint.mismatch(network, state | {"more": torch.zeros(1)}) == "the parameter more is unknown"
    shapeless = state | {"output.weight": torch.zeros(1)}
    assert checkpoint.mismatch(network, shapeless) == "the parameter output.weight is [1], not [3, 8, 3, 3]"
    del state["inproj.weight"]
    assert checkpoint.mismatch(network, state) == "the parameter inproj.weight is missing"
