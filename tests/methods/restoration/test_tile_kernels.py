"""One kernel per tile as a model of a photograph's blur."""

from typing import Literal

import numpy as np
import pytest
import torch
from defocused import disk, scene
from scipy.signal import convolve2d

from datasets.color import linear_to_srgb, srgb_to_linear
from datasets.errors import InputError
from methods.restoration.networks.kernel_guided import KernelGuided, KernelGuidedConfig
from methods.restoration.tile_kernels import TileKernels, convolve, radius_of
from methods.restoration.tiles import in_tiles_with, tiling

SIZE = 21


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).random((height, width, 3)).astype(np.float32)


def kernel(radius: float) -> np.ndarray:
    """A disk in the middle of [21, 21]."""
    inner = disk(radius)
    return np.pad(inner, (SIZE - len(inner)) // 2)


def lopsided() -> np.ndarray:
    """Some kernel [21, 21] without any symmetry."""
    weights = np.random.default_rng(1).random((SIZE, SIZE)) ** 6
    return weights / weights.sum()


def tile_kernels(
    kernels: list[np.ndarray], height: int, width: int, light: Literal["linear", "srgb"] = "linear"
) -> TileKernels:
    """`kernels` in turn over tiles of 32 px that overlap by half."""
    tiles = tiling(height, width, 32, 16)
    return TileKernels(np.stack([kernels[i % len(kernels)] for i in range(len(tiles.places))]), tiles, light)


def direct(linear: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.stack([convolve2d(linear[..., c], weights, mode="same", boundary="symm") for c in range(3)], axis=-1)


@pytest.mark.parametrize("light", ["linear", "srgb"])
@pytest.mark.parametrize(("height", "width"), [(70, 53), (32, 32), (20, 40), (3, 2)])
def test_one_kernel_everywhere_is_a_convolution(height: int, width: int, light: Literal["linear", "srgb"]) -> None:
    sharp, weights = image(height, width), lopsided()
    if min(height, width) < SIZE // 2:
        repeated = np.pad(sharp, ((SIZE, SIZE), (SIZE, SIZE), (0, 0)), mode="symmetric")
    else:
        repeated = sharp
    expected = (
        linear_to_srgb(direct(srgb_to_linear(repeated), weights)) if light == "linear" else direct(repeated, weights)
    )
    if repeated is not sharp:
        expected = expected[SIZE:-SIZE, SIZE:-SIZE]
    blurred = tile_kernels([weights], height, width, light).blur(sharp)
    assert blurred.dtype == np.float32
    np.testing.assert_allclose(blurred, expected, atol=1e-5)


def test_kernels_of_one_pixel_change_nothing_and_have_radius_0() -> None:
    delta = np.zeros((SIZE, SIZE))
    delta[SIZE // 2, SIZE // 2] = 1
    still = tile_kernels([delta], 70, 53)
    np.testing.assert_allclose(still.blur(image(70, 53)), image(70, 53), atol=1e-5)
    assert not still.coc().any()


def test_what_is_flat_stays_flat() -> None:
    kernels = [lopsided(), kernel(3), kernel(8)]
    flat = np.broadcast_to(np.array([0.0, 0.4, 1.0], np.float32), (70, 53, 3))
    np.testing.assert_allclose(tile_kernels(kernels, 70, 53).blur(flat), flat, atol=2e-5)


def test_each_pixel_gathers_by_the_blend_of_the_kernels_over_it() -> None:
    tiles, kernels = tiling(32, 48, 32, 16), [kernel(2), kernel(6)]
    sharp = image(32, 48)
    blurred = TileKernels(np.stack(kernels), tiles).blur(sharp)
    left = tiles.places[0].window[0, 24]
    blend = left * kernels[0] + (1 - left) * kernels[1]
    expected = linear_to_srgb(direct(srgb_to_linear(sharp), blend))
    np.testing.assert_allclose(blurred[:, 24], expected[:, 24], atol=1e-5)
    assert TileKernels.spread == "gather"


def in_pixels(radius: float) -> float:
    """Radius of a disk after the average over pixels, which adds 1/12 px^2 to the variance along each axis."""
    return float(np.sqrt(radius**2 + 1 / 3))


@pytest.mark.parametrize("radius", [2.0, 3.5, 6.0, 9.5])
def test_the_radius_of_a_disk_is_recovered_wherever_it_lies(radius: float) -> None:
    shifted = np.roll(np.pad(disk(radius), 4), (3, -2), axis=(0, 1))
    assert radius_of(np.stack([shifted, np.pad(disk(radius), 4)])) == pytest.approx(in_pixels(radius), abs=0.05)


def test_the_radius_passes_smoothly_from_tile_to_tile() -> None:
    tiles = tiling(32, 48, 32, 16)
    coc = TileKernels(np.stack([kernel(2), kernel(6)]), tiles).coc()
    assert coc.shape == (32, 48)
    assert coc[:, :16] == pytest.approx(in_pixels(2), abs=0.05)
    assert coc[:, 32:] == pytest.approx(in_pixels(6), abs=0.05)
    assert (np.diff(coc, axis=1) > -1e-5).all()
    assert np.diff(coc, axis=1).max() < 0.5


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"photograph \[70, 53, 3\]"):
        tile_kernels([kernel(2)], 70, 53).blur(image(53, 70))


def test_convolve_has_a_kernel_for_each_image_and_gradients() -> None:
    images = torch.rand(2, 3, 12, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    kernels = torch.rand(2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    result = convolve(images, kernels)
    for b in range(2):
        for c in range(3):
            expected = convolve2d(images[b, c], kernels[b], mode="valid")
            np.testing.assert_allclose(result[b, c], expected, atol=1e-12)
    assert torch.autograd.gradcheck(convolve, (images[:, :1].requires_grad_(), kernels.requires_grad_()))


def test_the_network_in_tiles_gives_a_photograph_and_its_kernels() -> None:
    torch.manual_seed(0)
    network = KernelGuided(KernelGuidedConfig(kernel_size=11, width=8, levels=2, features=8, maps=4)).eval()
    photograph = linear_to_srgb(scene("astronaut", 70)).astype(np.float32)
    tiles = tiling(70, 70, 32, 16)
    with torch.no_grad():
        restored, kernels = in_tiles_with(
            lambda patches: network.guided(patches)[:2], torch.from_numpy(photograph).permute(2, 0, 1), tiles
        )
    blur = TileKernels(kernels.numpy(), tiles, network.config.light)
    assert restored.shape == (3, 70, 70)
    assert 0 < blur.coc().min() <= blur.coc().max() < 11
    assert np.abs(blur.blur(photograph) - photograph).mean() > 0.01
