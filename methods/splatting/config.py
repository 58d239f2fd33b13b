"""The settings of the training loop, which all contestants that train Gaussians share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from datasets.errors import InputError

# px^2 added to every projected covariance, in 3DGS and gsplat: a Gaussian is never much thinner than a pixel.
DILATION = 0.3


@dataclass(frozen=True)
class SplattingConfig:
    """Every choice of the loop. Lengths are in units of the scene radius, so that one configuration serves
    scenes of any size.

    steps: one photograph each. initial_gaussians: drawn in a ball, unless init = "points" and the capture has
    points. max_gaussians: the cap for any strategy. pixels_per_gaussian: where the photographs have fewer pixels in all
    for each of `max_gaussians`, both numbers shrink alike until they have as many; 0 for never.
    light: space in which the Gaussians are blended; "linear" is encoded to sRGB just before the loss. Their own
    colours are sRGB either way.
    sh_degree is reached by one degree every `sh_every` steps. antialiased, dilation: as in `rasterizer.render`.
    lr_means decays exponentially to lr_means * lr_means_decay, the other rates by the factor lr_decay.
    densify: "gradient" (Kerbl et al. 2023), "relocate" (Kheradmand et al. 2024) or "none".
    reset_every: steps between two resets of all opacities in "gradient" (3,000 in Kerbl et al. 2023), 0 for no reset.
    opacity_penalty: weight of the mean opacity in the loss; thins haze before a bright background.
    smoothing: std in px of a 3D filter that keeps Gaussians from being finer than the photographs, 0 for none
    (Yu et al. 2024; they take 0.45). scale_floor: least std in px of any axis of a Gaussian, 0 for none. Both px are
    those of the view that is nearest to the scene's centre.
    """

    steps: int
    initial_gaussians: int
    max_gaussians: int
    pixels_per_gaussian: float = 0.0
    init: Literal["ball", "points"] = "ball"
    light: Literal["srgb", "linear"] = "srgb"
    sh_degree: int = 1
    sh_every: int = 300
    antialiased: bool = True
    dilation: float = DILATION
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
    reset_every: int = 0
    gradient_threshold: float = 2e-4
    split_size: float = 0.01

    def __post_init__(self) -> None:
        if self.steps < 1 or self.initial_gaussians < 1:
            raise InputError(f"{self.steps} steps from {self.initial_gaussians} Gaussians: both must be at least 1.")
        if self.max_gaussians < self.initial_gaussians:
            raise InputError(
                f"initial_gaussians = {self.initial_gaussians} is more than max_gaussians = {self.max_gaussians}."
            )
        if self.pixels_per_gaussian < 0:
            raise InputError(f"pixels_per_gaussian = {self.pixels_per_gaussian} must be at least 0.")
        if not 0 < self.dilation <= 10:
            raise InputError(f"dilation is {self.dilation} px^2; it must be above 0 and at most 10.")
        if not 0 <= self.sh_degree <= 3:
            raise InputError(f"sh_degree = {self.sh_degree} is not one of 0 to 3.")

    def for_pixels(self, pixels: int) -> SplattingConfig:
        """The same with the numbers of Gaussians for photographs of `pixels` in all."""
        share = pixels / (self.pixels_per_gaussian * self.max_gaussians) if self.pixels_per_gaussian else 1.0
        if share >= 1:
            return self
        initial, cap = (max(1, round(share * number)) for number in (self.initial_gaussians, self.max_gaussians))
        return replace(self, initial_gaussians=initial, max_gaussians=cap)
