"""Where the ImageNet weights of LPIPS's AlexNet come from: a file the user names, or torchvision's cache.

Nothing is downloaded unless `fetch` is called, and nothing is ever scored with random weights.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

CHECKPOINT = "alexnet-owt-7be5be79.pth"
"""torchvision's `AlexNet_Weights.IMAGENET1K_V1`; the digits are the first of the file's SHA-256."""

SHAPES: dict[str, tuple[int, ...]] = {
    "features.0.weight": (64, 3, 11, 11),
    "features.0.bias": (64,),
    "features.3.weight": (192, 64, 5, 5),
    "features.3.bias": (192,),
    "features.6.weight": (384, 192, 3, 3),
    "features.6.bias": (384,),
    "features.8.weight": (256, 384, 3, 3),
    "features.8.bias": (256,),
    "features.10.weight": (256, 256, 3, 3),
    "features.10.bias": (256,),
}
"""The convolutions of torchvision's AlexNet, kernels as [out, in, height, width]."""


class LpipsUnavailable(RuntimeError):
    """No backbone can be had: the metric is left out, and the sentence says how to supply one."""


class LpipsWeightsError(ValueError):
    """The weights that were found or named are not AlexNet's; the sentence names the file."""


def checkpoint_path() -> Path:
    """Where torch.hub keeps torchvision's AlexNet on this machine, whether or not it is there."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")
    return Path(home).expanduser() / "hub" / "checkpoints" / CHECKPOINT


def locate(weights: Path | None = None) -> Path:
    """The file to read the backbone from: `weights` if named, else torchvision's cached checkpoint.

    Imports no torch, so that `bench doctor` can ask. Raises LpipsWeightsError where the named file is
    missing and LpipsUnavailable where no file is named and the cache has none.
    """
    if weights is not None:
        if not Path(weights).is_file():
            raise LpipsWeightsError(f"{weights}: no such file of LPIPS weights")
        return Path(weights)
    cached = checkpoint_path()
    if not cached.is_file():
        raise LpipsUnavailable(
            "LPIPS needs AlexNet's ImageNet weights, which are not on this machine: `bench doctor --fetch` "
            "downloads torchvision's, --lpips-weights FILE.npz names a file."
        )
    return cached


def fetch() -> Path:
    """Download torchvision's checkpoint into torch.hub's cache, verified; where it lies then.

    The one place that uses the network, and only when asked to. Raises LpipsUnavailable if it cannot be had.
    """
    from torchvision.models import AlexNet_Weights

    try:
        AlexNet_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:  # of the network, and of a wrong hash
        reason = " ".join(str(error).split())
        raise LpipsUnavailable(f"AlexNet's weights could not be downloaded ({reason}).") from error
    return checkpoint_path()


def read(path: Path) -> dict[str, np.ndarray]:
    """The backbone's tensors by name, float32, checked against `SHAPES`.

    `path` is an npz with those keys or torchvision's checkpoint (.pth). Raises LpipsWeightsError.
    """
    arrays = _read_checkpoint(path) if path.suffix == ".pth" else _read_npz(path)
    for name, shape in SHAPES.items():
        if name not in arrays:
            raise LpipsWeightsError(f"{path}: not AlexNet's weights, '{name}' is missing")
        if arrays[name].shape != shape:
            found = list(arrays[name].shape)
            raise LpipsWeightsError(f"{path}: '{name}' has shape {found}, AlexNet's is {list(shape)}")
        if arrays[name].dtype.kind != "f" or not np.isfinite(arrays[name]).all():
            raise LpipsWeightsError(f"{path}: '{name}' must hold finite floating-point numbers")
    return {name: arrays[name].astype(np.float32) for name in SHAPES}


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name in SHAPES}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise LpipsWeightsError(f"{path}: not an npz file of LPIPS weights") from error


def _read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    import torch

    digits = path.stem.rpartition("-")[2]
    if path.name == CHECKPOINT and not hashlib.sha256(path.read_bytes()).hexdigest().startswith(digits):
        raise LpipsWeightsError(f"{path}: damaged, its SHA-256 does not begin with {digits}; delete it")
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
        return {name: state[name].numpy() for name in SHAPES if name in state}
    except Exception as error:  # torch.load raises whatever its unpickler happens upon
        raise LpipsWeightsError(f"{path}: not a checkpoint of AlexNet") from error


def sha256(tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 of the tensors themselves (name, shape, little-endian float32), the same from any container."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name}{list(tensors[name].shape)}".encode())
        digest.update(np.ascontiguousarray(tensors[name], dtype="<f4").tobytes())
    return digest.hexdigest()
