"""A small folder of training pairs: patches of a photograph that scikit-image ships, each blurred by one disk."""

from pathlib import Path

import cv2
import numpy as np
from skimage import data

from datasets import pairs, store
from datasets.color import linear_to_srgb, srgb_to_linear, to_uint8
from datasets.pairs import Shard, write_shard


def disk(radius: float) -> np.ndarray:
    reach = int(np.ceil(radius))
    t = (np.arange((2 * reach + 1) * 9) + 0.5) / 9 - reach - 0.5
    inside = (t[:, None] ** 2 + t**2 <= radius**2).astype(float)
    kernel = inside.reshape(2 * reach + 1, 9, 2 * reach + 1, 9).mean(axis=(1, 3))
    return kernel / kernel.sum()


def make_shard(seed: int, size: int, count: int = 2) -> Shard:
    """Pairs of one "object": places in a photograph, the richest of eight, with radii from 2 to 4 px; all of it is
    covered."""
    rng, source = np.random.default_rng(seed), srgb_to_linear(data.astronaut() / 255)
    photographs, sharps, cocs = [], [], []
    for _ in range(count):
        places = rng.integers(0, len(source) - 3 * size, size=(8, 2))
        crops = [source[top : top + 3 * size, left : left + 3 * size] for top, left in places]
        whole = cv2.resize(max(crops, key=np.std), (2 * size, 2 * size), interpolation=cv2.INTER_AREA)
        radius = rng.uniform(2, 4)
        inner = np.s_[size // 2 : size // 2 + size, size // 2 : size // 2 + size]
        blurred = cv2.filter2D(whole, -1, disk(radius))[inner]
        photographs.append(to_uint8(linear_to_srgb(blurred)))
        sharps.append(to_uint8(linear_to_srgb(whole[inner])))
        cocs.append(np.full((size, size), radius, np.float16))
    mask = np.full((count, size, size), 255, np.uint8)
    facts = tuple({"object_seed": seed, "take": take} for take in range(count))
    return Shard(np.stack(photographs), np.stack(sharps), mask, np.stack(cocs), facts)


def write_pairs(folder: Path, objects: int = 12, size: int = 32) -> Path:
    """`folder` filled with two pairs of each of `objects` objects."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for seed in range(objects):
        name = f"shard-{seed:05d}.npz"
        write_shard(folder / name, make_shard(seed, size))
        entries[name] = {"pairs": 2, "sha256": store.sha256(folder / name)}
    document = {"kind": pairs.KIND, "size": size, "seed": 0, "shards": entries}
    store.write_json(folder / pairs.MANIFEST, document)
    return folder
