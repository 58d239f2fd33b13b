"""Overlapping tiles, and the blend of what was made of them."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datasets.errors import InputError
from methods.restoration.tiles import in_tiles, in_tiles_with, tiling

SIZES = [(64, 64), (100, 71), (33, 32), (32, 32), (31, 90), (5, 7), (1, 1), (1, 200)]


def random(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("overlap", [0, 7, 16, 31])
def test_windows_cover_every_pixel_with_a_sum_of_1(height: int, width: int, overlap: int) -> None:
    tiles = tiling(height, width, 32, overlap)
    total = np.zeros((height, width))
    for place in tiles.places:
        assert place.window.min() > 0
        total[place.region] += place.window
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_tiles_are_flush_with_the_borders_and_overlap_at_least_as_asked() -> None:
    tiles = tiling(100, 64, 32, 16)
    tops = sorted({place.top for place in tiles.places})
    assert (tops[0], tops[-1]) == (0, 100 - 32)
    assert max(np.diff(tops)) <= 32 - 16
    assert sorted({place.left for place in tiles.places}) == [0, 16, 32]


def test_half_overlapping_windows_are_raised_cosines() -> None:
    middle = tiling(32, 128, 32, 16).places[3].window[0]
    np.testing.assert_allclose(middle, np.sin(np.pi * (np.arange(32) + 0.5) / 32) ** 2, atol=1e-6)


@pytest.mark.parametrize("overlap", [-1, 32, 40])
def test_an_impossible_overlap_is_said(overlap: int) -> None:
    with pytest.raises(InputError, match="Tiles of 32 px cannot overlap"):
        tiling(64, 64, 32, overlap)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("overlap", [0, 16])
def test_the_identity_gives_the_image_back(height: int, width: int, overlap: int) -> None:
    image = random(3, height, width)
    torch.testing.assert_close(in_tiles(lambda patches: patches, image, 32, overlap), image, atol=1e-6, rtol=0)


def test_patches_come_in_batches_of_whole_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("methods.restoration.tiles.PIXELS_AT_ONCE", 2 * 32**2 + 1)
    shapes = []

    def one_channel(patches: Tensor) -> Tensor:
        shapes.append(tuple(patches.shape))
        return patches.mean(dim=1, keepdim=True)

    image = random(3, 100, 20)
    result = in_tiles(one_channel, image, 32, 16)
    torch.testing.assert_close(result, image.mean(dim=0, keepdim=True), atol=1e-6, rtol=0)
    assert shapes == [(2, 3, 32, 32)] * 3


def test_a_network_of_small_reach_gives_the_same_in_tiles_as_in_one_piece() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.Tanh(), nn.Conv2d(8, 3, 5, padding=2))
    image = random(3, 150, 131)
    with torch.no_grad():
        whole = network(image[None])[0]
        tiled = in_tiles(network, image, 48, 24)
    error = (whole - tiled)[:, 8:-8, 8:-8].square().mean()
    assert -10 * torch.log10(error) > 45


@pytest.mark.parametrize("at_once", [1, 3 * 32**2, 2**16])
def test_what_is_told_of_each_tile_comes_back_in_the_order_of_the_places(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("methods.restoration.tiles.PIXELS_AT_ONCE", at_once)
    image = torch.zeros(3, 80, 90)
    image[0] = torch.arange(80)[:, None]
    image[1] = torch.arange(90)
    tiles = tiling(80, 90, 32, 16)

    def with_corner(patches: Tensor) -> tuple[Tensor, Tensor]:
        return patches, patches[:, :2, 0, 0]

    _, corners = in_tiles_with(with_corner, image, tiles)
    assert corners.tolist() == [[place.top, place.left] for place in tiles.places]


def test_gradients_pass() -> None:
    image = random(3, 40, 50).requires_grad_()
    in_tiles(lambda patches: 2 * patches, image, 32, 8).sum().backward()
    torch.testing.assert_close(image.grad, torch.full_like(image, 2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_precision_is_kept(dtype: torch.dtype) -> None:
    assert in_tiles(lambda patches: patches, random(3, 40, 50).to(dtype), 32, 8).dtype == dtype
