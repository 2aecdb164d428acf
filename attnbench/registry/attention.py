"""Requested attention modules: looked up, with validated options, ready to be built."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from attnbench.cards import Card
from attnbench.errors import PluginError, RequestError, suggestion
from attnbench.registry.backbone_names import is_backbone
from attnbench.registry.module_families import find_member, prefix_of
from attnbench.registry.plugins import Catalog, find_target
from attnbench.registry.plugins import catalog as default_catalog
from attnbench.registry.registry import Entry
from attnbench.registry.specs import Spec, parse_spec, value_text
from attnbench.registry.validation import (
    ModuleFactory,
    Signature,
    card_of,
    documented_formula,
    signature_of,
    validate_module,
)
from attnbench.utils.text import describe, origin_of

if TYPE_CHECKING:
    from torch import nn


BLEND = inspect.Parameter("blend", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)
"""The reserved option of every module that does not define an option of this name itself."""


@dataclass(frozen=True)
class Attention:
    """A requested module with validated options."""

    name: str
    factory: ModuleFactory
    options: Mapping[str, Any]
    """Every option of the factory, defaults filled in."""
    spec: Spec
    """The canonical spec: defaults dropped."""
    signature: Signature
    card: Card | None = None
    origin: str = field(default="", compare=False)
    packages: tuple[str, ...] = ()
    """Distributions, besides attnbench and torch, whose versions determine the built module."""
    blend: bool = False
    """Initialization as the identity, within a :class:`~attnbench.registry.blend.Blend`."""

    @property
    def title(self) -> str:
        """Return the title of the card; without a card, the name."""
        return self.card.title if self.card else self.name

    @property
    def formula(self) -> str:
        """Return the card's formula, by default that of the docstring; empty without a card."""
        return self.card.formula or documented_formula(self.factory) if self.card else ""

    def with_options(self, **options: Any) -> Attention:
        """Return the same module with more options, which take precedence.

        Raises:
            RequestError: the module does not take an option, or its type is wrong.
        """
        found = attention_of(self.factory, self.spec.with_options(**options), self.origin)
        return replace(found, packages=self.packages)

    def params(self, channels: int, feature_size: tuple[int, int] | None = None) -> int | None:
        """Return the parameters by the card's formula, blend included; None without a formula."""
        if self.card is None or self.card.params is None:
            return None
        size = self._size(feature_size)
        return self.card.params(channels, **size, **self.options) + self.blend

    def _size(self, feature_size: tuple[int, int] | None) -> dict[str, Any]:
        return {"feature_size": feature_size} if self.signature.takes_feature_size else {}

    def check(self, channels: int, feature_size: tuple[int, int] | None = None) -> None:
        """Raise :class:`RequestError` if the declared constraints forbid this site."""
        if self.card is None:
            return
        try:
            violated = self.card.violated(channels, feature_size, self.options)
        except Exception as error:
            raise PluginError(
                f"{self.name} ({self.origin}): a constraint on its card fails for {channels} "
                f"channels: {describe(error)}"
            ) from error
        if violated:
            size = f" at {feature_size[0]}x{feature_size[1]}" if feature_size else ""
            raise RequestError(f"{self.spec} cannot work on {channels} channels{size}: {violated}")

    def build(self, channels: int, feature_size: tuple[int, int] | None = None) -> nn.Module:
        """Return a fresh instance for (B, channels, h, w) maps.

        Raises:
            RequestError: a constraint is violated, or the constructor fails.
        """
        self.check(channels, feature_size)
        size = self._size(feature_size)
        try:
            built = self.factory(channels, **self.options, **size)
        except Exception as error:
            raise RequestError(
                f"{self.spec} cannot be built for {channels} channels: {describe(error)}"
            ) from error
        from torch import nn

        from attnbench.registry.blend import Blend

        if not isinstance(built, nn.Module):
            raise PluginError(
                f"{self.name} ({self.origin}) must return a nn.Module: got a {type(built).__name__}"
            )
        return Blend(built) if self.blend else built


def find_attention(spec: str | Spec, catalog: Catalog | None = None) -> Attention:
    """Look up ``ulsam,groups=4``, ``timm:eca``, ``my.py:MyAttention`` or ``package.module:Class``.

    Registered modules are cached in the catalog until a plugin changes it; the last two forms are
    not, since they depend on the current folder and on the imported modules.

    Raises:
        UnknownNameError: there is no such module; the error suggests similar names.
        MissingExtraError: the package of the module is not installed.
        RequestError: the module does not take an option, or its type is wrong.
    """
    catalog = catalog or default_catalog()
    if not isinstance(spec, str):
        return _find(spec, catalog)
    key = spec, catalog.revision
    cached: Attention | None = catalog.attentions.get(key)
    if cached is not None and cached.card is card_of(cached.factory):
        return cached
    parsed = parse_spec(spec, "module")
    found = _find(parsed, catalog)
    if parsed.name in catalog.modules or prefix_of(parsed.name) in catalog.module_families:
        catalog.attentions[key] = found
    return found


def create_module(
    name: str, channels: int, /, *, feature_size: tuple[int, int] | None = None, **options: Any
) -> nn.Module:
    """Return an attention module for (B, channels, h, w) maps.

    Args:
        name: registered name or spec (``"ulsam,groups=4"``), or ``"my.py:MyAttention"``.
        channels: number of channels of its input and output.
        feature_size: (h, w) of the feature map, where the module needs it.
        options: options of the module.

    Raises:
        UnknownNameError: no module has this name.
        RequestError: the module does not accept these options or this number of channels.
    """
    return find_attention(parse_spec(name, "module").with_options(**options)).build(
        channels, feature_size
    )


def _find(spec: Spec, catalog: Catalog) -> Attention:
    member = find_member(catalog.module_families, spec.name)
    if member is not None:
        factory, origin, packages = member
        return replace(attention_of(factory, spec, origin), packages=packages)
    if ":" in spec.name and not is_backbone(spec.name):
        return _unregistered(find_target(catalog, spec.name), spec.name, spec)
    target = catalog.modules.get(
        spec.name,
        elsewhere=elsewhere(spec.name, catalog),
        way_out="Or plug one in: --plugin FILE, or -m FILE.py:Class.",
    )
    return attention_of(target, spec, catalog.modules.entry(spec.name).origin)


def _unregistered(factory: ModuleFactory, name: str, spec: Spec) -> Attention:
    origin = origin_of(factory)
    validate_module(Entry(name=name, target=factory, origin=origin), factory)
    return attention_of(factory, spec, origin)


def attention_of(factory: ModuleFactory, requested: Spec, origin: str = "") -> Attention:
    """Check the options of a factory and return it as an :class:`Attention`.

    Raises:
        RequestError: an unknown option, or a value of the wrong type.
    """
    signature = signature_of(factory)
    options = _checked_options(requested, signature)
    blend = BLEND.name not in signature.options and bool(options.pop(BLEND.name, False))
    given = {key: value for key, value in options.items() if not _is_default(key, value, signature)}
    return Attention(
        name=requested.name,
        factory=factory,
        options=options,
        spec=Spec(requested.name, given | {BLEND.name: True} if blend else given),
        signature=signature,
        card=card_of(factory),
        origin=origin or origin_of(factory),
        blend=blend,
    )


def from_callable(factory: Callable[..., nn.Module], options: Mapping[str, Any]) -> Attention:
    """Return a class or ``channels -> nn.Module`` function, registered nowhere, as an Attention.

    Raises:
        PluginError: the callable violates the module contract.
    """
    name = getattr(factory, "__name__", type(factory).__name__)
    return _unregistered(factory, f":{name}", Spec(name, options))


def _checked_options(requested: Spec, signature: Signature) -> dict[str, Any]:
    """Return all options of a factory, defaults filled in, and ``blend`` if it is the reserved."""
    known = {BLEND.name: BLEND, **signature.options}
    options = {name: parameter.default for name, parameter in signature.options.items()}
    for key, value in requested.options.items():
        parameter = known.get(key)
        if parameter is None and not signature.takes_any:
            takes = ", ".join(
                f"{name}={value_text(option.default)}" for name, option in signature.options.items()
            )
            raise RequestError(
                f"{requested.name} has no option {key!r}; it takes {takes or 'none'}."
                f"{suggestion(key, [*signature.options, BLEND.name])}"
            )
        options[key] = value if parameter is None else _checked(requested.name, parameter, value)
    return options


def _checked(name: str, parameter: inspect.Parameter, value: Any) -> Any:
    if isinstance(parameter.annotation, str) or parameter.annotation is inspect.Parameter.empty:
        return value  # no annotation, or one that only a type checker can resolve
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(
            parameter.annotation, config=ConfigDict(arbitrary_types_allowed=True)
        )
    except Exception:
        return value  # unsupported by pydantic: the constructor validates the value
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        # a text option may have a value parsed as a number or as None: scale=none
        with suppress(ValidationError):
            return adapter.validate_python(value_text(value), strict=True)
        why = error.errors()[0]["msg"].removeprefix("Input ")
        raise RequestError(
            f"{name}: option {parameter.name} {why}, not {reprlib.repr(value)} "
            f"(default {value_text(parameter.default)})"
        ) from error


def _is_default(key: str, value: Any, signature: Signature) -> bool:
    parameter = signature.options.get(key)
    if parameter is None or type(parameter.default) is not type(value):
        return False
    return value is parameter.default or value_text(value) == value_text(parameter.default)


def elsewhere(name: str, catalog: Catalog) -> str:
    """Return the kind that has an unknown name, with its use; empty if none has."""
    if name in catalog.modules:
        return f"module: write -m {name}"
    if is_backbone(name):
        return f"backbone: write -b {name}"
    if name in catalog.suites:
        return f"suite: attnbench run {name}"
    return ""
