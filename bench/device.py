"""The option `--device` of the command line. Nothing heavy is imported where there is no CUDA."""

import sys
from typing import Annotated, Literal

import typer

from datasets.errors import InputError

Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]


def chosen_device(name: str) -> Literal["cpu", "cuda"]:
    """The device that `name` means here. Raises InputError for another name, or if there is no CUDA device."""
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"There is no device {name}; known: auto, cpu, cuda.")
    if name != "cpu" and _has_cuda():
        return "cuda"
    if name == "cuda":
        raise InputError("There is no CUDA device here; --device cpu runs at small sizes (bench doctor tells more).")
    return "cpu"


def _has_cuda() -> bool:
    import ctypes

    try:
        ctypes.CDLL("libcuda.so.1" if sys.platform == "linux" else "nvcuda.dll")
    except OSError:
        return False  # without the driver there is nothing to ask torch, whose import takes seconds
    import torch

    return torch.cuda.is_available()
