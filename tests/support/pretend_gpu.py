"""A pretend GPU: tensors that say they are on another device, and compute on the CPU.

`DEVICE` is torch's "meta". Within `PretendGpu` a tensor that is moved there keeps its values, so that whole runs train
on it, and what a real GPU refuses is refused: an operation on tensors of both devices, a numpy array of a tensor that
was not copied back. It also counts what costs time on a real one: launches, and reads that make the host wait.

It is no GPU: kernels, streams, memory and autocast are the CPU's.
"""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import ExitStack
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
aten = torch.ops.aten
# operations whose result depends on values: a GPU's host waits for it
WAITING = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten.is_nonzero}
COPIES = {aten._to_copy, aten.copy_}
# a GPU takes indices that are on the CPU, for tensors of its own
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}


class DeviceError(RuntimeError):
    """What a real GPU refuses: an operation on tensors of two devices."""


class OnDevice(Tensor):
    """A tensor on the pretend GPU; `here` holds its values on the CPU."""

    @staticmethod
    def __new__(cls, here: Tensor) -> OnDevice:
        layout = {"strides": here.stride(), "storage_offset": here.storage_offset()}
        return Tensor._make_wrapper_subclass(cls, here.shape, dtype=here.dtype, device=DEVICE, **layout)

    def __init__(self, here: Tensor) -> None:
        self.here = here

    def __repr__(self, *_: Any, **__: Any) -> str:
        return f"OnDevice({self.here!r})"

    def __deepcopy__(self, memo: dict) -> Tensor:
        copied = OnDevice(self.here.detach().clone())
        return torch.nn.Parameter(copied, self.requires_grad) if isinstance(self, torch.nn.Parameter) else copied

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise DeviceError(f"{func} on a tensor of the pretend GPU, outside of `with PretendGpu()`")


class PretendGpu(TorchDispatchMode):
    """A context in which the pretend GPU is there.

    `launches` counts the operations on its tensors by name, views left out; `waits` those for which the host waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.launches: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self._patches = ExitStack()

    def __enter__(self) -> PretendGpu:
        cpu = torch.autocast  # which does not know the device
        self._patches.enter_context(
            mock.patch.object(torch, "autocast", lambda device, **kw: cpu("cpu" if device == "meta" else device, **kw))
        )
        # `Module.to` would give a parameter the shape and type of another one, and not its values
        self._patches.enter_context(
            mock.patch.object(torch.__future__, "get_overwrite_module_params_on_conversion", lambda: True)
        )
        self._patches.enter_context(warnings.catch_warnings())
        # a state is loaded, whatever torch believes of this device
        warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter")
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._patches.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute on the CPU, and give the result the device that a GPU would give it."""
        kwargs = dict(kwargs or {})
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = [tensor for tensor in given if isinstance(tensor, OnDevice)]
        target = kwargs.get("device")
        target = None if target is None else torch.device(target)
        packet = func.overloadpacket
        self._refuse(func, packet, args, given, there)
        on_device = target == DEVICE if target is not None else bool(there)
        if packet is aten.copy_:
            on_device = isinstance(args[0], OnDevice)
        if target == DEVICE:
            kwargs["device"] = torch.device("cpu")
        self._count(func, packet, args, there, on_device)
        owners = {id(tensor.here): tensor for tensor in there}
        found = func(*tree_map(_here, args), **tree_map(_here, kwargs))
        if not on_device:
            return found
        return tree_map(lambda leaf: _there(leaf, owners), found)

    def _refuse(self, func: Any, packet: Any, args: Any, given: list[Tensor], there: list[OnDevice]) -> None:
        others = [tensor for tensor in given if not isinstance(tensor, OnDevice) and tensor.dim()]
        indices = packet in INDEXED and isinstance(args[0], OnDevice)
        if there and others and packet not in COPIES and not indices:
            raise DeviceError(f"{func}: expected all tensors on one device, got some on the GPU and some on the CPU")

    def _count(self, func: Any, packet: Any, args: Any, there: list[OnDevice], on_device: bool) -> None:
        name = packet.__name__
        masked = packet in INDEXED and any(
            isinstance(leaf, Tensor) and leaf.dtype == torch.bool for leaf in tree_leaves(args[1])
        )
        to_cpu = packet in COPIES and there and not on_device
        if there and (packet in WAITING or masked or to_cpu):
            self.waits[name] += 1
        if (there or on_device) and not getattr(func, "is_view", False):
            self.launches[name] += 1


def _here(leaf: Any) -> Any:
    return leaf.here if isinstance(leaf, OnDevice) else leaf


def _there(leaf: Any, owners: dict[int, OnDevice]) -> Any:
    """An argument that was changed in place is itself; any other tensor is a new one on the device."""
    if not isinstance(leaf, Tensor):
        return leaf
    return owners[id(leaf)] if id(leaf) in owners else OnDevice(leaf)
