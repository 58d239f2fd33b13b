"""Classifier, kernel extractor and guided U-Net as one network (Fig. 1)."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, nn

from datasets.errors import InputError
from methods.restoration.networks.kernel_guided.classifier import CLASSES, Classifier
from methods.restoration.networks.kernel_guided.extractor import KernelExtractor, luminance
from methods.restoration.networks.kernel_guided.restorer import Restorer


@dataclass(frozen=True)
class KernelGuidedConfig:
    """What the networks are made of; the paper's sizes, where it gives them.

    Raises InputError where the sizes do not fit together.
    """

    kernel_size: int = 31
    """m, px, odd; not printed. Room for a circle of confusion of 15 px radius."""
    width: int = 128
    """Channels of the U-Net; 256 where two are joined."""
    levels: int = 4
    """Of the U-Net. Fig. 8 is not described further; KF has 4."""
    folded: int = 1
    """Of the U-Net: so many px a side become channels of one. The paper has no need of it; twice the width then
    costs as much as the width without."""
    features: int = 64
    """Of the extractor, per scale."""
    maps: int = 32
    """Of the extractor, that are correlated with one another: 32 x 31 = 992 pairs."""
    classes: bool = True
    """Whether the probabilities of the classes condition the extractor."""
    guidance: bool = True
    """Whether the kernel leads the U-Net."""
    residual: bool = True
    """Whether the U-Net gives the change to its input. The text is silent and KF has none; with it, training begins
    at the photograph instead of at grey."""
    light: Literal["linear", "srgb"] = "linear"
    """What the kernel blurs. Photographs are formed in linear light; the paper blurs pixel values as they are."""

    def __post_init__(self) -> None:
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise InputError(f"A kernel has an odd number of pixels, but kernel_size is {self.kernel_size}.")
        if min(self.width, self.levels, self.folded, self.features) < 1 or self.maps < 2:
            raise InputError("width, levels, folded and features must be 1 at least, and maps 2, to have a pair.")


class Guided(NamedTuple):
    """What the network makes of a batch of patches.

    restored: [B, 3, H, W] sRGB, not clamped. kernel: [B, m, m], >= 0, of sum 1. logits: [B, 5] of the classes.
    """

    restored: Tensor
    kernel: Tensor
    logits: Tensor


class KernelGuided(nn.Module):
    """The three networks; every image of a batch is one patch with one kernel. The paper's patches have 224 px, of
    subjects of one depth; where the depth varies, smaller ones come closer to one blur per patch.

    The class probabilities reach the extractor without gradient: the classifier stays what the cross entropy makes
    of it. It is there, and classifies, without `classes` too.
    """

    def __init__(self, config: KernelGuidedConfig) -> None:
        super().__init__()
        self.config = config
        self.classifier = Classifier()
        self.extractor = KernelExtractor(
            config.kernel_size, config.features, config.maps, CLASSES if config.classes else 0
        )
        self.restorer = Restorer(
            config.kernel_size, config.width, config.levels, config.guidance, config.residual, config.folded
        )

    def forward(
        self,
        image: Tensor,  # [B, 3, H, W] sRGB 0..1
    ) -> Tensor:  # [B, 3, H, W] sRGB, not clamped
        return self.guided(image).restored

    def guided(
        self,
        image: Tensor,  # [B, 3, H, W] sRGB 0..1
    ) -> Guided:
        """The restored patches with the kernels and the classes that they were taken for."""
        kernel, logits = self.estimate(image)
        return Guided(self.restorer(image, kernel), kernel, logits)

    def estimate(
        self,
        image: Tensor,  # [B, 3, H, W] sRGB 0..1
    ) -> tuple[Tensor, Tensor]:  # [B, m, m], [B, 5]
        """Kernels and logits of the classes, without restoring anything: what the first stage of training needs."""
        logits: Tensor = self.classifier(image)
        probabilities = logits.detach().softmax(dim=-1) if self.config.classes else None
        return self.extractor(luminance(image, self.config.light), probabilities), logits
