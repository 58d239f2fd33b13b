"""An image in overlapping square tiles, each treated for itself, and what comes of them blended back into one.

Serves what sees an image as one piece, as a network that gives a patch a single blur kernel does. The windows that
blend are raised cosines, normalised so that those over a pixel sum to 1.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from datasets.errors import InputError
from methods.restoration.padding import continued

PIXELS_AT_ONCE = 2**16  # in the tiles of a batch


class Place(NamedTuple):
    """Where a tile lies, px from the top left corner of the image, and its part in the blend.

    window: [h, w] float32 in 0..1, cut to the image, so smaller than the tile only where the image is.
    """

    top: int
    left: int
    window: np.ndarray

    @property
    def region(self) -> tuple[slice, slice]:
        """Rows and columns of the image under the tile."""
        height, width = self.window.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


@dataclass(frozen=True, eq=False)
class Tiling:
    """Squares of `tile` px that cover an image of `height` x `width` px, row by row.

    Of an image smaller than a tile, the one tile along that axis reaches beyond it.
    """

    height: int
    width: int
    tile: int
    places: tuple[Place, ...]

    def batches(self) -> Iterator[slice]:
        """Of `places` and what belongs to them: tiles to treat together, few enough to bound the memory."""
        size = max(1, PIXELS_AT_ONCE // self.tile**2)
        return (slice(start, start + size) for start in range(0, len(self.places), size))


def tiling(height: int, width: int, tile: int, overlap: int) -> Tiling:
    """Tiles spread evenly, the outermost flush with the borders, neighbours sharing at least `overlap` px.

    Raises InputError unless 0 <= overlap < tile.
    """
    if not 0 <= overlap < tile:
        raise InputError(f"Tiles of {tile} px cannot overlap by {overlap} px.")
    rows, columns = _windows(height, tile, overlap), _windows(width, tile, overlap)
    places = tuple(
        Place(top, left, np.outer(down, across).astype(np.float32)) for top, down in rows for left, across in columns
    )
    return Tiling(height, width, tile, places)


def in_tiles(apply: Callable[[Tensor], Tensor], image: Tensor, tile: int, overlap: int) -> Tensor:
    """Apply a function on patches to an image of any size.

    Args:
        apply: [B, 3, tile, tile] to [B, C, tile, tile].
        image: [3, H, W]; continued as by `continued` where it is smaller than a tile.
        tile, overlap: px, as for `tiling`, whose InputError it raises.

    Returns:
        [C, H, W].
    """

    def without_extra(patches: Tensor) -> tuple[Tensor, Tensor]:
        return apply(patches), patches.new_empty(len(patches), 0)

    return in_tiles_with(without_extra, image, tiling(image.shape[-2], image.shape[-1], tile, overlap))[0]


def in_tiles_with(
    apply: Callable[[Tensor], tuple[Tensor, Tensor]], image: Tensor, tiles: Tiling
) -> tuple[Tensor, Tensor]:
    """As `in_tiles`, of a function that tells something more of every patch, such as its kernel.

    Args:
        apply: [B, 3, tile, tile] to [B, C, tile, tile] and [B, ...].
        image: [3, H, W], of the size that `tiles` covers.

    Returns:
        [C, H, W], and what more was told, [T, ...] in the order of `tiles.places`.
    """
    size = tiles.tile
    canvas = continued(image[None], max(tiles.height, size), max(tiles.width, size))[0]
    blended: Tensor | None = None
    extras = []
    for batch in tiles.batches():
        places = tiles.places[batch]
        patches = torch.stack([canvas[:, p.top : p.top + size, p.left : p.left + size] for p in places])
        results, extra = apply(patches)
        extras.append(extra)
        if blended is None:
            blended = results.new_zeros(results.shape[1], tiles.height, tiles.width)
        for place, result in zip(places, results, strict=True):
            window = torch.from_numpy(place.window).to(result)
            height, width = window.shape
            blended[:, *place.region] += window * result[:, :height, :width]
    assert blended is not None
    return blended, torch.cat(extras)


def _windows(length: int, tile: int, overlap: int) -> list[tuple[int, np.ndarray]]:
    """Start and window [min(tile, length)] float64 of every tile along one axis; the windows sum to 1 at each px."""
    count = max(1, ceil((length - overlap) / (tile - overlap)))
    starts = np.round(np.linspace(0, max(0, length - tile), count)).astype(int)
    bell = np.sin(np.pi * (np.arange(tile) + 0.5) / tile) ** 2
    total = np.zeros(max(length, tile))
    for start in starts:
        total[start : start + tile] += bell
    return [(int(start), (bell / total[start : start + tile])[:length]) for start in starts]
