"""What a restorer sees while it is trained: random patches of training pairs, turned and mirrored.

The batch of a step is a function of seed and step alone, so a training that goes on sees what it would have seen.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.pairs import Pairs
from methods.restoration.learning.refocus import photographed_again

# A patch should show something in so much of it, and be out of focus there by so many px (median radius of the circle
# of confusion); of those that are not, as half of the pairs, a share is taken. After so many tries it is as it is.
COVERED = 0.2
BLURRED = 1.0
SHARP_SHARE = 0.25
TRIES = 8


class Batch(NamedTuple):
    """Patches: photograph and sharp [B, 3, P, P] float32 sRGB 0..1; coc [B, P, P] signed radius of the circle of
    confusion in px; mask [B, P, P] 0..1 coverage by anything that has a depth."""

    photograph: Tensor
    sharp: Tensor
    coc: Tensor
    mask: Tensor


class Examples:
    """All `pairs` in memory, as they are on disk (uint8, and half floats for the circles of confusion), and what each
    twin gives when it is photographed `again` so many times, which takes tens of milliseconds each; for `device`.

    Raises InputError if a patch of `patch` px is larger than the pairs.
    """

    def __init__(
        self, pairs: Pairs, patch: int, seed: int, exchange: bool = True, again: int = 0, device: str = "cpu"
    ) -> None:
        if patch > pairs.size:
            raise InputError(f"Patches of {patch} px do not fit into pairs of {pairs.size} px: take a smaller patch.")
        shards = [pairs.read_shard(number) for number in range(len(pairs.shards))]
        shards += [
            photographed_again(shard, again, np.random.default_rng((seed, number)), device)
            for number, shard in enumerate(shards if again else [])
        ]
        self.photograph = np.concatenate([shard.photograph for shard in shards])
        self.sharp = np.concatenate([shard.sharp for shard in shards])
        self.coc = np.concatenate([shard.coc for shard in shards])
        self.mask = np.concatenate([shard.mask for shard in shards])
        self.patch, self.seed, self.exchange, self.device = patch, seed, exchange, device

    def batch(self, step: int, size: int) -> Batch:
        """`size` patches, the same for the same step whenever asked."""
        random = np.random.default_rng((self.seed, step))
        parts = [self._example(random) for _ in range(size)]
        photograph, sharp, coc, mask = (np.stack(part) for part in zip(*parts, strict=True))
        return Batch(
            _image(photograph, self.device),
            _image(sharp, self.device),
            torch.from_numpy(coc.astype(np.float32)).to(self.device),
            torch.from_numpy(mask).to(self.device).float() / 255,
        )

    def _example(self, random: np.random.Generator) -> Sequence[np.ndarray]:
        """Photograph, sharp, coc and mask of a random patch, turned, mirrored, its colours exchanged."""
        reach = self.photograph.shape[1] - self.patch + 1
        for _ in range(TRIES):
            index, (top, left) = random.integers(len(self.photograph)), random.integers(reach, size=2)
            place = np.s_[index, top : top + self.patch, left : left + self.patch]
            if self._worth(place, random):
                break
        turns, mirrored = random.integers(4), random.integers(2)
        maps = []
        for whole in (self.photograph, self.sharp, self.coc, self.mask):
            part = np.rot90(whole[place], turns)
            maps.append(part[:, ::-1] if mirrored else part)
        if self.exchange:  # "channel exchange" of kernel-guided restoration: a lens blurs all colours alike
            colours = random.permutation(3)
            maps[0], maps[1] = maps[0][..., colours], maps[1][..., colours]
        return maps

    def _worth(self, place: Any, random: np.random.Generator) -> bool:
        """Whether there is something to learn from the patch at `place`."""
        covered = self.mask[place] > 127
        if covered.mean() < COVERED:
            return False
        return np.median(np.abs(self.coc[place][covered])) >= BLURRED or random.random() < SHARP_SHARE


def _image(batch: np.ndarray, device: str) -> Tensor:
    """[B, P, P, 3] uint8 as [B, 3, P, P] float 0..1, channels last in memory, as CPUs and tensor cores like it."""
    image = torch.from_numpy(np.ascontiguousarray(batch)).to(device).permute(0, 3, 1, 2).float() / 255
    return image.contiguous(memory_format=torch.channels_last)
