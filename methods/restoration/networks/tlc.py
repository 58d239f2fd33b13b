"""Test-time local converter (TLC): a network meets on large images the statistics that it met on training crops.

X. Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation" (ECCV 2022), section 3.
MDTA sums over all pixels it is given: a crop in training, a whole photograph in use. Here it sums over windows instead;
windows overlap, and a pixel receives the mean of what the windows around it say.
"""

from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

from datasets.errors import InputError
from methods.restoration.networks.mdta import MDTA, attention

FACTOR = 1.5  # side of a window over that of a training crop, as the authors chose it for Restormer (384 px for 256)


def with_local_statistics(network: nn.Module, train_size: int, factor: float = FACTOR) -> nn.Module:
    """A copy of `network` in which every MDTA attends to windows. No parameter changes.

    A window is the feature map that an image of `factor` times `train_size` px a side has there, so that nothing
    changes for images no larger than that.

    Args:
        network: takes [B, 3, H, W], uses each of its MDTA at one resolution, and runs on the meta device.
        train_size: side of the crops that it was trained on, px.
        factor: side of a window over that of a crop.

    Raises:
        InputError: the network has no MDTA, or `train_size` is not known (0).
    """
    if train_size < 1:
        raise InputError("Local statistics need to know the size of the crops that the network was trained on.")
    network = deepcopy(network)
    attentions = [module for module in network.modules() if isinstance(module, MDTA)]
    if not attentions:
        raise InputError(
            f"Local statistics need attention between channels, of which {type(network).__name__} has none."
        )

    windows: dict[nn.Module, tuple[int, int]] = {}

    def measure(module: nn.Module, inputs: tuple[Tensor]) -> None:
        windows[module] = (inputs[0].shape[-2], inputs[0].shape[-1])

    hooks = [module.register_forward_pre_hook(measure) for module in attentions]
    weights = {name: tensor.to("meta") for name, tensor in (*network.named_parameters(), *network.named_buffers())}
    side = round(factor * train_size)
    functional_call(network, weights, torch.empty(1, 3, side, side, device="meta"))
    for module, hook in zip(attentions, hooks, strict=True):
        hook.remove()
        module.attend = partial(local_attention, window=windows[module])
    return network


def local_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor, window: tuple[int, int]) -> Tensor:
    """`mdta.attention` in overlapping windows, one after the other, so that memory stays that of one.

    Args:
        q, k, v: [..., C, H, W].
        temperature: [heads, 1, 1].
        window: its height and width, px of the feature map.

    Returns:
        [..., C, H, W], of each pixel the mean over the windows that hold it.
    """
    height, width = v.shape[-2:]
    total, count = torch.zeros_like(v), v.new_zeros(height, width)
    for rows in spans(height, window[0]):
        for columns in spans(width, window[1]):
            here = (..., rows, columns)
            total[here] += attention(q[here], k[here], v[here], temperature)
            count[here] += 1
    return total / count


def spans(length: int, window: int) -> list[slice]:
    """The fewest windows that cover `length` px, as evenly spread as whole pixels allow; all of it if it is shorter."""
    if length <= window:
        return [slice(0, length)]
    count = -(-length // window)
    last = length - window
    step = -(-last // (count - 1))
    return [slice(start, start + window) for start in (min(i * step, last) for i in range(count))]
