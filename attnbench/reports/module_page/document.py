"""The description of a module as a JSON object, with null or empty undeclared fields."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from attnbench.cards import Card, Paper, Traits
from attnbench.registry.attention import Attention
from attnbench.registry.plugins import Catalog
from attnbench.reports.module_page.costs import costs_of

_UNDECLARED = Card(title="", family="")
_PLAIN = (bool, int, float, str, type(None))


def describe_module(attention: Attention, catalog: Catalog) -> dict[str, Any]:
    """Return the description of a module, without the results of the conformance checks."""
    declared = attention.card is not None
    card = attention.card or _UNDECLARED
    return {
        "name": attention.name,
        "spec": str(attention.spec),
        "title": attention.title,
        "origin": attention.origin,
        "declared": declared,
        "family": card.family or None,
        "version": card.version if declared else None,
        "paper": _paper(card.paper),
        "traits": _traits(card.traits),
        "formula": attention.formula,
        "formula_tex": card.formula_tex,
        "options": options_of(attention),
        "takes_any_option": attention.signature.takes_any,
        "takes_feature_size": attention.signature.takes_feature_size,
        **costs_of(attention, catalog),
        "official": dict(card.official),
        "official_note": card.official_note,
        "deviations": list(card.deviations),
        "timm": card.timm,
        "traps": list(card.traps),
        # basic constraints, which only exclude invalid values, come last
        "constraints": [
            rule.text for rule in sorted(card.constraints, key=lambda rule: rule.basic)
        ],
        "dead": dict(card.dead),
        "exceptions": dict(card.exceptions),
        "defects": dict(card.defects),
        "licence": card.license,
        "conformance": None,
        "drift": None,
    }


def options_of(attention: Attention) -> dict[str, dict[str, Any]]:
    """Return the constructor's options by name: default, requested value, type, description."""
    described: Mapping[str, str] = attention.card.options if attention.card else {}
    return {
        name: {
            "default": _plain(parameter.default),
            "value": _plain(attention.options.get(name, parameter.default)),
            "type": _type_name(parameter.annotation),
            "description": described.get(name),
        }
        for name, parameter in attention.signature.options.items()
    }


def _plain(value: Any) -> Any:
    """Return the JSON form of a value; a class, a layer or a function becomes its name."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return getattr(value, "__name__", None) or str(value)


def _type_name(annotation: Any) -> str | None:
    if annotation is inspect.Parameter.empty:
        return None
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _paper(paper: Paper | None) -> dict[str, Any] | None:
    return {**asdict(paper), "bibtex": paper.bibtex()} if paper else None


def _traits(traits: Traits | None) -> dict[str, Any] | None:
    return asdict(traits) if traits else None
