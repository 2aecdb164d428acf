"""The contract of an attention module, checked when it is registered or first loaded."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnbench.cards import Card
from attnbench.errors import PluginError
from attnbench.registry import Entry

if TYPE_CHECKING:
    from torch import nn

ModuleFactory = Callable[..., "nn.Module"]
"""``factory(channels, **options) -> nn.Module``: a class or a function."""

NAME = re.compile(r"[a-z][a-z0-9_]*")
_NOT_FIRST = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Signature:
    """What a factory takes besides the channels."""

    options: Mapping[str, inspect.Parameter]
    takes_feature_size: bool
    takes_any: bool
    """It has ``**kwargs``: unknown options are passed on."""


def signature_of(factory: ModuleFactory) -> Signature:
    """Read the options of a factory.

    Raises:
        ValueError: the signature cannot be read, or does not start with the channels.
    """
    try:
        parameters = list(inspect.signature(factory, eval_str=True).parameters.values())
    except Exception:
        # annotations that only a type checker can resolve: options then go unchecked by type
        parameters = list(inspect.signature(factory).parameters.values())
    if not parameters or parameters[0].kind in _NOT_FIRST:
        raise ValueError("its first argument must be the number of channels, by position")
    rest = parameters if parameters[0].kind is inspect.Parameter.VAR_POSITIONAL else parameters[1:]
    for one in rest:
        if one.kind is inspect.Parameter.POSITIONAL_ONLY and one.default is one.empty:
            raise ValueError(f"argument {one.name!r} cannot be given by name, as options are")
    named = {one.name: one for one in rest if one.kind in _NAMED}
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    takes_feature_size = "feature_size" in named
    named.pop("feature_size", None)
    return Signature(named, takes_feature_size, takes_any)


def declared_card(factory: Any) -> Any:
    """Return what a factory itself declares as its card, sound or not; None where it does not.

    A class that inherits from another module is another module: its costs, paper and constraints
    are not the inherited ones until it says so with a ``card`` of its own.
    """
    if isinstance(factory, type):
        return vars(factory).get("card")
    return getattr(factory, "card", None)


def card_of(factory: ModuleFactory) -> Card | None:
    """Return the declared card, None where there is none."""
    card = declared_card(factory)
    return card if isinstance(card, Card) else None


def validate_module(entry: Entry[ModuleFactory], target: Any) -> None:
    """Raise :class:`PluginError`, naming the plugin, if ``target`` breaks the contract."""
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
        return None
    if torch is None or not issubclass(target, torch.nn.Module):
        return f"{target.__name__} is not a subclass of torch.nn.Module"
    if getattr(target, "forward", None) is torch.nn.Module.forward:
        return f"{target.__name__} has no forward method"
    return None


def _signature_problem(target: Any) -> str | None:
    try:
        signature = signature_of(target)
    except ValueError as error:
        return str(error)
    needed = [
        name
        for name, parameter in signature.options.items()
        if parameter.default is inspect.Parameter.empty
    ]
    if needed:
        return f"option {needed[0]!r} has no default; it must be buildable from the channels alone"
    return None


def _card_problem(target: Any) -> str | None:
    card = declared_card(target)
    if card is None:
        return None
    if not isinstance(card, Card):
        return f"its card is a {type(card).__name__}, not an attnbench.Card"
    problems = card.problems()
    if problems:
        return f"its card: {problems[0]}"
    signature = signature_of(target)
    odd = sorted(set(card.options) - set(signature.options))
    if odd and not signature.takes_any:
        return f"its card describes option {odd[0]!r}, which the constructor does not take"
    return None
