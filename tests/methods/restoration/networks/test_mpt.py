"""The multi-pyramid transformer, its cross-scale windows, and the weights that its authors released."""

import re
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from datasets.errors import InputError
from methods.restoration.networks.mpt import MPT, RELEASED, MPTConfig, released
from methods.restoration.networks.mpt_windows import CSWA, Pool, joined, windows

SMALL: dict[str, Any] = {"width": 8, "blocks": 2, "heads": (1, 2, 2, 2), "window": 4}
PAIRINGS = ["paper", "release"]


def small(**changes: Any) -> MPT:
    torch.manual_seed(0)
    return scattered(MPT(MPTConfig(**(SMALL | changes))))


def scattered(module: Any) -> Any:
    """`module` with a bias of positions and temperatures that are not those of the beginning, all 0 and all 1."""
    for name, parameter in module.named_parameters():
        if name.endswith(("bias_table", "temperature")):
            nn.init.normal_(parameter, 1.0)
    return module


def image(*size: int) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(1))


def test_the_network_of_the_paper_has_19_80_million_parameters() -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in MPT(MPTConfig()).parameters()) == 19_799_356


def test_the_network_of_the_paper_costs_76_2_billion_multiplications_without_its_attention() -> None:
    """The authors' counter (ptflops) sees modules: convolutions and linear layers, and one operation for each number
    that enters a pooling. Products of queries, keys and values are no modules, and come on top."""
    counted = 0

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal counted
        if isinstance(module, Pool):
            counted += inputs[0].numel()
        elif isinstance(module, nn.Conv2d):
            counted += module.weight.numel() * output.shape[-2] * output.shape[-1]

    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as operations:
        network = MPT(MPTConfig())
        for module in network.modules():
            module.register_forward_hook(count)
        network(torch.empty(1, 3, 256, 256))
    assert counted == 76_206_768_128
    assert operations.get_total_flops() / 2 == pytest.approx(88.03e9, rel=1e-4)


@pytest.mark.parametrize("folded", [1, 2])
@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("size", [(1, 1), (3, 70), (64, 64), (65, 33)])
def test_an_image_of_any_size_keeps_it(size: tuple[int, int], pairing: str, folded: int) -> None:
    photograph = image(2, 3, *size)
    with torch.no_grad():
        restored = small(window_pairing=pairing, folded=folded).eval()(photograph)
    assert restored.shape == photograph.shape
    assert restored.dtype == photograph.dtype
    assert restored.isfinite().all()
    assert (restored - photograph).abs().max() > 1e-3


def test_the_network_adds_to_what_it_sees() -> None:
    network = small()
    nn.init.zeros_(network.output.weight)
    photograph = image(1, 3, 20, 40)
    assert torch.equal(network(photograph), photograph)


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_every_parameter_learns(pairing: str) -> None:
    network = small(window_pairing=pairing)
    (network(image(1, 3, 64, 64)) - image(1, 3, 64, 64)).square().sum().backward()
    idle = [name for name, parameter in network.named_parameters() if not bool(parameter.grad.any())]
    assert not idle


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_images_of_a_batch_do_not_see_each_other(pairing: str) -> None:
    network = small(window_pairing=pairing)
    photographs = image(2, 3, 64, 128)
    with torch.no_grad():
        together = network(photographs)
        alone = torch.cat([network(photograph[None]) for photograph in photographs])
    torch.testing.assert_close(together, alone)


def test_the_same_seed_gives_the_same_result() -> None:
    with torch.no_grad():
        assert torch.equal(small()(image(1, 3, 64, 64)), small()(image(1, 3, 64, 64)))


def test_half_precision_inside_leaves_the_image_as_precise_as_it_was() -> None:
    network, photograph = small(), image(1, 3, 64, 64)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            half = network(photograph)
        full = network(photograph)
    assert half.dtype == torch.float32
    assert 0 < (half - full).abs().mean() < 0.05 * (full - photograph).abs().mean()


def test_a_stage_goes_from_coarse_to_fine_however_few_its_blocks() -> None:
    assert MPTConfig().pools_of(0) == [8, 8, 4, 4, 1, 1]
    assert MPTConfig(blocks=4).pools_of(0) == [8, 4, 4, 1]
    assert [MPTConfig(blocks=2).pools_of(level) for level in range(4)] == [[8, 1], [4, 1], [2, 1], [2, 1]]
    assert MPTConfig(blocks=8).pools_of(1) == [4, 4, 4, 2, 2, 1, 1, 1]


def test_images_are_padded_to_what_the_coarsest_windows_need() -> None:
    assert MPTConfig().multiple == 128  # an eighth of the resolution, pooled by 2, in windows of 8 px
    assert MPTConfig(pools=((8, 1), (4, 1), (2, 1), (1,))).multiple == 64
    assert MPTConfig(folded=2).multiple == 256


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"blocks": 3}, "even"),
        ({"blocks": 0}, "even"),
        ({"window": 7}, "even"),
        ({"folded": 0}, "at least 1"),
        ({"width": 41}, "even"),
        ({"width": 42, "heads": (4, 4, 4, 4)}, "divisible"),
        ({"pools": ((8, 1), (4, 1), (2, 1))}, "four lists"),
        ({"pools": ((8, 1), (4, 1), (2, 0), (1,))}, "from 1 up"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MPTConfig(**wrong)


# Cross-scale windows


def cswa(pairing: str, pool: int, shifted: bool, heads: int = 2) -> CSWA:
    torch.manual_seed(0)
    return scattered(CSWA(6, heads, 4, pool, shifted, pairing)).double()  # type: ignore[arg-type,no-any-return]


def changed(attention: CSWA, row: int, column: int) -> Tensor:
    """[32, 32]: the pixels whose value depends on that of one."""
    before = image(1, 6, 32, 32).double()
    after = before.clone()
    after[..., row, column] += 1.0
    with torch.no_grad():
        return (attention(after) != attention(before)).any(dim=1)[0]


def box(rows: slice, columns: slice) -> Tensor:
    marked = torch.zeros(32, 32, dtype=torch.bool)
    marked[rows, columns] = True
    return marked


def test_joined_is_the_inverse_of_windows() -> None:
    x = image(2, 6, 16, 24)
    parts = windows(x, 4, heads=3, group=2)
    assert parts.shape == (2, 6, 3, 4, 16, 2)
    assert torch.equal(joined(parts, 16, 24), x)
    assert torch.equal(windows(x, 4)[1, 1, 0, 0].T.reshape(6, 4, 4), x[1, :, :4, 4:8])


def window_by_window(attention: CSWA, x: Tensor) -> Tensor:
    """What `attention` should make of [1, C, H, W], without any rearrangement of tensors."""
    pool, paper, size = attention.pool, attention.pairing == "paper", 4
    height, width = x.shape[-2:]
    corners = [(top, left) for top in range(0, height, size) for left in range(0, width, size)]
    corners_of_keys = [(top, left) for top, left in corners if top < height // pool and left < width // pool]
    pooled = F.avg_pool2d(x, pool)
    kv = attention.kv_dwconv(attention.kv(pooled + attention.downsamp.downproj(pooled)))[0]
    kv = kv.roll((-attention.shift, -attention.shift), (1, 2))
    q = attention.q(x)
    reach = attention.shift * (pool if paper else 1)
    if not paper:  # the windows in the order in which they are counted, as images of the pooled map's size
        runs = x.new_zeros(pool**2, q.shape[1], height // pool, width // pool)
        places = [(run, top, left) for run in range(pool**2) for top, left in corners_of_keys]
        for (top, left), (run, y, x_) in zip(corners, places, strict=True):
            runs[run, :, y : y + size, x_ : x_ + size] = q[0, :, top : top + size, left : left + size]
        q = runs
    q = attention.q_dwconv(q).roll((-reach, -reach), (2, 3))
    out = torch.zeros_like(x)
    for number, (top, left) in enumerate(corners):
        if paper:
            key_top, key_left = top // (pool * size) * size, left // (pool * size) * size
            queries = q[0, :, top : top + size, left : left + size]
        else:
            key_top, key_left = corners_of_keys[number // pool**2]
            run, y, x_ = places[number]
            queries = q[run, :, y : y + size, x_ : x_ + size]
        k, v = (
            part.unflatten(0, (2, 3)) for part in kv[:, key_top : key_top + size, key_left : key_left + size].chunk(2)
        )
        k = F.normalize(k, dim=1)
        for row, column in product(range(size), repeat=2):
            if paper:
                low, right = top + row >= height - reach, left + column >= width - reach
            else:
                low, right = key_top + row >= height // pool - reach, key_left + column >= width // pool - reach
            seen = [
                (y, x_)
                for y, x_ in product(range(size), repeat=2)
                if (key_top + y >= height // pool - attention.shift) == low
                and (key_left + x_ >= width // pool - attention.shift) == right
            ]
            for head, part in enumerate((slice(0, 3), slice(3, 6))):
                query = F.normalize(queries[part, row, column], dim=0)
                logits = [
                    attention.temperature[head, 0, 0] * query @ k[head, :, y, x_]
                    + attention.relative_position_bias_table[(row - y + 3) * 7 + column - x_ + 3, head]
                    for y, x_ in seen
                ]
                weights = torch.stack(logits).softmax(0)
                values = torch.stack([v[head, :, y, x_] for y, x_ in seen])
                out[0, part, top + row, left + column] = weights @ values
    return attention.project_out(out.roll((reach, reach), (2, 3)))


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_it_is_what_goes_window_by_window(pairing: str, shifted: bool) -> None:
    attention = cswa(pairing, pool=2, shifted=shifted)
    x = image(1, 6, 16, 24).double()
    with torch.no_grad():
        torch.testing.assert_close(attention(x), window_by_window(attention, x))


def test_a_pixel_sees_the_window_of_the_pooled_map_that_lies_over_it() -> None:
    assert torch.equal(changed(cswa("paper", pool=4, shifted=False), 6, 24), box(slice(0, 16), slice(16, 32)))


def test_shifted_windows_stay_over_the_pixels_that_ask_them() -> None:
    assert torch.equal(changed(cswa("paper", pool=4, shifted=True), 16, 17), box(slice(8, 24), slice(8, 24)))


@pytest.mark.parametrize("pool", [1, 4])
def test_opposite_borders_that_a_shift_brings_into_one_window_do_not_see_each_other(pool: int) -> None:
    strip = 2 * pool  # half a window of the pooled map
    attention = cswa("paper", pool, shifted=True)
    assert torch.equal(changed(attention, 31, 31), box(slice(32 - strip, 32), slice(32 - strip, 32)))
    assert torch.equal(changed(attention, 0, 31), box(slice(0, strip), slice(32 - strip, 32)))


def test_in_the_release_runs_of_windows_ask_one_window_wherever_they_lie() -> None:
    seen = changed(cswa("release", pool=4, shifted=False), 5, 25)
    asking = box(slice(8, 16), slice(0, 32))  # windows 16 to 31 of 64, for the second window of the pooled map
    own = box(slice(4, 7), slice(24, 27))  # the queries that the changed pixel takes part in
    assert torch.equal(seen, asking | own)


@pytest.mark.parametrize("shifted", [False, True])
def test_both_pairings_are_the_same_at_full_scale_alone(shifted: bool) -> None:
    x = image(2, 6, 16, 32).double()
    for pool in (1, 2):
        paper, release = (cswa(pairing, pool, shifted) for pairing in PAIRINGS)
        difference = (paper(x) - release(x)).abs().max()
        assert difference < 1e-12 if pool == 1 else difference > 1e-3


# Released weights

BLOCK = """
    norm1.body.weight norm1.body.bias attn.temperature.0 attn.temperature.1 attn.relative_position_bias_table
    attn.relative_position_index attn.q.0.weight attn.q.1.weight attn.q_dwconv.0.weight attn.q_dwconv.1.weight
    attn.kv.0.weight attn.kv.1.weight attn.kv_dwconv.0.weight attn.kv_dwconv.1.weight attn.project_out.0.weight
    attn.project_out.1.weight attn.downsamp.downproj.weight norm2.0.body.weight norm2.0.body.bias norm2.1.body.weight
    norm2.1.body.bias ffn.project_in1.weight ffn.project_in2.weight ffn.dwconv1.weight ffn.project_out.weight
"""  # the authors' names in a block that pools
LINEAR = ("attn.q.1", "attn.kv.1", "attn.project_out.0", "attn.project_out.1", "ffn.project_in2", "ffn.project_out")


def as_the_authors_save(network: MPT, prefix: str) -> dict[str, Tensor]:
    theirs: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if ".isca.qkv" in name:
            channels = len(value) // 3
            theirs[name.replace("isca.qkv", "attn.q").replace(".weight", ".0.weight")] = value[:channels]
            theirs[name.replace("isca.qkv", "attn.kv").replace(".weight", ".0.weight")] = value[channels:]
            continue
        for ours, place in ((".isca.", "0"), (".cswa.", "1")):
            if ours in name and not name.endswith(("bias_table", "downproj.weight")):
                name = re.sub(r"(\.weight|)$", rf".{place}\1", name.replace(ours, ".attn."), count=1)
        name = name.replace(".cswa.", ".attn.")
        if name.endswith(tuple(f"{layer}.weight" for layer in LINEAR)):
            value = value[..., 0, 0]
        theirs[name] = value
        if name.endswith("bias_table"):
            theirs[name.replace("bias_table", "index")] = torch.zeros(16, 16, dtype=torch.long)
    return {prefix + name: value for name, value in theirs.items()}


@pytest.mark.parametrize("prefix", ["", "Network."])
def test_the_authors_weights_become_ours_whatever_they_were_wrapped_in(prefix: str) -> None:
    network = small(**RELEASED)
    theirs = as_the_authors_save(network, prefix)
    first = f"{prefix}encoder_level1.0."
    assert {name.removeprefix(first) for name in theirs if name.startswith(first)} == set(BLOCK.split())
    ours = released(theirs)
    assert ours.keys() == network.state_dict().keys()
    assert all(torch.equal(ours[name], value) for name, value in network.state_dict().items())


def test_a_released_file_that_lacks_a_projection_does_not_pass_for_complete() -> None:
    network = small(**RELEASED)
    theirs = as_the_authors_save(network, "")
    del theirs["latent.1.attn.kv.0.weight"]
    assert "latent.1.isca.qkv.weight" not in released(theirs)
