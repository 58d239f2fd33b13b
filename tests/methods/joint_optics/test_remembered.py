"""The lens of which a step renders only a few points: what it must have in common with the lens itself."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from methods.defocus.lens import FocusedLens
from methods.defocus.scene import Aperture, Shot
from methods.joint_optics.remembered import RememberedLens
from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import Render, Viewport, render

SIZE, FX = 32, 600.0
VIEW = Viewport(SIZE, SIZE, FX, FX, SIZE / 2, SIZE / 2, torch.eye(4))
LENS = FocusedLens(torch.tensor(100.0), torch.tensor(10.0), FX)
BLACK = torch.zeros(3)
BLUR = Aperture(5, angle=0.4)


def scene(seed: int = 0) -> Gaussians:
    random = torch.Generator().manual_seed(seed)
    n = 60
    spread = torch.rand(n, 3, generator=random) * torch.tensor([4.0, 4.0, 16.0]) + torch.tensor([-2.0, -2.0, 92.0])
    return Gaussians(
        means=spread,
        quats=torch.nn.functional.normalize(torch.randn(n, 4, generator=random), dim=1),
        log_scales=torch.full((n, 3), -1.2),
        logit_opacities=torch.full((n,), 1.0),
        sh=torch.randn(n, 1, 3, generator=random) * 0.6,
    )


class Camera:
    """Photographs VIEW, and counts its renders."""

    def __init__(self) -> None:
        self.renders = 0

    def draw(self, gaussians: Gaussians, **options: object) -> Render:
        self.renders += 1
        settings: dict[str, object] = {"backend": "cpu", "background": BLACK, "antialiased": True}
        return render(gaussians, VIEW, **{**settings, **options})  # type: ignore[arg-type]

    @property
    def shot(self) -> Shot:
        return Shot(VIEW, LENS, BLACK, self.draw)


def remembering(fresh: int, seed: int = 0) -> RememberedLens:
    return RememberedLens(fresh, torch.Generator().manual_seed(seed))


def with_gradient(image_of: Callable[[Gaussians], Tensor], gaussians: Gaussians) -> tuple[Tensor, Tensor]:
    """The image of `gaussians`, and the gradient in their means of its product with fixed numbers."""
    means = gaussians.means.clone().requires_grad_()
    image = image_of(replace(gaussians, means=means))
    upstream = torch.randn(image.shape, generator=torch.Generator().manual_seed(9))
    (image * upstream).sum().backward()  # type: ignore[no-untyped-call]
    assert means.grad is not None
    return image.detach(), means.grad


def test_the_first_image_is_that_of_all_points_and_the_next_ones_take_few() -> None:
    lens, camera, gaussians = remembering(2), Camera(), scene()
    image = lens.image(0, BLUR, gaussians, camera.shot).image
    assert camera.renders == 5
    assert torch.equal(image, BLUR(gaussians, Camera().shot).image)
    lens.image(0, BLUR, gaussians, camera.shot)
    assert camera.renders == 7
    lens.image(1, BLUR, gaussians, camera.shot)
    assert camera.renders == 12  # another view has seen nothing yet


@pytest.mark.parametrize("fresh", [0, BLUR.points])
def test_where_all_points_are_rendered_nothing_is_remembered(fresh: int) -> None:
    camera, lens = Camera(), remembering(fresh)
    lens.image(0, BLUR, scene(), camera.shot)
    again = lens.image(0, BLUR, scene(1), camera.shot).image
    assert camera.renders == 2 * BLUR.points
    assert torch.equal(again, BLUR(scene(1), camera.shot).image)


def test_of_a_scene_that_stays_every_choice_gives_the_same_image() -> None:
    lens, gaussians = remembering(1), scene()
    whole = lens.image(0, BLUR, gaussians, Camera().shot).image
    for _ in range(8):
        torch.testing.assert_close(lens.image(0, BLUR, gaussians, Camera().shot).image, whole, atol=5e-4, rtol=0)


@pytest.mark.parametrize("fresh", [1, 2])
def test_on_average_image_and_gradient_are_those_of_the_whole_lens_whatever_is_remembered(fresh: int) -> None:
    before, now = scene(0), scene(1)  # nothing in common
    whole, slope = with_gradient(lambda gaussians: BLUR(gaussians, Camera().shot).image, now)
    images, slopes = [], []
    for seed in range(300):
        lens = remembering(fresh, seed)
        lens.image(0, BLUR, before, Camera().shot)
        image, gradient = with_gradient(
            lambda gaussians, lens=lens: lens.image(0, BLUR, gaussians, Camera().shot).image, now
        )  # type: ignore[misc]
        images.append(image)
        slopes.append(gradient)
    for samples, truth in ((torch.stack(images), whole), (torch.stack(slopes), slope)):
        error = (samples.mean(0) - truth).abs()
        chance = samples.std(0) / len(samples) ** 0.5
        # Of thousands of values a few lie beyond four standard errors; a bias would show in most.
        assert float((error <= 4 * chance + 1e-4 * truth.abs().max()).float().mean()) > 0.995
        assert float(error.norm() / truth.norm()) < 0.1


def test_it_follows_a_scene_at_once_where_all_points_change_alike() -> None:
    """The mean of what is remembered would lag: of five points four would still be dark."""
    lens, gaussians = remembering(1), scene()
    brighter = replace(gaussians, sh=gaussians.sh + 0.5)
    lens.image(0, BLUR, gaussians, Camera().shot)
    image = lens.image(0, BLUR, brighter, Camera().shot).image
    whole, old = (BLUR(of, Camera().shot).image for of in (brighter, gaussians))
    assert float((image - whole).abs().mean()) < 0.25 * float((old - whole).abs().mean())


def test_what_is_forgotten_or_of_another_number_of_points_is_rendered_anew() -> None:
    lens, camera, gaussians = remembering(1), Camera(), scene()
    lens.image(0, BLUR, gaussians, camera.shot)
    lens.forget(0)
    lens.image(0, BLUR, gaussians, camera.shot)
    assert camera.renders == 10
    lens.image(0, Aperture(7), gaussians, camera.shot)
    assert camera.renders == 17
    lens.forget(3)  # of which nothing is known
