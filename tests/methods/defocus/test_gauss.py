"""Blur with a Gaussian per pixel: the fused kernels against the twins, and what any blur of light must obey."""

import numba
import pytest
import torch

from methods.defocus.backends import BACKENDS, resolve_backend
from methods.defocus.gauss import gather_continued, gather_gauss, scatter_gauss

BLURS = [gather_gauss, scatter_gauss]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, needs_gpu])]


def scene(height, width, channels=3, widest=4.0, dtype=torch.float32, device="cpu"):
    """An image with a dark third, and sigma from 0 to `widest`."""
    random = torch.Generator().manual_seed(0)
    image = torch.rand(height, width, channels, generator=random)
    image[:, : width // 3] = 0
    sigma = widest * torch.rand(height, width, generator=random)
    sigma[0, 0], sigma[-1, -1] = 0.0, 1e-4
    return image.to(device, dtype), sigma.to(device, dtype)


def with_gradients(blur, image, sigma, k, **options):
    image, sigma = image.clone().requires_grad_(), sigma.clone().requires_grad_()
    out = blur(image, sigma, k, **options)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    (out * upstream.to(out)).sum().backward()
    return [t.detach().double().cpu() for t in (out, image.grad, sigma.grad)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("blur", BLURS)
@pytest.mark.parametrize(
    ("height", "width", "channels", "k"), [(21, 37, 3, 6), (40, 50, 4, 12), (5, 3, 1, 6), (17, 16, 3, 0), (1, 33, 2, 1)]
)
def test_fused_kernels_give_the_twins_image_and_gradients(device, blur, height, width, channels, k):
    image, sigma = scene(height, width, channels)
    expected = with_gradients(blur, image.double(), sigma.double(), k, backend="torch")
    actual = with_gradients(blur, image.to(device), sigma.to(device), k)
    for got, wanted in zip(actual, expected, strict=True):
        assert (got - wanted).abs().max() <= 2e-6 * max(1.0, wanted.abs().max().item())


@pytest.mark.parametrize("blur", BLURS)
def test_gradients_of_the_twins_are_those_of_finite_differences(blur):
    image, sigma = scene(4, 5, 2, 2.0, torch.float64)
    sigma = sigma + 0.3
    inputs = (image.requires_grad_(), sigma.requires_grad_())
    assert torch.autograd.gradcheck(lambda i, s: blur(i, s, 3, backend="torch"), inputs, fast_mode=True)


@pytest.mark.parametrize("device", DEVICES)
def test_gather_and_scatter_are_adjoint(device):
    x, sigma = scene(40, 60, device=device)
    y = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)).to(device)
    left = (gather_gauss(x, sigma, 6).double() * y).sum()
    right = (x * scatter_gauss(y, sigma, 6).double()).sum()
    assert left.item() == pytest.approx(right.item(), rel=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_scatter_keeps_the_energy_and_gather_keeps_a_constant(device):
    image, sigma = scene(40, 60, device=device)
    image[:8], image[-8:], image[:, :8], image[:, -8:] = 0, 0, 0, 0
    assert scatter_gauss(image, sigma, 8).sum().item() == pytest.approx(image.sum().item(), rel=1e-5)
    flat = gather_gauss(torch.ones_like(image), sigma, 8)
    assert torch.allclose(flat[8:-8, 8:-8], torch.ones_like(flat[8:-8, 8:-8]), atol=2e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("blur", BLURS)
def test_no_blur_is_the_identity_with_finite_gradients(device, blur):
    image, _ = scene(20, 30)
    out, d_image, d_sigma = with_gradients(blur, image.to(device), torch.zeros(20, 30, device=device), 6)
    assert torch.equal(out.float(), image)
    assert torch.isfinite(d_image).all()
    assert (d_sigma == 0).all()


@pytest.mark.parametrize("blur", BLURS)
def test_equal_to_the_last_bit_for_any_number_of_threads(blur):
    image, sigma = scene(200, 70)
    before, most = numba.get_num_threads(), numba.config.NUMBA_NUM_THREADS
    results = []
    try:
        for threads in {1, most}:
            numba.set_num_threads(threads)
            results += [with_gradients(blur, image, sigma, 6) for _ in range(2)]
    finally:
        numba.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@pytest.mark.parametrize("blur", BLURS)
def test_bands_of_rows_give_the_same_bits_as_the_whole(blur, monkeypatch):
    from methods.defocus import gauss_cpu

    image, sigma = scene(50, 40)
    whole = with_gradients(blur, image, sigma, 6)
    monkeypatch.setattr(gauss_cpu, "bounds", lambda rows, fewest: [0, 7, 8, 31, 50])
    assert all(torch.equal(a, b) for a, b in zip(with_gradients(blur, image, sigma, 6), whole, strict=True))


def test_a_sigma_that_is_not_finite_stays_inside_the_image_and_shows():
    image, sigma = scene(20, 40)
    sigma[3, 35], sigma[10, 36] = float("nan"), float("inf")
    out = gather_gauss(image, sigma, 6)
    assert torch.isnan(out[3, 35]).all()
    assert torch.isfinite(out[10, 36]).all()
    assert torch.isnan(scatter_gauss(image, sigma, 6)[3, 35]).all()


@pytest.mark.parametrize("blur", BLURS)
@pytest.mark.parametrize(
    ("image", "sigma", "k", "options", "what"),
    [
        (torch.zeros(4, 5), torch.zeros(4, 5), 2, {}, r"takes an image \[H, W, C\] and sigma \[H, W\]"),
        (torch.zeros(4, 5, 3), torch.zeros(5, 4), 2, {}, r"not \[4, 5, 3\] and \[5, 4\]"),
        (torch.zeros(0, 5, 3), torch.zeros(0, 5), 2, {}, "takes an image"),
        (torch.zeros(4, 5, 3), torch.zeros(4, 5), -1, {}, "whole pixels, not -1"),
        (torch.zeros(4, 5, 3), torch.zeros(4, 5), 1.5, {}, "whole pixels, not 1.5"),
        (torch.zeros(4, 5, 3), torch.zeros(4, 5, dtype=torch.float64), 2, {}, "all must be one float type"),
        (torch.zeros(4, 5, 3).double(), torch.zeros(4, 5).double(), 2, {}, "name backend='torch'"),
        (torch.zeros(4, 5, 3), torch.zeros(4, 5, device="meta"), 2, {}, "image on cpu, sigma on meta"),
        (torch.zeros(4, 5, 3), torch.zeros(4, 5), 2, {"backend": "triton"}, "needs its tensors on a cuda device"),
        (torch.zeros(4, 5, 3), torch.zeros(4, 5), 2, {"backend": "unfold"}, "choose one of torch, cpu, triton"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(blur, image, sigma, k, options, what):
    with pytest.raises(ValueError, match=what) as caught:
        blur(image, sigma, k, **options)
    assert "\n" not in str(caught.value)


def test_the_back_end_follows_the_device():
    assert resolve_backend("cpu") == "cpu"
    assert resolve_backend("cuda:1") == "triton"
    assert set(BACKENDS) == {"torch", "cpu", "triton"}
    with pytest.raises(ValueError, match="no fused blur for device 'meta'"):
        resolve_backend("meta")


@pytest.mark.parametrize("k", [0, 3, 6])
def test_a_constant_continued_beyond_its_frame_stays_what_it_is(k: int) -> None:
    sigma = 4 * torch.rand(10, 12, generator=torch.Generator().manual_seed(0)) + 0.05
    image = torch.full((10, 12, 3), 0.7)
    torch.testing.assert_close(gather_continued(image, sigma, k), image)
