"""Backbones by name: those of attnbench, torchvision and timm, and callables of files."""

import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, cast

from torch import nn

from attnbench.errors import MissingExtraError, PluginError, RequestError, suggestion, unknown
from attnbench.registry.backbone_names import BACKBONES, is_own_backbone
from attnbench.registry.plugin_files import missing_class
from attnbench.registry.plugins import catalog, find_target
from attnbench.registry.specs import Spec, parse_spec
from attnbench.utils.process_settings import CONSTRUCTOR, preserve_from_module
from attnbench.utils.text import describe

_DEFAULTS = {"width": 1.0, "num_classes": 1000}
_WIDTH = ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")
_HIDDEN = {"MobileNetV3": ("width_mult", "reduced_tail", "dilated")}
"""Options that torchvision's builders read from their ``**kwargs``, absent from any signature."""

Builder = Callable[..., nn.Module]


def create_backbone(spec: str | Spec, /, **options: Any) -> nn.Module:
    """Return a backbone, in training mode as its library builds it, with random weights.

    Args:
        spec: ``mobilenet_v1,width=0.75``, any torchvision classifier, ``timm:NAME``, or a callable
            that returns a network: ``net.py:build,depth=3``, ``package.module:Net``.
        options: ``width``, ``num_classes``, and options of the library's builder: ``weights=`` of
            torchvision, ``pretrained=`` of timm.

    Raises:
        UnknownNameError: no backbone has this name.
        RequestError: the backbone does not accept an option, or timm is not installed.
        PluginError: a callable cannot be imported, or returns no network.
    """
    spec = (parse_spec(spec, "backbone") if isinstance(spec, str) else spec).with_options(**options)
    builder = _checked_builder(spec)
    try:
        with preserve_from_module(str(spec), CONSTRUCTOR):
            built = builder(**spec.options)
    except Exception as error:
        raise RequestError(f"backbone {spec} cannot be built: {describe(error)}") from error
    if not isinstance(built, nn.Module):
        raise PluginError(
            f"backbone {spec} is no network: got a {type(built).__name__}. Return a nn.Module"
        )
    return built


def canonical_backbone(spec: str | Spec) -> Spec:
    """Return a spec with the defaults dropped (``width=1.0``, ``num_classes=1000``).

    Raises:
        UnknownNameError: no backbone has this name.
        RequestError: the backbone does not accept an option.
    """
    spec = parse_spec(spec, "backbone") if isinstance(spec, str) else spec
    with suppress(MissingExtraError):  # its name stays valid, so that its case can be skipped
        _checked_builder(spec)
    defaults = _own_defaults(spec.name) if is_own_backbone(spec.name) else _DEFAULTS
    given = {k: v for k, v in spec.options.items() if k not in defaults or v != defaults[k]}
    return Spec(spec.name, given)


def with_classes(spec: str, classes: int) -> Spec:
    """Return a spec with ``num_classes``, unless its callable takes no such option."""
    parsed = parse_spec(spec, "backbone")
    if is_own_backbone(parsed.name):
        known = _own_builder(parsed.with_options(num_classes=classes))[1]
        if known is not None and "num_classes" not in known:
            return parsed
    return parsed.with_options(num_classes=classes)


def own_factory(name: str) -> Builder:
    """Return the callable that ``FILE.py:factory`` or ``package.module:attr`` names.

    Raises:
        PluginError: it cannot be imported, or is not callable.
    """
    found = find_target(catalog(), name)
    if not callable(found):
        raise PluginError(
            f"backbone {name} is no function or class: got a {type(found).__name__}. Name one "
            "that returns a network"
        )
    return cast("Builder", found)


def _own_defaults(name: str) -> dict[str, Any]:
    parameters = _parameters(own_factory(name))
    return {key: part.default for key, part in parameters.items() if part.default is not part.empty}


def _own_builder(spec: Spec) -> tuple[Builder, list[str] | None]:
    """Return the callable of a spec and its options; None where it takes any."""
    factory = own_factory(spec.name)
    parameters = _parameters(factory)
    kinds = {part.kind for part in parameters.values()}
    lacking = [
        key
        for key, part in parameters.items()
        if part.default is part.empty
        and part.kind not in (part.VAR_POSITIONAL, part.VAR_KEYWORD)
        and key not in spec.options
    ]
    if lacking:
        needed = spec.with_options(**dict.fromkeys(lacking, "VALUE"))
        raise RequestError(
            f"backbone {spec.name} needs a value for {' and '.join(lacking)}: got {str(spec)!r}. "
            f"Write {needed}"
        )
    return factory, None if inspect.Parameter.VAR_KEYWORD in kinds else [*parameters]


def _parameters(factory: Builder) -> Mapping[str, inspect.Parameter]:
    if getattr(factory, "__init__", None) is nn.Module.__init__:
        return {}  # the signature of nn.Module takes anything, its constructor nothing
    return inspect.signature(factory).parameters


def _checked_builder(spec: Spec) -> Builder:
    """Return the builder of a backbone, after checking its options as far as possible."""
    is_own = is_own_backbone(spec.name)
    builder, known = _own_builder(spec) if is_own else _builder(spec.name)
    for key in spec.options:
        if known is not None and key not in known:
            raise RequestError(
                f"{spec.name} has no option {key!r}; it takes {', '.join(known) or 'none'}."
                f"{suggestion(key, known)}"
            )
    if not is_own:
        _check_numbers(spec.name, spec.options)
    return builder


def _builder(name: str) -> tuple[Builder, list[str] | None]:
    """Return the builder of a name, and the options it accepts; None where they are unknown."""
    if name == "mobilenet_v1":
        from attnbench.models.mobilenet_v1 import MobileNetV1

        return MobileNetV1, list(inspect.signature(MobileNetV1).parameters)
    if name.startswith("timm:"):
        return _timm_builder(name.removeprefix("timm:")), None
    if name.endswith(".py"):
        raise missing_class(name, "backbone")
    return _torchvision_builder(name)


def _torchvision_builder(name: str) -> tuple[Builder, list[str]]:
    from torchvision import models

    from attnbench.registry.attention import elsewhere
    from attnbench.registry.plugins import catalog

    known = models.list_models(module=models)
    if name not in known:
        listed = [backbone.name for backbone in BACKBONES]
        raise unknown(
            "backbone",
            name,
            {*known, *listed},
            listed=listed,
            elsewhere=elsewhere(name, catalog()),
            way_out="Any torchvision classifier or timm:NAME will do.",
        )
    builder: Builder = models.get_model_builder(name)
    options = _torchvision_options(builder)
    if name in _WIDTH:
        return partial(_widened, builder), ["width", *options]
    return builder, options


def _torchvision_options(builder: Builder) -> list[str]:
    """Return the options of a builder: its own parameters and those of the class it returns."""
    signature = inspect.signature(builder)
    returned = signature.return_annotation
    parameters = [*signature.parameters.values(), *inspect.signature(returned).parameters.values()]
    named = [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    return list(dict.fromkeys([*named, *_HIDDEN.get(returned.__name__, ())]))


def _widened(builder: Builder, *, width: float = 1.0, **options: Any) -> nn.Module:
    return builder(**{"width_mult": width, **options})


def _timm_builder(name: str) -> Builder:
    try:
        import timm
    except ImportError:
        raise MissingExtraError(
            f"timm:{name} needs timm. Install it: pip install 'attnbench[timm]'"
        ) from None
    if not timm.is_model(name):
        near = suggestion(name, timm.list_models()).strip()
        raise unknown("timm backbone", name, [], way_out=near)
    return partial(timm.create_model, name)


def _check_numbers(name: str, options: Mapping[str, Any]) -> None:
    width, classes = (options.get(key, default) for key, default in _DEFAULTS.items())
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < math.inf:
        raise RequestError(f"{name}: width must be a number above 0: got {width!r}")
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise RequestError(f"{name}: num_classes must be a whole number above 0: got {classes!r}")
