"""Restormer is the authors' network, for images of any size."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from datasets.errors import InputError
from methods.configuration import build
from methods.restoration.networks.restormer import RELEASED, Restormer, RestormerConfig

SMALL = RestormerConfig(width=8, blocks=(1, 1, 1, 1), heads=(1, 2, 4, 8), refinement=1)


def small() -> Restormer:
    """A little network whose output differs from its input."""
    torch.manual_seed(0)
    return Restormer(SMALL).eval()


def image(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def published() -> Restormer:
    """The network of the released checkpoint, without memory."""
    with torch.device("meta"):
        return Restormer(build(RestormerConfig, RELEASED))


def block_names(prefix: str) -> set[str]:
    """Parameters of one transformer block as the authors' checkpoints name them."""
    norms = {f"{norm}.body.{part}" for norm in ("norm1", "norm2") for part in ("weight", "bias")}
    attn = {"attn.temperature", "attn.qkv.weight", "attn.qkv_dwconv.weight", "attn.project_out.weight"}
    ffn = {"ffn.project_in.weight", "ffn.dwconv.weight", "ffn.project_out.weight"}
    return {f"{prefix}.{name}" for name in norms | attn | ffn}


def test_it_has_the_published_number_of_parameters(published: Restormer) -> None:
    assert sum(parameter.numel() for parameter in published.parameters()) == 26_126_644


def test_its_convolutions_cost_the_published_141_giga_multiply_adds(published: Restormer) -> None:
    with FlopCounterMode(display=False) as count, torch.no_grad():
        published(torch.empty(1, 3, 256, 256, device="meta"))
    giga = {str(operation): 0.5e-9 * flops for operation, flops in count.get_flop_counts()["Global"].items()}
    assert giga["aten.convolution"] == pytest.approx(140.99, abs=0.005)  # the paper's 140.99 G
    assert sum(giga.values()) == pytest.approx(154.88, abs=0.005)  # with the products inside the attention


def test_its_parameters_are_named_as_in_the_released_checkpoint(published: Restormer) -> None:
    stages = {
        **{"encoder_level1": 4, "encoder_level2": 6, "encoder_level3": 6, "latent": 8},
        **{"decoder_level3": 6, "decoder_level2": 6, "decoder_level1": 4, "refinement": 4},
    }
    single = {
        *("patch_embed.proj.weight", "output.weight", "reduce_chan_level3.weight", "reduce_chan_level2.weight"),
        *(f"{name}.body.0.weight" for name in ("down1_2", "down2_3", "down3_4", "up4_3", "up3_2", "up2_1")),
    }
    blocks = (block_names(f"{stage}.{i}") for stage, count in stages.items() for i in range(count))
    assert set(published.state_dict()) == single.union(*blocks)
    assert len(published.state_dict()) == 494


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("patch_embed.proj.weight", (48, 3, 3, 3)),
        ("encoder_level2.5.attn.temperature", (2, 1, 1)),
        ("encoder_level1.0.ffn.project_in.weight", (254, 48, 1, 1)),
        ("latent.7.ffn.dwconv.weight", (2042, 1, 3, 3)),
        ("down3_4.body.0.weight", (96, 192, 3, 3)),
        ("up4_3.body.0.weight", (768, 384, 3, 3)),
        ("reduce_chan_level2.weight", (96, 192, 1, 1)),
        ("decoder_level1.3.norm2.body.bias", (96,)),
        ("refinement.0.attn.temperature", (1, 1, 1)),
        ("output.weight", (3, 96, 3, 3)),
    ],
)
def test_its_parameters_are_shaped_as_in_the_released_checkpoint(
    published: Restormer, name: str, shape: tuple[int, ...]
) -> None:
    assert published.state_dict()[name].shape == shape


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"width": 9}, "width = 9 must be even"),
        ({"width": 0}, "width = 0 must be even"),
        ({"width": 6, "heads": [1, 5, 4, 8]}, r"heads = \(1, 5, 4, 8\) must divide"),
        ({"heads": [0, 2, 4, 8]}, r"heads = \(0, 2, 4, 8\) must divide"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        build(RestormerConfig, settings)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (4, 4), (5, 13), (16, 24), (33, 7)])
def test_any_size_comes_back(height: int, width: int) -> None:
    seen = image(height, width, batch=2)
    with torch.inference_mode():
        assert small()(seen).shape == seen.shape


def test_an_image_is_continued_by_reflection_to_multiples_of_8() -> None:
    net, seen = small(), image(13, 21)
    continued = torch.cat([seen, seen[:, :, 9:12].flip(2)], dim=2)
    continued = torch.cat([continued, continued[..., 17:20].flip(3)], dim=3)
    with torch.inference_mode():
        torch.testing.assert_close(net(seen), net(continued)[..., :13, :21], rtol=0, atol=0)


def test_an_image_too_small_to_reflect_is_continued_by_its_border() -> None:
    net, seen = small(), image(3, 1)
    continued = torch.cat([seen, seen[:, :, -1:].expand(1, 3, 5, 1)], dim=2).expand(1, 3, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(net(seen), net(continued)[..., :3, :1], rtol=0, atol=1e-6)


def test_what_it_computes_is_added_to_what_it_sees() -> None:
    net, seen = small(), image(16, 16)
    with torch.inference_mode():
        assert (net(seen) - seen).abs().max() > 1e-3
        nn.init.zeros_(net.output.weight)
        assert torch.equal(net(seen), seen)


def test_every_parameter_takes_part() -> None:
    net = small()
    net(image(16, 16)).square().sum().backward()
    idle = [name for name, parameter in net.named_parameters() if not parameter.grad.any()]  # type: ignore[union-attr]
    assert idle == []


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_type_is_kept(dtype: torch.dtype) -> None:
    net = small().to(dtype)
    with torch.inference_mode():
        assert net(image(12, 12).to(dtype)).dtype == dtype


def test_half_precision_comes_close() -> None:
    net, seen = small(), image(24, 24)
    with torch.inference_mode():
        full = net(seen)
        with torch.autocast("cpu", torch.bfloat16):
            half = net(seen)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0, atol=0.02)
