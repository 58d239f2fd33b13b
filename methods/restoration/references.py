"""Weights by a text that a configuration can hold: "shipped:NAME", "released:NAME", or the path of a checkpoint.

Importing this module costs no torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.digest import sha256
from datasets.errors import InputError
from methods.restoration import checkpoint, weights

if TYPE_CHECKING:
    from torch import nn

SHIPPED, RELEASED = "shipped:", "released:"


def named_in(configs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The weights that the settings of a contestant, by family, name."""
    return [family["weights"] for family in configs.values() if "weights" in family]


def file_of(reference: str) -> Path:
    """The file that `reference` names, whether or not it is there. Raises InputError for an unknown release."""
    if reference.startswith(RELEASED):
        return weights.path(reference.removeprefix(RELEASED))
    if reference.startswith(SHIPPED):
        return checkpoint.shipped(reference.removeprefix(SHIPPED))
    return Path(reference)


def why_missing(reference: str) -> str | None:
    """Why there are no such weights to use, in a sentence; None if there are."""
    if reference.startswith(RELEASED):
        return weights.why_missing(reference.removeprefix(RELEASED))
    path = file_of(reference)
    return None if path.is_file() else f"There is no checkpoint {path}."


def digest(reference: str) -> str | None:
    """SHA-256 of the file, None if there is none."""
    path = file_of(reference)
    return sha256(path) if path.is_file() else None


def load(reference: str, device: str) -> tuple["nn.Module", int]:
    """The network for inference on `device`, and the size in px of the patches that it was trained on, 0 if unknown.

    Raises InputError where the weights are missing, damaged or of another network.
    """
    if problem := why_missing(reference):
        raise InputError(problem)
    if not reference.startswith(RELEASED):
        found = checkpoint.read(file_of(reference), device)
        return found.network, found.facts["patch"]
    from methods.restoration import architectures

    name = reference.removeprefix(RELEASED)
    released = weights.load(name)
    network = architectures.network(weights.find(name).architecture, released.config)
    network.load_state_dict(released.state)
    return checkpoint.ready(network, device), weights.find(name).patch
