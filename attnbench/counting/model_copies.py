"""Copies of a model: with shapes only (no weight is copied), or with weights on the CPU."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

_ATOMS = frozenset({int, float, str, bool, type(None)})
_FLAT = (tuple, list, set)
_DICTS = (dict, OrderedDict)


def shape_copy(model: nn.Module) -> nn.Module:
    """Return a copy in eval mode whose parameters and buffers are on the meta device.

    dtype, strides, ``requires_grad``, sharing and every other attribute are kept. The copy holds
    no weights, so it needs neither memory nor time for them.
    """
    memo: dict[int, Any] = {}
    with torch.no_grad():
        for tensor in _tensors(model):
            if id(tensor) not in memo:
                memo[id(tensor)] = _shape_of(tensor)
    modules = list(model.modules())
    if all(_is_plain(type(module)) for module in modules):
        return _unhooked(_copy_modules(modules, memo)).eval()
    return _unhooked(copy.deepcopy(model, memo)).eval()


def real_copy(model: nn.Module) -> nn.Module:
    """Return a deep copy with its weights, on the CPU, in eval mode."""
    lazy = {id(tensor): _shape_of(tensor, "cpu") for tensor in _tensors(model) if is_lazy(tensor)}
    return _unhooked(copy.deepcopy(model, lazy).cpu()).eval()


def _unhooked(model: nn.Module) -> nn.Module:
    """Remove the user's hooks from a copy: they would run on it and keep tensors without values.

    torch's own hooks stay: some of them compute the weights (``spectral_norm``).
    """
    for module in model.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if not _is_torchs(hook)]:
                del hooks[key]
    return model


def _is_torchs(hook: Any) -> bool:
    owner = getattr(hook, "__module__", None) or type(hook).__module__
    return str(owner).partition(".")[0] == "torch"


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    """Yield parameters, buffers and tensors that are plain attributes, possibly repeatedly."""
    for module in model.modules():
        state = vars(module)
        for holder in (module._parameters, module._buffers, state):
            for value in holder.values():
                if isinstance(value, Tensor):
                    yield value


def _shape_of(tensor: Tensor, device: str = "meta") -> Tensor:
    if is_lazy(tensor):  # it has no size yet, and no buffer of this kind can be deep-copied
        empty: Any = type(tensor)
        grad = {"requires_grad": tensor.requires_grad} if isinstance(tensor, nn.Parameter) else {}
        fresh: Tensor = empty(**grad, device=device, dtype=tensor.dtype)
        return fresh
    if tensor.is_meta:
        return tensor  # it holds nothing that the copy could change
    shape = torch.empty_like(tensor, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(shape, tensor.requires_grad)
    return shape.requires_grad_(tensor.requires_grad and tensor.is_leaf)


def _is_plain(kind: type[nn.Module]) -> bool:
    """Return whether instances can be copied by their ``__dict__``, as nn.Module does."""
    return (
        not hasattr(kind, "__deepcopy__")
        and kind.__getstate__ is nn.Module.__getstate__
        and kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and kind.__new__ is object.__new__
    )


def _copy_modules(modules: list[nn.Module], memo: dict[int, Any]) -> nn.Module:
    """Deep-copy plain modules, several times faster than `copy.deepcopy` does.

    All shells are created before any is filled, so that the memo has the copy of every module to
    which an attribute (a bound method, a list of layers) refers.
    """
    shells = [module.__class__.__new__(module.__class__) for module in modules]
    memo.update((id(module), shell) for module, shell in zip(modules, shells, strict=True))
    for module, shell in zip(modules, shells, strict=True):
        state = shell.__dict__
        for name, value in module.__dict__.items():
            state[name] = _copy_value(value, memo)
        state.pop("_compiled_call_impl", None)  # as nn.Module.__getstate__ does
    return shells[0]


def _copy_value(value: Any, memo: dict[int, Any]) -> Any:
    """Deep-copy one attribute; objects that several modules share stay shared (by the memo)."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    shared = memo.get(id(value))
    if shared is not None:
        return shared
    if kind in _DICTS:
        copied = memo[id(value)] = kind()
        copied.update((key, _copy_value(part, memo)) for key, part in value.items())
        return copied
    if kind in _FLAT and all(type(part) in _ATOMS for part in value):
        copied = memo[id(value)] = kind(value)
        return copied
    return copy.deepcopy(value, memo)
