"""Joint deblurring and 3D reconstruction for macrophotography (Zhao et al., CGF 44(7), 2025, arXiv 2510.01640).

The sharp scene is Gaussians; a photograph of it is a sharp render I_out blurred pixel by pixel:

    I~[p] = sum_ij G_p[i, j] I_out[p + (i, j)],  G_p Gaussian of sigma_p over |i|, |j| <= K = 6      (Eq. 2, 3)
    sigma = BlurNet(I_out, M, D)                                                                     (Eq. 8-11)
    loss  = (1 - lambda) |I - I~| + lambda D-SSIM(I, I~) + TV(I_out)                                 (Eq. 14)

Three stages: the loss of 3DGS without blur (to a tenth of the steps), BlurNet with one layer on photographs of half the
size (to a half), BlurNet with two layers at full size. Adam at 1e-3 trains the networks, all else is 3DGS's.

The paper leaves much open. Chosen here:
- sigma is the standard deviation in px of Eq. 3, although the paper calls it variance.
- M: luminance and the filter sizes of the focus measure it cites (`methods.defocus.clarity`). In Eq. 9, M is
  normalised to sum 1 over the surface; `clarity_gamma` = 1 takes it as it is.
- D is the expected depth over the accumulated opacity, continued a little beside the surface. D^ is in units of the
  scene's radius, so that the encoding means the same in any scene; the encoding includes D^ itself.
- Gradients reach D through sigma only in the last stage, and never I_out: A sees the render detached, in sRGB.
- The CNNs are 3 x 3 convolutions with a 1 x 1 head and softplus; sigma begins at 0.3 px and is held in
  0.05 px .. K / 1.5, as a wider Gaussian does not fit into 2 K + 1 px.
- One pair of networks for all views, without an embedding per view: only M tells the views apart.
- The second layer begins as the identity, and sigma in px doubles when the size does, so nothing jumps at the last
  stage. Photographs and M are halved by averaging areas.
- TV is the anisotropic mean of absolute differences, its weight `tv_weight`.
- What is blurred is the composite over the known background, continued beyond the frame by its border pixels.
- `joint` blurs in sRGB, the space in which 3DGS renders; `joint-linear` holds the scene in linear light.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from datasets.capture import Photograph, Photographs
from datasets.errors import InputError
from datasets.optics import SIGMA_PER_RADIUS_LEAST_SQUARES
from methods.contestant import Kernel, Setting
from methods.cost import Meter
from methods.defocus.clarity import ClarityConfig, clarity
from methods.defocus.gauss import gather_continued
from methods.joint.blurnet import BlurNet, relative_depth
from methods.light import linear_to_srgb, srgb_to_linear
from methods.splatting.bounds import Bounds
from methods.splatting.config import SplattingConfig
from methods.splatting.formation import Draw, Formed, Target
from methods.splatting.gaussians import Gaussians
from methods.splatting.rasterizer import Render, resolve_backend
from methods.splatting.splats import Splats
from methods.splatting.train import train, warm_up
from methods.splatting.viewport import ALPHA_MIN

SIGMA_MIN = 0.05  # px
RECEPTIVE_FIELD = 2  # px, of two layers of 3 x 3


@dataclass(frozen=True)
class JointConfig:
    """Settings of the blur and its training; those of the Gaussians are the family "3dgs".

    warm_up, low_scale: fractions of all steps at which the first and the second stage end (3000 and 15000 of 30000).
    kernel_radius: K px. frequencies: L. lr: of both networks. clarity_gamma: M^gamma weighs the depth in Eq. 9.
    detach_depth: how long no gradient flows from sigma to the depth.

    The paper's ablations (section 4.3.2): stages = false trains at full size with blur from the first step; mask =
    false leaves out M, in Eq. 9, too; blurnet = false puts one 2-layer CNN over mask, colour and depth side by side;
    depth = false predicts from colour and mask alone.
    """

    warm_up: float = 0.1
    low_scale: float = 0.5
    kernel_radius: int = 6
    frequencies: int = 7
    lr: float = 1e-3
    tv_weight: float = 1e-3
    clarity: ClarityConfig = field(default_factory=ClarityConfig)
    clarity_gamma: float = 1.0
    detach_depth: Literal["never", "low scale", "always"] = "low scale"
    stages: bool = True
    mask: bool = True
    blurnet: bool = True
    depth: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.warm_up <= self.low_scale <= 1:
            raise InputError(
                f"warm_up = {self.warm_up} and low_scale = {self.low_scale}: fractions of the steps, in this order."
            )
        if self.kernel_radius < 1:
            raise InputError(f"kernel_radius = {self.kernel_radius} must be at least 1.")


class Defocus:
    """BlurNet between the render and the photograph: a `Formation`."""

    def __init__(self, photographs: Photographs, config: JointConfig, splatting: SplattingConfig, seed: int) -> None:
        self.config, self.light = config, splatting.light
        self.warm_up, self.low_scale = (
            round(fraction * splatting.steps) if config.stages else 0 for fraction in (config.warm_up, config.low_scale)
        )
        self.radius = Bounds.seen_by([view.camera for view in photographs.views]).radius
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net = BlurNet(config.frequencies, split=config.blurnet, mask=config.mask, depth=config.depth)
        self._clarity = [clarity(view.image, config.clarity) for view in photographs.views]
        self._masks: dict[tuple[int, int], Tensor] = {}

    def to(self, device: str) -> "Defocus":
        self.net.to(device)
        return self

    def parameters(self) -> list[dict[str, object]]:
        return [{"params": list(self.net.parameters()), "lr": self.config.lr}]

    def scale(self, step: int) -> int:
        return 2 if self.warm_up <= step < self.low_scale else 1

    def image(self, gaussians: Gaussians, target: Target, step: int, draw: Draw) -> Formed:
        drawn = draw(gaussians, target)
        if step < self.warm_up:
            return Formed(drawn.color, drawn)
        deep = step >= self.low_scale
        detach = self.config.detach_depth == "always" or (self.config.detach_depth == "low scale" and not deep)
        sigma = self.sigma(drawn, self._mask(target), target.scale, deep, detach)
        blurred = gather_continued(drawn.color, sigma, self.config.kernel_radius)
        return Formed(blurred, drawn, self.config.tv_weight * total_variation(drawn.color))

    def sigma(self, drawn: Render, mask: Tensor, scale: int = 1, deep: bool = True, detach: bool = False) -> Tensor:
        """[H, W] px: the blur of the render `drawn` of a photograph of clarity `mask` [H, W]."""
        color = drawn.color.detach()
        if self.light == "linear":
            color = linear_to_srgb(color)
        depth, alpha = (drawn.depth.detach(), drawn.alpha.detach()) if detach else (drawn.depth, drawn.alpha)
        weight = mask**self.config.clarity_gamma if self.config.mask else torch.ones_like(mask)
        relative = relative_depth(depth, alpha, weight, self.config.kernel_radius) / self.radius
        # With stages the networks learn px of the half size first.
        unit = 2 / scale if self.config.stages else 1
        rows, columns = near_surface(alpha, self.config.kernel_radius + RECEPTIVE_FIELD)
        width = unit * self.net(color[rows, columns], mask[rows, columns], relative[rows, columns], deep)
        above, left = rows.start, columns.start
        below, right = alpha.shape[0] - rows.stop, alpha.shape[1] - columns.stop
        width = functional.pad(width, (left, right, above, below))
        return width.clamp(SIGMA_MIN, self.config.kernel_radius / 1.5)

    def _mask(self, target: Target) -> Tensor:
        key = (target.index, target.scale)
        if key not in self._masks:
            mask = self._clarity[target.index]
            if target.scale != 1:
                size = (target.viewport.width, target.viewport.height)
                mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
            self._masks[key] = torch.tensor(mask, device=target.photograph.image.device)
        return self._masks[key]


def near_surface(
    alpha: Tensor,  # [H, W] in 0..1
    reach: int,
) -> tuple[slice, slice]:
    """Rows and columns of the box around what is drawn, `reach` px wider on every side; a corner if nothing is drawn.

    A pixel with nothing but background within K stays what it is under any blur, so a width there means nothing, and
    the convolutions, which are most of a step on a CPU, can be spared. On CUDA the box is the whole image: looking for
    a smaller one would make the host wait.
    """
    height, width = alpha.shape
    if alpha.device.type != "cpu":
        return slice(0, height), slice(0, width)
    drawn = alpha.detach().numpy() > ALPHA_MIN
    bounds = []
    for across, size in ((1, height), (0, width)):
        where = np.nonzero(drawn.any(axis=across))[0]
        first, last = (where[0], where[-1]) if len(where) else (0, 0)
        # In steps of 8 px: oneDNN prepares its convolutions anew for every size.
        start, stop = max(0, first - reach) // 8 * 8, -(-(last + reach + 1) // 8) * 8
        bounds.append(slice(int(start), int(min(size, stop))))
    return bounds[0], bounds[1]


def total_variation(
    image: Tensor,  # [H, W, 3]
) -> Tensor:
    """Anisotropic: mean absolute difference of neighbours along x plus along y. 0 of a single row or column's."""
    across = (image[:, 1:] - image[:, :-1]).abs().sum()
    down = (image[1:] - image[:-1]).abs().sum()
    return (across + down) / image.numel()


class FittedJoint(Splats):
    """The sharp scene, the networks that blur it, and what they cost."""

    def __init__(self, photographs: Photographs, setting: Setting) -> None:
        splatting, config = setting.config("3dgs", SplattingConfig), setting.config("joint", JointConfig)
        warm_up(setting.device, lambda what: setting.progress(0, splatting.steps, what))
        warm_up_blur(setting.device, config.kernel_radius)
        meter = Meter(setting.device)
        self.defocus = Defocus(photographs, config, splatting, setting.seed).to(setting.device)
        gaussians = train(
            photographs,
            splatting,
            seed=setting.seed,
            device=setting.device,
            formation=self.defocus,
            progress=setting.progress,
        )
        self.cost = meter.cost(len(gaussians), resolve_backend(setting.device))
        super().__init__(gaussians, photographs.cameras, photographs.background, splatting, setting.device)

    @torch.no_grad()
    def kernel(self, photograph: Photograph) -> Kernel:
        """The blur of `photograph`: BlurNet on the scene as seen from its camera. The photograph itself enters by its
        clarity mask alone, whether it was trained on or not."""
        drawn = self.drawn(photograph.camera)
        mask = torch.tensor(clarity(photograph.image, self.defocus.config.clarity), device=self.device)
        sigma = self.defocus.sigma(drawn, mask)
        radius = torch.where(drawn.alpha > 0.5, sigma / SIGMA_PER_RADIUS_LEAST_SQUARES, 0)

        @torch.no_grad()
        def blurred(sharp: np.ndarray) -> np.ndarray:
            image = torch.tensor(sharp, dtype=torch.float32, device=self.device)
            if self.config.light == "srgb":
                return gather_continued(image, sigma, self.defocus.config.kernel_radius).clamp(0, 1).cpu().numpy()
            image = gather_continued(srgb_to_linear(image), sigma, self.defocus.config.kernel_radius)
            return linear_to_srgb(image).clamp(0, 1).cpu().numpy()

        return Kernel(radius.cpu().numpy(), blurred, "gather")

    def save(self, folder: Path) -> None:
        """Write point_cloud.ply in the layout that 3DGS viewers read, and the networks' weights as blurnet.npz."""
        self.gaussians.save_ply(folder / "point_cloud.ply")
        weights = {name: tensor.cpu().numpy() for name, tensor in self.defocus.net.state_dict().items()}
        np.savez(folder / "blurnet.npz", **weights)


def warm_up_blur(device: str, radius: int) -> None:
    """Compile the blur and the convolutions before any clock runs."""
    image = torch.zeros(16, 16, 3, device=device, requires_grad=True)
    maps = torch.zeros(16, 16, device=device)
    sigma = BlurNet(1).to(device)(image, maps, maps, deep=True)
    gather_continued(image, sigma, radius).sum().backward()


def fit(photographs: Photographs, setting: Setting) -> FittedJoint:
    """Train scene and networks on `photographs` with the configurations "3dgs" and "joint". Raises `Diverged`."""
    return FittedJoint(photographs, setting)
