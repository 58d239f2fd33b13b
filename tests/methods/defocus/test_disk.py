"""Blur over disks, from front to back: against the analytic disk, the exact lens, the twin and real photographs."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.captures import open_capture
from datasets.color import linear_to_srgb, srgb_to_linear
from methods.defocus import disk_cpu
from methods.defocus.disk import area, rim_of, scatter_disk, seen
from methods.defocus.reference import spread_disk

sys.path.insert(0, str(Path(__file__).parent))
from lens_average import two_layers

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, needs_gpu])]


def psnr(image, truth, where=...):
    return -10 * math.log10(np.mean((np.asarray(image)[where] - np.asarray(truth)[where]) ** 2))


def scene(height=23, width=31, dtype=torch.float32):
    """A slanted, partly transparent surface with a hole."""
    random = torch.Generator().manual_seed(0)
    alpha = torch.rand(height, width, generator=random)
    alpha[:, :5] = 0
    color = torch.rand(height, width, 3, generator=random) * alpha[..., None]
    radius = 9 * torch.rand(height, width, generator=random) - 4
    return color.to(dtype), alpha.to(dtype), radius.to(dtype)


def with_gradients(inputs, device="cpu", **options):
    leaves = [t.to(device).clone().requires_grad_() for t in inputs]
    outputs = scatter_disk(*leaves, **options)
    random = torch.Generator().manual_seed(1)
    sum((out * torch.randn(out.shape, generator=random).to(out)).sum() for out in outputs).backward()
    return [t.detach().double().cpu() for t in (*outputs, *(leaf.grad for leaf in leaves))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("radius", [2.5, -6.0, 11.3])
def test_a_point_of_light_becomes_the_analytic_disk(device, radius):
    n, center, r = 81, 40, abs(radius)
    alpha = torch.zeros(n, n, device=device)
    alpha[center, center] = 1
    color, covered = scatter_disk(alpha[..., None].expand(n, n, 3).contiguous(), alpha, torch.full_like(alpha, radius))
    spot = covered.double().cpu().numpy()
    y, x = np.mgrid[:n, :n] - center
    assert np.allclose(color.cpu(), covered[..., None].cpu(), atol=1e-6)
    assert spot.sum() == pytest.approx(1, abs=1e-5)
    assert (spot * x**2).sum() == pytest.approx(r**2 / 4, rel=1e-3)
    assert (spot * (x**2 + y**2)).sum() == pytest.approx(r**2 / 2, rel=1e-3)
    assert spot[np.hypot(x, y) < r - 1].mean() == pytest.approx(1 / (math.pi * r**2), rel=0.06)
    assert spot[np.hypot(x, y) > r + 1].max() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("height", "width"), [(23, 31), (1, 9), (40, 5)])
def test_the_fused_kernels_give_the_twins_image_and_gradients(device, height, width):
    inputs = scene(height, max(width, 9))
    expected = with_gradients([t.double() for t in inputs], backend="torch")
    for got, wanted in zip(with_gradients(inputs, device), expected, strict=True):
        assert (got - wanted).abs().max() <= 3e-5 * max(1.0, wanted.abs().max().item())


def test_gradients_of_the_twin_are_those_of_finite_differences():
    color, alpha, radius = (t[:3, 5:9] for t in scene(3, 9, torch.float64))
    alpha, radius = 0.2 + 0.2 * alpha, 0.5 * radius
    # Not within the differences' reach of a layer, where the sharing has a kink.
    radius = torch.where((radius - radius.round()).abs() < 1e-3, radius + 0.01, radius)
    leaves = [t.requires_grad_() for t in (color, alpha, radius)]
    assert torch.autograd.gradcheck(
        lambda *t: scatter_disk(*t, backend="torch"), leaves, eps=1e-7, atol=1e-5, fast_mode=True
    )


def test_the_area_of_a_disk_is_its_sum_and_has_the_derivative_of_the_twin():
    rim = torch.tensor([0.5, 0.8, 2.3, 7.77], dtype=torch.float64, requires_grad=True)
    sums = []
    for k in range(4):
        spread = spread_disk(torch.ones(1, 1, dtype=rim.dtype), rim[k : k + 1], torch.tensor([12 * 25 + 12]), 25, 25)
        sums.append(spread.sum())
    (expected,) = torch.autograd.grad(sum(sums), rim)
    (actual,) = torch.autograd.grad(area(rim).sum(), rim)
    assert torch.allclose(area(rim), torch.stack(sums))
    assert torch.allclose(actual[1:], expected[1:])
    assert rim_of(torch.zeros(1, dtype=torch.float64)).item() == pytest.approx(0.5)


@pytest.mark.parametrize("device", DEVICES)
def test_no_blur_is_the_identity_with_finite_gradients(device):
    color, alpha, radius = scene()
    spread, covered, *gradients = with_gradients([color, alpha, 0 * radius], device)
    assert torch.allclose(spread.float(), color, atol=1e-6)
    assert torch.allclose(covered.float(), alpha, atol=1e-6)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("device", DEVICES)
def test_energy_is_kept_where_nothing_hides(device):
    random = torch.Generator().manual_seed(0)
    alpha = torch.zeros(60, 60)
    alpha[25:35, 25:35] = 0.3 * torch.rand(10, 10, generator=random)
    radius = 4 + torch.rand(60, 60, generator=random)
    color = torch.rand(60, 60, 3, generator=random) * alpha[..., None]
    spread, covered = scatter_disk(color.to(device), alpha.to(device), radius.to(device))
    assert covered.sum().item() == pytest.approx(alpha.sum().item(), rel=1e-4)
    assert spread.sum().item() == pytest.approx(color.sum().item(), rel=1e-4)


def test_an_opaque_slanted_surface_has_no_seams():
    x = torch.arange(60.0).expand(40, 60)
    _, covered = scatter_disk(torch.full((40, 60, 3), 0.5), torch.ones(40, 60), 0.15 * x - 4)
    assert covered[8:-8, 8:-8].min().item() > 0.995
    assert covered.min().item() > 0.9
    assert covered.max().item() < 1 + 1e-5


def test_a_sharp_front_stays_sharp_and_a_blurred_front_lies_over_the_back():
    front = torch.zeros(40, 40)
    front[:, :20] = 1
    color = torch.stack([front, 1 - front, torch.zeros(40, 40)], 2)  # red before green
    sharp, _ = scatter_disk(color, torch.ones(40, 40), 6 * (1 - front))
    assert torch.allclose(sharp[:, :20], color[:, :20], atol=1e-5)
    blurred, covered = scatter_disk(color, torch.ones(40, 40), -6 * front)
    assert blurred[20, 22, 0] > 0.1
    assert blurred[20, 30, 0] < 1e-5
    assert blurred[20, 17, 1] > 0.1  # green from behind the red
    assert torch.allclose(covered, torch.ones(40, 40), atol=0.01)


def without_layers(sharp, radius):
    """Every pixel spread over its disk, over the sum of weights: what scattering is without an order in depth."""
    rim = rim_of(radius.abs()).reshape(-1)
    light = torch.cat([sharp, torch.ones_like(sharp[..., :1])], 2).reshape(-1, 4) / area(rim)[:, None]
    spread = disk_cpu.spread(light, rim, torch.arange(len(rim)), *radius.shape)
    return spread[..., :3] / spread[..., 3:]


@pytest.mark.parametrize(
    ("front", "back", "whole", "band", "gain"),
    [
        (-5, 0, 35.5, 31.2, 4.5),
        (-8, 0, 32.7, 28.8, 4.5),
        (0, 5, 35.2, 30.9, 2.5),
        (0, 8, 34.0, 29.9, 3.0),
        (-3, 5, 35.8, 31.5, 0.7),
    ],
)
def test_two_surfaces_come_near_the_exact_lens(front, back, whole, band, gain):
    truth = two_layers(80, front, back)
    sharp = torch.tensor(truth.sharp).float()
    radius = torch.tensor(np.where(truth.alpha > 0.5, float(front), float(back))).float()
    color, _ = scatter_disk(sharp, torch.ones_like(radius), radius)
    inner = (slice(10, -10), slice(10, -10))
    naive = without_layers(sharp, radius)
    assert psnr(color, truth.photograph, inner) > whole
    assert psnr(color, truth.photograph, truth.band) > band
    assert psnr(color, truth.photograph, truth.band) > psnr(naive, truth.photograph, truth.band) + gain


def test_true_radii_reproduce_the_demos_photographs():
    from bench.kernel_accuracy import surface
    from datasets.optics import outlined

    scores = []
    capture = open_capture("demo")
    for view in capture.test:
        truth, photograph = view.truth(), view.photograph().image / 255
        background = capture.background.image(*truth.mask.shape)
        sharp = srgb_to_linear(truth.sharp / 255) - (1 - truth.mask[..., None]) * background
        radius = outlined(truth.coc, surface(truth))
        color, covered = scatter_disk(*(torch.tensor(a).float() for a in (sharp, truth.mask, radius)))
        scores.append(
            psnr(linear_to_srgb((color + (1 - covered[..., None]) * background).numpy()).clip(0, 1), photograph)
        )
    assert np.mean(scores) > 38.5


def test_same_bits_from_run_to_run_and_for_any_parts(monkeypatch):
    inputs = scene()
    whole = with_gradients(inputs)
    monkeypatch.setattr(disk_cpu, "bounds", lambda count, fewest: [0, count // 3, count // 3 + 1, count])
    assert all(torch.equal(a, b) for a, b in zip(with_gradients(inputs), whole, strict=True))


def test_the_visible_part_of_a_disk():
    half = torch.ones(40, 40)
    half[:, 20:] = 0
    part = seen(half, 5.0)
    assert part[20, 5].item() == pytest.approx(1, abs=1e-5)
    assert part[20, 19:21].sum().item() == pytest.approx(1, abs=1e-5)
    assert part[20, 30].item() == pytest.approx(0, abs=1e-5)
    assert torch.equal(seen(half, 0.0), half)


def test_nothing_at_all_gives_nothing():
    color, alpha = scatter_disk(torch.zeros(4, 5, 3), torch.zeros(4, 5), torch.full((4, 5), math.nan))
    assert not color.any()
    assert not alpha.any()


@pytest.mark.parametrize(
    ("inputs", "options", "what"),
    [
        ([torch.zeros(4, 5, 4), torch.zeros(4, 5), torch.zeros(4, 5)], {}, r"not \[4, 5, 4\], \[4, 5\]"),
        ([torch.zeros(4, 5, 3), torch.zeros(4, 5), torch.zeros(5, 4)], {}, r"and \[5, 4\]"),
        ([torch.zeros(4, 5, 3), torch.zeros(4, 5), torch.zeros(4, 5).double()], {}, "all must be one float type"),
        ([torch.zeros(4, 5, 3).double(), *[torch.zeros(4, 5).double()] * 2], {}, "name backend='torch'"),
        ([torch.zeros(4, 5, 3), torch.zeros(4, 5), torch.zeros(4, 5, device="meta")], {}, "radius on meta"),
        ([torch.zeros(4, 5, 3), torch.ones(4, 5), torch.full((4, 5), math.nan)], {}, "finite radii"),
        ([torch.zeros(4, 5, 3), torch.zeros(4, 5), torch.zeros(4, 5)], {"backend": "triton"}, "on a cuda device"),
        ([torch.zeros(4, 5, 3), torch.zeros(4, 5), torch.zeros(4, 5)], {"backend": "fft"}, "choose one of torch, cpu"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(inputs, options, what):
    with pytest.raises(ValueError, match=what) as caught:
        scatter_disk(*inputs, **options)
    assert "\n" not in str(caught.value)
