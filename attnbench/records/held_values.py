"""Values that a factory made by a call holds: arguments of a partial, closures, attributes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_DEEPEST = 4


def describe_held_values(target: object) -> str:
    """Return the values that a target holds as text, empty for an ordinary class or function."""
    return "\n".join(f"{name}={_describe(value, 0)}" for name, value in _held(target))


def _held(target: object) -> Iterator[tuple[str, object]]:
    """Yield names and values, in an order that does not depend on the process."""
    if isinstance(target, partial):
        yield from ((str(number), value) for number, value in enumerate(target.args))
        yield from sorted(target.keywords.items())
        yield from _held(target.func)
    elif isinstance(target, FunctionType):
        yield from _closure_of(inspect.unwrap(target))
    elif inspect.ismethod(target):
        yield from _held(target.__self__)
    elif inspect.isclass(target):
        if "<locals>" in target.__qualname__:
            functions = {name: part for name, part in vars(target).items() if callable(part)}
            for name, part in sorted(functions.items()):
                yield from ((f"{name}.{key}", value) for key, value in _closure_of(part))
    elif not isinstance(target, ModuleType):
        yield from sorted(getattr(target, "__dict__", {}).items())


def _closure_of(function: object) -> Iterator[tuple[str, object]]:
    """Yield the free variables of a function, besides the class that it is a method of."""
    if not isinstance(function, FunctionType) or not function.__closure__:
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
        if name == "__class__":
            continue
        try:
            yield name, cell.cell_contents
        except ValueError:  # not bound yet
            continue


def _describe(value: Any, depth: int) -> str:
    """Return plain values and containers of them as text; of all else the name or the type."""
    if isinstance(value, _PLAIN) or depth >= _DEEPEST:
        return repr(value) if isinstance(value, _PLAIN) else type(value).__qualname__
    if isinstance(value, Mapping):
        pairs = [f"{key!r}: {_describe(part, depth + 1)}" for key, part in value.items()]
        return f"{{{', '.join(sorted(pairs))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_describe(part, depth + 1) for part in value)}]"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(_describe(part, depth + 1) for part in value))}}}"
    name = getattr(value, "__qualname__", type(value).__qualname__)
    inner = describe_held_values(value) if callable(value) and depth < _DEEPEST else ""
    return f"{name}({inner})" if inner else str(name)
