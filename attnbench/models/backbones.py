"""Backbones by name: ours, torchvision's, timm's."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from torch import nn

from attnbench.errors import MissingExtraError, RequestError, suggestion, unknown
from attnbench.registry.backbone_names import BACKBONES
from attnbench.registry.specs import Spec, parse_spec
from attnbench.utils.text import describe

_DEFAULTS = {"width": 1.0, "num_classes": 1000}
_WIDTH = ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")
_HIDDEN = {"MobileNetV3": ("width_mult", "reduced_tail", "dilated")}
"""What torchvision's builders read from their ``**kwargs``, not named in any signature."""

Builder = Callable[..., nn.Module]


def build_backbone(spec: str | Spec, **options: Any) -> nn.Module:
    """Return a backbone, in training mode as its library builds it, with random weights.

    Args:
        spec: ``mobilenet_v1,width=0.75``, any torchvision classifier, or ``timm:NAME``.
        options: more options; ``weights=`` of torchvision and ``pretrained=`` of timm pass through.

    Raises:
        UnknownNameError: no such backbone.
        RequestError: an option that it does not take, or timm is not installed.
    """
    asked = (parse_spec(spec, "backbone") if isinstance(spec, str) else spec).given(**options)
    builder = _checked_builder(asked)
    try:
        return builder(**asked.options)
    except Exception as error:
        raise RequestError(f"backbone {asked} cannot be built: {describe(error)}") from error


def canonical_backbone(spec: str | Spec) -> Spec:
    """Return a spec with the defaults dropped (``width=1.0``, ``num_classes=1000``).

    Raises:
        UnknownNameError: no such backbone.
        RequestError: an option that it does not take.
    """
    asked = parse_spec(spec, "backbone") if isinstance(spec, str) else spec
    with suppress(MissingExtraError):  # it still has a name, under which it is skipped
        _checked_builder(asked)
    given = {k: v for k, v in asked.options.items() if k not in _DEFAULTS or v != _DEFAULTS[k]}
    return Spec(asked.name, given)


def _checked_builder(asked: Spec) -> Builder:
    """Return what builds a backbone, its options checked as far as that can be told before."""
    builder, known = _builder(asked.name)
    for key in asked.options if known else ():
        if key not in known:
            raise RequestError(
                f"{asked.name} has no option {key!r}; it takes {', '.join(known)}."
                f"{suggestion(key, known)}"
            )
    _check_numbers(asked.name, asked.options)
    return builder


def _builder(name: str) -> tuple[Builder, list[str]]:
    """Return the builder of a name, and the options it takes; empty where that is not known."""
    if name == "mobilenet_v1":
        from attnbench.models.mobilenet_v1 import MobileNetV1

        return MobileNetV1, list(inspect.signature(MobileNetV1).parameters)
    if name.startswith("timm:"):
        return _timm_builder(name.removeprefix("timm:")), []
    return _torchvision_builder(name)


def _torchvision_builder(name: str) -> tuple[Builder, list[str]]:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise unknown(
            "backbone",
            name,
            {*known, *(one.name for one in BACKBONES)},
            listed=[one.name for one in BACKBONES],
            elsewhere=_elsewhere(name),
            way_out="Any torchvision classifier or timm:NAME will do.",
        )
    builder: Builder = models.get_model_builder(name)
    options = _torchvision_options(builder)
    if name in _WIDTH:
        return partial(_widened, builder), ["width", *options]
    return builder, options


def _torchvision_options(builder: Builder) -> list[str]:
    """Names of what a builder takes: its own parameters and those of the class it returns."""
    signature = inspect.signature(builder)
    returned = signature.return_annotation
    parameters = [*signature.parameters.values(), *inspect.signature(returned).parameters.values()]
    named = [one.name for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD]
    return list(dict.fromkeys([*named, *_HIDDEN.get(returned.__name__, ())]))


def _widened(builder: Builder, *, width: float = 1.0, **options: Any) -> nn.Module:
    return builder(**{"width_mult": width, **options})


def _timm_builder(name: str) -> Builder:
    try:
        import timm
    except ImportError:
        raise MissingExtraError(
            f"timm:{name} needs timm; install it with: pip install 'attnbench[timm]'"
        ) from None
    if not timm.is_model(name):
        raise unknown(
            "timm backbone", name, [], way_out=suggestion(name, timm.list_models()).strip()
        )
    return partial(timm.create_model, name)


def _check_numbers(name: str, options: Mapping[str, Any]) -> None:
    width, classes = (options.get(key, default) for key, default in _DEFAULTS.items())
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < math.inf:
        raise RequestError(f"{name}: width must be a number above 0, not {width!r}")
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise RequestError(f"{name}: num_classes must be a whole number above 0, not {classes!r}")


def _elsewhere(name: str) -> str:
    from attnbench.registry.plugins import catalog

    if name in catalog().modules:
        return f"module: write -m {name}"
    return f"suite: attnbench run {name}" if name in catalog().suites else ""
