"""INIKNet: inverse kernels as mixtures over a dictionary of shapes and sizes."""

import numpy as np
import pytest
import torch
from defocused import blurred_noise
from torch import Tensor
from torch.nn import functional as F

from datasets.errors import InputError
from methods.restoration.networks.iniknet import (
    RELEASED,
    DuplexRecurrence,
    INIKNet,
    INIKNetConfig,
    KernelDictionary,
    polar_coordinates,
    released,
)

NARROW = INIKNetConfig(width=8, blocks=1, recurrent_blocks=1, shapes=3, largest=7, hidden=16)
DEAD = 3 * 3 * 10  # the authors' parameters that multiply the zeros of "no kernel"


def network(config: INIKNetConfig = NARROW) -> INIKNet:
    torch.manual_seed(0)
    return INIKNet(config)


def dictionary(config: INIKNetConfig) -> KernelDictionary:
    torch.manual_seed(0)
    return KernelDictionary(config)


def test_it_has_as_many_parameters_as_the_authors_but_for_those_that_multiply_zeros() -> None:
    full = INIKNet(INIKNetConfig())
    assert sum(parameter.numel() for parameter in full.parameters()) == 1_976_847 - DEAD


@pytest.mark.parametrize("size", [(1, 1), (2, 33), (17, 5), (48, 31)])
def test_images_of_any_size_keep_it(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size)
    with torch.no_grad():
        result = network().eval()(image)
    assert result.shape == image.shape
    assert result.dtype == image.dtype
    assert result.isfinite().all()


def test_the_dictionary_has_every_shape_in_every_odd_size() -> None:
    kernels = dictionary(INIKNetConfig())()
    assert [kernel.shape for kernel in kernels] == [(10, size, size) for size in (3, 5, 7, 9, 11, 13, 15)]


def test_a_kernel_of_another_size_is_the_same_shape_sampled_elsewhere() -> None:
    kernels = dictionary(INIKNetConfig())()
    of_3, of_5, of_15 = kernels[0], kernels[1], kernels[-1]
    torch.testing.assert_close(of_15[:, ::7, ::7] * 15**2, of_3 * 3**2, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(of_5[:, ::2, ::2] * 5**2, of_3 * 3**2, atol=1e-4, rtol=1e-4)


def test_a_shape_that_does_not_see_the_angle_is_symmetric() -> None:
    shapes = dictionary(INIKNetConfig())
    lopsided = shapes()[-1]
    for shape in shapes.shapes:
        shape.first.weight.data[:, 1:] = 0
    round_kernels = shapes()[-1]
    for turned in (round_kernels.rot90(1, (1, 2)), round_kernels.flip(1), round_kernels.mT):
        torch.testing.assert_close(turned, round_kernels)
    assert not torch.allclose(lopsided.flip(1), lopsided, rtol=0.01)


def test_polar_coordinates_are_radius_cosine_and_sine_in_0_to_1() -> None:
    coordinates = polar_coordinates(3)
    half = 0.5**0.5
    torch.testing.assert_close(coordinates[1, 1], torch.tensor([0.0, 1.0, 0.5]))
    torch.testing.assert_close(coordinates[2, 1], torch.tensor([half, 1.0, 0.5]))
    torch.testing.assert_close(coordinates[1, 2], torch.tensor([half, 0.5, 1.0]))
    torch.testing.assert_close(coordinates[0, 0], torch.tensor([1.0, (1 - half) / 2, (1 - half) / 2]))


def test_frequencies_are_spread_evenly_and_learned() -> None:
    shapes = dictionary(INIKNetConfig()).shapes
    frequencies = torch.stack([shape.frequency for shape in shapes])
    torch.testing.assert_close(frequencies, 2 + 10 * torch.arange(10) / 9)
    assert all(isinstance(shape.frequency, torch.nn.Parameter) for shape in shapes)


def test_sizes_share_each_pixel_among_them() -> None:
    photographs, _ = blurred_noise()
    with torch.no_grad():
        ((sizes, shapes),) = network()._coefficients([photographs])
    assert sizes.shape == (2, 1 + 3, 32, 32)
    assert sizes.min() > 0
    torch.testing.assert_close(sizes.sum(1), torch.ones(2, 32, 32))
    assert shapes.shape == (2, 3, 32, 32)


def unmixed(net: INIKNet) -> INIKNet:
    """Every colour for itself, all shapes and sizes alike."""
    net.mixing.weight.data = torch.eye(3)[:, None, :, None].repeat(1, 3, 1, 3).view(3, 27, 1, 1)
    net.mixing.bias.data.zero_()
    return net


def test_pixels_that_want_no_kernel_stay_as_they_are() -> None:
    net, (photographs, _) = unmixed(network()), blurred_noise()
    sizes = torch.zeros(2, 4, 32, 32)
    sizes[:, 0] = 1
    with torch.no_grad():
        result = net._restored(photographs, sizes, torch.ones(2, 3, 32, 32), net.dictionary())
    assert torch.equal(result, photographs)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("shape", [0, 2])
def test_pixels_that_want_one_kernel_get_its_convolution_added(size: int, shape: int) -> None:
    net, (photographs, _) = unmixed(network()), blurred_noise()
    sizes, shapes = torch.zeros(2, 4, 32, 32), torch.zeros(2, 3, 32, 32)
    sizes[:, size] = 0.5
    shapes[:, shape] = -2.0
    with torch.no_grad():
        kernels = net.dictionary()
        result = net._restored(photographs, sizes, shapes, kernels)
        kernel = kernels[size - 1][shape].expand(3, 1, -1, -1)
        expected = photographs - F.conv2d(photographs, kernel, padding=size, groups=3)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize(("seen", "changed"), [(0, 2), (2, 0), (1, 1)])
def test_every_scale_knows_of_every_other(seen: int, changed: int) -> None:
    torch.manual_seed(0)
    recurrence = DuplexRecurrence(4, 1)
    features = [torch.randn(1, 4, size, size, requires_grad=True) for size in (4, 8, 16)]
    recurrence(features)[seen].square().sum().backward()
    gradient = features[changed].grad
    assert gradient is not None
    assert gradient.any()


def test_the_result_is_the_finest_of_what_training_compares() -> None:
    photographs, _ = blurred_noise(32, 48)
    net = network().eval()
    with torch.no_grad():
        scales = net.scales(photographs)
        assert [scale.shape for scale in scales] == [(2, 3, 32 // n, 48 // n) for n in (4, 2, 1)]
        assert torch.equal(net(photographs), scales[-1])


def authors_state(config: INIKNetConfig) -> dict[str, Tensor]:
    """A state under the authors' names."""
    c, m, hidden, sizes = config.width, config.shapes, config.hidden, config.largest // 2
    shapes: dict[str, tuple[int, ...]] = {
        "unet.feat_extract.0.main.0.weight": (c, 3, 3, 3),
        "unet.feat_extract.1.main.0.weight": (2 * c, c, 3, 3),
        "unet.feat_extract.2.main.0.weight": (4 * c, 2 * c, 3, 3),
        "unet.feat_extract.3.main.0.weight": (2 * c, 4 * c, 3, 3),
        "unet.feat_extract.4.main.0.weight": (c, 2 * c, 3, 3),
        "unet.up1.main.0.weight": (4 * c, 2 * c, 4, 4),
        "unet.up2.main.0.weight": (2 * c, c, 4, 4),
        "scale_select.weight": (sizes + 1, c, 1, 1),
        "scale_select.bias": (sizes + 1,),
        "basis_select.weight": (m, c, 1, 1),
        "basis_select.bias": (m,),
        "sum.weight": (3, (sizes + 1) * 3 * m, 1, 1),
        "sum.bias": (3,),
    }
    stacks = {f"unet.Encoder.{i}.layers": (c << i, config.blocks) for i in range(3)}
    stacks |= {f"unet.Decoder.{i}.layers": (2 * c >> i, config.blocks) for i in range(2)}
    for recurrence in ("lstms_basis_select", "lstms_scale_select"):
        shapes |= {f"{recurrence}.norm.norm.{name}": (c,) for name in ("weight", "bias")}
        for direction in ("left2right", "right2left"):
            shapes[f"{recurrence}.{direction}.cell.conv.weight"] = (4 * c, 2 * c, 1, 1)
            shapes[f"{recurrence}.{direction}.cell.conv.bias"] = (4 * c,)
            stacks[f"{recurrence}.{direction}.cell.layers.layers"] = (2 * c, config.recurrent_blocks)
    for stack, (channels, blocks) in stacks.items():
        for block in range(blocks):
            for half in (0, 1):
                shapes[f"{stack}.{block}.main.{half}.main.0.weight"] = (channels, channels, 3, 3)
    for i in range(m):
        name = f"inr_conv.kernelINR_list.{i}.layers"
        shapes |= {f"{name}.0.weight": (hidden, 3), f"{name}.0.bias": (hidden,), f"{name}.2.bias": (hidden,)}
        shapes |= {f"{name}.2.weight": (hidden, hidden), f"{name}.4.weight": (1, hidden)}
    random = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(*shape, generator=random) / max(1, np.prod(shape[1:])) ** 0.5
        for name, shape in shapes.items()
    }
    for i in range(m):
        frequency = 1 + 3 * torch.rand((), generator=random)
        state |= {f"inr_conv.kernelINR_list.{i}.layers.{layer}.w0": frequency for layer in (1, 3)}
    return state


def from_authors_state(state: dict[str, Tensor], image: Tensor, shapes: int, largest: int) -> list[Tensor]:
    """The results, written down a second time: all filtered images side by side, under the authors' names."""

    def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), state[f"{name}.main.0.weight"], stride=stride)

    def up(name: str, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, state[f"{name}.main.0.weight"], stride=2, padding=1).relu()

    def point(name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def stack(name: str, x: Tensor) -> Tensor:
        block = 0
        while f"{name}.layers.{block}.main.0.main.0.weight" in state:
            inner = f"{name}.layers.{block}.main"
            x = x + conv(f"{inner}.1", conv(f"{inner}.0", x).relu())
            block += 1
        return x

    def unet(y: Tensor) -> Tensor:
        one = stack("unet.Encoder.0", conv("unet.feat_extract.0", y).relu())
        two = stack("unet.Encoder.1", conv("unet.feat_extract.1", one, 2).relu())
        three = stack("unet.Encoder.2", conv("unet.feat_extract.2", two, 2).relu())
        z = conv("unet.feat_extract.3", torch.cat([up("unet.up1", three), two], 1)).relu()
        z = up("unet.up2", stack("unet.Decoder.0", z))
        return stack("unet.Decoder.1", conv("unet.feat_extract.4", torch.cat([z, one], 1)).relu())

    def walk(name: str, inputs: list[Tensor], factor: float) -> list[Tensor]:
        hidden = cell = torch.zeros_like(inputs[0])
        states = []
        for x in inputs:
            if states:
                hidden, cell = (F.interpolate(s, scale_factor=factor, mode="bilinear") for s in (hidden, cell))
            gates = point(f"{name}.cell.conv", stack(f"{name}.cell.layers", torch.cat([x, hidden], 1)))
            i, f, o, g = gates.chunk(4, dim=1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            states.append(hidden)
        return states

    def duplex(name: str, features: list[Tensor]) -> list[Tensor]:
        weight, bias = (state[f"{name}.norm.norm.{part}"][:, None, None] for part in ("weight", "bias"))
        normal = [
            (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt() * weight + bias
            for x in features
        ]
        found = walk(f"{name}.left2right", walk(f"{name}.right2left", normal[::-1], 0.5)[::-1], 2)
        return [x + h for x, h in zip(features, found, strict=True)]

    def kernel(i: int, size: int) -> Tensor:
        name = f"inr_conv.kernelINR_list.{i}.layers"
        row, column = (t / (size - 1) * 2 - 1 for t in torch.meshgrid(*[torch.arange(size)] * 2, indexing="ij"))
        z = torch.complex(row, column)
        x = torch.stack([z.abs() / 2**0.5, (z.angle().cos() + 1) / 2, (z.angle().sin() + 1) / 2], -1)
        for layer in (0, 2):
            x = F.linear(x, state[f"{name}.{layer}.weight"], state[f"{name}.{layer}.bias"])
            x = (state[f"{name}.{layer + 1}.w0"] * x).sin()
        return F.linear(x, state[f"{name}.4.weight"])[..., 0] * 9 / size**2

    images = [F.interpolate(image, scale_factor=factor, mode="bilinear") for factor in (0.25, 0.5)] + [image]
    features = [unet(y) for y in images]
    results = []
    for y, b, c in zip(
        images, duplex("lstms_basis_select", features), duplex("lstms_scale_select", features), strict=True
    ):
        basis = point("basis_select", b).repeat(1, 3, 1, 1)
        scale = point("scale_select", c).softmax(1)
        maps = [torch.zeros_like(basis)]
        for size in range(3, largest + 1, 2):
            kernels = torch.stack([kernel(i, size) for i in range(shapes)]).repeat(3, 1, 1)[:, None]
            maps.append(F.conv2d(y, kernels, padding=size // 2, groups=3))
        weighted = [each * basis * scale[:, s : s + 1] for s, each in enumerate(maps)]
        results.append(point("sum", torch.cat(weighted, 1)) + y)
    return results


def test_a_state_under_the_authors_names_computes_what_theirs_does() -> None:
    config = INIKNetConfig(width=8, blocks=2, recurrent_blocks=1, shapes=4, largest=7, hidden=16)
    state = authors_state(config)
    net = INIKNet(config).eval()
    net.load_state_dict(released(state))
    photographs, _ = blurred_noise(32, 48)
    with torch.no_grad():
        results, expected = net.scales(photographs), from_authors_state(state, photographs, 4, 7)
    torch.testing.assert_close(results, expected)


def test_the_released_settings_have_the_released_shapes() -> None:
    theirs = authors_state(INIKNetConfig())
    assert sum(value.numel() for name, value in theirs.items() if not name.endswith("layers.3.w0")) == 1_976_847
    expected = INIKNet(INIKNetConfig(**RELEASED)).state_dict()
    assert {n: v.shape for n, v in released(theirs).items()} == {n: v.shape for n, v in expected.items()}


def test_a_checkpoint_of_another_network_is_refused() -> None:
    with pytest.raises(InputError, match=r"another network: it has a tensor patch_embed\.proj\.weight"):
        released({"patch_embed.proj.weight": torch.zeros(1)})
