"""The dense twin: against finite differences, against gsplat's own PyTorch code, and against pencil and paper."""

import math
from dataclasses import replace

import pytest
import torch
from splatting_scenes import HEIGHT, WIDTH, extra_variance, leaves, random_gaussians, viewport

from methods.splatting.config import DILATION
from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import Viewport, render
from methods.splatting.reference import project
from methods.splatting.viewport import NEAR


@pytest.mark.parametrize(("antialiased", "dilation"), [(False, 0.3), (True, 0.3), (True, 0.1)])
def test_projection_is_that_of_gsplat(antialiased, dilation):
    impl = pytest.importorskip("gsplat.cuda._torch_impl")
    gaussians, view = random_gaussians(200), viewport()
    intrinsics = torch.tensor([[view.fx, 0, view.cx], [0, view.fy, view.cy], [0, 0, 1]], dtype=torch.float64)
    covariances, _ = impl._quat_scale_to_covar_preci(gaussians.quats, gaussians.scales, compute_preci=False)
    _, means2d, depths, conics, compensation = impl._fully_fused_projection(
        gaussians.means,
        covariances,
        view.w2c[None],
        intrinsics[None],
        view.width,
        view.height,
        eps2d=dilation,
        calc_compensations=True,
    )
    ours = project(gaussians, view, None, dilation, antialiased, NEAR)
    drawn = ours.radii > 0
    assert 50 < drawn.sum() < 200
    assert torch.allclose(ours.means2d[drawn], means2d[0][drawn], rtol=1e-12, atol=1e-12)
    assert torch.allclose(ours.depths[drawn], depths[0][drawn], rtol=1e-12)
    assert torch.allclose(ours.conics[drawn], conics[0][drawn], rtol=1e-8, atol=1e-12)
    expected = gaussians.opacities * (compensation[0] if antialiased else 1.0)
    assert torch.allclose(ours.opacities[drawn], expected[drawn], rtol=1e-8)


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("kind", [None, "scalar", "matrix"])
def test_gradients_are_those_of_finite_differences(antialiased, kind):
    gaussians, view, extra = random_gaussians(12, degree=2), viewport(), extra_variance(kind, 12)
    inputs = leaves(gaussians, torch.float64)
    if extra is not None:
        inputs["extra"] = extra.requires_grad_()
    weights = torch.randn(HEIGHT, WIDTH, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def loss(values: dict[str, torch.Tensor]) -> torch.Tensor:
        values = dict(values)
        variance = values.pop("extra", None)
        result = render(Gaussians(**values), view, backend="torch", extra_variance=variance, antialiased=antialiased)
        images = torch.cat([result.color, result.depth[..., None], result.alpha[..., None]], dim=-1)
        return (images * weights).sum()

    loss(inputs).backward()
    step = 1e-7
    for name, leaf in inputs.items():
        direction = torch.randn(leaf.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            ahead = loss({**inputs, name: leaf + step * direction})
            behind = loss({**inputs, name: leaf - step * direction})
        numeric = (ahead - behind) / (2 * step)
        assert leaf.grad is not None
        analytic = (leaf.grad * direction).sum()
        # A pixel that crosses the alpha threshold within the step leaves a jump of 1/255; the seed has none.
        assert abs(numeric - analytic) <= 1e-5 * max(abs(numeric), 1.0), name


def one_gaussian(sigma: float, opacity: float) -> Gaussians:
    """A round Gaussian on the optical axis, sigma in the unit of the scene."""
    return Gaussians(
        means=torch.tensor([[0.0, 0.0, 5.0]], dtype=torch.float64),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64),
        log_scales=torch.full((1, 3), math.log(sigma), dtype=torch.float64),
        logit_opacities=torch.tensor([math.log(opacity / (1 - opacity))], dtype=torch.float64),
        sh=torch.full((1, 1, 3), 0.3, dtype=torch.float64),
    )


AXIAL = Viewport(65, 65, 100.0, 100.0, 32.5, 32.5, torch.eye(4, dtype=torch.float64))


def test_one_gaussian_looks_as_the_formula_says():
    result = render(one_gaussian(0.2, 0.8), AXIAL, backend="torch")
    variance = (100.0 * 0.2 / 5.0) ** 2 + DILATION
    assert result.alpha[32, 32].item() == pytest.approx(0.8)
    assert result.alpha[32, 37].item() == pytest.approx(0.8 * math.exp(-0.5 * 25.0 / variance))
    assert result.depth[32, 32].item() == pytest.approx(5.0)
    assert result.depth[0, 0].item() == 0.0
    assert result.means2d[0].tolist() == pytest.approx([32.5, 32.5])


def test_extra_variance_spreads_light_without_adding_any():
    gaussians = one_gaussian(0.2, 0.8)
    sharp = render(gaussians, AXIAL, backend="torch")
    blurred = render(gaussians, AXIAL, backend="torch", extra_variance=torch.tensor([20.0]).double())
    assert blurred.alpha.max() < 0.6 * sharp.alpha.max()
    assert blurred.alpha.sum().item() == pytest.approx(sharp.alpha.sum().item(), rel=0.03)


def test_antialiasing_takes_back_the_light_of_the_dilation():
    tiny = one_gaussian(0.005, 0.8)  # a tenth of a pixel
    plain = render(tiny, AXIAL, backend="torch")
    fair = render(tiny, AXIAL, backend="torch", antialiased=True)
    variance = (100.0 * 0.005 / 5.0) ** 2
    ratio = (fair.alpha.max() / plain.alpha.max()).item()
    assert ratio == pytest.approx(variance / (variance + DILATION), rel=1e-6)


def test_the_nearer_gaussian_hides_the_farther():
    near, far = one_gaussian(0.2, 0.99), one_gaussian(0.2, 0.99)
    far = replace(far, means=far.means + torch.tensor([0.0, 0.0, 1.0]), sh=-far.sh)
    both = Gaussians(*(torch.cat([getattr(far, f), getattr(near, f)]) for f in near.__dataclass_fields__))
    alone = render(near, AXIAL, backend="torch")
    together = render(both, AXIAL, backend="torch")
    assert (together.color[32, 32] - alone.color[32, 32]).abs().max() < 0.01
    assert together.depth[32, 32].item() == pytest.approx(5.01, abs=0.01)


def test_the_camera_gets_a_gradient_from_the_twin():
    view = viewport()
    pose = view.w2c.clone().requires_grad_()
    result = render(random_gaussians(), replace(view, w2c=pose), backend="torch")
    result.color.sum().backward()
    assert pose.grad is not None
    assert pose.grad[:3].abs().min() > 0
