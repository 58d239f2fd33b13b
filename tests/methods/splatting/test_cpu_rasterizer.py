"""The CPU rasterizer against the float64 twin, against itself on more threads, and on bad input."""

from dataclasses import replace
from pathlib import Path

import numba
import pytest
import torch
from splatting_scenes import (
    HEIGHT,
    WIDTH,
    assert_gradients_agree,
    assert_images_agree,
    extra_variance,
    random_gaussians,
    render_with_gradients,
    viewport,
)

from methods.splatting import cpu, jit, parallel
from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import Viewport, render


def backdrop(kind: str | None) -> torch.Tensor | None:
    if kind is None:
        return None
    shape = (3,) if kind == "uniform" else (HEIGHT, WIDTH, 3)
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


def both(gaussians: Gaussians, view: Viewport, **options):
    """(render, gradients) of the twin in float64, then of the CPU rasterizer."""
    return (
        render_with_gradients("torch", gaussians, view, dtype=torch.float64, **options),
        render_with_gradients("cpu", gaussians, view, **options),
    )


@pytest.mark.parametrize(("antialiased", "dilation"), [(False, 0.3), (True, 0.3), (True, 0.1)])
@pytest.mark.parametrize("kind", [None, "scalar", "matrix"])
@pytest.mark.parametrize(("degree", "behind"), [(0, None), (1, "uniform"), (2, "image"), (3, "uniform")])
def test_images_and_gradients_are_those_of_the_twin(antialiased, dilation, kind, degree, behind):
    (expected, wanted), (actual, got) = both(
        random_gaussians(degree=degree, seed=degree),
        viewport(seed=degree),
        dilation=dilation,
        antialiased=antialiased,
        extra=extra_variance(kind),
        background=backdrop(behind),
    )
    assert actual.backend == "cpu"
    assert (actual.color - actual.color.mean()).abs().max() > 0.1
    assert_images_agree(actual, expected)
    assert torch.equal(actual.radii, expected.radii)
    assert torch.allclose(actual.means2d.double(), expected.means2d, atol=2e-5)
    assert_gradients_agree(got, wanted)


def test_a_lower_degree_leaves_the_higher_coefficients_alone():
    (expected, wanted), (actual, got) = both(random_gaussians(degree=3), viewport(), sh_degree=1)
    assert_images_agree(actual, expected)
    assert_gradients_agree(got, wanted)
    assert (got["sh"][:, 4:] == 0).all()
    assert (got["sh"][:, :4] != 0).any()


def test_overriding_colours_get_the_gradient():
    colors = torch.randn(60, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    (expected, wanted), (actual, got) = both(random_gaussians(), viewport(), colors=colors)
    assert_images_agree(actual, expected)
    assert_gradients_agree(got, wanted)


def test_opaque_scenes_stop_early_and_still_agree():
    gaussians = random_gaussians(400)
    gaussians = replace(gaussians, logit_opacities=gaussians.logit_opacities + 4.0)
    (expected, wanted), (actual, got) = both(gaussians, viewport())
    assert expected.alpha.max() > 0.9985
    assert_images_agree(actual, expected)
    assert_gradients_agree(got, wanted, tolerance=2e-4)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 33])
def test_any_number_of_gaussians_will_do(n):
    (expected, wanted), (actual, got) = both(
        random_gaussians(n, seed=3), viewport(seed=1), extra=extra_variance("scalar", n)
    )
    assert_images_agree(actual, expected)
    assert_gradients_agree(got, wanted)


def test_no_gaussians_give_the_background_and_empty_gradients():
    nothing = random_gaussians(0).to(dtype=torch.float32)
    nothing.means.requires_grad_()
    color = torch.tensor([0.2, 0.4, 0.6], requires_grad=True)
    for backend in ("cpu", "torch"):
        result = render(nothing, viewport(), backend=backend, background=color)
        assert torch.equal(result.color, color.expand(HEIGHT, WIDTH, 3)), backend
        assert (result.alpha == 0).all()
        assert (result.depth == 0).all()
        assert result.radii.shape == (0,)
        result.color.sum().backward()
    assert color.grad is not None
    assert torch.allclose(color.grad, torch.full((3,), 2.0 * WIDTH * HEIGHT))


def strange_gaussians() -> Gaussians:
    """Behind the camera, on it, huge, far off screen, invisible, needle-thin, a point, and two ordinary ones."""
    common = random_gaussians(9, seed=6)
    camera_z = torch.tensor([-2.0, 0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 4.0, 6.0], dtype=torch.float64)
    means = torch.zeros(9, 3, dtype=torch.float64)
    means[:, 2] = camera_z
    means[3, 0] = 1e5
    means[5:7, 0] = torch.tensor([0.5, -0.5])
    log_scales = common.log_scales.clone()
    log_scales[2] = 5.0
    log_scales[5] = torch.tensor([0.0, -12.0, -12.0])
    log_scales[6] = -30.0
    logits = common.logit_opacities.clone()
    logits[4] = -50.0
    logits[7] = 40.0
    return replace(common, means=means, log_scales=log_scales, logit_opacities=logits)


@pytest.mark.parametrize("antialiased", [False, True])
def test_strange_gaussians_do_no_harm(antialiased):
    view = Viewport(WIDTH, HEIGHT, 40.0, 40.0, 20.0, 20.0, torch.eye(4, dtype=torch.float64))
    gaussians = strange_gaussians()
    (expected, wanted), (actual, got) = both(gaussians, view, antialiased=antialiased)
    assert actual.visible.tolist() == expected.visible.tolist()
    assert actual.visible[[0, 1, 3, 4]].tolist() == [False] * 4
    assert actual.visible[[2, 7, 8]].tolist() == [True] * 3
    assert_images_agree(actual, expected, tolerance=1e-5)
    for name, gradient in got.items():
        assert torch.isfinite(gradient).all(), name
        assert torch.isfinite(wanted[name]).all(), name
        hidden = gradient[[0, 1, 3, 4]]
        assert (hidden == 0).all(), name


def test_not_a_number_stays_with_its_gaussian():
    gaussians = random_gaussians().to(dtype=torch.float32)
    clean = render(
        Gaussians(*(getattr(gaussians, f)[1:] for f in gaussians.__dataclass_fields__)), viewport(), backend="cpu"
    )
    gaussians.log_scales[0] = float("nan")
    dirty = render(gaussians, viewport(), backend="cpu")
    assert not dirty.visible[0]
    assert torch.equal(dirty.color, clean.color)


def test_images_and_gradients_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(cpu, "_FEWEST_GAUSSIANS", 1000)
    monkeypatch.setattr(cpu, "_FEWEST_SLOTS", 1000)
    gaussians = random_gaussians(9000, seed=7).to(dtype=torch.float32)
    gaussians = replace(gaussians, log_scales=gaussians.log_scales - 1.5)
    view = replace(viewport(), width=150, height=130, fx=140.0, fy=140.0, cx=75.0, cy=65.0)
    before = numba.get_num_threads()
    outcomes = []
    try:
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS), 1):
            numba.set_num_threads(threads)
            result, gradients = render_with_gradients("cpu", gaussians, view, extra=extra_variance("scalar", 9000))
            outcomes.append({"color": result.color, "depth": result.depth, "alpha": result.alpha, **gradients})
    finally:
        numba.set_num_threads(before)
    for other in outcomes[1:]:
        for name, tensor in outcomes[0].items():
            assert torch.equal(tensor, other[name]), name


def test_work_is_divided_over_threads_when_there_is_enough(monkeypatch):
    monkeypatch.setattr(numba, "get_num_threads", lambda: 3)
    parts = parallel.bounds(100_000, cpu._FEWEST_GAUSSIANS)
    assert parts[0] == 0
    assert parts[-1] == 100_000
    assert len(parts) == 1 + 100_000 // cpu._FEWEST_GAUSSIANS
    assert len(parallel.bounds(10_000_000, cpu._FEWEST_GAUSSIANS)) == 1 + 3 * parallel._PARTS
    assert len(parallel.bounds(3000, cpu._FEWEST_GAUSSIANS)) == 2
    monkeypatch.setattr(numba, "get_num_threads", lambda: 1)
    assert len(parallel.bounds(100_000, cpu._FEWEST_GAUSSIANS)) == 2


def test_two_renders_may_be_alive_before_the_first_backward():
    gaussians = random_gaussians().to(dtype=torch.float32)
    means = gaussians.means.requires_grad_()
    first = render(gaussians, viewport(1), backend="cpu")
    second = render(gaussians, viewport(2), backend="cpu")
    (first.color.sum() + second.color.sum()).backward()
    together = means.grad
    means.grad = None
    for seed in (1, 2):
        render(gaussians, viewport(seed), backend="cpu").color.sum().backward()
    assert torch.allclose(together, means.grad, rtol=1e-6, atol=1e-6)


def test_inputs_need_not_be_contiguous():
    gaussians = random_gaussians().to(dtype=torch.float32)
    strided = replace(gaussians, means=gaussians.means.T.contiguous().T)
    assert not strided.means.is_contiguous()
    assert torch.equal(
        render(strided, viewport(), backend="cpu").color, render(gaussians, viewport(), backend="cpu").color
    )


def test_compiling_is_announced_once(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path)
    lines: list[str] = []
    cpu.warmup(lines.append)
    cpu.warmup(lines.append)
    assert len(lines) == 1
    assert str(tmp_path) in lines[0]


def test_compiled_code_is_kept_where_it_may_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    assert jit._base_folder() == tmp_path / "chosen"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    assert jit._base_folder().parent == Path(cpu.__file__).parent
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    (tmp_path / "package").touch()  # not a folder, so nothing can be written beneath it
    monkeypatch.setattr(jit, "_HERE", tmp_path / "package")
    assert jit._base_folder() == tmp_path / "user" / "macro-deblurring-benchmark"
