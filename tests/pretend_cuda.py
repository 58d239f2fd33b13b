"""A CUDA device for hosts without one: tensors that say they are on it, and refuse whatever CUDA's would refuse.

Their values lie on the CPU, so all that is computed is right; what is found out is whether every tensor is on the
device that it should be on. Refused are operations on tensors of both devices, numpy arrays of tensors on the device,
random numbers for the device from a generator of the CPU, and our own compiled kernels for the CPU.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

CUDA = torch.device("cuda", 0)
# What torch's own machinery, which has no CUDA here, believes of the tensors.
_BELIEVED = torch.device("meta")

# Operations that take tensors of both devices, and those that take none of the CPU, not even single numbers.
_ACROSS = {"copy_", "_to_copy", "index", "index_put", "index_put_", "_index_put_impl_", "lift_fresh", "set_"}
_NEVER = {"cat", "stack", "mm", "bmm", "addmm", "convolution", "gather", "scatter"}

# How often the host has had to wait for the device, by operation.
waits = Counter[str]()


class OnCuda(torch.Tensor):
    """A tensor whose `device` is CUDA and whose values are those of `inner`, on the CPU."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "OnCuda":
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=_BELIEVED,
        )
        tensor.inner = inner
        return tensor

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnCuda({self.inner!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        copied = OnCuda(self.inner.detach().clone()).requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            copied = torch.nn.Parameter(copied, self.requires_grad)
        memo[id(self)] = copied
        return copied

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """`func` on the values, its results on the device that CUDA's would be on."""
    tensors: list[torch.Tensor] = []
    tree_map(lambda leaf: tensors.append(leaf) if isinstance(leaf, torch.Tensor) else None, (args, kwargs))
    name = func._schema.name.partition("::")[2]
    there = [tensor for tensor in tensors if isinstance(tensor, OnCuda)]
    here = [tensor for tensor in tensors if not isinstance(tensor, OnCuda)]
    asked = kwargs.get("device")
    if there and name not in _ACROSS and any(tensor.ndim or name in _NEVER for tensor in here):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found cuda:0 and cpu")
    if here and there and name.startswith("index") and here[0] is args[0]:
        raise RuntimeError(f"{name}: the tensor is on the cpu, its indices or what is put into it on cuda:0")
    on_cuda = _is_cuda(asked) if asked is not None else bool(there)
    if on_cuda and isinstance(kwargs.get("generator"), torch.Generator):
        raise RuntimeError(f"{name}: expected a generator on cuda:0, but found one on the cpu")
    if _waits(name, args, bool(there), on_cuda):
        waits[name] += 1
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    result = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if func._schema.is_mutable and name.endswith("_") and isinstance(args[0], torch.Tensor):
        return args[0]
    return tree_map(lambda leaf: OnCuda(leaf) if on_cuda and isinstance(leaf, torch.Tensor) else leaf, result)


def _waits(name: str, args: Any, there: bool, on_cuda: bool) -> bool:
    """Whether the host goes on only when the device has: it needs a value, or copies from or to memory that is not
    pinned. `there`: whether a tensor on the device takes part; `on_cuda`: whether the result is there."""
    if name == "_to_copy":
        return there != on_cuda
    if name == "copy_":
        return isinstance(args[0], OnCuda) != isinstance(args[1], OnCuda)
    if not there:
        return False
    if name in ("index", "index_put", "index_put_"):
        return any(isinstance(part, torch.Tensor) and part.dtype == torch.bool for part in args[1])
    return name in ("_local_scalar_dense", "nonzero", "masked_select", "equal")


def _inner(leaf: Any) -> Any:
    return leaf.inner if isinstance(leaf, OnCuda) else leaf


def _is_cuda(device: Any) -> bool:
    return torch.device(device).type in ("cuda", "meta")


class _Dispatch(TorchDispatchMode):
    """Operations that take no tensor, or one of the CPU alone."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


_FROM_DATA = {torch.tensor, torch.as_tensor, torch.asarray}


class _Function(TorchFunctionMode):
    """Keeps the name of the device from torch itself, which would look for a driver."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.device:
            return func(*args, **kwargs)
        if func is torch.Tensor.new_tensor:
            own, data, *rest = args
            device = kwargs.pop("device", own.device)
            made = torch.tensor(data, *rest, **{"dtype": own.dtype, **kwargs})
            return made.to(_believed(device))
        if func in _FROM_DATA and _is_named(kwargs.get("device")):
            device = kwargs.pop("device")
            learns = kwargs.pop("requires_grad", False)
            made = func(*args, **kwargs).to(_believed(device))
            return made.requires_grad_() if learns else made
        if (
            func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
            and isinstance(args[0], OnCuda)
            and _has_list(args[1])
        ):
            raise RuntimeError("a list is no index here: each time it is copied to the device, and the host waits")
        if func is torch.Tensor.tolist and isinstance(args[0], OnCuda):
            return args[0].detach().cpu().tolist()
        if func in (torch.Tensor.numpy, torch.Tensor.__array__) and isinstance(args[0], OnCuda):
            raise TypeError("can't convert cuda:0 device type tensor to numpy: copy it to the CPU first")
        args, kwargs = tree_map(_believed, args), tree_map(_believed, kwargs)
        return func(*args, **kwargs)


def _has_list(index: Any) -> bool:
    return any(isinstance(part, list) for part in (index if isinstance(index, tuple) else (index,)))


def _is_named(leaf: Any) -> bool:
    return isinstance(leaf, str | torch.device) and str(leaf).partition(":")[0] == "cuda"


def _believed(leaf: Any) -> Any:
    return _BELIEVED if _is_named(leaf) else leaf


@contextmanager
def pretended() -> Iterator[None]:
    """Within, `torch.cuda.is_available()`, and tensors may be on "cuda"."""
    with (
        patch("torch.cuda.is_available", lambda: True),
        patch("torch.cuda.synchronize", lambda *_: None),
        patch("torch.cuda.reset_peak_memory_stats", lambda *_: None),
        patch("torch.cuda.max_memory_allocated", lambda *_: 2**20),
        patch("torch.cuda.memory_allocated", lambda *_: 2**20),
        # Which decomposes operations before they come here.
        patch("torch.inference_mode", torch.no_grad),
        # Which asks the stream whether it is being recorded.
        patch("torch.optim.Optimizer._accelerator_graph_capture_health_check", lambda self: None),
        patch("torch.cuda.get_device_name", lambda *_: "a pretended device"),
        _Dispatch(),
        _Function(),
    ):
        waits.clear()
        yield


def there_and_back(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function for the CPU as one for CUDA, through which gradients flow as through it; the host does not wait.

    Refuses tensors on the CPU; tensors may lie in tuples and dataclasses.
    """

    def computed(*arguments: Any, **options: Any) -> Any:
        given = [_moved(argument, "cpu") for argument in arguments]
        return _moved(function(*given, **{key: _moved(option, "cpu") for key, option in options.items()}), "cuda")

    return computed


class _Move(torch.autograd.Function):
    """A tensor on the other device, by no operation that would be counted."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.inner.clone() if isinstance(tensor, OnCuda) else OnCuda(tensor.clone())

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return _Move.forward(ctx, upstream)


def _moved(value: Any, device: str) -> Any:
    if isinstance(value, torch.Tensor):
        if (device == "cpu") != isinstance(value, OnCuda):
            raise RuntimeError(f"expected a tensor on cuda:0, but found one on {value.device}")
        moved: torch.Tensor = _Move.apply(value)
        return moved
    if isinstance(value, tuple):
        return tuple(_moved(part, device) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _moved(getattr(value, field.name), device) for field in fields(value)})
    return value
