"""Tensors of a module: registered, plain attributes, and class attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

_TORCH = ("torch.", "torchvision.")


def held_tensors(module: nn.Module, _seen: frozenset[int] = frozenset()) -> dict[str, Tensor]:
    """Return all tensors of an instance by name: parameters, buffers and plain attributes."""
    if id(module) in _seen:  # a layer may hold a reference to its owner in a list
        return {}
    seen = _seen | {id(part) for part in module.modules()}
    found: dict[str, Tensor] = {}
    for path, part in module.named_modules():
        start = f"{path}." if path else ""
        for holder in (part._parameters, part._buffers, _own(part)):
            for name, value in holder.items():
                found.update(_tensors_in(value, start + name, seen))
    return found


def class_tensors(module: nn.Module) -> dict[str, object]:
    """Return the tensors and layers among the class attributes of a module's parts, by name."""
    found: dict[str, object] = {}
    for kind in {type(part) for part in module.modules()}:
        for base in kind.__mro__:
            if not f"{base.__module__}.".startswith((*_TORCH, "builtins.")):
                for name, value in vars(base).items():
                    found.update(_things_in(value, f"{base.__name__}.{name}"))
    return found


def _own(part: nn.Module) -> dict[str, object]:
    return {name: value for name, value in vars(part).items() if not _is_internal(name)}


def _is_internal(name: str) -> bool:
    return name in ("_parameters", "_buffers", "_modules") or name.endswith("_hooks")


def _tensors_in(value: object, name: str, seen: frozenset[int]) -> Iterator[tuple[str, Tensor]]:
    for inner, thing in _things_in(value, name):
        if isinstance(thing, Tensor):
            yield inner, thing
        elif isinstance(thing, nn.Module):
            yield from (
                (f"{inner}.{key}", tensor) for key, tensor in held_tensors(thing, seen).items()
            )


def _things_in(value: object, name: str) -> Iterator[tuple[str, object]]:
    """Yield tensors and layers of a value, or of a list, tuple or mapping of them, by name."""
    if isinstance(value, Tensor | nn.Module):
        yield name, value
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _things_in(item, f"{name}[{index}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _things_in(item, f"{name}[{key!r}]")
