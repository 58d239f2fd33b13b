"""Densification keeps the image, the cap and the optimizer's memory."""

import torch

from methods.splatting import density
from methods.splatting.density import Trainable
from methods.splatting.rasterizer import Viewport, render

VIEW = Viewport(32, 32, 40.0, 40.0, 16.0, 16.0, torch.eye(4))


def trainable(n: int = 40, seed: int = 0, opacity: float = 0.6, scale: float = 0.05) -> Trainable:
    random = torch.Generator().manual_seed(seed)
    parameters = {
        "means": torch.randn(n, 3, generator=random) * 0.3 + torch.tensor([0.0, 0.0, 3.0]),
        "quats": torch.randn(n, 4, generator=random),
        "log_scales": torch.log(torch.rand(n, 3, generator=random) * scale + 0.5 * scale),
        "logit_opacities": torch.full((n,), float(torch.logit(torch.tensor(opacity)))),
        "sh_dc": torch.randn(n, 1, 3, generator=random),
        "sh_rest": torch.zeros(n, 3, 3),
    }
    for tensor in parameters.values():
        tensor.requires_grad_()
    groups = [{"params": [tensor], "lr": 1e-3, "name": name} for name, tensor in parameters.items()]
    scene = Trainable(parameters, torch.optim.Adam(groups))
    image(scene).sum().backward()
    scene.optimizer.step()
    return scene


def image(scene: Trainable) -> torch.Tensor:
    return render(scene.gaussians(), VIEW, backend="torch").color


def test_shared_opacities_multiply_to_the_original() -> None:
    opacities, copies = torch.tensor([0.9, 0.5, 0.2]), torch.tensor([2, 3, 5])
    each, factor = density.shared(opacities, copies)
    torch.testing.assert_close(1 - (1 - each) ** copies, opacities)
    assert (factor < 1).all()


def test_one_copy_changes_nothing() -> None:
    each, factor = density.shared(torch.tensor([0.3, 0.8]), torch.tensor([1, 1]))
    torch.testing.assert_close(each, torch.tensor([0.3, 0.8]))
    torch.testing.assert_close(factor, torch.ones(2))


def test_shared_gaussians_at_one_place_carry_the_light_of_the_one() -> None:
    """Eq. 9 of Kheradmand et al. equates the integrals of the rendered profiles along a line."""
    opacity, copies = torch.tensor([0.8], dtype=torch.float64), torch.tensor([4])
    each, factor = density.shared(opacity, copies)
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    alone = opacity * torch.exp(-0.5 * x**2)
    together = 1 - (1 - each * torch.exp(-0.5 * (x / factor) ** 2)) ** 4
    torch.testing.assert_close(together.sum(), alone.sum(), rtol=1e-3, atol=0)


def relocation(cap: int, growth: float = 0.05) -> density.Relocation:
    return density.Relocation(start=0, stop=10, every=1, growth=growth, cap=cap, min_opacity=0.005, seed=0)


def test_relocation_grows_to_the_cap_and_no_further() -> None:
    scene = trainable(40)
    strategy = relocation(cap=45, growth=0.1)
    sizes = []
    for step in range(5):
        strategy.after_step(step, scene)
        sizes.append(len(scene))
    assert sizes[0] == 44
    assert sizes[-1] == 45
    assert all(len(tensor) == 45 for tensor in scene.parameters.values())


def test_relocation_brings_dead_gaussians_to_live_ones() -> None:
    scene = trainable(40)
    with torch.no_grad():
        scene.parameters["logit_opacities"][:10] = -12.0
        scene.parameters["means"][:10] = 1e3
    relocation(cap=40).after_step(0, scene)
    assert len(scene) == 40
    assert scene.parameters["means"].abs().max() < 10
    assert (torch.sigmoid(scene.parameters["logit_opacities"]) >= 0.005).all()


def test_a_relocation_step_hardly_changes_the_image() -> None:
    scene = trainable(60)
    before = image(scene).detach()
    relocation(cap=63).after_step(0, scene)
    assert (image(scene).detach() - before).abs().mean() < 0.02


def test_survivors_keep_their_optimizer_state_and_newcomers_start_afresh() -> None:
    scene = trainable(40)
    before = scene.optimizer.state[scene.parameters["means"]]["exp_avg"].clone()
    kept = torch.cat([torch.arange(40), torch.tensor([-1])])
    rows = torch.cat([torch.arange(40), torch.tensor([3])])
    scene.rebuild({name: tensor[rows] for name, tensor in scene.tensors().items()}, kept)
    after = scene.optimizer.state[scene.parameters["means"]]["exp_avg"]
    torch.testing.assert_close(after[:40], before)
    assert (after[40] == 0).all()
    image(scene).sum().backward()
    scene.optimizer.step()
    assert torch.isfinite(scene.parameters["means"]).all()


def gradient_strategy(cap: int, split_size: float, reset_every: int = 1000) -> density.GradientDensification:
    return density.GradientDensification(
        start=1,
        stop=100,
        every=1,
        reset_every=reset_every,
        cap=cap,
        min_opacity=0.005,
        gradient_threshold=0.5,
        split_size=split_size,
        seed=0,
    )


def steep_first(n: int, steep: int) -> tuple[torch.Tensor, torch.Tensor]:
    gradient = torch.zeros(n)
    gradient[:steep] = torch.linspace(2, 1, steep)
    return gradient, torch.ones(n, dtype=torch.bool)


def test_steep_small_gaussians_are_cloned_in_place() -> None:
    scene = trainable(20)
    means = scene.parameters["means"].detach().clone()
    strategy = gradient_strategy(cap=100, split_size=10.0)
    strategy.after_backward(1, *steep_first(20, 3))
    strategy.after_step(1, scene)
    assert len(scene) == 23
    torch.testing.assert_close(scene.parameters["means"][20:], means[:3])


def test_steep_large_gaussians_become_two_smaller_ones() -> None:
    scene = trainable(20)
    scales = scene.parameters["log_scales"].detach().clone()
    strategy = gradient_strategy(cap=100, split_size=1e-4)
    strategy.after_backward(1, *steep_first(20, 3))
    strategy.after_step(1, scene)
    assert len(scene) == 23
    for rows in (slice(0, 3), slice(20, 23)):
        torch.testing.assert_close(scene.parameters["log_scales"][rows], scales[:3] - torch.log(torch.tensor(1.6)))
    torch.testing.assert_close(scene.parameters["log_scales"][3:20], scales[3:])


def test_gradient_densification_keeps_the_cap_and_takes_the_steepest() -> None:
    scene = trainable(20)
    means = scene.parameters["means"].detach().clone()
    strategy = gradient_strategy(cap=22, split_size=10.0)
    strategy.after_backward(1, *steep_first(20, 8))
    strategy.after_step(1, scene)
    assert len(scene) == 22
    torch.testing.assert_close(scene.parameters["means"][20:], means[:2])


def test_transparent_gaussians_are_pruned() -> None:
    scene = trainable(20)
    with torch.no_grad():
        scene.parameters["logit_opacities"][5] = -12
    strategy = gradient_strategy(cap=100, split_size=10.0)
    strategy.after_backward(1, *steep_first(20, 0))
    strategy.after_step(1, scene)
    assert len(scene) == 19


def test_the_opacity_reset_works() -> None:
    """The trap of gsplat 1.5.3: its reset never happens."""
    scene = trainable(20)
    strategy = gradient_strategy(cap=100, split_size=10.0, reset_every=7)
    strategy.after_backward(7, *steep_first(20, 0))
    strategy.after_step(7, scene)
    assert torch.sigmoid(scene.parameters["logit_opacities"]).max() <= 0.0100001
    assert (scene.optimizer.state[scene.parameters["logit_opacities"]]["exp_avg"] == 0).all()


def test_without_a_reset_opacities_stay() -> None:
    scene = trainable(20)
    before = scene.parameters["logit_opacities"].detach().clone()
    strategy = gradient_strategy(cap=20, split_size=10.0, reset_every=0)
    strategy.after_backward(7, *steep_first(20, 0))
    strategy.after_step(7, scene)
    assert torch.equal(scene.parameters["logit_opacities"].detach(), before)
