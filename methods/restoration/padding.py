"""Images continued beyond their borders, to a size that a network takes."""

from torch import Tensor
from torch.nn import functional as F


def continued(
    image: Tensor,  # [B, C, H, W]
    height: int,
    width: int,
) -> Tensor:  # [B, C, height, width]
    """The image continued to the right and downwards: by reflection where it is large enough, else by replication."""
    right, down = width - image.shape[-1], height - image.shape[-2]
    image = F.pad(image, (0, right, 0, 0), mode="reflect" if right < image.shape[-1] else "replicate")
    return F.pad(image, (0, 0, 0, down), mode="reflect" if down < image.shape[-2] else "replicate")


def to_multiple(
    image: Tensor,  # [B, C, H, W]
    multiple: int,
    least: int = 1,
) -> Tensor:  # [B, C, H', W']
    """The image continued to the next multiples of `multiple` px that are no smaller than `least` px."""
    height, width = (max(size + -size % multiple, least) for size in image.shape[-2:])
    return continued(image, height, width)
