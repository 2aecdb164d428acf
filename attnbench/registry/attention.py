"""Requested attention modules: looked up, with validated options, ready to be built."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from attnbench.cards import Card
from attnbench.errors import PluginError, RequestError, suggestion
from attnbench.registry.backbone_names import is_backbone
from attnbench.registry.module_families import find_member, prefix_of
from attnbench.registry.plugin_files import missing_class
from attnbench.registry.plugins import Catalog, find_target
from attnbench.registry.plugins import catalog as default_catalog
from attnbench.registry.registry import OWN, Entry
from attnbench.registry.signatures import (
    ModuleFactory,
    Signature,
    has_width,
    is_width_name,
    resolve_width,
    signature_of,
)
from attnbench.registry.specs import Spec, Width, parse_spec, value_text
from attnbench.registry.validation import card_of, documented_formula, validate_module
from attnbench.utils.forked_trial import FIRST_PASS, run_after_trial
from attnbench.utils.process_settings import CONSTRUCTOR, FORWARD, preserve_from_module
from attnbench.utils.text import describe, origin_of

if TYPE_CHECKING:
    from torch import nn

    from attnbench.registry.first_run import FirstRun

T = TypeVar("T")
_Place = tuple[int, tuple[int, int] | None]
"""Channels of a map, and its (h, w); None for a map of any size."""

BLEND = inspect.Parameter("blend", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)
"""The reserved option of every module that does not define an option of this name itself."""
_USUAL_SIZE = (14, 14)
_USUAL_SIZES = ((7, 7), (8, 8), (16, 16), (28, 28), (32, 32), (56, 56))
"""Size of the first map of a module that is built for maps of any size."""
_FIRST_RUNS: dict[tuple[Any, ...], tuple[ModuleFactory, FirstRun]] = {}
"""First runs by factory, options, width and size."""
_MOST_RUNS = 10_000
_ANY_WIDTH = 64
"""Width that stands for the word ``channels`` where an option's type is validated."""


@dataclass(frozen=True)
class Attention:
    """A requested module with validated options."""

    name: str
    factory: ModuleFactory
    options: Mapping[str, Any]
    """Every option of the factory, defaults filled in; the width of the place as a word."""
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
        size, options = self._size(feature_size), self.options_at(channels)
        return self.card.params(channels, **size, **options) + self.blend

    def options_at(self, channels: int) -> dict[str, Any]:
        """Return every option, with the word ``channels`` replaced by the width of a place."""
        return self.signature.bind(channels, self.options)[1]

    def _size(self, feature_size: tuple[int, int] | None) -> dict[str, Any]:
        return {"feature_size": feature_size} if self.signature.takes_feature_size else {}

    def check(self, channels: int, feature_size: tuple[int, int] | None = None) -> None:
        """Raise :class:`RequestError` if the declared constraints forbid this site."""
        if self.card is None:
            return
        try:
            violated = self.card.violated(channels, feature_size, self.options_at(channels))
        except Exception as error:
            raise PluginError(
                f"{self.name} ({self.origin}): a constraint on its card fails for {channels} "
                f"channels: {describe(error)}"
            ) from error
        if violated:
            size = f" at {feature_size[0]}x{feature_size[1]}" if feature_size else ""
            raise RequestError(f"{self.spec} cannot work on {channels} channels{size}: {violated}")

    def build(self, channels: int, feature_size: tuple[int, int] | None = None) -> nn.Module:
        """Return a fresh instance for (B, channels, h, w) maps, with all its parameters.

        Its first run (:meth:`first_run`) has shown that it keeps the contract. Parameters that
        appear in a first forward pass, or get their size in it, are there already.

        Raises:
            RequestError: a constraint is violated, or the constructor fails.
            PluginError: the module fails on such maps, or does not return one tensor of their
                shape.
        """
        place = channels, feature_size
        return self._tried(partial(self._build, *place), [place])

    def try_at(self, places: Iterable[_Place]) -> None:
        """Raise the error of :meth:`build` unless the module works at all these places."""
        places = list(places)
        self._tried(lambda: [self._build(*place) for place in places], places)

    def _tried(self, run: Callable[[], T], places: Iterable[_Place]) -> T:
        """Run the module; in a command, a copy of this process does so before."""
        is_known = all(self._key(*place) in _FIRST_RUNS for place in places)
        if is_known or self.origin.startswith(OWN):
            return run()
        return run_after_trial(run, str(self.spec), FIRST_PASS)

    def _key(self, channels: int, feature_size: tuple[int, int] | None) -> tuple[Any, ...]:
        return id(self.factory), str(self.spec), channels, feature_size

    def _build(self, channels: int, feature_size: tuple[int, int] | None) -> nn.Module:
        from attnbench.registry.first_run import materialize

        module = self.construct(channels, feature_size)
        run = self.first_run(channels, feature_size, module)
        if run.error and feature_size is None:
            run = self._run_of_any_size(channels, module) or run
        if run.problem:
            raise PluginError(f"{self.spec} {run.problem}") from run.error
        with preserve_from_module(str(self.spec), FORWARD):
            return materialize(module, run.shape) if run.appearing else module

    def first_run(
        self,
        channels: int,
        feature_size: tuple[int, int] | None = None,
        module: nn.Module | None = None,
    ) -> FirstRun:
        """Return the first forward pass at a place; one that succeeds runs once for each of them.

        Args:
            channels: number of channels of the map.
            feature_size: (h, w) of the map; 14x14 for a module for maps of any size.
            module: the instance to run a copy of; one without weights by default.

        Raises:
            RequestError: a constraint is violated, or the constructor fails.
            PluginError: the pass ends or hangs Python.
        """
        place = channels, feature_size
        key = self._key(*place)
        if key in _FIRST_RUNS:
            return _FIRST_RUNS[key][1]
        return self._tried(partial(self._first_run, *place, module), [place])

    def _first_run(
        self, channels: int, feature_size: tuple[int, int] | None, module: nn.Module | None
    ) -> FirstRun:
        from attnbench.registry.first_run import (
            first_run,
            train_once,
            without_weights,
        )

        key, size = self._key(channels, feature_size), feature_size or _USUAL_SIZE
        build = partial(self.construct, channels, feature_size)
        with preserve_from_module(str(self.spec), FORWARD):
            run = first_run(module or without_weights(build), channels, size)
            if run.error and module is None:  # it may depend on values
                run = first_run(build(), channels, size)
        earlier = [
            known.training for other, (_, known) in _FIRST_RUNS.items() if other[:2] == key[:2]
        ]
        training = earlier[0] if earlier else train_once(run, str(self.spec))
        problem = run.problem or training
        if problem and run.error:
            problem = problem._replace(remedy=self._other_width())
        run = replace(run, training=training, problem=problem)
        if len(_FIRST_RUNS) >= _MOST_RUNS:
            _FIRST_RUNS.clear()
        if run.error is None:  # which would keep all that its frames hold
            _FIRST_RUNS[key] = self.factory, run  # the factory stays alive, and its id its own
        return run

    def _run_of_any_size(self, channels: int, module: nn.Module) -> FirstRun | None:
        """Return a first run on maps of the first of the usual sizes that the module takes."""
        from attnbench.registry.first_run import first_run

        with preserve_from_module(str(self.spec), FORWARD):
            runs = (first_run(module, channels, size) for size in _USUAL_SIZES)
            return next((run for run in runs if run.error is None), None)

    def _other_width(self) -> str:
        """Return the spec to write if an option may be the width that the module lacks."""
        names = [
            name
            for name, option in self.signature.options.items()
            if type(option.default) is int and is_width_name(name) and name not in self.spec.options
        ]
        if self.signature.width is not None or not names:
            return ""
        return f"Write {self.spec.with_options(**{names[0]: Width.CHANNELS})} if that is its width"

    def construct(self, channels: int, feature_size: tuple[int, int] | None = None) -> nn.Module:
        """Return a fresh instance as its constructor leaves it, whatever its forward pass does.

        Raises:
            RequestError: a constraint is violated, or the constructor fails.
        """
        self.check(channels, feature_size)
        arguments, options = self.signature.bind(channels, self.options)
        try:
            with preserve_from_module(str(self.spec), CONSTRUCTOR):
                built = self.factory(*arguments, **options, **self._size(feature_size))
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


def _find(spec: Spec, catalog: Catalog) -> Attention:
    member = find_member(catalog.module_families, spec.name)
    if member is not None:
        factory, origin, packages = member
        return replace(attention_of(factory, spec, origin), packages=packages)
    if ":" in spec.name and not is_backbone(spec.name):
        return _unregistered(find_target(catalog, spec.name), spec.name, spec)
    if spec.name.endswith(".py"):
        raise missing_class(spec.name)
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
        RequestError: an unknown option, a value of the wrong type, or a value that is missing.
    """
    signature = signature_of(factory)
    options = _checked_options(requested, signature)
    blend = BLEND.name not in signature.options and bool(options.pop(BLEND.name, False))
    given = {key: value for key, value in options.items() if not _is_default(key, value, signature)}
    _check_complete(requested, signature, options)
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


def _check_complete(requested: Spec, signature: Signature, options: Mapping[str, Any]) -> None:
    """Raise :class:`RequestError` with the spec to write if an option lacks its value."""
    missing = [name for name in signature.required_options() if name not in options]
    if missing:
        values = {name: _WIDTH_OR_VALUE[is_width_name(name)] for name in missing}
        raise RequestError(
            f"{requested.name} needs a value for {' and '.join(missing)}: got "
            f"{str(requested)!r}. Write {requested.with_options(**values)}"
        )
    doubtful = signature.doubtful
    if doubtful and doubtful not in requested.options:
        default = signature.options[doubtful].default
        width, value = (
            requested.with_options(**{doubtful: value}) for value in (Width.CHANNELS, default)
        )
        raise RequestError(
            f"{requested.name}: {doubtful}={value_text(default)} may be its number of channels or "
            f"not: got {str(requested)!r}. Write {width}, or {value} if it is not"
        )


_WIDTH_OR_VALUE: Mapping[bool, Any] = {True: Width.CHANNELS, False: "VALUE"}


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
    width = signature.width
    if width is not None and width.kind is not width.VAR_POSITIONAL:
        known[width.name] = width
    options = {
        name: parameter.default
        for name, parameter in signature.options.items()
        if parameter.default is not parameter.empty
    }
    for key, value in requested.options.items():
        parameter = known.get(key)
        if (parameter is None and not signature.takes_any) or _is_fixed(parameter, width, value):
            raise _unknown_option(requested.name, key, signature)
        checked = _checked(requested.name, parameter, value)
        if parameter is not width or checked is not Width.CHANNELS:
            options[key] = checked
    return options


def _is_fixed(
    parameter: inspect.Parameter | None, width: inspect.Parameter | None, value: Any
) -> bool:
    """Return whether an option is ``channels``, whose value is always that of the place."""
    if parameter is None or parameter is not width:
        return False
    return parameter.name == "channels" and value_text(value) != "channels"


def _unknown_option(name: str, key: str, signature: Signature) -> RequestError:
    takes = ", ".join(
        option
        if parameter.default is parameter.empty
        else f"{option}={value_text(parameter.default)}"
        for option, parameter in signature.options.items()
    )
    return RequestError(
        f"{name} has no option {key!r}; it takes {takes or 'none'}."
        f"{suggestion(key, [*signature.options, BLEND.name])}"
    )


def _checked(name: str, parameter: inspect.Parameter | None, value: Any) -> Any:
    """Return an option's value in the type of its parameter.

    Raises:
        RequestError: the value is of another type.
    """
    if parameter is None:
        return _with_width(value)
    adapter = _adapter(parameter.annotation)
    if adapter is None:
        return _like(parameter.default, value)
    why = ""
    for reading in _readings(value):
        number = resolve_width(reading, _ANY_WIDTH)
        try:
            found = adapter.validate_python(number, strict=True)  # strict: 1 is no switch
        except ValidationError as error:
            why = why or error.errors()[0]["msg"].removeprefix("Input ")
        else:
            return reading if has_width(reading) else found
    is_required = parameter.default is parameter.empty
    default = "" if is_required else f" (default {value_text(parameter.default)})"
    raise RequestError(f"{name}: option {parameter.name} {why}, not {reprlib.repr(value)}{default}")


def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    """Return the validator of a type; None if only the constructor can validate the value."""
    if isinstance(annotation, str) or annotation is inspect.Parameter.empty:
        return None  # no annotation, or one that only a type checker can resolve
    with suppress(Exception):  # unsupported by pydantic
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    return None


def _readings(value: Any) -> Iterator[Any]:
    """Yield what a value may stand for: a list for a tuple, ``channels`` for the width.

    A text option may have a value parsed as a number or as None: ``scale=none``.
    """
    swapped: list[Any] = [tuple(value)] if type(value) is list else []
    swapped += [list(value)] if type(value) is tuple else []
    for reading in (value, *swapped):
        yield from (reading, _with_width(reading))
    yield value_text(value)


def _like(default: Any, value: Any) -> Any:
    """Return the value of an option without a type, in the kind of sequence of its default."""
    if isinstance(default, str):
        return value
    is_sequence = isinstance(default, list | tuple) and isinstance(value, list | tuple)
    return _with_width(type(default)(value) if is_sequence else value)


def _with_width(value: Any) -> Any:
    """Return a value, or a list of values, with the text ``channels`` as the word."""
    if type(value) in (list, tuple):
        return type(value)(map(_with_width, value))
    return Width.CHANNELS if type(value) is str and value == Width.CHANNELS.value else value


def _is_default(key: str, value: Any, signature: Signature) -> bool:
    parameter = signature.options.get(key)
    if parameter is None or type(parameter.default) is not type(value):
        return False
    is_same = value is parameter.default or value_text(value) == value_text(parameter.default)
    return is_same and key != signature.doubtful  # whose value makes it an option


def elsewhere(name: str, catalog: Catalog) -> str:
    """Return the kind that has an unknown name, with its use; empty if none has."""
    if name in catalog.modules:
        return f"module: write -m {name}"
    if is_backbone(name):
        return f"backbone: write -b {name}"
    if name in catalog.suites:
        return f"suite: attnbench run {name}"
    return ""
