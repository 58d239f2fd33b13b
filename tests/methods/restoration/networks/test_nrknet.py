"""NRKNet: blur as a mixture of recursive kernels, and its truncated Neumann series."""

from collections.abc import Callable
from functools import reduce

import numpy as np
import pytest
import torch
from defocused import blurred_noise
from scipy.signal import convolve2d
from torch import Tensor
from torch.nn import functional as F

from datasets.errors import InputError
from methods.restoration.networks.multiscale import restoration_loss
from methods.restoration.networks.nrknet import (
    LOSS_WEIGHTS,
    RELEASED,
    DefocusBlur,
    NRKNet,
    NRKNetConfig,
    neumann,
    objective,
    released,
)

NARROW = NRKNetConfig(width=8, atoms=5)


def network(config: NRKNetConfig = NARROW) -> NRKNet:
    torch.manual_seed(0)
    return NRKNet(config)


def blur_of(shares: list[float], taps: Tensor, size: tuple[int, int] = (25, 25)) -> DefocusBlur:
    """The same mixture of atoms at every pixel; colours stay apart.

    shares: of the identity and each atom. taps: [A, 3], the same for all colours.
    """
    mixing = torch.eye(3)[:, None].repeat(1, len(shares), 1)
    weights = torch.tensor(shares)[None, :, None, None].expand(1, -1, *size)
    return DefocusBlur(weights, taps[:, None].repeat(1, 3, 1), mixing, torch.zeros(3))


def atom(taps: Tensor) -> np.ndarray:
    """The explicit kernel [2 A + 1, 2 A + 1] of A steps, for correlation."""
    steps = [np.outer(step, step) for step in taps.double().numpy()]
    return reduce(convolve2d, steps)


TAPS = torch.tensor([[0.2, 0.6, 0.2], [0.3, 0.4, 0.3], [0.25, 0.5, 0.25], [0.1, 0.8, 0.1]])
LOPSIDED = torch.tensor([[0.1, 0.6, 0.3], [0.3, 0.5, 0.2], [0.2, 0.3, 0.5]])


def test_it_has_as_many_parameters_as_the_authors() -> None:
    with torch.device("meta"):
        full = NRKNet(NRKNetConfig())
    assert sum(parameter.numel() for parameter in full.parameters()) == 6_094_170


@pytest.mark.parametrize("size", [(1, 1), (2, 33), (17, 5), (48, 31)])
def test_images_of_any_size_keep_it(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size)
    with torch.no_grad():
        result = network().eval()(image)
    assert result.shape == image.shape
    assert result.dtype == image.dtype
    assert result.isfinite().all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_taps_are_positive_and_sum_to_one(symmetric: bool) -> None:
    taps = network(NRKNetConfig(width=8, atoms=5, symmetric=symmetric)).blur(torch.rand(1, 3, 9, 9)).taps
    assert taps.shape == (5, 3, 3)
    assert taps.min() > 0
    torch.testing.assert_close(taps.sum(-1), torch.ones(5, 3))
    assert torch.equal(taps[..., 0], taps[..., 2]) == symmetric


@pytest.mark.parametrize("taps", [TAPS, LOPSIDED], ids=["symmetric", "lopsided"])
def test_an_atom_of_n_steps_is_one_convolution_with_the_explicit_kernel(taps: Tensor) -> None:
    n = len(taps)
    image = torch.rand(1, 3, 25, 25, generator=torch.Generator().manual_seed(0))
    kernel = torch.from_numpy(atom(taps)).float()
    assert kernel.shape == (2 * n + 1, 2 * n + 1)
    expected = F.conv2d(image, kernel.expand(3, 1, -1, -1), groups=3)
    result = blur_of([0.0] * n + [1.0], taps)(image)
    torch.testing.assert_close(result[..., n:-n, n:-n], expected)


def test_every_pixel_has_a_kernel_of_its_own_and_colours_mix_as_the_matrices_say() -> None:
    random = torch.Generator().manual_seed(0)
    weights = torch.randn(1, 3, 6, 7, generator=random)
    mixing, offset = torch.randn(3, 3, 3, generator=random), torch.randn(3, generator=random)
    image = torch.rand(1, 3, 6, 7, generator=random)
    copies = [image]
    for k in (1, 2):
        copies.append(blur_of([0.0] * k + [1.0], TAPS[:k], (6, 7))(image))
    expected = sum(
        torch.einsum("oc,bchw->bohw", mixing[:, k], copy * weights[:, k : k + 1]) for k, copy in enumerate(copies)
    )
    blur = DefocusBlur(weights, TAPS[:2, None].repeat(1, 3, 1), mixing, offset)
    torch.testing.assert_close(blur(image), expected + offset[:, None, None])


@pytest.mark.parametrize("taps", [TAPS, LOPSIDED], ids=["symmetric", "lopsided"])
def test_sigma_is_the_standard_deviation_of_the_kernel(taps: Tensor) -> None:
    shares = [0.3, 0.5, 0.1, 0.7, 0.4][: len(taps) + 1]
    impulse = torch.zeros(1, 3, 25, 25)
    impulse[..., 12, 12] = 1
    blur = blur_of(shares, taps)
    profile = blur(impulse)[0, 0].sum(0).double()
    profile /= profile.sum()
    place = torch.arange(25.0, dtype=torch.float64)
    mean = (place * profile).sum()
    expected = ((place - mean) ** 2 * profile).sum().sqrt()
    torch.testing.assert_close(blur.sigma(), expected.float().expand(1, 25, 25))


@pytest.mark.parametrize("shares", [[1.0, 0.0], [0.0, 0.0], [-0.5, -0.5], [2.0, -1.0]])
def test_sigma_is_0_where_there_is_no_blur_to_speak_of(shares: list[float]) -> None:
    assert not blur_of(shares, TAPS[:1]).sigma().any()


def test_the_series_is_that_of_the_explicit_matrix() -> None:
    blur = blur_of([0.4, 0.3, 0.5], LOPSIDED[:2].double(), (5, 4))
    basis = torch.eye(60, dtype=torch.float64).view(60, 3, 5, 4)
    rest = basis.flatten(1) - blur(basis).flatten(1)  # row i: (I - K) applied to the i-th pixel
    image = torch.rand(1, 3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    powers = [torch.linalg.matrix_power(rest, n) for n in range(4)]
    series, last = neumann(image, blur, 3)
    torch.testing.assert_close(series.flatten(1), image.flatten(1) @ sum(powers))
    torch.testing.assert_close(last.flatten(1), image.flatten(1) @ powers[3])


def test_a_long_series_undoes_the_blur() -> None:
    blur = blur_of([0.5, 0.0, 0.5], TAPS[:2], (12, 12))
    sharp = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    errors = [(neumann(blur(sharp), blur, n)[0] - sharp).abs().max().item() for n in (1, 3, 30)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-4


def test_the_blur_of_a_photograph_fits_images_of_its_size_and_differs_between_photographs() -> None:
    photographs, sharp = (images[..., :19, :27] for images in blurred_noise())
    net = network().eval()
    with torch.no_grad():
        blur = net.blur(photographs)
        assert blur(sharp).shape == sharp.shape
        assert blur.sigma().shape == (2, 19, 27)
        assert blur.weights.shape == (2, 6, 19, 27)
    assert not torch.allclose(blur.weights[0], blur.weights[1])


def test_the_result_is_the_photograph_and_the_last_terms_of_all_scales() -> None:
    photographs, _ = blurred_noise()
    net = network().eval()
    net.mixing.weight.data.zero_()
    net.mixing.bias.data.zero_()  # K = 0: every term of the series is y itself
    with torch.no_grad():
        quarter, half, full, fused = net.scales(photographs)
    torch.testing.assert_close(quarter, 4 * photographs[..., ::4, ::4])
    torch.testing.assert_close(half, 3 * photographs[..., ::2, ::2])
    torch.testing.assert_close(full, 2 * photographs)
    enlarged = [F.interpolate(photographs[..., ::n, ::n], size=(32, 32), mode="bilinear") for n in (2, 4)]
    torch.testing.assert_close(fused, 2 * photographs + sum(enlarged))


def test_the_result_is_the_last_of_what_training_compares() -> None:
    photographs, _ = blurred_noise()
    net = network().eval()
    with torch.no_grad():
        assert torch.equal(net(photographs), net.scales(photographs)[-1])


def test_the_loss_has_a_part_for_the_blur() -> None:
    photograph, sharp = blurred_noise()
    net = network().eval()
    net.mixing.weight.data.zero_()
    net.mixing.bias.data.zero_()  # K = 0: all of the photograph is missing in what is reblurred
    with torch.no_grad():
        restoration = restoration_loss(net.scales(photograph), sharp, LOSS_WEIGHTS)
        loss = objective(net, photograph, sharp)
    quarter, half, full = (photograph[..., ::step, ::step].square().mean() for step in (4, 2, 1))
    torch.testing.assert_close(loss - restoration, 0.25 * quarter + 0.5 * half + 0.75 * full)


@pytest.mark.parametrize("loss", [objective, lambda net, photograph, _: net(photograph).square().mean()])
def test_gradients_reach_all_parameters(loss: Callable[[NRKNet, Tensor, Tensor], Tensor]) -> None:
    net = network()
    loss(net, *blurred_noise()).backward()
    assert [name for name, value in net.named_parameters() if value.grad is None or not value.grad.any()] == []


def authors_state(width: int, blocks: int, atoms: int) -> dict[str, Tensor]:
    """A state under the authors' names."""
    c, k = width, atoms + 1
    shapes: dict[str, tuple[int, ...]] = {
        "SummationLayer.conv.weight": (3, 3 * k, 1, 1),
        "SummationLayer.conv.bias": (3,),
        "GCM.kernels": (3 * atoms, 1, 1, 3),
        "APU.conv.main.0.weight": (k, c, 3, 3),
        "APU.conv_atten.conv.weight": (4 * k, c + k, 5, 5),
        "APU.conv_atten.conv.bias": (4 * k,),
        "bottleneck.0.main.0.weight": (4 * c, 4 * c, 3, 3),
        "feat_extract.0.main.0.weight": (c, 3, 3, 3),
        "feat_extract.1.main.0.weight": (2 * c, c, 3, 3),
        "feat_extract.2.main.0.weight": (4 * c, 2 * c, 3, 3),
        "feat_extract.3.main.0.weight": (4 * c, 2 * c, 4, 4),
        "feat_extract.4.main.0.weight": (2 * c, c, 4, 4),
    }
    stacks = {f"Encoder.{i}.layers": c << i for i in range(3)} | {f"Decoder.{i}.layers": c << 2 - i for i in range(3)}
    for stack, channels in (stacks | {"bottleneck.1.layers": 4 * c}).items():
        for block in range(blocks):
            for half in (0, 1):
                shapes[f"{stack}.{block}.main.{half}.main.0.weight"] = (channels, channels, 3, 3)
    random = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(*shape, generator=random) / max(1, np.prod(shape[1:])) ** 0.5
        for name, shape in shapes.items()
    }
    norm = {"weight": 0.5, "bias": 0.1, "running_mean": 0.0, "running_var": 0.5}
    state |= {f"APU.conv.main.1.{name}": least + torch.rand(k, generator=random) for name, least in norm.items()}
    return state | {"APU.conv.main.1.num_batches_tracked": torch.tensor(7)}


def from_authors_state(state: dict[str, Tensor], image: Tensor, symmetric: bool) -> Tensor:
    """The result, written down a second time: all copies of an image side by side, under the authors' names."""

    def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), state[f"{name}.main.0.weight"], stride=stride)

    def up(name: str, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, state[f"{name}.main.0.weight"], stride=2, padding=1).relu()

    def stack(name: str, x: Tensor) -> Tensor:
        block = 0
        while f"{name}.layers.{block}.main.0.main.0.weight" in state:
            inner = f"{name}.layers.{block}.main"
            x = x + conv(f"{inner}.1", conv(f"{inner}.0", x).relu())
            block += 1
        return x

    def blur(x: Tensor, weights: Tensor) -> Tensor:
        taps = state["GCM.kernels"]
        taps = ((taps + taps.flip(-1)) / 2 if symmetric else taps).softmax(-1)
        copies = [x]
        for row in taps.split(3):
            across = F.conv2d(F.pad(copies[-1], (1, 1, 1, 1), mode="reflect"), row, groups=3)
            copies.append(F.conv2d(across, row.mT, groups=3))
        weighted = torch.cat(copies, 1) * weights.repeat_interleave(3, dim=1)
        return F.conv2d(weighted, state["SummationLayer.conv.weight"], state["SummationLayer.conv.bias"])

    result, hidden, cell = image, None, None
    for step in (4, 2, 1):
        y = image[..., ::step, ::step]
        one = stack("Encoder.0", conv("feat_extract.0", y).relu())
        two = stack("Encoder.1", conv("feat_extract.1", one, 2).relu())
        three = stack("Encoder.2", conv("feat_extract.2", two, 2).relu())
        z = three + stack("bottleneck.1", conv("bottleneck.0", three).relu())
        z = up("feat_extract.3", stack("Decoder.0", z))
        z = up("feat_extract.4", stack("Decoder.1", z + two))
        z = stack("Decoder.2", z + one)
        norm = [state[f"APU.conv.main.1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        gain = F.batch_norm(conv("APU.conv", z), *norm).relu()
        small = F.avg_pool2d(z, 2)
        if hidden is None or cell is None:
            hidden = cell = torch.zeros_like(gain[..., ::2, ::2])
        else:
            hidden, cell = (F.interpolate(part, scale_factor=2, mode="bilinear") for part in (hidden, cell))
        gates = F.conv2d(
            torch.cat([small, hidden], 1),
            state["APU.conv_atten.conv.weight"],
            state["APU.conv_atten.conv.bias"],
            padding=2,
        )
        i, f, o, g = gates.chunk(4, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        attention = hidden.repeat_interleave(2, 2).repeat_interleave(2, 3)
        term = y
        for _ in range({4: 3, 2: 2, 1: 1}[step]):
            term = term - blur(term, attention * gain + attention)
        result = result + (F.interpolate(term, scale_factor=step, mode="bilinear") if step > 1 else term)
    return result


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_state_under_the_authors_names_computes_what_theirs_does(symmetric: bool) -> None:
    state = authors_state(width=8, blocks=2, atoms=5)
    net = NRKNet(NRKNetConfig(width=8, blocks=2, atoms=5, symmetric=symmetric)).eval()
    net.load_state_dict(released(state))
    photographs, _ = blurred_noise(32, 48)
    with torch.no_grad():
        torch.testing.assert_close(net(photographs), from_authors_state(state, photographs, symmetric))


def test_the_released_settings_have_the_released_shapes() -> None:
    state = released({name: value.to("meta") for name, value in authors_state(64, 1, 21).items()})
    with torch.device("meta"):
        expected = NRKNet(NRKNetConfig(**RELEASED)).state_dict()
    assert {name: value.shape for name, value in state.items()} == {n: v.shape for n, v in expected.items()}


def test_a_checkpoint_of_another_network_is_refused() -> None:
    with pytest.raises(InputError, match=r"another network: it has a tensor patch_embed\.proj\.weight"):
        released({"patch_embed.proj.weight": torch.zeros(1)})
