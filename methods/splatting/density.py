"""Where Gaussians are needed: densification strategies, small objects that act on the scene handed to them.

Every strategy keeps to the same cap of Gaussians, so that a table never credits a bigger budget to a method.
"""

from dataclasses import dataclass
from math import comb
from typing import Protocol

import torch
from torch import Tensor

from methods.splatting.gaussians import Gaussians


class Strategy(Protocol):
    """Acts after the gradients of `step` (0-based) are there and after the optimizer has used them."""

    def after_backward(self, step: int, pixel_gradient: Tensor, visible: Tensor) -> None:
        """`pixel_gradient` [N]: norm of the loss gradient in a Gaussian's projected centre, in units of half
        the image's larger side; `visible` [N]: whether it took part."""

    def after_step(self, step: int, scene: "Trainable") -> None:
        """May add, move and remove Gaussians."""


@dataclass
class Trainable:
    """Gaussians as leaf parameters together with the Adam that trains them, one parameter group per tensor.

    parameters: means [N, 3], quats [N, 4], log_scales [N, 3], logit_opacities [N], sh_dc [N, 1, 3] and
    sh_rest [N, K - 1, 3]: the constant and the view-dependent colour learn at different rates.
    """

    parameters: dict[str, Tensor]
    optimizer: torch.optim.Adam

    def __len__(self) -> int:
        return len(self.parameters["means"])

    def gaussians(self) -> Gaussians:
        """The scene as it stands, differentiable in the parameters."""
        geometry = {k: v for k, v in self.parameters.items() if not k.startswith("sh_")}
        sh = torch.cat([self.parameters["sh_dc"], self.parameters["sh_rest"]], dim=1)
        return Gaussians(**geometry, sh=sh)

    def tensors(self) -> dict[str, Tensor]:
        """The parameters without history; shared memory."""
        return {name: parameter.detach() for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def rebuild(self, new: dict[str, Tensor], kept: Tensor) -> None:
        """Replace all parameters by `new`; row i continues the optimizer state of old row `kept[i]`, or starts
        afresh where `kept[i]` is -1."""
        fresh = kept < 0
        for group in self.optimizer.param_groups:
            if group.get("name") not in new:
                continue
            (old,) = group["params"]
            parameter = new[group["name"]].detach().clone().requires_grad_()
            state = self.optimizer.state.pop(old, {})
            for key in ("exp_avg", "exp_avg_sq"):
                if key in state:
                    state[key] = state[key][kept.clamp_min(0)]
                    state[key][fresh] = 0
            if state:
                self.optimizer.state[parameter] = state
            group["params"] = [parameter]
            self.parameters[group["name"]] = parameter

    @torch.no_grad()
    def forget(self, name: str) -> None:
        """Reset the optimizer state of one parameter."""
        state = self.optimizer.state.get(self.parameters[name], {})
        for key in ("exp_avg", "exp_avg_sq"):
            if key in state:
                state[key].zero_()


class Fixed:
    """No densification: the Gaussians that were there at the start."""

    def after_backward(self, step: int, pixel_gradient: Tensor, visible: Tensor) -> None:
        pass

    def after_step(self, step: int, scene: Trainable) -> None:
        pass


class Relocation:
    """Relocation and growth of 3D Gaussian Splatting as Markov Chain Monte Carlo (Kheradmand et al. 2024).

    Every `every` steps between `start` and `stop`, Gaussians of opacity below `min_opacity` move onto live
    ones drawn in proportion to opacity, and the number grows by `growth` up to `cap`. Copies at one place
    share opacity and shrink so that their sum looks as before (their Eq. 9).
    """

    MAX_COPIES = 51  # the paper's bound on how many share one place in one go

    def __init__(
        self, start: int, stop: int, every: int, growth: float, cap: int, min_opacity: float, seed: int
    ) -> None:
        self.start, self.stop, self.every = start, stop, every
        self.growth, self.cap, self.min_opacity = growth, cap, min_opacity
        self.random = torch.Generator().manual_seed(seed)

    def after_backward(self, step: int, pixel_gradient: Tensor, visible: Tensor) -> None:
        pass

    @torch.no_grad()
    def after_step(self, step: int, scene: Trainable) -> None:
        if not (self.start <= step < self.stop and step % self.every == 0):
            return
        opacities = torch.sigmoid(scene.parameters["logit_opacities"])
        dead = opacities <= self.min_opacity
        alive = torch.where(~dead)[0]
        if len(alive) == 0:
            return
        grown = min(self.cap, round(len(scene) * (1 + self.growth))) - len(scene)
        moved = int(dead.sum())
        if moved + grown <= 0:
            return
        weights = opacities[alive].double().cpu()
        drawn = torch.multinomial(weights, moved + grown, replacement=True, generator=self.random)
        sources = alive[drawn.to(alive.device)]
        copies = torch.bincount(sources, minlength=len(scene)) + 1
        new = scene.tensors()
        touched = torch.where(copies > 1)[0]
        shared_opacity, factor = shared(opacities[touched], copies[touched].clamp_max(self.MAX_COPIES))
        shared_opacity = shared_opacity.clamp(self.min_opacity * 1.001, 1 - 1e-6)
        new["logit_opacities"] = new["logit_opacities"].clone()
        new["log_scales"] = new["log_scales"].clone()
        new["logit_opacities"][touched] = torch.logit(shared_opacity)
        new["log_scales"][touched] += factor.log()[:, None]
        # The rows of the dead are filled first, then come the newly grown.
        order = torch.arange(len(scene), device=opacities.device)
        order[dead] = sources[:moved]
        order = torch.cat([order, sources[moved:]])
        kept = torch.where(copies[order] > 1, -1, order)
        copied = {name: tensor[order].clone() for name, tensor in new.items()}
        rows = torch.where(kept < 0)[0]
        copied["means"][rows] += draws(copied, rows, self.random)
        scene.rebuild(copied, kept)


def shared(opacities: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity [M] and scale factor [M] of each of `copies` [M] Gaussians at one place that together look like
    one of `opacities` [M]: o' = 1 - (1 - o)^(1/n) and Eq. 9 of Kheradmand et al. 2024."""
    o = opacities.double()
    each = 1 - (1 - o) ** (1 / copies)
    total = torch.zeros_like(o)
    for i in range(1, int(copies.max()) + 1):
        inner = sum(comb(i - 1, k) * (-1) ** k / (k + 1) ** 0.5 * each ** (k + 1) for k in range(i))
        total += torch.where(copies >= i, inner, torch.zeros_like(o))
    return each.to(opacities.dtype), (o / total).to(opacities.dtype)


def draws(tensors: dict[str, Tensor], rows: Tensor, random: torch.Generator) -> Tensor:
    """[M, 3] offsets drawn from the Gaussians `rows` [M] about their own centres."""
    scales = tensors["log_scales"][rows].exp()
    local = scales * torch.randn(scales.shape, generator=random).to(scales)
    w, u = torch.nn.functional.normalize(tensors["quats"][rows], dim=1).split([1, 3], dim=1)
    twist = torch.linalg.cross(u, local)
    return local + 2 * (w * twist + torch.linalg.cross(u, twist))


class GradientDensification:
    """Clone, split, prune and opacity reset of 3D Gaussian Splatting (Kerbl et al. 2023, section 5.2).

    Gaussians whose mean projected gradient exceeds `gradient_threshold` are cloned where small and split in
    two where larger than `split_size` (scene units); those of opacity below `min_opacity` are removed. The
    number never exceeds `cap`: the steepest come first. Every `reset_every` steps, if that is not 0, opacities fall to
    at most twice `min_opacity`, and Adam forgets them.
    """

    def __init__(
        self,
        start: int,
        stop: int,
        every: int,
        reset_every: int,
        cap: int,
        min_opacity: float,
        gradient_threshold: float,
        split_size: float,
        seed: int,
    ) -> None:
        self.start, self.stop, self.every, self.reset_every = start, stop, every, reset_every
        self.cap, self.min_opacity = cap, min_opacity
        self.gradient_threshold, self.split_size = gradient_threshold, split_size
        self.random = torch.Generator().manual_seed(seed)
        self.sum: Tensor | None = None
        self.count: Tensor | None = None

    @torch.no_grad()
    def after_backward(self, step: int, pixel_gradient: Tensor, visible: Tensor) -> None:
        if self.sum is None or self.count is None:
            self.sum, self.count = torch.zeros_like(pixel_gradient), torch.zeros_like(pixel_gradient)
        self.sum += torch.where(visible, pixel_gradient, torch.zeros_like(pixel_gradient))
        self.count += visible

    @torch.no_grad()
    def after_step(self, step: int, scene: Trainable) -> None:
        if self.start <= step < self.stop and step % self.every == 0:
            self._densify(scene)
        if self.reset_every and 0 < step < self.stop and step % self.reset_every == 0:
            logits = scene.parameters["logit_opacities"]
            ceiling = torch.logit(torch.tensor(2 * self.min_opacity, dtype=logits.dtype)).item()
            logits.clamp_(max=ceiling)
            scene.forget("logit_opacities")

    def _densify(self, scene: Trainable) -> None:
        assert self.sum is not None
        assert self.count is not None
        gradient = self.sum / self.count.clamp_min(1)
        self.sum = self.count = None
        tensors = scene.tensors()
        opaque = torch.sigmoid(tensors["logit_opacities"]) > self.min_opacity
        steep = (gradient > self.gradient_threshold) & opaque
        room = max(0, self.cap - int(opaque.sum()))
        if int(steep.sum()) > room:
            best = torch.argsort(torch.where(steep, gradient, -torch.ones_like(gradient)), descending=True)[:room]
            steep = torch.zeros_like(steep)
            steep[best] = True
        large = tensors["log_scales"].exp().amax(dim=1) > self.split_size
        split, clone = torch.where(steep & large)[0], torch.where(steep & ~large)[0]
        stay = torch.where(opaque)[0]
        order = torch.cat([stay, clone, split])
        new = {name: tensor[order].clone() for name, tensor in tensors.items()}
        kept = torch.cat([stay, torch.full_like(clone, -1), torch.full_like(split, -1)])
        if len(split):
            # Both halves are drawn from the Gaussian that they replace, and shrink by 1.6.
            is_split = torch.zeros(len(scene), dtype=torch.bool, device=split.device)
            is_split[split] = True
            first = torch.where(is_split[stay])[0]
            second = torch.arange(len(order) - len(split), len(order), device=split.device)
            for rows in (first, second):
                new["means"][rows] += draws(new, rows, self.random)
            for rows in (first, second):
                new["log_scales"][rows] -= torch.log(torch.tensor(1.6)).to(new["log_scales"])
            kept[first] = -1
        scene.rebuild(new, kept)
