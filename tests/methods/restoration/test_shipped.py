"""The checkpoints that ship: small, of the preset that the package has, told apart by nothing but their training, good
for something, and the same in tiles as in one piece."""

import numpy as np
import pytest
import torch
from defocused import defocus, photograph, psnr, scene

from datasets.color import linear_to_srgb
from methods.restoration import architectures, checkpoint
from methods.restoration.learned import LearnedConfig, Restorer, made
from methods.restoration.learning.recipe import as_json, plan

SHIPPED = {"kernel-guided": "kernel-guided", "mpt-s": "mpt"}


def restorer(name: str) -> Restorer:
    return made(LearnedConfig(f"shipped:{name}"), "cpu")


def test_what_ships_is_small() -> None:
    sizes = {path.name: path.stat().st_size for path in checkpoint.SHIPPED.iterdir()}
    assert set(sizes) == {f"{name}.safetensors" for name in SHIPPED}
    assert max(sizes.values()) <= 10e6
    assert sum(sizes.values()) <= 30e6


@pytest.mark.parametrize("name", SHIPPED)
def test_each_is_what_preset_small_trains(name: str) -> None:
    facts, wanted = checkpoint.facts(checkpoint.shipped(name)), plan(SHIPPED[name], "small")
    assert (facts["architecture"], facts["network"]) == (SHIPPED[name], wanted.network)
    assert facts["recipe"] == as_json(vars(wanted.recipe))
    assert (facts["step"], facts["trained_on"]) == (wanted.recipe.steps, "synthetic macro pairs")
    curve = facts["curve"]
    assert curve[-1]["psnr"] > curve[-1]["input_psnr"]
    assert [point["step"] for point in curve][-1] == wanted.recipe.steps


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("radius", [2.0, 3.0])
def test_a_photograph_like_none_that_it_was_trained_on_becomes_sharper(name: str, radius: float) -> None:
    linear = scene("astronaut", 128)
    sharp, blurred = photograph(linear), photograph(defocus(linear, radius))
    restored = restorer(name).restore(blurred)
    inner = np.s_[8:-8, 8:-8]
    assert psnr(restored[inner], sharp[inner]) > psnr(blurred[inner], sharp[inner]) + 0.3


def test_the_kernels_of_a_photograph_are_as_wide_as_its_blur() -> None:
    linear, found = scene("astronaut", 128), restorer("kernel-guided")
    radii = [float(np.median(found.blur(photograph(defocus(linear, radius))).coc)) for radius in (1.0, 2.0, 4.0)]
    assert radii[0] < radii[1] < radii[2]
    assert radii[2] == pytest.approx(4, abs=1)


@pytest.mark.parametrize("picture", ["astronaut", "coffee"])
@pytest.mark.parametrize("name", SHIPPED)
def test_400_px_in_tiles_and_in_one_piece_are_nearly_the_same_image(name: str, picture: str) -> None:
    linear = scene(picture, 400)
    radii = np.broadcast_to(np.linspace(0, 3, 400), (400, 400))
    blurred, found = photograph(defocus(linear, radii)), restorer(name)
    # One kernel for all of it, and attention between the channels of all of it, where each tile had its own.
    tiles, whole = found.restore(blurred), Restorer(found.network, found.patch, tile=0).restore(blurred)
    assert psnr(tiles[32:-32, 32:-32], whole[32:-32, 32:-32]) > 45


def test_with_local_statistics_small_tiles_and_one_piece_are_closer() -> None:
    blurred = photograph(defocus(scene("astronaut", 256), 2.0))
    found = made(LearnedConfig("shipped:mpt-s", tile=1.0), "cpu")
    tiles = found.restore(blurred)
    local = made(LearnedConfig("shipped:mpt-s", "whole", local_statistics=True), "cpu").restore(blurred)
    whole = Restorer(found.network, found.patch, tile=0).restore(blurred)
    assert psnr(local, tiles) > max(45, psnr(whole, tiles))


def test_networks_of_other_settings_do_not_read_it() -> None:
    facts = checkpoint.facts(checkpoint.shipped("mpt-s"))
    other = architectures.network("mpt", facts["network"] | {"width": 8, "heads": [1, 1, 1, 1]})
    from safetensors.torch import load_file

    assert "inproj.weight" in str(checkpoint.mismatch(other, load_file(checkpoint.shipped("mpt-s"))))


def test_black_stays_black_and_what_is_sharp_stays_as_it_is() -> None:
    sharp = linear_to_srgb(scene("astronaut", 128)).astype(np.float32)
    for name in SHIPPED:
        assert restorer(name).restore(np.zeros((64, 64, 3), np.float32)).max() < 0.05
        assert psnr(restorer(name).restore(sharp), sharp) > 28
    assert torch.is_grad_enabled()
