"""Registry of runtimes by name. Listing them imports neither torch nor any runtime."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

from attnbench.errors import PluginError
from attnbench.registry.registry import Entry, Registry
from attnbench.runtimes.runtime import Runtime, versions
from attnbench.utils.text import describe, origin_of

GROUP = "attnbench.runtimes"
"""Entry point group of third parties: ``name = "package.module:Class"``."""
_SHIPPED = {
    "eager": "attnbench.runtimes.eager:Eager",
    "eager-channels-last": "attnbench.runtimes.eager:EagerChannelsLast",
    "compile": "attnbench.runtimes.torch_compile:Compiled",
    "onnxruntime": "attnbench.runtimes.onnx_runtime:OnnxRuntime",
    "openvino": "attnbench.runtimes.open_vino:OpenVino",
    "executorch": "attnbench.runtimes.executorch_xnnpack:ExecuTorch",
}
_NEEDED = ("name", "title", "precisions", "devices", "packages", "missing", "build")

C = TypeVar("C", bound=type)


def runtimes() -> list[str]:
    """Return the names of all runtimes: the shipped ones in a fixed order, then the others."""
    return list(_registry().entries())


def runtime(name: str) -> Runtime:
    """Return a runtime, whether or not it can be used here (see its ``missing()``).

    Raises:
        UnknownNameError: no such runtime; near misses are suggested.
        PluginError: a runtime of a third party cannot be loaded or lacks an attribute.
    """
    found = _registry().get(name, way_out="attnbench list runtimes shows which are installed.")
    return found()


def register_runtime(name: str, target: str | type[Any] | None = None) -> Callable[[C], C]:
    """Register a runtime: ``register_runtime("mine", "package.module:Class")``, or a decorator.

    Args:
        name: its name for ``--runtime``.
        target: a class that implements :class:`Runtime` and takes no arguments, or its location;
            omitted if this is used as a decorator.

    Raises:
        PluginError: the class lacks an attribute.
        DuplicateNameError: the name is taken.
    """

    def decorate(cls: C) -> C:
        register_runtime(name, cls)
        return cls

    if target is not None:
        origin = target if isinstance(target, str) else origin_of(target)
        _registry().add(Entry(name=name, target=target, origin=origin))
    return decorate


def describe_runtime(name: str) -> dict[str, Any]:
    """Return the row of a listing: title, precisions, devices, extra, versions, reason if missing.

    The row of a runtime that cannot be loaded has only a name, an origin and the reason.
    """
    origin = _registry().entry(name).origin
    try:
        found = runtime(name)
        missing = found.missing()
    except PluginError as error:
        return {"name": name, "origin": origin, "available": False, "missing": str(error)}
    return {
        "name": name,
        "title": found.title,
        "precisions": list(found.precisions),
        "devices": list(found.devices),
        "extra": found.extra,
        "available": missing is None,
        "missing": missing,
        "versions": versions(found),
        "origin": origin,
    }


@cache
def _registry() -> Registry[type[Runtime]]:
    registry: Registry[type[Runtime]] = Registry("runtime", _validate)
    for name, target in _SHIPPED.items():
        registry.add(Entry(name=name, target=target, origin="attnbench"))
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        origin = f"{point.dist.name if point.dist else '?'} ({point.value})"
        registry.add(Entry(name=point.name, target=point.value, origin=origin))
    return registry


def _validate(entry: Entry[type[Runtime]], target: Any) -> None:
    what = f"runtime {entry.name!r} of {entry.origin}"
    lacking = [attribute for attribute in _NEEDED if not hasattr(target, attribute)]
    if lacking:
        raise PluginError(f"{what} lacks {', '.join(lacking)}")
    if not isinstance(target, type):
        raise PluginError(f"{what} is not a class")
    try:
        target()
    except Exception as error:
        raise PluginError(f"{what} cannot be created: {describe(error)}") from error
