"""The training loop of Gaussians, with the parts that methods change handed in.

One view per step: render, form the image as the camera does (`Formation`), encode to sRGB, compare with the
photograph, step Adam, let the density strategy act (Kerbl et al. 2023, sections 5 and 6).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import exp, log
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from datasets.cameras import Camera
from datasets.capture import Background, Photographs
from datasets.errors import InputError
from methods.contestant import Diverged
from methods.light import linear_to_srgb
from methods.splatting import density, sh
from methods.splatting.formation import Formation, Pinhole, Target, background_in, colors_in, target_of, viewport
from methods.splatting.gaussians import Gaussians
from methods.splatting.losses import Reference, photometric
from methods.splatting.rasterizer import Render, Viewport, render, resolve_backend

CHECK_EVERY = 50  # steps
WATCH_EVERY = 250  # steps
EXPLOSION = 1e4  # scene radii
NEAR = 0.01  # scene radii: what is nearer to the camera is not drawn


@dataclass(frozen=True)
class SplattingConfig:
    """Every choice of the loop. Lengths are in units of the scene radius, so that one configuration serves
    scenes of any size.

    steps: one photograph each. initial_gaussians: drawn in a ball, unless init = "points" and the capture has
    points. max_gaussians: the cap for any strategy.
    light: space in which the Gaussians are blended; "linear" is encoded to sRGB just before the loss. Their own
    colours are sRGB either way.
    sh_degree is reached by one degree every `sh_every` steps.
    lr_means decays exponentially to lr_means * lr_means_decay, the other rates by the factor lr_decay.
    densify: "gradient" (Kerbl et al. 2023), "relocate" (Kheradmand et al. 2024) or "none".
    opacity_penalty: weight of the mean opacity in the loss; thins haze before a bright background.
    smoothing: std in px of a 3D filter that keeps Gaussians from being finer than the photographs, 0 for none
    (Yu et al. 2024; they take 0.45). scale_floor: least std in px of any axis of a Gaussian, 0 for none. Both px are
    those of the view that is nearest to the scene's centre.
    """

    steps: int
    initial_gaussians: int
    max_gaussians: int
    init: Literal["ball", "points"] = "ball"
    light: Literal["srgb", "linear"] = "srgb"
    sh_degree: int = 1
    sh_every: int = 300
    antialiased: bool = True
    dssim_weight: float = 0.2
    opacity_penalty: float = 0.0
    smoothing: float = 0.0
    scale_floor: float = 0.0
    lr_means: float = 0.005
    lr_means_decay: float = 0.02
    lr_decay: float = 1.0
    lr_quats: float = 0.005
    lr_log_scales: float = 0.01
    lr_logit_opacities: float = 0.06
    lr_sh_dc: float = 0.01
    lr_sh_rest: float = 0.0025
    adam_betas: tuple[float, float] = (0.9, 0.99)
    densify: Literal["gradient", "relocate", "none"] = "gradient"
    refine_start: int = 100
    refine_stop: float = 0.8  # fraction of all steps
    refine_every: int = 100
    growth: float = 0.05
    min_opacity: float = 0.005
    reset_every: int = 3000
    gradient_threshold: float = 2e-4
    split_size: float = 0.01

    def __post_init__(self) -> None:
        if self.steps < 1 or self.initial_gaussians < 1:
            raise InputError(f"{self.steps} steps from {self.initial_gaussians} Gaussians: both must be at least 1.")
        if self.max_gaussians < self.initial_gaussians:
            raise InputError(
                f"initial_gaussians = {self.initial_gaussians} is more than max_gaussians = {self.max_gaussians}."
            )
        if not 0 <= self.sh_degree <= 3:
            raise InputError(f"sh_degree = {self.sh_degree} is not one of 0 to 3.")


@dataclass(frozen=True)
class Bounds:
    """The ball that the cameras look at, in world units."""

    center: np.ndarray  # [3]
    radius: float

    @staticmethod
    def seen_by(cameras: list[Camera]) -> "Bounds":
        """Centre: the point nearest to all optical axes; radius: half of the narrowest field of view there."""
        axes = np.stack([camera.forward for camera in cameras])
        positions = np.stack([camera.position for camera in cameras])
        across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
        center = np.linalg.lstsq(across.sum(0), (across @ positions[:, :, None]).sum(0)[:, 0], rcond=None)[0]
        half_fields = [
            float(camera.depth(center)) * 0.5 * min(camera.width / camera.fx, camera.height / camera.fy)
            for camera in cameras
        ]
        return Bounds(center, max(min(half_fields), 1e-6))


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


class Splats:
    """A fitted scene: renders any camera, in sRGB, without blur. cameras: of the training views, by name."""

    def __init__(
        self,
        gaussians: Gaussians,
        cameras: Mapping[str, Camera],
        background: Background,
        config: SplattingConfig,
        device: str,
    ) -> None:
        self.gaussians, self.config, self.device = gaussians, config, device
        self.cameras, self.background = dict(cameras), background
        self.bounds = Bounds.seen_by(list(cameras.values()))

    @torch.no_grad()
    def drawn(self, camera: Camera, gaussians: Gaussians | None = None, **options: object) -> Render:
        """Color [H, W, 3] in scene light, over the capture's background, with depth and alpha; of its Gaussians moved
        to `gaussians` or with other `options` of `rasterizer.render` where given."""
        view = viewport(camera, self.device)
        settings: dict[str, object] = {
            "backend": resolve_backend(self.device),
            "background": background_in(self.config.light, self.background, camera, self.device),
            "colors": colors_in(self.config.light, self.gaussians, view, self.gaussians.sh_degree),
            "antialiased": self.config.antialiased,
            "near": NEAR * self.bounds.radius,
        }
        shown = self.gaussians if gaussians is None else gaussians
        return render(shown, view, **{**settings, **options})  # type: ignore[arg-type]

    def render(self, camera: Camera) -> np.ndarray:
        """[H, W, 3] float32 sRGB in 0..1, over the capture's background."""
        color = self.drawn(camera).color
        color = linear_to_srgb(color) if self.config.light == "linear" else color
        return color.clamp(0, 1).cpu().numpy()

    def restored(self, name: str) -> np.ndarray:
        """The sharp scene at the pose of the training photograph `name`."""
        return self.render(self.cameras[name])
