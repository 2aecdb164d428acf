"""timm's attention layers as modules, ``timm:NAME``: timm's own code as it is installed, not ours.

``timm.layers.get_attn`` says which layers there are; :data:`attnbench_modules.timm_table.LAYERS`
says what is known of each. Options are those of the layer's own signature, less what a spec cannot
write (classes, devices) and what would change the shape. Imports neither torch nor timm before a
layer is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from importlib.metadata import version
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from attnbench.errors import MissingExtraError, PluginError
from attnbench.registry.signatures import ModuleFactory
from attnbench_modules.timm_table import DESCRIPTIONS, LAYERS, Layer

if TYPE_CHECKING:
    from torch import nn

_WRITABLE = (bool, int, float, str)
_NEVER = ("device", "dtype", "stride", "dim_out", "out_channels")
"""Left out everywhere: tensors are moved afterwards, and a module keeps the shape."""
_SIZE = "feat_size"


class TimmLayers:
    """The family ``timm:``."""

    packages: Sequence[str] = ("timm",)

    def names(self) -> list[str]:
        """Return the names that ``get_attn`` knows, in its order."""
        return list(LAYERS)

    def get(self, name: str) -> ModuleFactory:
        """Return ``factory(channels, *, feature_size=None, **options)`` of a layer.

        ``feature_size`` is there only where the layer takes one.

        Raises:
            MissingExtraError: timm is not installed.
            PluginError: the installed timm has no such layer.
        """
        return _factory(name)


TIMM = TimmLayers()


@cache
def _factory(name: str) -> ModuleFactory:
    target = _layer(name)
    own, fixed = (target.func, target.keywords) if isinstance(target, partial) else (target, {})
    layer = LAYERS[name]
    parameters = list(inspect.signature(own, eval_str=True).parameters.values())[1:]
    options = _options(parameters, layer, fixed)
    sized = any(one.name == _SIZE for one in parameters)

    def build(channels: int, **given: Any) -> nn.Module:
        if sized:
            given[_SIZE] = given.pop("feature_size", None)
        built: nn.Module = target(channels, **given)
        return built

    factory: Any = build
    factory.__name__ = factory.__qualname__ = own.__name__
    factory.__signature__ = _signature(options, sized)
    factory.origin = f"timm {version('timm')} ({own.__module__}:{own.__qualname__})"
    described = {**DESCRIPTIONS, **layer.card.options}
    factory.card = replace(
        layer.card, options={key: described[key] for key in options if key in described}
    )
    return build


def _layer(name: str) -> Any:
    try:
        get_attn: Any = import_module("timm.layers").get_attn
    except ImportError:
        raise MissingExtraError(
            f"timm:{name} needs timm; install it with: pip install 'attnbench[timm]'"
        ) from None
    try:
        found = get_attn(name)
    except AssertionError:
        found = None
    if found is None:
        raise PluginError(
            f"timm {version('timm')} has no attention layer {name!r}; a newer timm has: "
            "pip install -U timm"
        )
    return found


def _options(
    parameters: Sequence[inspect.Parameter], layer: Layer, fixed: Mapping[str, Any]
) -> dict[str, inspect.Parameter]:
    hidden = {*_NEVER, _SIZE, *layer.left_out, *fixed}
    found = {}
    for one in parameters:
        if one.kind is inspect.Parameter.VAR_KEYWORD or one.name in hidden:
            continue
        annotation = layer.types.get(one.name) or _writable(one)
        if annotation is not None:
            found[one.name] = one.replace(
                kind=inspect.Parameter.KEYWORD_ONLY, annotation=annotation
            )
    return found


def _signature(options: Mapping[str, inspect.Parameter], sized: bool) -> inspect.Signature:
    first = inspect.Parameter("channels", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=int)
    size = inspect.Parameter(
        "feature_size",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=tuple[int, int] | None,
    )
    return inspect.Signature([first, *([size] if sized else []), *options.values()])


def _writable(parameter: inspect.Parameter) -> Any:
    """Return the part of a parameter's type that a spec can write, None where there is none."""
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        kind = type(parameter.default)
        return kind if kind in _WRITABLE else None
    members = get_args(annotation) if _is_union(annotation) else (annotation,)
    kept = [one for one in members if one in _WRITABLE]
    if not kept:
        return None
    return Union[tuple(kept + [one for one in members if one is NoneType])]  # noqa: UP007


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)
