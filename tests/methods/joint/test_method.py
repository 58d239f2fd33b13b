"""The seed paper's method as a contestant."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captures import write_tiny_capture
from torch import Tensor

from datasets.capture import Capture, Photographs
from datasets.captures import open_capture
from datasets.errors import InputError
from datasets.optics import SIGMA_PER_RADIUS_LEAST_SQUARES
from methods import configuration, contestants
from methods.contestant import Setting
from methods.defocus.gauss import gather_continued
from methods.joint import method
from methods.joint.method import (
    SIGMA_MIN,
    Defocus,
    FittedJoint,
    JointConfig,
    fit,
    near_surface,
    total_variation,
)
from methods.splatting.config import SplattingConfig
from methods.splatting.formation import Formed, Target, target_of
from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import Render, render

SPLATTING = SplattingConfig(steps=100, initial_gaussians=300, max_gaussians=300)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return open_capture(write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny", size=(32, 24)))


@pytest.fixture(scope="module")
def photographs(capture: Capture) -> Photographs:
    return capture.photographs().without_optics()


@pytest.fixture(scope="module")
def fitted(photographs: Photographs) -> FittedJoint:
    return fit(photographs, setting())


def setting(name: str = "joint", **changes: Any) -> Setting:
    """Of a fit in a second: 40 steps, 500 Gaussians."""
    entry = contestants.find(name)
    configs = configuration.resolve(entry.configs, "smoke", entry.changes)
    configs["3dgs"] |= {"steps": 40, "initial_gaussians": 500, "max_gaussians": 500}
    configs["joint"] |= changes
    return Setting(0, "cpu", configs, "smoke", lambda done, total, what: None, {})


def draw(gaussians: Gaussians, target: Target, **options: Any) -> Render:
    return render(gaussians, target.viewport, backend="torch", background=target.background, **options)


def scene() -> Gaussians:
    """A bumpy wall of 60 Gaussians through the centre of the tiny capture's ball."""
    random = torch.Generator().manual_seed(0)
    return Gaussians(
        means=torch.randn(60, 3, generator=random).mul(5).requires_grad_(),
        quats=torch.randn(60, 4, generator=random),
        log_scales=torch.full((60, 3), 0.5),
        logit_opacities=torch.full((60,), 2.0),
        sh=torch.randn(60, 1, 3, generator=random),
    )


def formed(photographs: Photographs, step: int, **settings: Any) -> tuple[Defocus, Gaussians, Formed]:
    defocus = Defocus(photographs, JointConfig(**settings), SPLATTING, seed=0)
    gaussians = scene()
    target = target_of(0, photographs.views[0], photographs, "srgb", "cpu", defocus.scale(step))
    return defocus, gaussians, defocus.image(gaussians, target, step, draw)


def gradients(defocus: Defocus) -> set[str]:
    return {name for name, value in defocus.net.named_parameters() if value.grad is not None and value.grad.any()}


def test_the_stages_end_at_a_tenth_and_at_half_of_the_steps(photographs: Photographs) -> None:
    defocus = Defocus(photographs, JointConfig(), SPLATTING, seed=0)
    assert [defocus.scale(step) for step in (0, 9, 10, 49, 50, 99)] == [1, 1, 2, 2, 1, 1]


def test_there_is_no_blur_in_the_first_stage(photographs: Photographs) -> None:
    _, _, first = formed(photographs, 9)
    assert first.image is first.drawn.color
    assert first.penalty is None
    _, _, second = formed(photographs, 10)
    assert second.image is not second.drawn.color
    assert second.penalty is not None


def test_one_step_of_the_last_stage_trains_both_networks_and_the_scene(photographs: Photographs) -> None:
    defocus, gaussians, image = formed(photographs, 50)
    (image.image**2).mean().backward()
    assert gradients(defocus) == {name for name, _ in defocus.net.named_parameters()}
    assert gaussians.means.grad is not None
    assert gaussians.means.grad.any()


def test_the_second_layer_rests_until_the_last_stage(photographs: Photographs) -> None:
    defocus, _, image = formed(photographs, 10)
    (image.image**2).mean().backward()
    assert not any("second" in name for name in gradients(defocus))
    assert any(name.startswith("A.first") for name in gradients(defocus))
    assert any(name.startswith("E.first") for name in gradients(defocus))


@pytest.mark.parametrize(
    ("detach_depth", "step", "flows"),
    [
        ("low scale", 10, False),
        ("low scale", 50, True),
        ("always", 50, False),
        ("never", 10, True),
    ],
)
def test_gradients_reach_the_depth_when_they_are_said_to(
    photographs: Photographs, detach_depth: Any, step: int, flows: bool
) -> None:
    defocus = Defocus(photographs, JointConfig(detach_depth=detach_depth), SPLATTING, seed=0)
    seen: dict[str, Tensor] = {}

    def spy(gaussians: Gaussians, target: Target, **options: Any) -> Render:
        drawn = draw(gaussians, target, **options)
        seen["depth"] = drawn.depth.detach().requires_grad_()
        return replace(drawn, depth=seen["depth"])

    target = target_of(0, photographs.views[0], photographs, "srgb", "cpu", defocus.scale(step))
    (defocus.image(scene(), target, step, spy).image ** 2).mean().backward()
    assert (seen["depth"].grad is not None) == flows


@pytest.mark.parametrize("bias", [-20.0, 20.0])
def test_sigma_stays_in_its_range(photographs: Photographs, bias: float) -> None:
    defocus = Defocus(photographs, JointConfig(), SPLATTING, seed=0)
    torch.nn.init.constant_(defocus.net.A.head.bias, bias)  # type: ignore[arg-type]
    target = target_of(0, photographs.views[0], photographs, "srgb", "cpu")
    sigma = defocus.sigma(draw(scene(), target), torch.ones(24, 32))
    assert sigma.min() >= SIGMA_MIN - 1e-6
    assert sigma.max() <= 4.0
    assert sigma.min() < SIGMA_MIN + 1e-6 if bias < 0 else sigma.max() > 3.9


def test_sigma_in_pixels_doubles_with_the_size(photographs: Photographs) -> None:
    defocus = Defocus(photographs, JointConfig(), SPLATTING, seed=0)
    target = target_of(0, photographs.views[0], photographs, "srgb", "cpu")
    drawn, mask = draw(scene(), target), torch.ones(24, 32)
    half = defocus.sigma(drawn, mask, scale=2, deep=False)
    torch.testing.assert_close(defocus.sigma(drawn, mask, scale=1), 2 * half)


def test_without_stages_all_is_at_full_size_with_blur_from_the_first_step(photographs: Photographs) -> None:
    defocus, _, image = formed(photographs, 0, stages=False)
    assert defocus.scale(0) == defocus.scale(30) == 1
    (image.image**2).mean().backward()
    assert any("second" in name for name in gradients(defocus))


@pytest.mark.parametrize("ablation", [{"mask": False}, {"blurnet": False}, {"depth": False}], ids=str)
def test_an_ablation_without_a_part_still_blurs(photographs: Photographs, ablation: dict[str, bool]) -> None:
    defocus, _, image = formed(photographs, 50, **ablation)
    (image.image**2).mean().backward()
    assert "A.first.weight" in gradients(defocus)
    assert torch.isfinite(image.image).all()


def test_leaving_out_what_is_far_from_any_surface_changes_no_blurred_pixel(
    photographs: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    defocus = Defocus(photographs, JointConfig(kernel_radius=2), SPLATTING, seed=0)
    alpha = torch.zeros(48, 64)
    alpha[20:26, 30:40] = 0.8
    random = torch.Generator().manual_seed(0)
    color = alpha[..., None] * torch.rand(48, 64, 3, generator=random) + (1 - alpha[..., None]) * 0.3
    nothing = torch.zeros(0)
    drawn = Render(color, 100 + torch.rand(48, 64, generator=random), alpha, nothing, nothing, "torch")
    mask = torch.rand(48, 64, generator=random)
    assert near_surface(alpha, 4) == (slice(16, 32), slice(24, 48))
    spared = gather_continued(color, defocus.sigma(drawn, mask), 2)
    monkeypatch.setattr(method, "near_surface", lambda alpha, reach: (slice(0, 48), slice(0, 64)))
    whole = gather_continued(color, defocus.sigma(drawn, mask), 2)
    torch.testing.assert_close(spared, whole)
    assert not torch.equal(whole, color)


def test_the_box_around_nothing_is_a_corner_and_never_leaves_the_image() -> None:
    assert near_surface(torch.zeros(20, 30), 8) == (slice(0, 16), slice(0, 16))
    assert near_surface(torch.ones(20, 30), 8) == (slice(0, 20), slice(0, 30))


def test_total_variation_is_the_mean_step_along_x_plus_that_along_y() -> None:
    image = torch.zeros(4, 5, 3)
    image[:, 2:] = 1.0
    assert total_variation(image).item() == pytest.approx(4 / 20)
    assert total_variation(torch.zeros(1, 1, 3)) == 0


def test_it_renders_restores_blurs_and_saves(fitted: FittedJoint, capture: Capture, tmp_path: Path) -> None:
    view = capture.train[0].photograph()
    image = fitted.render(view.camera)
    assert image.shape == view.image.shape
    np.testing.assert_array_equal(image, fitted.restored(view.name))
    fitted.save(tmp_path)
    assert len(Gaussians.load_ply(tmp_path / "point_cloud.ply")) == fitted.cost.gaussians
    assert set(np.load(tmp_path / "blurnet.npz")) == set(fitted.defocus.net.state_dict())


@pytest.mark.parametrize("split", ["train", "test"])
def test_it_tells_the_blur_of_photographs_it_has_seen_and_of_others(
    fitted: FittedJoint, capture: Capture, split: str
) -> None:
    view = getattr(capture, split)[0]
    kernel = fitted.kernel(view.photograph())
    assert kernel.spread == "gather"
    assert kernel.coc.shape == (24, 32)
    assert 0 <= kernel.coc.min() < kernel.coc.max() <= 4 / SIGMA_PER_RADIUS_LEAST_SQUARES
    sharp = view.truth().sharp.astype(np.float32) / 255
    blurred = kernel.blur(sharp)
    assert blurred.shape == sharp.shape
    assert 0 < np.abs(blurred - sharp).mean() < 0.2
    flat = np.full_like(sharp, 0.5)
    np.testing.assert_allclose(kernel.blur(flat), flat, atol=1e-5)


def test_the_same_seed_gives_the_same_scene(photographs: Photographs, fitted: FittedJoint) -> None:
    again = fit(photographs, setting())
    assert torch.equal(again.gaussians.means, fitted.gaussians.means)


def test_the_linear_variant_holds_the_scene_in_linear_light_and_says_so() -> None:
    plain, linear = setting("joint"), setting("joint-linear")
    assert "light" not in plain.configs["3dgs"]
    assert linear.configs["3dgs"]["light"] == "linear"
    assert linear.config("3dgs", SplattingConfig).light == linear.resolved["3dgs"]["light"] == "linear"


def test_a_kernel_in_linear_light_brightens_the_mean_in_srgb(photographs: Photographs, fitted: FittedJoint) -> None:
    linear = FittedJoint.__new__(FittedJoint)
    linear.__dict__ = fitted.__dict__ | {"config": replace(fitted.config, light="linear")}
    stripes = np.zeros((24, 32, 3), np.float32)
    stripes[:, ::2] = 1.0
    view = photographs.views[0]
    linear.defocus.net.A.head.bias.data += 2.0
    assert linear.kernel(view).blur(stripes).mean() > fitted.kernel(view).blur(stripes).mean() + 0.02
    linear.defocus.net.A.head.bias.data -= 2.0


def all_black(photographs: Photographs) -> Photographs:
    return replace(photographs, views=tuple(replace(v, image=np.zeros_like(v.image)) for v in photographs.views))


def from_behind(photographs: Photographs) -> Photographs:
    """One camera turned around: nothing of the scene is in its view."""
    turn = np.diag([-1.0, 1.0, -1.0, 1.0])
    first = photographs.views[0]
    away = replace(first, camera=replace(first.camera, c2w=first.camera.c2w @ turn))
    return replace(photographs, views=(away, *photographs.views[1:]))


@pytest.mark.parametrize("spoil", [all_black, from_behind])
@pytest.mark.parametrize("name", ["joint", "joint-linear"])
def test_a_view_without_light_or_depth_is_no_obstacle(photographs: Photographs, spoil: Any, name: str) -> None:
    spoiled = spoil(photographs)
    fitted = fit(spoiled, setting(name))
    for view in spoiled.views[:2]:
        assert np.isfinite(fitted.render(view.camera)).all()
        kernel = fitted.kernel(view)
        assert np.isfinite(kernel.coc).all()
        assert np.isfinite(kernel.blur(view.image / np.float32(255))).all()


def test_stages_out_of_order_are_refused() -> None:
    with pytest.raises(InputError, match="in this order"):
        JointConfig(warm_up=0.6)
    with pytest.raises(InputError, match="at least 1"):
        JointConfig(kernel_radius=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["joint", "joint-linear"])
def test_on_cuda_it_trains_renders_and_blurs_as_on_the_cpu(photographs: Photographs, name: str) -> None:
    given = setting(name)
    on_cpu, on_cuda = fit(photographs, given), fit(photographs, given._replace(device="cuda"))
    assert on_cuda.cost.rasterizer == "gsplat"
    view = photographs.views[0]
    assert np.abs(on_cuda.render(view.camera) - on_cpu.render(view.camera)).mean() < 0.05
    # The same networks on the same scene see the same blur on either device.
    on_cpu.defocus.net.load_state_dict({key: value.cpu() for key, value in on_cuda.defocus.net.state_dict().items()})
    on_cpu.gaussians = on_cuda.gaussians.to("cpu", torch.float32)
    found, expected = on_cuda.kernel(view), on_cpu.kernel(view)
    assert np.abs(found.coc - expected.coc).mean() < 1e-2
    sharp = view.image.astype(np.float32) / 255
    assert np.abs(found.blur(sharp) - expected.blur(sharp)).mean() < 1e-3
