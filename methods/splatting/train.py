"""The training loop of Gaussians, with the parts that methods change handed in.

One view per step: render, form the image as the camera does (`Formation`), encode to sRGB, compare with the
photograph, step Adam, let the density strategy act (Kerbl et al. 2023, sections 5 and 6).
"""

from collections.abc import Callable
from functools import cache
from math import exp, log

import torch
from torch import Tensor

from datasets.capture import Photographs
from methods.contestant import Diverged
from methods.light import linear_to_srgb
from methods.splatting import density, sh
from methods.splatting.bounds import NEAR, Bounds
from methods.splatting.config import SplattingConfig
from methods.splatting.formation import Formation, Pinhole, Target, colors_in, target_of
from methods.splatting.gaussians import Gaussians
from methods.splatting.losses import Reference, photometric
from methods.splatting.rasterizer import Render, Viewport, render, resolve_backend

CHECK_EVERY = 50  # steps
WATCH_EVERY = 250  # steps
EXPLOSION = 1e4  # scene radii


def initial_gaussians(
    photographs: Photographs, config: SplattingConfig, bounds: Bounds, random: torch.Generator
) -> dict[str, Tensor]:
    """Parameters at the start: at the capture's points if asked for and there, and otherwise, or to fill up
    to `initial_gaussians`, spread evenly over the ball that the cameras see."""
    n = config.initial_gaussians
    xyz = torch.zeros(0, 3)
    color = torch.zeros(0, 3)
    if config.init == "points" and photographs.points is not None:
        chosen = torch.randperm(len(photographs.points.xyz), generator=random)[:n]
        xyz = torch.tensor(photographs.points.xyz)[chosen].float()
        color = torch.tensor(photographs.points.rgb)[chosen].float() / 255
    missing = n - len(xyz)
    direction = torch.nn.functional.normalize(torch.randn(missing, 3, generator=random), dim=1)
    distance = torch.rand(missing, 1, generator=random) ** (1 / 3)
    ball = torch.tensor(bounds.center, dtype=torch.float32) + bounds.radius * direction * distance
    xyz = torch.cat([xyz, ball])
    color = torch.cat([color, torch.full((missing, 3), 0.5)])
    rest = (config.sh_degree + 1) ** 2 - 1
    # As wide as the mean distance to a neighbour when n Gaussians share the ball's volume.
    spacing = bounds.radius * (4.19 / n) ** (1 / 3)
    return {
        "means": xyz,
        "quats": torch.nn.functional.normalize(torch.randn(n, 4, generator=random), dim=1),
        "log_scales": torch.full((n, 3), log(0.5 * spacing)),
        "logit_opacities": torch.full((n,), log(0.1 / 0.9)),
        "sh_dc": sh.dc_from_rgb(color)[:, None],
        "sh_rest": torch.zeros(n, rest, 3),
    }


def strategy(config: SplattingConfig, bounds: Bounds, seed: int) -> density.Strategy:
    """The densification that `config` names."""
    if config.densify == "none":
        return density.Fixed()
    stop = round(config.refine_stop * config.steps)
    start, every, cap = config.refine_start, config.refine_every, config.max_gaussians
    if config.densify == "relocate":
        return density.Relocation(start, stop, every, config.growth, cap, config.min_opacity, seed)
    return density.GradientDensification(
        start=start,
        stop=stop,
        every=every,
        reset_every=config.reset_every,
        cap=cap,
        min_opacity=config.min_opacity,
        gradient_threshold=config.gradient_threshold,
        split_size=config.split_size * bounds.radius,
        seed=seed,
    )


def warm_up(device: str, say: Callable[[str], None] = lambda what: None) -> None:
    """Pay for what comes once per process or machine before any clock runs: compiled kernels, torch's optimizer
    (which imports torch's compiler at its first step), CUDA's context. `say` hears what takes its time."""
    say("warming up")
    if resolve_backend(device) == "cpu":
        from methods.splatting.cpu import warmup

        warmup(lambda line: say("compiling the rasterizer for this machine, once"))
    leaf = torch.zeros(1, 3, device=device, requires_grad=True)
    optimizer = torch.optim.Adam([leaf], fused=True)
    gaussians = Gaussians(
        means=leaf + torch.tensor([0.0, 0.0, 2.0], device=device),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]], device=device),
        log_scales=torch.full((1, 3), -2.0, device=device),
        logit_opacities=torch.zeros(1, device=device),
        sh=torch.zeros(1, 1, 3, device=device),
    )
    view = Viewport(16, 16, 16.0, 16.0, 8.0, 8.0, torch.eye(4, device=device))
    drawn = render(gaussians, view, backend=resolve_backend(device))
    target = Reference.of(torch.zeros_like(drawn.color))
    photometric(drawn.color, target, 0.2).backward()
    optimizer.step()


def train(
    photographs: Photographs,
    config: SplattingConfig,
    *,
    seed: int,
    device: str,
    formation: Formation | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    watch: Callable[[int, Gaussians], None] | None = None,
) -> Gaussians:
    """Fit Gaussians to `photographs` and return them, detached, in the light of `config.light`.

    watch: sees the number of steps done and the scene, in which training goes on, every `WATCH_EVERY` steps and at
    the end.
    Deterministic for a seed on CPU. Raises `Diverged` with the step if the loss or the scene stops being
    finite.
    """
    formation = formation or Pinhole()
    backend = resolve_backend(device)
    random = torch.Generator().manual_seed(seed)
    cameras = [view.camera for view in photographs.views]
    config = config.for_pixels(sum(camera.width * camera.height for camera in cameras))
    bounds = Bounds.seen_by(cameras)

    @cache
    def targets(scale: int) -> list[Target]:
        views = enumerate(photographs.views)
        return [target_of(index, view, photographs, config.light, device, scale) for index, view in views]

    parameters = {
        name: tensor.to(device).requires_grad_()
        for name, tensor in initial_gaussians(photographs, config, bounds, random).items()
    }
    rates = {name: getattr(config, f"lr_{name}") for name in parameters}
    rates["means"] *= bounds.radius
    groups: list[dict[str, object]] = [
        {"params": [tensor], "lr": rates[name], "name": name} for name, tensor in parameters.items()
    ]
    for group in groups:
        group["decay"] = config.lr_means_decay if group["name"] == "means" else config.lr_decay
    optimizer = torch.optim.Adam(groups + formation.parameters(), betas=config.adam_betas, eps=1e-15, fused=True)
    decaying = [(group, group["lr"], log(group["decay"])) for group in optimizer.param_groups if "decay" in group]
    scene = density.Trainable(parameters, optimizer)
    densify = strategy(config, bounds, seed)
    near = NEAR * bounds.radius
    tracks_gradients = config.densify == "gradient"
    screen: Tensor | None = None  # shared by all renders of a step, so that their screen gradients add up

    pixel = min(float(camera.depth(bounds.center)) / camera.fx for camera in cameras)

    def smooth(gaussians: Gaussians) -> Gaussians:
        if config.scale_floor:
            gaussians = gaussians.no_finer_than(config.scale_floor * pixel)
        return gaussians.smoothed(config.smoothing * pixel) if config.smoothing else gaussians

    def draw(gaussians: Gaussians, target: Target, **options: object) -> Render:
        nonlocal screen
        settings: dict[str, object] = {
            "backend": backend,
            "sh_degree": degree,
            "colors": colors,
            "background": target.background,
            "antialiased": config.antialiased,
            "dilation": config.dilation,
            "near": near,
            "screen_gradients": tracks_gradients if screen is None else screen,
        }
        drawn = render(gaussians, target.viewport, **{**settings, **options})  # type: ignore[arg-type]
        screen = drawn.screen_offsets
        return drawn

    order: list[int] = []
    for step in range(config.steps):
        if not order:
            order = torch.randperm(len(photographs.views), generator=random).tolist()
        target = targets(formation.scale(step))[order.pop()]
        for group, rate, log_decay in decaying:
            group["lr"] = rate * exp(log_decay * step / config.steps)
        gaussians = smooth(scene.gaussians())
        degree = min(config.sh_degree, step // config.sh_every)
        # Once for all renders of a step, as seen from the middle of the lens.
        colors = colors_in(config.light, gaussians, target.viewport, degree)
        screen = None
        image, drawn, penalty, weight = formation.image(gaussians, target, step, draw)
        if config.light == "linear":
            image = linear_to_srgb(image)
        loss = photometric(image, target.photograph, config.dssim_weight, weight)
        if penalty is not None:
            loss = loss + penalty
        if config.opacity_penalty:
            loss = loss + config.opacity_penalty * gaussians.opacities.mean()
        # On CUDA reading the loss would stall the queue at every step; once in a while is early enough.
        if (device == "cpu" or step % 100 == 0) and not torch.isfinite(loss):
            raise Diverged(step, "the loss is not finite")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if tracks_gradients:
            half = 0.5 * max(target.viewport.width, target.viewport.height)
            densify.after_backward(step, drawn.screen_gradient_norm() * half, drawn.visible)
        optimizer.step()
        if (step + 1) % CHECK_EVERY == 0 or step + 1 == config.steps:
            check_sound(scene, bounds, step)
        densify.after_step(step, scene)
        if watch is not None and ((step + 1) % WATCH_EVERY == 0 or step + 1 == config.steps):
            watch(step + 1, smooth(scene.gaussians()).detach())
        progress(step + 1, config.steps, "training")
    return smooth(scene.gaussians()).detach()


@torch.no_grad()
def check_sound(scene: density.Trainable, bounds: Bounds, step: int) -> None:
    """Raise `Diverged` if a parameter is not finite, or a Gaussian is farther away or larger than no sane training
    makes it; neither need show in the loss, since such Gaussians are not drawn."""
    for name, tensor in scene.parameters.items():
        if not torch.isfinite(tensor).all():
            raise Diverged(step, f"{name} of the scene has a value that is not finite")
    center = torch.tensor(bounds.center, dtype=torch.float32, device=scene.parameters["means"].device)
    reach = (scene.parameters["means"] - center).abs().max()
    size = scene.parameters["log_scales"].max().exp()
    if max(reach, size) > EXPLOSION * bounds.radius:
        raise Diverged(step, "the scene has exploded")
