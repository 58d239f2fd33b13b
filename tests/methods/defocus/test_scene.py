"""The five blurs of a scene: all against the lens itself, many exact renders from all over it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import pi

import numpy as np
import pytest
import torch
from scipy.special import j1
from torch import Tensor

from methods.defocus.lens import FocusedLens
from methods.defocus.scene import BLURS, Aperture, Shot, blur_called, depth_everywhere, lens_points
from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import Render, Viewport, render

SIZE, FX, FOCUS, APERTURE = 48, 900.0, 100.0, 10.0
VIEW = Viewport(SIZE, SIZE, FX, FX, SIZE / 2, SIZE / 2, torch.eye(4))
LENS = FocusedLens(torch.tensor(FOCUS), torch.tensor(APERTURE), FX)
BLACK = torch.zeros(3)


def surface(depths: tuple[float, ...], seed: int = 0) -> Gaussians:
    """Textured opaque squares of 12 x 12 Gaussians, each at one of `depths` (mm), side by side and overlapping."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.meshgrid(torch.linspace(-1, 1, 12), torch.linspace(-1, 1, 12), indexing="xy")
    means = [
        torch.stack([0.9 * x + 0.6 * index - 0.3, 0.9 * y, torch.full_like(x, depth)], dim=-1).reshape(-1, 3)
        for index, depth in enumerate(depths)
    ]
    n = 144 * len(depths)
    return Gaussians(
        means=torch.cat(means),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        log_scales=torch.full((n, 3), -2.4),
        logit_opacities=torch.full((n,), 4.0),
        sh=torch.randn(n, 1, 3, generator=generator) * 0.6,
    )


def drawing(view: Viewport = VIEW, backend: str = "cpu", background: Tensor = BLACK) -> Callable[..., Render]:
    def draw(gaussians: Gaussians, **options: object) -> Render:
        settings: dict[str, object] = {"backend": backend, "background": background, "antialiased": True}
        return render(gaussians, view, **{**settings, **options})  # type: ignore[arg-type]

    return draw


def exact(gaussians: Gaussians, lens: FocusedLens, points: int = 250) -> Tensor:
    """[H, W, 3]: the mean of renders by cameras that really stand at points of the lens, their sensors shifted so that
    the focal plane stays where it is."""
    total = torch.zeros(SIZE, SIZE, 3)
    golden = pi * (3 - 5**0.5)
    for i in range(points):
        reach, angle = float(lens.aperture) * ((i + 0.5) / points) ** 0.5, golden * i
        u, v = reach * np.cos(angle), reach * np.sin(angle)
        w2c = torch.eye(4)
        w2c[0, 3], w2c[1, 3] = -u, -v
        focus = float(lens.focus)
        shifted = replace(VIEW, w2c=w2c, cx=VIEW.cx + FX * u / focus, cy=VIEW.cy + FX * v / focus)
        total += drawing(shifted)(gaussians).color
    return total / points


def decibels(image: Tensor, truth: Tensor) -> float:
    return -10 * float(torch.log10(((image - truth) ** 2).mean()))


@pytest.mark.parametrize("points", [61, 19])
@pytest.mark.parametrize("depths", [(104.0,), (97.0, 103.0), (100.0, 106.0)])
def test_many_points_of_the_lens_are_the_lens(depths: tuple[float, ...], points: int) -> None:
    scene = surface(depths)
    image, _ = Aperture(points)(scene, Shot(VIEW, LENS, BLACK, drawing()))
    assert decibels(image, exact(scene, LENS)) > (46 if points == 61 else 42)


@pytest.mark.parametrize("name", BLURS)
def test_every_blur_is_like_the_lens_on_one_slanted_surface(name: str) -> None:
    """Without occlusion even an image can be blurred by its depth: far better than not at all."""
    scene = surface((103.0,))
    scene = replace(scene, means=scene.means * torch.tensor([1.0, 1.0, 0.0]) + torch.stack(
        [torch.zeros(144), torch.zeros(144), 103.0 + scene.means[:, 0]], dim=1))  # fmt: skip
    truth = exact(scene, LENS)
    sharp = drawing()(scene).color
    image, drawn = blur_called(name)(scene, Shot(VIEW, LENS, BLACK, drawing()))
    assert decibels(image, truth) > decibels(sharp, truth) + 8
    assert drawn.color.shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("name", BLURS)
def test_nothing_blurs_in_the_focal_plane(name: str) -> None:
    scene = surface((FOCUS,))
    image, _ = blur_called(name)(scene, Shot(VIEW, LENS, BLACK, drawing()))
    assert decibels(image, drawing()(scene).color) > 50


@pytest.mark.parametrize("name", BLURS)
def test_a_plain_backdrop_stays_what_it_is(name: str) -> None:
    gray = torch.full((3,), 0.4)
    image, _ = blur_called(name)(surface((104.0,)), Shot(VIEW, LENS, gray, drawing(background=gray)))
    corner = image[:4, :4]
    assert torch.allclose(corner, torch.full_like(corner, 0.4), atol=2e-3)


def test_blurring_the_scene_keeps_a_sharp_edge_before_a_blurred_ground() -> None:
    scene = surface((FOCUS, 108.0))
    truth = exact(scene, LENS)
    by_points, by_gather = (
        decibels(blur_called(name)(scene, Shot(VIEW, LENS, BLACK, drawing())).image, truth)
        for name in ("aperture", "gather-gauss")
    )
    assert by_points > by_gather + 5


@pytest.mark.parametrize("name", BLURS)
def test_gradients_to_scene_focus_and_aperture_are_those_of_finite_differences(name: str) -> None:
    """In float64, by the slow twins."""
    generator = torch.Generator().manual_seed(3)
    n = 4
    view = Viewport(10, 9, 180.0, 180.0, 5.0, 4.5, torch.eye(4, dtype=torch.float64))

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64) - 0.5

    means = uniform(n, 3) * torch.tensor([2.0, 2.0, 6.0]) + torch.tensor([0.0, 0.0, 103.0])
    rest = {
        "quats": uniform(n, 4) + torch.tensor([1.0, 0, 0, 0]),
        "log_scales": uniform(n, 3) - 0.5,
        "logit_opacities": uniform(n) + 0.5,
    }
    sh = uniform(n, 1, 3) + 0.5
    blur = replace(Aperture(5), angle=0.3) if name == "aperture" else blur_called(name, kernel_radius=3)
    draw = drawing(view, "torch", torch.zeros(3, dtype=torch.float64))

    weights = uniform(9, 10, 3)

    def weighed(means: Tensor, sh: Tensor, focus: Tensor, aperture: Tensor) -> Tensor:
        lens = FocusedLens(focus, aperture, view.fx)
        image = blur(Gaussians(means=means, sh=sh, **rest), Shot(view, lens, torch.zeros(3).double(), draw)).image
        return (weights * image).sum()

    inputs = (means, sh, torch.tensor(100.3).double(), torch.tensor(9.0).double())
    inputs = tuple(tensor.clone().requires_grad_() for tensor in inputs)
    assert torch.autograd.gradcheck(weighed, inputs, eps=1e-6, atol=2e-4, rtol=2e-3)


# ---------------------------------------------------------------- points of the lens


def mismatch(points: list[tuple[float, float]], sigma: float) -> float:
    """Squared error between disk and patches in images whose power falls as 1 / frequency^2, by their spectra."""
    frequency = np.linspace(0.01, 12, 300)[:, None]
    angle = np.linspace(0, 2 * pi, 48, endpoint=False)
    x, y = frequency * np.cos(angle), frequency * np.sin(angle)
    patches = np.mean([np.exp(1j * (x * u + y * v)) for u, v in points], axis=0) * np.exp(
        -((frequency * sigma) ** 2) / 2
    )
    return float((np.abs(2 * j1(frequency) / frequency - patches) ** 2 / frequency).mean())


@pytest.mark.parametrize("n", [1, 5, 7, 19, 61])
@pytest.mark.parametrize("factor", [0.93, 1.07])
def test_no_other_width_of_the_patches_is_more_like_the_disk(n: int, factor: float) -> None:
    points, sigma = lens_points(n)
    assert mismatch(points, sigma) < mismatch(points, factor * sigma)


@pytest.mark.parametrize("n", [5, 7])
@pytest.mark.parametrize("factor", [0.93, 1.07])
def test_no_other_ring_is_more_like_the_disk(n: int, factor: float) -> None:
    points, sigma = lens_points(n)
    assert mismatch(points, sigma) < mismatch([(factor * u, factor * v) for u, v in points], sigma)


def test_more_points_are_more_like_the_disk() -> None:
    errors = [mismatch(*lens_points(n)) for n in (1, 5, 7, 19, 61)]
    assert errors == sorted(errors, reverse=True)


def test_patches_have_the_second_moment_of_the_disk_where_points_are_many() -> None:
    points, sigma = lens_points(61)
    assert np.mean(np.square(points)) + sigma**2 == pytest.approx(0.25, rel=0.03)


@pytest.mark.parametrize("n", [0, -3])
def test_a_lens_without_points_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="sees nothing"):
        lens_points(n)


def test_an_unknown_blur_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="scatter-disk"):
        blur_called("bokeh")


def test_depth_is_there_beside_the_surface_too() -> None:
    drawn = drawing()(surface((104.0,)))
    depth = depth_everywhere(drawn)
    assert torch.isfinite(depth).all()
    assert (depth - 104.0).abs().max() < 0.5
    empty = partial(depth_everywhere, replace(drawn, depth=0 * drawn.depth, alpha=0 * drawn.alpha))
    assert torch.isfinite(empty()).all()
