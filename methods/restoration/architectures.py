"""The architectures that learned restorers have, and the weights that their authors published for them.

Importing this module costs no torch, so that listing contestants stays instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from datasets.errors import InputError
from methods.configuration import build
from methods.registry import load, suggestion

if TYPE_CHECKING:
    from torch import Tensor, nn

_NETWORKS = "methods.restoration.networks"
_WRAPPERS = ("params", "state_dict", "model", "net")
_PARALLEL = "module."  # what torch's DataParallel puts before every name


class Architecture(NamedTuple):
    """A network, "module:class", made from a frozen configuration, "module:class".

    The module of the network also has `released(state)`, which renames what the authors' file holds to the network's
    parameters, and `RELEASED`, the settings under which that file runs, where a file has been released.
    """

    network: str
    config: str
    citation: str


class Release(NamedTuple):
    """Weights that the authors of a network published, and that the user has to fetch.

    architecture: a name in ARCHITECTURES. file: what the authors call it. where: they publish it, as a clause.
    patch: width and height in px of the crops that it was trained on, where tiles or windows have that size; else 0.
    """

    architecture: str
    file: str
    where: str
    patch: int = 0
    trained_on: str = "DPDD (released)"


ARCHITECTURES = {
    "kernel-guided": Architecture(
        f"{_NETWORKS}.kernel_guided:KernelGuided",
        f"{_NETWORKS}.kernel_guided:KernelGuidedConfig",
        "Wei, Li and Hou, Image restoration model for microscopic defocused images based on blurring kernel guidance, "
        "Heliyon 10, 2024; its pair of networks after Kaufman and Fattal, CVPR 2020",
    ),
    "mpt": Architecture(
        f"{_NETWORKS}.mpt:MPT",
        f"{_NETWORKS}.mpt:MPTConfig",
        "Zhang et al., A Unified Framework for Microscopy Defocus Deblur with Multi-Pyramid Transformer and "
        "Contrastive Learning, CVPR 2024",
    ),
    "restormer": Architecture(
        f"{_NETWORKS}.restormer:Restormer",
        f"{_NETWORKS}.restormer:RestormerConfig",
        "Zamir et al., Restormer: Efficient Transformer for High-Resolution Image Restoration, CVPR 2022",
    ),
    "nrknet": Architecture(
        f"{_NETWORKS}.nrknet:NRKNet",
        f"{_NETWORKS}.nrknet:NRKNetConfig",
        "Quan, Wu and Ji, Neumann Network with Recursive Kernels for Single Image Defocus Deblurring, CVPR 2023",
    ),
    "iniknet": Architecture(
        f"{_NETWORKS}.iniknet:INIKNet",
        f"{_NETWORKS}.iniknet:INIKNetConfig",
        "Quan, Yao and Ji, Single Image Defocus Deblurring via Implicit Neural Inverse Kernels, ICCV 2023",
    ),
}

_MPT = "the archive of weights that the README of github.com/PieceZhang/MPT-CataBlur links to"

RELEASES = {
    "mpt": Release("mpt", "the weights for DPDD trained without EFCR", _MPT, 256),
    "mpt-efcr": Release("mpt", "the weights for DPDD trained with EFCR", _MPT, 256),
    "mpt-efcr-ex": Release("mpt", "the weights for DPDD trained with EFCR and extra data", _MPT, 256),
    "restormer": Release(
        "restormer",
        "single_image_defocus_deblurring.pth",
        "the releases of github.com/swz30/Restormer",
        256,  # TLC takes 384 px windows for it, 1.5 times that
    ),
    "nrknet": Release("nrknet", "the checkpoint for DPDD", "github.com/csZcWu/NRKNet"),
    "iniknet": Release("iniknet", "the checkpoint for DPDD", "github.com/xinyao240/INIKNet"),
}
"""By the name under which `bench weights add` takes the file, which is that of the contestant."""


def network(architecture: str, config: Mapping[str, Any]) -> nn.Module:
    """The untrained network `architecture` as `config` says, whose gaps the defaults fill.

    Raises InputError for an unknown name, and for settings that it does not have.
    """
    found = _known(architecture)
    module: nn.Module = load(found.network)(build(load(found.config), config))
    return module


def released(release: Release, raw: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What the authors' file holds (`raw`, as read) as the settings of our network and its parameters by name."""
    module = import_module(_known(release.architecture).network.partition(":")[0])
    return dict(module.RELEASED), module.released(unwrapped(raw))


def unwrapped(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A network's state by name, out of what scripts of training put around it."""
    for wrapper in _WRAPPERS:
        if isinstance(raw.get(wrapper), Mapping):
            raw = raw[wrapper]
    return {name.removeprefix(_PARALLEL): value for name, value in raw.items()}


def _known(architecture: str) -> Architecture:
    if architecture not in ARCHITECTURES:
        raise InputError(f"There is no network {architecture}; {suggestion(architecture, ARCHITECTURES)}")
    return ARCHITECTURES[architecture]
