"""The table of networks and of what was released for them."""

import pytest
import torch

from datasets.errors import InputError
from methods.restoration import architectures
from methods.restoration.architectures import RELEASES


@pytest.mark.parametrize("wrapper", [None, "params", "state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_state_is_taken_out_of_what_was_put_around_it(wrapper: str | None, prefix: str) -> None:
    state = {f"{prefix}{name}": torch.zeros(1) for name in ("a.weight", "a.bias")}
    raw = state if wrapper is None else {wrapper: state, "epoch": 7}
    assert set(architectures.unwrapped(raw)) == {"a.weight", "a.bias"}


def test_a_released_file_of_restormer_has_the_names_of_our_network() -> None:
    with torch.device("meta"):
        expected = architectures.network("restormer", {}).state_dict()
    settings, state = architectures.released(RELEASES["restormer"], {"params": expected})
    assert (settings, set(state)) == ({}, set(expected))


def test_an_unknown_network_gets_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean nrknet"):
        architectures.network("nrk-net", {})


def test_settings_that_a_network_does_not_have_are_refused() -> None:
    with pytest.raises(InputError, match="MPTConfig has no setting widht"):
        architectures.network("mpt", {"widht": 8})
