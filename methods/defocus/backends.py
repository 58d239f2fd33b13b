"""The back ends of the fused blurs, and what their arguments must have in common.

"torch"   slow, obvious to read, any precision: what the other two are tested against
"cpu"     vector units of a CPU, compiled by numba; bitwise the same for any number of threads
"triton"  CUDA
"""

from __future__ import annotations

import torch
from torch import Tensor

_DEVICES = {"cpu": "cpu", "triton": "cuda"}
BACKENDS = ("torch", *_DEVICES)


def resolve_backend(device: torch.device | str) -> str:
    """Name of the fast back end for tensors on this device. Raises ValueError for a device without one."""
    kind = torch.device(device).type
    for backend, needed in _DEVICES.items():
        if kind == needed:
            return backend
    raise ValueError(f"no fused blur for device {kind!r}: use 'cuda' or 'cpu', or name backend='torch'")


def check(name: str, backend: str, **tensors: Tensor) -> None:
    """Raise ValueError unless the `tensors`, arguments of the blur `name`, fit each other and `backend`."""
    if backend not in BACKENDS:
        raise ValueError(f"unknown blur {backend!r}: choose one of {', '.join(BACKENDS)}")
    first, *rest = tensors.values()
    if any(tensor.device != first.device for tensor in rest):
        raise ValueError(f"{name} has {_each(tensors, 'device', 'on')}")
    if any(tensor.dtype != first.dtype for tensor in rest) or not first.dtype.is_floating_point:
        raise ValueError(f"{name} has {_each(tensors, 'dtype', 'of')}: all must be one float type")
    if backend != "torch" and first.dtype != torch.float32:
        raise ValueError(f"blur {backend!r} computes in float32, not {first.dtype}: name backend='torch'")
    needed = _DEVICES.get(backend, first.device.type)
    if first.device.type != needed:
        raise ValueError(f"blur {backend!r} needs its tensors on a {needed} device, they are on {first.device}")


def _each(tensors: dict[str, Tensor], attribute: str, word: str) -> str:
    """ "image on cpu, sigma on meta"."""
    return ", ".join(f"{name} {word} {getattr(tensor, attribute)}" for name, tensor in tensors.items())
