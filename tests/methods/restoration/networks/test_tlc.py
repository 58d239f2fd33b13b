"""Attention over windows equals attention over the whole image where one window holds it, and is local elsewhere."""

import pytest
import torch
from torch import Tensor, nn

from datasets.errors import InputError
from methods.restoration.networks.mdta import MDTA, attention
from methods.restoration.networks.restormer import Restormer, RestormerConfig
from methods.restoration.networks.tlc import local_attention, spans, with_local_statistics

TRAIN = 24  # px, so that a window is 36 px a side
TEMPERATURE = torch.tensor([[[2.0]], [[0.5]]])


class Attending(nn.Module):
    """One MDTA on a feature map of half the image's resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.shrink = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 8, 1))
        self.mdta = MDTA(8, 2)

    def forward(self, image: Tensor) -> Tensor:
        return self.mdta(self.shrink(image))


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def restormer() -> Restormer:
    torch.manual_seed(0)
    return Restormer(RestormerConfig(width=8, blocks=(1, 1, 1, 1), heads=(1, 2, 4, 8), refinement=1)).eval()


def attending() -> Attending:
    torch.manual_seed(0)
    return Attending().eval()


def slow_local_attention(q: Tensor, k: Tensor, v: Tensor, rows: list[range], columns: list[range]) -> Tensor:
    """[heads, C, H, W]: pixel by pixel, the mean over all windows around it of a mixture of its own channels."""
    result = torch.zeros_like(v)
    heads, _, height, width = v.shape
    for head in range(heads):
        for y in range(height):
            for x in range(width):
                around = [(r, c) for r in rows for c in columns if y in r and x in c]
                for r, c in around:
                    pixels = [(i, j) for i in r for j in c]
                    queries = torch.stack([q[head, :, i, j] for i, j in pixels])  # [pixels, C]
                    keys = torch.stack([k[head, :, i, j] for i, j in pixels])
                    cosine = queries.T @ keys / queries.norm(dim=0)[:, None] / keys.norm(dim=0)
                    mixture = (TEMPERATURE[head] * cosine).softmax(dim=1) @ v[head, :, y, x]
                    result[head, :, y, x] += mixture / len(around)
    return result


@pytest.mark.parametrize(
    ("length", "window", "starts"),
    [(5, 8, [0]), (8, 8, [0]), (9, 8, [0, 1]), (16, 8, [0, 8]), (17, 8, [0, 5, 9]), (1120, 384, [0, 368, 736])],
)
def test_windows_cover_a_length_evenly(length: int, window: int, starts: list[int]) -> None:
    assert [span.start for span in spans(length, window)] == starts
    assert all(span.stop - span.start == min(length, window) for span in spans(length, window))


@pytest.mark.parametrize("length", range(1, 60))
def test_windows_leave_no_pixel_out(length: int) -> None:
    for window in (1, 2, 7):
        covered = torch.zeros(length)
        for span in spans(length, window):
            covered[span] += 1
        assert covered.min() >= 1


def test_windows_give_what_the_slow_reference_gives() -> None:
    q, k, v = random(3, 2, 3, 7, 9)  # two windows of rows, three of columns
    rows, columns = [range(0, 4), range(3, 7)], [range(0, 4), range(3, 7), range(5, 9)]
    fast = local_attention(q, k, v, TEMPERATURE, window=(4, 4))
    torch.testing.assert_close(fast, slow_local_attention(q, k, v, rows, columns))


def test_one_window_is_attention_itself_bit_by_bit() -> None:
    q, k, v = random(3, 2, 2, 3, 7, 9)
    assert torch.equal(local_attention(q, k, v, TEMPERATURE, window=(7, 9)), attention(q, k, v, TEMPERATURE))


@pytest.mark.parametrize("size", [(36, 36), (36, 20), (1, 1), (13, 35)])
def test_images_no_larger_than_a_window_come_out_the_same_bit_by_bit(size: tuple[int, int]) -> None:
    net, image = restormer(), random(2, 3, *size)
    with torch.inference_mode():
        assert torch.equal(with_local_statistics(net, TRAIN)(image), net(image))


def test_larger_images_come_out_different() -> None:
    net, image = restormer(), random(1, 3, 48, 40)
    with torch.inference_mode():
        assert (with_local_statistics(net, TRAIN)(image) - net(image)).abs().max() > 1e-4


def test_a_window_is_scaled_to_the_resolution_of_the_features() -> None:
    local = with_local_statistics(restormer(), TRAIN)
    assert isinstance(local, Restormer)
    levels = (local.encoder_level1, local.encoder_level2, local.encoder_level3, local.latent, local.refinement)
    # 36 px are continued to 40, as an image of that size is.
    assert [level[0].attn.attend.keywords["window"][0] for level in levels] == [40, 20, 10, 5, 40]  # type: ignore


def test_a_pixel_depends_on_nothing_farther_than_the_window() -> None:
    net, image = attending(), random(1, 3, 96, 20)
    local = with_local_statistics(net, TRAIN)
    changed = image.clone()
    changed[:, :, 80:] += random(1, 3, 16, 20)
    near = 80 - 36 - 2  # a window, and the two pixels of a neighbour that the 3 x 3 convolution sees
    with torch.inference_mode():
        assert torch.equal(local(changed)[:, :, : near // 2], local(image)[:, :, : near // 2])
        assert not torch.equal(local(changed)[:, :, near // 2 :], local(image)[:, :, near // 2 :])
        assert (net(changed) - net(image))[:, :, : near // 2].abs().max() > 1e-4


def test_what_repeats_with_the_period_of_the_windows_comes_out_repeating() -> None:
    q, k, v = random(3, 2, 3, 8, 6).repeat(1, 1, 1, 3, 1)  # 24 rows: three windows of 8
    local = local_attention(q, k, v, TEMPERATURE, window=(8, 6))
    torch.testing.assert_close(local, local[..., :8, :].repeat(1, 1, 3, 1))


def test_the_network_itself_is_left_as_it_was() -> None:
    net = restormer()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    local = with_local_statistics(net, TRAIN)
    assert all(module.attend is attention for module in net.modules() if isinstance(module, MDTA))
    for state in (net.state_dict(), local.state_dict()):
        torch.testing.assert_close(state, before, rtol=0, atol=0)


def test_a_network_without_such_attention_is_refused() -> None:
    with pytest.raises(InputError, match="of which Conv2d has none"):
        with_local_statistics(nn.Conv2d(3, 3, 3), TRAIN)


def test_an_unknown_size_of_training_crops_is_refused() -> None:
    with pytest.raises(InputError, match="size of the crops"):
        with_local_statistics(restormer(), 0)


def test_gradients_are_those_of_the_slow_reference() -> None:
    gradients = []
    for attend in (
        lambda q, k, v: local_attention(q, k, v, TEMPERATURE, window=(3, 4)),
        lambda q, k, v: slow_local_attention(q, k, v, [range(0, 3), range(2, 5)], [range(0, 4)]),
    ):
        qkv = random(3, 2, 3, 5, 4).requires_grad_()
        attend(*qkv).square().sum().backward()
        gradients.append(qkv.grad)
    torch.testing.assert_close(*gradients)


def test_half_precision_comes_close() -> None:
    net, image = with_local_statistics(restormer(), TRAIN), random(1, 3, 48, 40)
    with torch.inference_mode():
        full = net(image)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(net(image), full, rtol=0, atol=0.05)
