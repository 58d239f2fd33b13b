"""The kernel of a defocused patch, and its restoration led by that kernel."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch import Tensor, nn

from datasets.errors import InputError
from methods.configuration import build
from methods.light import linear_to_srgb, srgb_to_linear
from methods.restoration.networks.kernel_guided import KernelGuided, KernelGuidedConfig
from methods.restoration.networks.kernel_guided.classifier import (
    UNKNOWN,
    Classifier,
    class_loss,
    levels_of,
    standardised,
)
from methods.restoration.networks.kernel_guided.extractor import (
    cross_correlations,
    doubled,
    luminance,
    normalised,
)
from methods.restoration.networks.kernel_guided.losses import reblur_loss, restoration_loss
from methods.restoration.tile_kernels import convolve, radius_of

TINY = KernelGuidedConfig(kernel_size=9, width=8, levels=3, features=8, maps=4)
ABLATIONS = [{}, {"classes": False}, {"guidance": False}, {"residual": False}, {"light": "srgb"}, {"folded": 2}]


def network(**changes: object) -> KernelGuided:
    torch.manual_seed(0)
    return KernelGuided(KernelGuidedConfig(**{**vars(TINY), **changes}))  # type: ignore[arg-type]


def random(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def disk_kernel(radius: float, size: int) -> Tensor:
    """Share of each pixel that a disk covers, [size, size], sum 1."""
    fine = 15
    t = (torch.arange(size * fine) + 0.5) / fine - size / 2
    inside = (t[:, None] ** 2 + t**2 <= radius**2).float()
    coverage = inside.reshape(size, fine, size, fine).mean(dim=(1, 3))
    return coverage / coverage.sum()


@pytest.mark.parametrize("changes", ABLATIONS, ids=str)
def test_a_batch_of_patches_gives_as_many_restored_ones_kernels_and_classes(changes: dict[str, object]) -> None:
    with torch.no_grad():
        restored, kernel, logits = network(**changes).eval().guided(random(2, 3, 24, 24))
    assert (restored.shape, kernel.shape, logits.shape) == ((2, 3, 24, 24), (2, 9, 9), (2, 5))
    assert kernel.min() >= 0
    torch.testing.assert_close(kernel.sum(dim=(1, 2)), torch.ones(2))


@pytest.mark.parametrize("folded", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (5, 3), (24, 17), (40, 50)])
def test_patches_may_have_any_size(height: int, width: int, folded: int) -> None:
    model = network(folded=folded)
    restored, kernel, logits = model.guided(random(2, 3, height, width))
    assert restored.shape == (2, 3, height, width)
    (restored.mean() + kernel.square().sum() + logits.sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert restored.isfinite().all()


def test_each_image_of_a_batch_is_treated_for_itself() -> None:
    model, images = network().eval(), random(3, 3, 24, 24)
    with torch.no_grad():
        torch.testing.assert_close(model(images)[1:2], model(images[1:2]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_precision_is_kept(dtype: torch.dtype) -> None:
    with torch.no_grad():
        restored, kernel, _ = network().to(dtype).guided(random(1, 3, 24, 24).to(dtype))
    assert restored.dtype == dtype
    assert kernel.dtype == torch.promote_types(dtype, torch.float32)


def test_under_autocast_kernels_are_of_single_precision() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        restored, kernel, _ = network().guided(random(1, 3, 24, 24))
    assert restored.dtype == kernel.dtype == torch.float32
    torch.testing.assert_close(kernel.sum(), torch.tensor(1.0))


@pytest.mark.parametrize("part", ["classifier", "extractor", "restorer"])
def test_the_loss_of_a_part_reaches_all_its_parameters(part: str) -> None:
    model = network()
    photograph, sharp = random(4, 3, 24, 24), random(4, 3, 24, 24).flip(0)
    restored, kernel, logits = model.guided(photograph)
    losses = {
        "classifier": class_loss(logits, torch.tensor([0, 1, 3, 4])),
        "extractor": reblur_loss(kernel, sharp, photograph),
        "restorer": restoration_loss(restored, sharp),
    }
    losses[part].backward()
    for name, parameter in getattr(model, part).named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_the_restoration_loss_trains_the_extractor_too_but_not_the_classifier() -> None:
    model = network()
    restoration_loss(model(random(2, 3, 24, 24)), random(2, 3, 24, 24).flip(0)).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.extractor.parameters())
    assert all(p.grad is None for p in model.classifier.parameters())


def test_the_kernel_changes_the_restoration_only_with_guidance() -> None:
    image, kernels = random(1, 3, 24, 24), [disk_kernel(radius, 9)[None] for radius in (1.0, 3.5)]
    guided, plain = network(), network(guidance=False)
    assert not torch.allclose(*(guided.restorer(image, kernel) for kernel in kernels), atol=1e-4)
    assert torch.equal(*(plain.restorer(image, kernel) for kernel in kernels))


def test_the_classes_change_the_kernel_only_if_they_condition_it() -> None:
    gray = random(1, 1, 24, 24)
    with_classes, without = network().extractor, network(classes=False).extractor
    for scale in with_classes.scales:
        nn.init.normal_(scale.film.weight)
    one_hot = torch.eye(5)
    assert not torch.allclose(with_classes(gray, one_hot[:1]), with_classes(gray, one_hot[1:2]))
    assert torch.equal(without(gray, one_hot[:1]), without(gray, None))


def test_the_paper_has_992_pairs_and_its_sizes_are_the_defaults() -> None:
    model = KernelGuided(KernelGuidedConfig())
    assert model.extractor.scales[0].merge.in_channels == 992
    assert [scale.reach for scale in model.extractor.scales] == [15, 8, 4]
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert 0.3e6 < counts["extractor"] < 2e6
    assert 4e6 < counts["restorer"] < 16e6


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"kernel_size": 30}, "odd number of pixels"),
        ({"maps": 1}, "to have a pair"),
        ({"folded": 0}, "must be 1 at least"),
        ({"light": "gamma"}, "There is no KernelGuidedConfig.light"),
    ],
)
def test_sizes_that_do_not_fit_are_said(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build(KernelGuidedConfig, values)


# The classifier


def test_the_classifier_does_not_see_brightness_contrast_or_colour_cast() -> None:
    torch.manual_seed(0)
    classifier, image = Classifier().eval(), random(2, 3, 32, 32)
    changed = image * torch.tensor([0.5, 0.8, 0.3])[:, None, None] + 0.1
    torch.testing.assert_close(classifier(changed), classifier(image), atol=1e-4, rtol=1e-3)


def test_a_flat_channel_is_0_when_standardised() -> None:
    assert not standardised(torch.full((1, 3, 8, 8), 0.25)).any()


def test_224_px_come_down_to_7() -> None:
    assert Classifier().blocks(torch.zeros(1, 3, 224, 224)).shape == (1, 128, 7, 7)


def test_a_patch_has_the_class_of_the_median_radius_of_what_it_shows() -> None:
    coc = torch.tensor([0.5, -1.7, 4.0, -8.0, 20.0, 3.0])[:, None, None].repeat(1, 8, 8)
    mask = torch.ones(6, 8, 8)
    coc[1, 3:], mask[1, 3:] = 0.0, 0.0
    mask[5, 1:], mask[5, 0, 4:] = 0.0, 0.0
    assert levels_of(coc.half(), mask).tolist() == [0, 1, 2, 3, 4, UNKNOWN]
    mask[:] = 0
    assert levels_of(coc, mask).tolist() == [UNKNOWN] * 6


def test_patches_without_a_class_do_not_count() -> None:
    logits = random(3, 5).requires_grad_()
    known = class_loss(logits[:1], torch.tensor([2]))
    torch.testing.assert_close(class_loss(logits, torch.tensor([2, UNKNOWN, UNKNOWN])), known)
    nothing = class_loss(logits, torch.full((3,), UNKNOWN))
    nothing.backward()
    assert nothing == 0
    assert logits.grad is not None
    assert not logits.grad.any()


# The extractor


def slow_correlations(maps: Tensor, reach: int) -> Tensor:
    """Eq. 5 as it stands, over the terms that exist, and divided by their number."""
    _, n, height, width = maps.shape
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    result = []
    for i, j in pairs + [(j, i) for i, j in pairs]:
        for t in range(-reach, reach + 1):
            for s in range(-reach, reach + 1):
                total, count = torch.zeros(len(maps)), 0
                for y in range(max(0, t), min(height, height + t)):
                    for x in range(max(0, s), min(width, width + s)):
                        total = total + maps[:, i, y - t, x - s] * maps[:, j, y, x]
                        count += 1
                result.append(total / max(count, 1))
    return torch.stack(result, dim=1).unflatten(1, (2 * len(pairs), 2 * reach + 1, 2 * reach + 1))


@pytest.mark.parametrize(("height", "width", "reach"), [(6, 9, 2), (3, 2, 4), (5, 7, 0)])
def test_correlations_are_as_printed(height: int, width: int, reach: int) -> None:
    maps = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(cross_correlations(maps, reach), slow_correlations(maps, reach), atol=1e-5, rtol=1e-4)


def test_correlations_have_the_right_gradient() -> None:
    maps = torch.randn(1, 3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(partial(cross_correlations, reach=2), maps.requires_grad_())


def test_for_the_gradient_maps_and_spectra_are_kept_and_nothing_of_the_pairs() -> None:
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    maps = random(1, 12, 32, 32).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        cross_correlations(maps, 4)
    padded, spectra, pairs = 12 * 36 * 36 * 4, 12 * 36 * 19 * 8, 66 * 36 * 19 * 8
    assert spectra < sum(kept.values()) < 1.1 * (padded + spectra) < pairs


def test_doubling_keeps_shift_0_in_the_centre() -> None:
    x = torch.zeros(1, 1, 5, 5)
    x[..., 2, 2] = 1
    larger = doubled(x, 7)
    assert larger.shape[-2:] == (7, 7)
    assert larger[0, 0, 3].tolist() == [0, 0, 0.5, 1, 0.5, 0, 0]


def test_a_kernel_cuts_what_is_negative_and_lives_where_all_is() -> None:
    raw = torch.tensor([[[2.0, -1.0], [0.5, -3.0]], [[-2.0, -1.0], [-5.0, -3.0]]], requires_grad=True)
    kernels = normalised(raw)
    torch.testing.assert_close(kernels[0], torch.tensor([[0.8, 0.0], [0.2, 0.0]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.ones(2))
    kernels[1, 0, 0].backward()
    assert raw.grad is not None
    assert raw.grad[1, 0, 0] > 0.01


def test_luminance_is_of_the_light_that_is_blurred() -> None:
    image = random(1, 3, 4, 4)
    gray = image.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(luminance(gray, "srgb"), gray[:, :1])
    torch.testing.assert_close(luminance(gray, "linear"), srgb_to_linear(gray[:, :1]))


def patches(radii: list[float], size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Random textures blurred in linear light by disks: photographs and twins [B, 3, size, size], kernels [B, 9, 9]."""
    kernels = torch.stack([disk_kernel(radius, 9) for radius in radii])
    around = 0.1 + 0.8 * torch.rand(len(radii), 3, size + 8, size + 8, generator=generator)
    return linear_to_srgb(convolve(srgb_to_linear(around), kernels)), around[..., 4:-4, 4:-4], kernels


def test_the_extractor_learns_two_radii_from_reblurring_alone() -> None:
    model = network(width=4, maps=6)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.extractor.parameters(), lr=5e-3)
    for _ in range(100):
        photographs, sharp, _ = patches([1.5, 3.5] * 4, 24, generator)
        optimizer.zero_grad()
        reblur_loss(model.estimate(photographs)[0], sharp, photographs).backward()
        optimizer.step()
    photographs, _, _ = patches([1.5] * 8 + [3.5] * 8, 24, generator)
    with torch.no_grad():
        kernels, _ = model.estimate(photographs)
    narrow, wide = np.split(radius_of(kernels.numpy()), 2)
    assert np.abs(narrow - 1.5).mean() < 0.4
    assert np.abs(wide - 3.5).mean() < 0.7
    assert wide.min() > narrow.max()


# The losses


@pytest.mark.parametrize("light", ["linear", "srgb"])
def test_the_true_kernel_reblurs_to_the_photograph(light: str) -> None:
    def blurred(sharp: Tensor, kernel: Tensor) -> Tensor:
        convert: Callable[[Tensor], Tensor] = srgb_to_linear if light == "linear" else torch.clone
        revert: Callable[[Tensor], Tensor] = linear_to_srgb if light == "linear" else torch.clone
        channels = [convolve2d(channel, kernel, mode="same") for channel in convert(sharp).numpy()]
        return revert(torch.from_numpy(np.stack(channels)).float())

    sharp = random(2, 3, 24, 20)
    kernels = torch.stack([disk_kernel(2.0, 9), torch.rand(9, 9, generator=torch.Generator().manual_seed(1))])
    kernels[1] /= kernels[1].sum()
    photographs = torch.stack([blurred(*pair) for pair in zip(sharp, kernels, strict=True)])
    assert reblur_loss(kernels, sharp, photographs, light) < 1e-6  # type: ignore[arg-type]
    assert reblur_loss(kernels.flip(0), sharp, photographs, light) > 0.01  # type: ignore[arg-type]


def test_the_restoration_loss_is_the_mean_square() -> None:
    assert restoration_loss(torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), 0.3)) == pytest.approx(0.04)
