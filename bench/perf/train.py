"""What the blurs cost in training: one step of the splatting loop on a synthetic scene, with each and without."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from bench.perf import DEVICES, here
from bench.perf.rasterizer import environment, shell
from datasets.optics import SIGMA_PER_RADIUS_LEAST_SQUARES
from methods.defocus import gauss
from methods.defocus.lens import FocusedLens
from methods.defocus.scene import GAUSS_COC, Aperture, Blurred, GatherGauss, ScatterGauss, Shot
from methods.joint_optics.remembered import RememberedLens
from methods.light import linear_to_srgb
from methods.splatting.gaussians import Gaussians
from methods.splatting.losses import Reference, photometric, ssim, ssim_in_torch
from methods.splatting.rasterizer import Render, render, resolve_backend
from methods.splatting.train import warm_up

# Gaussians, image side in px.
SIZES = ((10_000, 128), (50_000, 400), (200_000, 800))
BLURS: dict[str, Callable[[Gaussians, Shot], Blurred] | None] = {
    "none": None,
    "gauss-coc": GAUSS_COC,
    "gather-gauss": GatherGauss(6),
    "scatter-gauss": ScatterGauss(6),
    "aperture 7": Aperture(7),
}
LENS = "lens 1 of 7"  # the lens of joint-optics in the preset paper
# Of the widest Gaussian in the image, px: the shell reaches from 9 to 11 and the lens is focused at 10.
_SIGMA_MAX = 3.0


def measure(
    sizes: Sequence[tuple[int, int]] = SIZES,
    repeats: int = 20,
    progress: Callable[[str], None] | None = None,
    devices: Sequence[str] = DEVICES,
) -> dict[str, Any]:
    """Time a step on each of `devices` that is here: render, blur, encode, L1 + DSSIM, backward, Adam; the Gaussians
    stay as they are. The least of `repeats` steps counts, after one that does not, and the blurs take turns.

    sizes: pairs (number of Gaussians, image side in px). Returns a JSON-able dict: "environment", and "rows" with
    `ms` per blur, `share`, the fraction of the step that the blur is, and `ssim`: ms of the loss's SSIM with its
    gradient, as the step has it and by PyTorch's own operations.
    """
    rows = []
    for device in here(devices):
        warm_up(device)
        gauss.warmup(device)
        for n, px in sizes:
            if progress is not None:
                progress(f"{device}, {n} Gaussians, {px} x {px} px")
            ms = _times(n, px, device, repeats)
            share = {name: 1 - ms["none"] / value for name, value in ms.items()}
            row = {"device": device, "n": n, "px": px, "ms": ms, "share": share}
            rows.append({**row, "ssim": _ssim_times(px, device, repeats)})
    return {"benchmark": "train", "repeats": repeats, "environment": environment(), "rows": rows}


def table(result: dict[str, Any]) -> list[dict[str, str]]:
    """The result of `measure` as rows of text by column."""
    lines = []
    for row in result["rows"]:
        line = {"device": row["device"], "Gaussians": str(row["n"]), "px": str(row["px"])}
        for name, ms in row["ms"].items():
            line[f"{name} ms"] = f"{ms:.2f}" if name == "none" else f"{ms:.2f} ({100 * row['share'][name]:.0f} %)"
        for name, ms in row["ssim"].items():
            line[f"{name} ms"] = f"{ms:.2f}"
        lines.append(line)
    return lines


def _times(n: int, px: int, device: str, repeats: int) -> dict[str, float]:
    """Least time of a step in ms, by blur."""
    gaussians, viewport = shell(n, px)
    gaussians = gaussians.to(device)
    viewport = replace(viewport, w2c=viewport.w2c.to(device))
    leaves = {
        name: getattr(gaussians, name).requires_grad_()
        for name in ("means", "quats", "log_scales", "logit_opacities", "sh")
    }
    widest = _SIGMA_MAX / SIGMA_PER_RADIUS_LEAST_SQUARES
    focus = torch.tensor(10.0, device=device, requires_grad=True)
    aperture = torch.tensor(widest / (viewport.fx * (1 / 9 - 1 / 10)), device=device, requires_grad=True)
    background = torch.zeros(3, device=device)
    photograph = Reference.of(torch.full((px, px, 3), 0.5, device=device))
    # A rate of 0 costs what any other does.
    optimizer = torch.optim.Adam([*leaves.values(), focus, aperture], lr=0.0, fused=True)

    def draw(gaussians: Gaussians, **options: Any) -> Render:
        settings = {"background": background, "antialiased": True, **options}
        return render(gaussians, viewport, backend=resolve_backend(device), **settings)

    def step(blur: Callable[[Gaussians, Shot], Blurred] | None) -> None:
        scene = Gaussians(**leaves)
        lens = FocusedLens(focus, aperture, viewport.fx)
        shot = Shot(viewport, lens, background, draw)
        image = draw(scene).color if blur is None else blur(scene, shot).image
        loss = photometric(linear_to_srgb(image), photograph, 0.2)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    remembered = RememberedLens(1, torch.Generator().manual_seed(0))
    blurs = BLURS | {LENS: partial(remembered.image, 0, Aperture(7))}
    best = dict.fromkeys(blurs, math.inf)
    for blur in blurs.values():
        step(blur)
    for _ in range(repeats):
        for name, blur in blurs.items():
            start = time.perf_counter()
            step(blur)
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: 1e3 * seconds for name, seconds in best.items()}


def _ssim_times(px: int, device: str, repeats: int) -> dict[str, float]:
    """Least time in ms of SSIM and its gradient, as the loss has it and as PyTorch has it."""
    random = torch.Generator().manual_seed(0)
    image = torch.rand(px, px, 3, generator=random).to(device).requires_grad_()
    photograph = Reference.of(torch.rand(px, px, 3, generator=random).to(device))
    best = {}
    for name, similarity in {"SSIM": ssim, "SSIM in torch": ssim_in_torch}.items():
        similarity(image, photograph).backward()
        seconds = math.inf
        for _ in range(repeats):
            start = time.perf_counter()
            similarity(image, photograph).backward()
            if device == "cuda":
                torch.cuda.synchronize()
            seconds = min(seconds, time.perf_counter() - start)
        best[name] = 1e3 * seconds
    return best
