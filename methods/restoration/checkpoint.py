"""A trained restorer in one file: its parameters in half precision, and all that is needed to use and to judge them.

The file is safetensors, so reading it runs nothing. What is no tensor is JSON under `facts` in its header:

    architecture, network    name and settings of the network
    patch                    width and height in px of the images that it was trained on
    trained_on               the data in words; pairs: its content hash and how much it is
    recipe                   all settings of the training; step: how many steps it had
    curve                    validation while training: step, PSNR on the object, and that of the photographs, dB
    package, code            version of this package, and hash of the source
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from datasets.digest import sha256
from datasets.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

SUFFIX = ".safetensors"
FORMAT = 1
SHIPPED = Path(__file__).parent / "checkpoints"

_KEYS = ("architecture", "network", "patch", "trained_on", "pairs", "recipe", "step", "curve", "package", "code")


class Checkpoint(NamedTuple):
    """A network ready for use, with the facts and the SHA-256 of the file that it came from."""

    network: "nn.Module"
    facts: Mapping[str, Any]
    sha256: str


def shipped(name: str) -> Path:
    """Where the checkpoint `name` that comes with this package lies."""
    return SHIPPED / f"{name}{SUFFIX}"


def write(path: Path, network: "nn.Module", facts: Mapping[str, Any]) -> None:
    """Write the parameters of `network` with `facts`, which must have every key that this module's docstring names.

    The file is there whole or not at all.
    """
    from safetensors.torch import save

    assert set(facts) == set(_KEYS), sorted(set(facts) ^ set(_KEYS))
    tensors = {name: _stored(tensor) for name, tensor in network.state_dict().items()}
    text = json.dumps({"format": FORMAT, **facts}, sort_keys=True, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(save(tensors, {"facts": text}))
    os.replace(partial, path)


def _stored(tensor: "Tensor") -> "Tensor":
    import torch

    return tensor.detach().to("cpu", torch.float16 if tensor.is_floating_point() else tensor.dtype).contiguous()


def facts(path: Path) -> dict[str, Any]:
    """What the file says of itself. Raises InputError if there is none, or if it is no checkpoint of ours."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}.")
    foreign = f"{path} is no checkpoint that `bench train` wrote, or it is damaged."
    try:
        with safe_open(path, framework="numpy") as file:
            found = json.loads((file.metadata() or {})["facts"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(foreign) from error
    if not isinstance(found, dict) or not set(_KEYS) <= set(found):
        raise InputError(foreign)
    if found.get("format") != FORMAT:
        raise InputError(f"{path} is a checkpoint of format {found.get('format')}; this version reads {FORMAT}.")
    return found


def read(path: Path, device: str = "cpu") -> Checkpoint:
    """The network in the file at `path`, float32, for inference on `device`.

    Raises InputError as `facts` does, and if the parameters are not those of the network that the file names.
    """
    from safetensors.torch import load_file

    from methods.restoration import architectures

    found = facts(path)
    network = architectures.network(found["architecture"], found["network"])
    state = load_file(path)
    if problem := mismatch(network, state):
        raise InputError(f"{path} does not fit the network {found['architecture']} that it names: {problem}.")
    network.load_state_dict(state)
    return Checkpoint(ready(network, device), found, sha256(path))


def ready(network: "nn.Module", device: str) -> "nn.Module":
    """`network` for inference on `device`: no gradients, evaluation mode."""
    return network.requires_grad_(False).eval().to(device)


def mismatch(network: "nn.Module", state: Mapping[str, "Tensor"]) -> str | None:
    """The first reason why `state` is none of `network`, as a clause: a parameter missing, unknown, of another shape,
    or not finite."""
    own = network.state_dict()
    for name, tensor in own.items():
        if name not in state:
            return f"the parameter {name} is missing"
        if state[name].shape != tensor.shape:
            return f"the parameter {name} is {list(state[name].shape)}, not {list(tensor.shape)}"
        if state[name].is_floating_point() and not bool(state[name].isfinite().all()):
            return f"the parameter {name} has values that are not finite"
    for name in state:
        if name not in own:
            return f"the parameter {name} is unknown"
    return None
