"""The contract of an attention module, validated at its registration or first load."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache, partial
from itertools import pairwise
from types import MappingProxyType, NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from attnbench.cards import CHECK_NAMES, FAMILIES, Card
from attnbench.errors import PlacementError, PluginError, suggestion
from attnbench.registry.placement_grammar import parse_placement
from attnbench.registry.registry import Entry
from attnbench.registry.signatures import ModuleFactory, signature_of

NAME = re.compile(r"[a-z][a-z0-9_]*")
_EQUATION = re.compile(r"\[?\w{1,8}'?(\(.*?\))?([,;] \w{1,8}'?)*\]? = ")
"""An equation: its left side is ``y``, ``x'``, ``q, k``, ``[a; b]`` or ``f(m, s)``."""
_LIBRARIES = sys.stdlib_module_names | {"torch"}
_EXAMPLE = re.compile(r"::$|^(example|usage)", re.IGNORECASE)


def declared_card(factory: Any) -> Any:
    """Return the ``card`` that a factory itself declares, valid or not, or None.

    A subclass of a module is a different module: it does not inherit costs, paper and constraints
    and has to declare a ``card`` of its own.
    """
    if isinstance(factory, type):
        return vars(factory).get("card")
    return getattr(factory, "card", None)


def card_of(factory: ModuleFactory) -> Card | None:
    """Return the declared card, or None."""
    card = declared_card(factory)
    return card if isinstance(card, Card) else None


def documented_formula(factory: ModuleFactory) -> str:
    """Return the equations in the docstring of a factory or, if it has none, of its module.

    They are the first paragraph, indented or not, that starts like ``y = ``. Code examples, which
    follow ``::`` or a heading such as ``Example``, are excluded.
    """
    for documented in (factory, sys.modules.get(getattr(factory, "__module__", ""))):
        paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(documented.__doc__ or ""))
        for heading, paragraph in pairwise(paragraphs):
            text = textwrap.dedent(paragraph)
            if _EQUATION.match(text) and not _EXAMPLE.search(heading):
                return text
    return ""


def validate_module(entry: Entry[ModuleFactory], target: Any) -> None:
    """Raise :class:`PluginError`, naming the plugin, if ``target`` violates the contract."""
    problem = _problem(entry.name, target)
    if problem:
        raise PluginError(f"module {entry.name!r} of {entry.origin} breaks the contract: {problem}")


def _problem(name: str, target: Any) -> str | None:
    if ":" not in name and not NAME.fullmatch(name):
        return f"the name must be lower case letters, digits and underscores, not {name!r}"
    if not callable(target):
        return f"it is a {type(target).__name__}, neither a class nor a function"
    return _class_problem(target) or _signature_problem(target) or _card_problem(target)


def _class_problem(target: Any) -> str | None:
    torch = sys.modules.get("torch")
    if not isinstance(target, type):
        if torch is not None and isinstance(target, torch.nn.Module):
            return "it is a module already built; register the class, or a function of the channels"
        return _function_problem(target)
    if torch is None or not issubclass(target, torch.nn.Module):
        return f"{target.__name__} is not a subclass of torch.nn.Module"
    if getattr(target, "forward", None) is torch.nn.Module.forward:
        return f"{target.__name__} has no forward method"
    return None


def _function_problem(target: Any) -> str | None:
    """Return the problem of a callable that cannot be a factory and must not be called."""
    while isinstance(target, partial):
        target = target.func
    if isinstance(target, type):
        return _class_problem(target)
    function = inspect.unwrap(target)
    if not inspect.isroutine(function):
        function = type(function).__call__
    function = getattr(function, "__func__", function)  # of a bound method
    name = getattr(function, "__qualname__", type(function).__name__)
    if not inspect.isfunction(function):
        return f"{name} is a built-in function, neither a nn.Module class nor a Python function"
    library = (function.__module__ or "").partition(".")[0]
    if library in _LIBRARIES:
        return f"{name} is a function of {library}, which returns no attention module"
    return None


def _signature_problem(target: Any) -> str | None:
    try:
        signature_of(target)
    except ValueError as error:
        return str(error)
    return None


def _card_problem(target: Any) -> str | None:
    card = declared_card(target)
    if card is None:
        return None
    if not isinstance(card, Card):
        return f"its card is a {type(card).__name__}, not an attnbench.Card"
    problems = card_problems(card)
    if problems:
        return f"its card: {problems[0]}"
    signature = signature_of(target)
    odd = sorted(set(card.options) - set(signature.options))
    if odd and not signature.takes_any:
        return f"its card describes option {odd[0]!r}, which the constructor does not take"
    return None


def card_problems(card: Card) -> list[str]:
    """Return the faults of a card, a sentence for each; empty if the card is valid."""
    return [*_odd_types(card)] or [*_odd_values(card)]


def _odd_values(card: Card) -> Iterator[str]:
    if card.family not in FAMILIES:
        yield f"family {card.family!r} is none of {', '.join(FAMILIES)}"
    if not card.title.strip():
        yield "title is empty"
    if card.version < 1:
        yield f"version {card.version} is not a positive integer"
    yield from exception_problems(card.exceptions, card.defects)
    for family, placement in card.official.items():
        try:
            parse_placement(placement)
        except PlacementError as error:
            yield f"its official placement in {family}: {error}"
    if card.paper and not re.fullmatch(r"[A-Za-z0-9:_-]+", card.paper.key):
        yield f"paper key {card.paper.key!r} is not a BibTeX key"


def _odd_types(card: Card) -> Iterator[str]:
    for name, kinds in _field_types().items():
        value = getattr(card, name)
        if not isinstance(value, kinds):
            named = ("None" if kind is NoneType else f"a {kind.__name__}" for kind in kinds)
            yield f"{name} is a {type(value).__name__}, not {' or '.join(named)}"


def exception_problems(
    exceptions: Mapping[str, str], defects: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """Yield the faults of a card's exceptions and known defects, by check with the reason."""
    if "contract" in exceptions:
        yield "the check 'contract' has no exceptions: every other check depends on it"
    for check, why in {**exceptions, **defects}.items():
        if check not in CHECK_NAMES:
            near = suggestion(check, CHECK_NAMES)
            yield f"unknown check {check!r} with the reason {why!r}.{near}"
        elif not why.strip():
            yield f"the exception {check!r} has no reason"


@cache
def _field_types() -> Mapping[str, tuple[Any, ...]]:
    """Return the types of a card's fields; the cards of plugins are type-checked nowhere else."""
    found = {}
    for name, hint in get_type_hints(Card).items():
        kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        found[name] = tuple(get_origin(kind) or kind for kind in kinds)
        found[name] += (list,) if tuple in found[name] else ()
    return found
