"""Learned restorers at work: a network with its weights, a photograph in, a sharper one out."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from datasets.capture import Photograph, Photographs
from datasets.errors import InputError
from datasets.optics import SIGMA_PER_RADIUS_LEAST_SQUARES
from methods.contestant import Kernel, Setting
from methods.restoration import references
from methods.restoration.networks.kernel_guided import KernelGuided
from methods.restoration.networks.nrknet import NRKNet
from methods.restoration.networks.tlc import with_local_statistics
from methods.restoration.restorers import Restoration, restore_each
from methods.restoration.tile_kernels import TileKernels
from methods.restoration.tiles import in_tiles, in_tiles_with, tiling


@dataclass(frozen=True)
class LearnedConfig:
    """Which weights, and how they are applied.

    weights: as in `methods.restoration.references`. seen: photographs are restored in tiles, or whole. tile: side of a
    tile over that of the patches that the network was trained on. overlap: share of a tile that neighbours have in
    common. local_statistics: attention between channels looks at windows of 1.5 times the training's size (TLC).
    """

    weights: str
    seen: Literal["tiles", "whole"] = "tiles"
    tile: float = 1.5
    overlap: float = 0.5
    local_statistics: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.tile <= 16:
            raise InputError(f"tile is {self.tile}; it must be from 1 to 16 times the patches of the training.")
        if not 0 <= self.overlap < 1:
            raise InputError(f"overlap is {self.overlap}; it must be from 0 to below 1.")


class Restorer(NamedTuple):
    """A network and the tiles that it sees photographs in.

    patch: side in px of the tiles that it tells kernels of, that of the training's patches. tile: of those that it
    restores, 0 for the whole photograph. Context makes restored tiles agree where they meet, but mixes more depths into
    one kernel. overlap: share of a tile that neighbours have in common.
    """

    network: nn.Module
    patch: int
    tile: int
    overlap: float = 0.5

    def restore(self, image: np.ndarray) -> np.ndarray:
        """A photograph [H, W, 3] float sRGB 0..1 of any size to the same, sharper; InputError for anything else."""
        with torch.inference_mode():
            photograph = self._tensor(image)
            if self.tile:
                restored = in_tiles(self.network, photograph, self.tile, int(self.overlap * self.tile))
            else:
                restored = self.network(photograph[None])[0]
        return _array(restored)

    def kernels(self, image: np.ndarray) -> TileKernels:
        """The kernel of every tile of a photograph [H, W, 3], as `restore` takes it; of a kernel-guided network."""
        network = self.network
        assert isinstance(network, KernelGuided)
        with torch.inference_mode():
            photograph = self._tensor(image)
            height, width = photograph.shape[-2:]
            tiles = tiling(height, width, self.patch, int(self.overlap * self.patch))
            _, kernels = in_tiles_with(lambda patches: (patches, network.estimate(patches)[0]), photograph, tiles)
        return TileKernels(kernels.float().cpu().numpy(), tiles, network.config.light)

    def blur(self, image: np.ndarray) -> Kernel:
        """What the network knows of the blur of a photograph; of one that is guided by kernels, and of NRKNet."""
        if isinstance(self.network, KernelGuided):
            found = self.kernels(image)
            return Kernel(found.coc(), found.blur, found.spread)
        assert isinstance(self.network, NRKNet)
        with torch.inference_mode():
            of_pixels = self.network.blur(self._tensor(image)[None])
            sigma = of_pixels.sigma()[0].cpu().numpy()

        def blurred(clean: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return _array(of_pixels(self._tensor(clean)[None])[0])

        return Kernel(sigma / SIGMA_PER_RADIUS_LEAST_SQUARES, blurred, "gather")

    def _tensor(self, image: np.ndarray) -> Tensor:
        if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise InputError(f"A photograph is an array [height, width, 3], but this one has the shape {image.shape}.")
        if not np.all((image >= 0) & (image <= 1)):
            raise InputError("A photograph holds sRGB values from 0 to 1, but this one has values outside (or NaN).")
        device = next(self.network.parameters()).device
        return torch.from_numpy(np.ascontiguousarray(image.astype(np.float32).transpose(2, 0, 1))).to(device)


def _array(image: Tensor) -> np.ndarray:
    """[3, H, W] as [H, W, 3] float32 in 0..1."""
    array: np.ndarray = image.float().clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    return array


class LearnedRestoration(Restoration):
    """Photographs restored by a network; one that has a model of the blur tells that of any photograph."""

    def __init__(self, restoration: Restoration, restorer: Restorer) -> None:
        super().__init__(restoration.images, restoration.cost)
        self.restorer = restorer

    def kernel(self, photograph: Photograph) -> Kernel:
        return self.restorer.blur(photograph.image.astype(np.float32) / 255)


def fit(photographs: Photographs, setting: Setting) -> LearnedRestoration:
    """Restore every photograph with the network that the configuration names; nothing is trained here."""
    restorer = made(setting.config("learned", LearnedConfig), setting.device)
    return LearnedRestoration(restore_each(photographs, setting, restorer.restore), restorer)


def made(config: LearnedConfig, device: str) -> Restorer:
    """The restorer that `config` names. Raises InputError where its weights are missing or damaged."""
    return applied(*references.load(config.weights, device), config)


def applied(network: nn.Module, patch: int, config: LearnedConfig) -> Restorer:
    """A `network` that was trained on patches of `patch` px, applied as `config` says."""
    if config.local_statistics:
        network = with_local_statistics(network, patch)
    return Restorer(network, patch, round(config.tile * patch) if config.seen == "tiles" else 0, config.overlap)
