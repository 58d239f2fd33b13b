"""The training loop on a tiny capture: it learns, repeats itself exactly, and says when it breaks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captures import write_tiny_capture

from datasets.capture import BACKDROPS, Photographs
from datasets.captures import open_capture
from datasets.errors import InputError
from methods.contestant import Diverged
from methods.splatting import sh
from methods.splatting import splats as splatted
from methods.splatting import train as training
from methods.splatting.bounds import Bounds
from methods.splatting.config import SplattingConfig
from methods.splatting.formation import Pinhole, background_in, target_of
from methods.splatting.gaussians import Gaussians
from methods.splatting.losses import photometric
from methods.splatting.rasterizer import Render, render
from methods.splatting.splats import Splats
from methods.splatting.train import train

CONFIG = SplattingConfig(
    steps=150, initial_gaussians=400, max_gaussians=500, sh_degree=1, sh_every=50, refine_start=20, refine_every=20
)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Photographs:
    root = write_tiny_capture(tmp_path_factory.mktemp("train") / "tiny", views=9, size=(24, 20))
    return open_capture(root).sharp_twins()


def error(gaussians: object, photographs: Photographs, config: SplattingConfig) -> float:
    splats = Splats(gaussians, photographs.cameras, photographs.background, config, "cpu")  # type: ignore[arg-type]
    return float(np.mean([np.abs(splats.restored(v.name) - v.image / 255.0).mean() for v in photographs.views]))


@pytest.mark.parametrize("light", ["srgb", "linear"])
@pytest.mark.parametrize("densify", ["relocate", "gradient", "none"])
def test_training_learns_the_photographs(photographs: Photographs, light: str, densify: str) -> None:
    config = replace(CONFIG, light=light, densify=densify)  # type: ignore[arg-type]
    black = float(np.mean([view.image.mean() / 255 for view in photographs.views]))
    fitted = train(photographs, config, seed=0, device="cpu")
    assert error(fitted, photographs, config) < 0.4 * black
    assert len(fitted) <= config.max_gaussians


def test_the_same_seed_gives_the_same_scene_bit_for_bit(photographs: Photographs) -> None:
    config = replace(CONFIG, steps=60)
    first, second = (train(photographs, config, seed=3, device="cpu") for _ in range(2))
    other = train(photographs, config, seed=4, device="cpu")
    assert torch.equal(first.means, second.means)
    assert torch.equal(first.sh, second.sh)
    assert not torch.equal(first.means[: len(other)], other.means[: len(first)])


def test_a_number_that_is_not_finite_is_reported_with_its_step(photographs: Photographs) -> None:
    class Breaks(Pinhole):
        def image(self, gaussians, target, step, draw):  # type: ignore[no-untyped-def]
            formed = super().image(gaussians, target, step, draw)
            return formed._replace(image=formed.image * float("nan")) if step == 7 else formed

    with pytest.raises(Diverged, match="step 7") as caught:
        train(photographs, CONFIG, seed=0, device="cpu", formation=Breaks())
    assert caught.value.step == 7


@pytest.mark.parametrize(
    ("changes", "says"), [({"lr_means": 1e30}, "exploded|not finite"), ({"lr_quats": float("nan")}, "not finite")]
)
@pytest.mark.parametrize("densify", ["gradient", "relocate"])
def test_a_scene_that_explodes_is_reported_early(
    photographs: Photographs, changes: dict[str, float], says: str, densify: str
) -> None:
    config = replace(CONFIG, densify=densify, **changes)  # type: ignore[arg-type]
    with pytest.raises(Diverged, match=says) as caught:
        train(photographs, config, seed=0, device="cpu")
    assert caught.value.step < 60


def test_an_image_formation_with_parameters_is_trained_along(photographs: Photographs) -> None:
    """The hook where a model of blur enters; here one gain for all views, which must find the half."""

    class Gain(Pinhole):
        def __init__(self) -> None:
            self.log_gain = torch.zeros(1, requires_grad=True)

        def parameters(self):  # type: ignore[no-untyped-def]
            return [{"params": [self.log_gain], "lr": 0.02}]

        def image(self, gaussians, target, step, draw):  # type: ignore[no-untyped-def]
            formed = super().image(gaussians.detach(), target, step, draw)
            return formed._replace(image=formed.image * self.log_gain.exp())

    fitted = train(photographs, CONFIG, seed=0, device="cpu")
    splats = Splats(fitted, photographs.cameras, photographs.background, CONFIG, "cpu")
    views = tuple(
        replace(v, image=np.round(splats.restored(v.name) * 127.5).astype(np.uint8)) for v in photographs.views
    )
    gain = Gain()
    from methods.splatting import train as module

    start = {name: tensor for name, tensor in vars(fitted).items() if name != "sh"}
    start |= {"sh_dc": fitted.sh[:, :1], "sh_rest": fitted.sh[:, 1:]}
    original = module.initial_gaussians
    module.initial_gaussians = lambda *_: {name: tensor.clone() for name, tensor in start.items()}
    try:
        frozen = replace(CONFIG, densify="none", sh_every=1)
        train(replace(photographs, views=views), frozen, seed=0, device="cpu", formation=gain)
    finally:
        module.initial_gaussians = original
    assert gain.log_gain.exp().item() == pytest.approx(0.5, abs=0.03)


def test_a_formation_may_train_at_half_size_and_then_at_full_size(photographs: Photographs) -> None:
    sizes = []

    class Coarse(Pinhole):
        def scale(self, step: int) -> int:
            return 2 if step < 20 else 1

        def image(self, gaussians, target, step, draw):  # type: ignore[no-untyped-def]
            formed = super().image(gaussians, target, step, draw)
            sizes.append(tuple(formed.image.shape[:2]))
            return formed

    train(photographs, replace(CONFIG, steps=40), seed=0, device="cpu", formation=Coarse())
    assert sizes == [(10, 12)] * 20 + [(20, 24)] * 20


def test_a_view_of_half_size_looks_at_the_same_place(photographs: Photographs) -> None:
    view = photographs.views[0]
    full, half = (target_of(0, view, photographs, "srgb", "cpu", scale) for scale in (1, 2))
    assert half.viewport.fx == pytest.approx(full.viewport.fx / 2)
    assert half.viewport.cy == pytest.approx(full.viewport.cy / 2)
    blocks = full.photograph.image.reshape(10, 2, 12, 2, 3).mean(dim=(1, 3))
    assert torch.allclose(half.photograph.image, blocks, atol=1e-6)


@pytest.mark.parametrize(("weight", "factor"), [(1.0, 1.0), (2.0, 2.0), (0.0, 0.0)])
def test_pixels_weigh_in_the_loss_as_the_formation_says(photographs: Photographs, weight: float, factor: float) -> None:
    target = target_of(0, photographs.views[0], photographs, "srgb", "cpu").photograph
    image = torch.full_like(target.image, 0.3)
    plain = photometric(image, target, 0.0)
    weighed = photometric(image, target, 0.0, torch.full(image.shape[:2], weight))
    assert weighed.item() == pytest.approx(factor * plain.item(), rel=1e-6)


def test_the_bounds_are_the_ball_that_the_cameras_look_at(photographs: Photographs) -> None:
    cameras = [view.camera for view in photographs.views]
    bounds = Bounds.seen_by(cameras)
    for camera in cameras:
        pixel, depth = camera.project(bounds.center)
        assert np.abs(pixel - [camera.cx, camera.cy]).max() < 1
        assert bounds.radius <= depth * 0.51 * camera.height / camera.fy


def test_backgrounds_are_held_in_the_light_of_the_scene(photographs: Photographs) -> None:
    gray = replace(photographs, background=BACKDROPS["gray"])
    camera = gray.views[0].camera
    linear, srgb = (background_in(light, gray.background, camera, "cpu") for light in ("linear", "srgb"))
    assert linear[0, 0, 0] < srgb[0, 0, 0]
    assert linear[0, 0, 0] > linear[-1, 0, 0]


def test_points_of_the_capture_start_the_scene_where_asked(photographs: Photographs, tmp_path: Path) -> None:
    from methods.splatting.train import initial_gaussians

    bounds = Bounds.seen_by([view.camera for view in photographs.views])
    assert photographs.points is not None
    random = torch.Generator().manual_seed(0)
    start = initial_gaussians(photographs, replace(CONFIG, init="points"), bounds, random)
    n = min(len(photographs.points.xyz), CONFIG.initial_gaussians)
    known = {tuple(np.round(p, 4)) for p in photographs.points.xyz.tolist()}
    assert all(tuple(np.round(p, 4)) in known for p in start["means"][:n].tolist())
    assert len(start["means"]) == CONFIG.initial_gaussians


def test_with_a_3d_filter_nothing_is_finer_than_the_photographs(photographs: Photographs) -> None:
    fitted = train(photographs, replace(CONFIG, steps=60, smoothing=0.45), seed=0, device="cpu")
    camera = photographs.views[0].camera
    pixel = float(np.linalg.norm(camera.position)) / camera.fx
    assert fitted.scales.min() > 0.4 * pixel


def test_no_axis_falls_below_the_floor(photographs: Photographs) -> None:
    fitted = train(photographs, replace(CONFIG, steps=60, scale_floor=0.6), seed=0, device="cpu")
    bounds = Bounds.seen_by([view.camera for view in photographs.views])
    pixel = min(float(view.camera.depth(bounds.center)) / view.camera.fx for view in photographs.views)
    assert fitted.scales.min() >= 0.6 * pixel * (1 - 1e-5)
    free = train(photographs, replace(CONFIG, steps=60), seed=0, device="cpu")
    assert free.scales.min() < 0.6 * pixel


def test_the_filter_is_that_of_the_configuration_in_training_and_after(
    photographs: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, steps=2, dilation=0.1)
    used = []

    def spied(*arguments: Any, **options: Any) -> Render:
        used.append(options["dilation"])
        return render(*arguments, **options)

    for module in (training, splatted):
        monkeypatch.setattr(module, "render", spied)
    gaussians = train(photographs, config, seed=0, device="cpu")
    assert used == [0.1, 0.1]
    scene = Splats(gaussians, photographs.cameras, photographs.background, config, "cpu")
    scene.render(photographs.views[0].camera)
    assert used == [0.1, 0.1, 0.1]


def test_small_photographs_get_fewer_gaussians() -> None:
    config = replace(CONFIG, initial_gaussians=1000, max_gaussians=5000, pixels_per_gaussian=50)
    assert config.for_pixels(250_000) == config.for_pixels(10**8) == config
    half = config.for_pixels(125_000)
    assert (half.initial_gaussians, half.max_gaussians) == (500, 2500)
    assert config.for_pixels(1).initial_gaussians == 1
    assert replace(config, pixels_per_gaussian=0).for_pixels(1).max_gaussians == 5000


def test_training_keeps_to_the_number_of_gaussians_for_its_pixels(photographs: Photographs) -> None:
    pixels = sum(view.image.shape[0] * view.image.shape[1] for view in photographs.views)
    config = replace(CONFIG, steps=60, pixels_per_gaussian=pixels / 100)
    assert len(train(photographs, config, seed=0, device="cpu")) <= 100


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"max_gaussians": 1}, {"sh_degree": 4}, {"dilation": 0.0}, {"pixels_per_gaussian": -1.0}]
)
def test_settings_that_make_no_sense_are_told(wrong: dict[str, int | float]) -> None:
    with pytest.raises(InputError, match=r"must be|is more than|is not one of"):
        replace(CONFIG, **wrong)


def test_who_watches_sees_the_scene_now_and_then_and_at_the_end(photographs: Photographs) -> None:
    seen: list[tuple[int, Gaussians]] = []
    fitted = train(
        photographs,
        replace(CONFIG, steps=270),
        seed=0,
        device="cpu",
        watch=lambda step, gaussians: seen.append((step, gaussians.clone())),
    )
    assert [step for step, _ in seen] == [250, 270]
    assert torch.equal(seen[-1][1].means, fitted.means)
    assert not torch.equal(seen[0][1].means, fitted.means)


def test_colours_are_srgb_whatever_the_light(photographs: Photographs) -> None:
    """A Gaussian alone on its pixels shows the colour that its coefficients say, blended in either light."""
    camera = photographs.views[0].camera
    opaque = Gaussians(
        torch.zeros(1, 3),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.full((1, 3), 2.0),
        torch.full((1,), 12.0),
        sh.dc_from_rgb(torch.tensor([0.2, 0.5, 0.8]))[None, None],
    )
    for light in ("srgb", "linear"):
        config = replace(CONFIG, light=light)  # type: ignore[arg-type]
        image = Splats(opaque, photographs.cameras, photographs.background, config, "cpu").render(camera)
        middle = image[camera.height // 2, camera.width // 2]
        np.testing.assert_allclose(middle, [0.2, 0.5, 0.8], atol=0.015)
