"""Backbones by name: ours, torchvision's, timm's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from attnbench.backbones.catalogue import BACKBONES
from attnbench.errors import RequestError, suggestion, unknown
from attnbench.registry import describe
from attnbench.specs import Spec, parse_spec

_WIDTH = ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")


def build_backbone(spec: str | Spec, **options: Any) -> nn.Module:
    """Return a backbone, in training mode as its library builds it, with random weights.

    Args:
        spec: ``mobilenet_v1,width=0.75``, any torchvision classifier, or ``timm:NAME``.
        options: more options; ``weights=`` of torchvision and ``pretrained=`` of timm pass through.

    Raises:
        UnknownNameError: no such backbone.
        RequestError: an option that it does not take, or timm is not installed.
    """
    asked = parse_spec(spec, "backbone") if isinstance(spec, str) else spec
    given = {**asked.options, **options}
    if asked.name == "mobilenet_v1":
        from attnbench.backbones.mobilenet_v1 import MobileNetV1

        return _call(asked.name, MobileNetV1, given)
    if asked.name.startswith("timm:"):
        return _from_timm(asked.name.removeprefix("timm:"), given)
    return _from_torchvision(asked.name, given)


def canonical_backbone(spec: str | Spec) -> Spec:
    """Return a spec with the defaults dropped (``width=1.0``, ``num_classes=1000``)."""
    asked = parse_spec(spec, "backbone") if isinstance(spec, str) else spec
    defaults = {"width": 1.0, "num_classes": 1000}
    given = {k: v for k, v in asked.options.items() if k not in defaults or v != defaults[k]}
    return Spec(asked.name, given)


def _from_torchvision(name: str, options: dict[str, Any]) -> nn.Module:
    from torchvision import models

    known = set(models.list_models(module=models))
    if name not in known:
        raise unknown(
            "backbone",
            name,
            known | {one.name for one in BACKBONES},
            listed=[one.name for one in BACKBONES],
            elsewhere=_elsewhere(name),
            way_out="Any torchvision classifier or timm:NAME will do.",
        )
    if name in _WIDTH and "width" in options:
        options = {**options, "width_mult": options["width"]}
        del options["width"]
    return _call(name, models.get_model_builder(name), options)


def _from_timm(name: str, options: dict[str, Any]) -> nn.Module:
    try:
        import timm
    except ImportError:
        raise RequestError(
            f"timm:{name} needs timm; install it with: pip install 'attnbench[timm]'"
        ) from None
    if not timm.is_model(name):
        raise unknown(
            "timm backbone", name, [], way_out=suggestion(name, timm.list_models()).strip()
        )
    return _call(f"timm:{name}", lambda **given: timm.create_model(name, **given), options)


def _call(name: str, builder: Callable[..., nn.Module], options: dict[str, Any]) -> nn.Module:
    _refuse_unknown(name, builder, options)
    try:
        return builder(**options)
    except Exception as error:
        raise RequestError(
            f"backbone {Spec(name, options)} cannot be built: {describe(error)}"
        ) from error


def _refuse_unknown(name: str, builder: Callable[..., Any], options: dict[str, Any]) -> None:
    parameters = inspect.signature(builder).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return
    for key in options:
        if key not in parameters:
            raise RequestError(
                f"{name} has no option {key!r}; it takes {', '.join(parameters)}."
                f"{suggestion(key, parameters)}"
            )


def _elsewhere(name: str) -> str:
    from attnbench.plugins import catalog

    if name in catalog().modules:
        return f"module: write -m {name}"
    return f"suite: attnbench run {name}" if name in catalog().suites else ""
