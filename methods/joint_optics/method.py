"""`joint-optics`: the scene, one aperture and every view's focus distance, from the photographs alone.

What it changes against the seed paper (Zhao et al. 2025), whose blur is a network over a render:
- The blur is the thin lens of its Eq. 1 itself: one number for the lens and one per photograph, instead of BlurNet.
- It acts on the scene and not on its image, so what a blurred edge uncovers is rendered, not guessed.
- Light adds up as light: the scene is held in linear light, and sRGB comes after the blur.
- Its shape is the disk of the aperture, as far as Gaussian patches of it can tell (see `formation`).
- A Gaussian is widened by 0.1 px^2 (Yu et al. 2024, Mip-Splatting) instead of 0.3: a photosite has 1 / 12 px^2, and
  where the blur is mild, the lens would lack what the filter has too much.
- There is no stage without blur: a scene fitted to blurred photographs has taken the blur for its own.

Nothing is known of the lens but that it is one: poses and focal lengths in px come with the capture, as for every
contestant. `joint-optics-known` starts from known lens data, and its row says so.
"""

from __future__ import annotations

import numpy as np
import torch

from datasets.capture import Photograph, Photographs
from methods.contestant import Kernel, Setting
from methods.cost import Meter
from methods.defocus.disk import scatter_disk
from methods.defocus.scene import depth_everywhere
from methods.joint_optics.early_stop import EarlyStop, hold_out
from methods.joint_optics.formation import JointOpticsConfig, LensFormation
from methods.joint_optics.lensed import LensedScene
from methods.light import linear_to_srgb, srgb_to_linear
from methods.splatting.config import SplattingConfig
from methods.splatting.formation import background_in
from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import resolve_backend
from methods.splatting.train import train, warm_up

# When a user hears of it: spread of the focus distances and their distance from the hints, in scene radii, the factor
# between apertures (a stop is 1.41), and the blur, in widths of the image, without which there is no focus to speak of.
ONE_FOCUS, FAR_OFF, WRONG_STOP, VISIBLE = 0.05, 0.1, 1.41, 0.004


class FittedOptics(LensedScene):
    """The trained scene with its lens, and what training took."""

    def __init__(self, photographs: Photographs, setting: Setting) -> None:
        config = setting.config("3dgs", SplattingConfig)
        optics = setting.config("joint-optics", JointOpticsConfig)
        warm_up(setting.device, lambda what: setting.progress(0, config.steps, what))
        meter = Meter(setting.device)
        trained_on, judges = hold_out(photographs, optics.early_stop)
        formation = LensFormation(trained_on, optics, config.light, config.steps, setting.device, setting.seed)
        self._search = np.linspace(-optics.search_reach, optics.search_reach, 2 * optics.search_steps - 1)
        stop = EarlyStop(judges, self._search)

        def lensed(gaussians: Gaussians) -> LensedScene:
            distances = formation.focus_distances.tolist()
            focus = {view.name: distance for view, distance in zip(trained_on.views, distances, strict=True)}
            return LensedScene(
                gaussians,
                photographs.cameras,
                photographs.background,
                config,
                setting.device,
                focus,
                float(formation.aperture.detach()),
            )

        gaussians = train(
            trained_on,
            config,
            seed=setting.seed,
            device=setting.device,
            formation=formation,
            progress=setting.progress,
            watch=(lambda step, seen: stop.see(lensed(seen.clone()))) if judges else None,
        )
        scene = stop.best or lensed(gaussians)
        self.cost = meter.cost(len(scene.gaussians), resolve_backend(setting.device))
        super().__init__(
            scene.gaussians,
            scene.cameras,
            scene.background,
            config,
            setting.device,
            scene.focus,
            scene.aperture,
        )
        for sentence in doubts(formation, trained_on):
            setting.warn(sentence)

    def kernel(self, photograph: Photograph) -> Kernel:
        """The disk of confusion of every pixel, by the scene's depth and the lens; spread from front to back.

        A photograph that was not trained on tells the distance of its focal plane by the best match with the scene
        photographed at distances all through it.
        """
        focus = self.focus.get(photograph.name)
        camera = photograph.camera
        if focus is None:
            focus = self.focus_of(photograph, self._search)
        drawn = self.surface(camera)
        lens = self.lens(camera, focus)
        with torch.no_grad():
            radius = lens.coc_radius(depth_everywhere(drawn))
        background = background_in("linear", self.background, camera, self.device)

        @torch.no_grad()
        def blur(sharp: np.ndarray) -> np.ndarray:
            image = srgb_to_linear(torch.tensor(sharp, dtype=torch.float32, device=self.device))
            behind = (1 - drawn.alpha)[..., None] * background
            color, alpha = scatter_disk(image - behind, drawn.alpha, radius)
            return linear_to_srgb(color + (1 - alpha)[..., None] * background).clamp(0, 1).cpu().numpy()

        surface = torch.where(drawn.alpha > 0.5, radius, torch.zeros_like(radius))
        return Kernel(surface.cpu().numpy(), blur, "scatter", focus, self.aperture)


def doubts(formation: LensFormation, photographs: Photographs) -> list[str]:
    """What a user should know of the lens that was found, a sentence each."""
    found, radius = formation.focus_distances.detach().cpu().numpy(), formation.bounds.radius
    relative = found - formation.centers.cpu().numpy()
    # One scene radius out of focus, in widths of the image.
    blur = float(formation.aperture.detach()) / formation.widest_aperture
    sentences = []
    if len(found) > 1 and np.ptp(relative) < ONE_FOCUS * radius and blur > VISIBLE:
        sentences.append(
            f"All photographs seem to be focused at one distance from the object's centre ({np.median(relative):+.2g} "
            "mm): parts of it that lie elsewhere in every view cannot become sharp."
        )
    if photographs.optics is None:
        return sentences
    known = [(i, view.focus_distance) for i, view in enumerate(photographs.views) if view.focus_distance is not None]
    if known:
        told = np.array([distance for _, distance in known])
        apart = float(np.median(np.abs(found[[i for i, _ in known]] - told)))
        if apart > FAR_OFF * radius:
            sentences.append(f"The focus distances that came with the capture are {apart:.3g} mm from those found.")
        lens = photographs.optics.lens(float(np.median(told)))
        ratio = float(formation.aperture.detach()) / lens.aperture_radius
        if not 1 / WRONG_STOP < ratio < WRONG_STOP:
            sentences.append(f"The lens found is {ratio:.3g} times as wide as the f-number that came with the capture.")
    return sentences


def fit(photographs: Photographs, setting: Setting) -> FittedOptics:
    """Train on `photographs` with the configurations "3dgs" and "joint-optics". Raises `Diverged`."""
    return FittedOptics(photographs, setting)
