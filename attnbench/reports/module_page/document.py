"""The description of a module as a JSON object, with null or empty undeclared fields."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from attnbench.cards import Card
from attnbench.conformance.findings import ConformanceReport
from attnbench.errors import AttnbenchError
from attnbench.registry.attention import Attention
from attnbench.registry.plugins import Catalog
from attnbench.utils.forked_trial import TrialError
from attnbench.utils.text import describe

CHANNELS, SIZE = 512, (14, 14)
_UNDECLARED = Card(title="", family="")
_PLAIN = (bool, int, float, str, type(None))


def describe_module(attention: Attention, catalog: Catalog) -> dict[str, Any]:
    """Return the description of a module, without the results of the conformance checks."""
    declared = attention.card is not None
    card = attention.card or _UNDECLARED
    paper = card.paper
    return {
        "name": attention.name,
        "spec": str(attention.spec),
        "title": attention.title,
        "origin": attention.origin,
        "declared": declared,
        "family": card.family or None,
        "version": card.version if declared else None,
        "paper": {**asdict(paper), "bibtex": paper.bibtex()} if paper else None,
        "traits": asdict(card.traits) if card.traits else None,
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


def try_first_pass(attention: Attention) -> None:
    """Raise :class:`TrialError` if the module ends or hangs Python in its first forward pass."""
    try:
        attention.first_run(CHANNELS, SIZE)
    except TrialError:
        raise
    except AttnbenchError:  # the checks report it
        pass


def conformance_of(report: ConformanceReport) -> dict[str, Any]:
    """Return ``conformance`` and ``drift``, the relative change of a map, from a report."""
    results = report.to_dict()
    conformance = {key: results[key] for key in ("passed", "counts", "findings")}
    return {"conformance": conformance, "drift": report.drift}


def costs_of(attention: Attention, catalog: Catalog) -> dict[str, Any]:
    """Return formulas and values at 512 channels on 14x14.

    Costs without a formula are counted, and ``costs_counted`` names them. If the module cannot be
    built at this size, the values are null and ``costs_reason`` holds the reason.
    """
    card = attention.card or _UNDECLARED
    values: dict[str, Any] = {"params_512": None, "macs_512x14x14": None}
    counted: list[str] = []
    uncounted: list[dict[str, Any]] = []
    printed, reason = None, None
    try:
        attention.check(CHANNELS, SIZE)
        options = attention.options_at(CHANNELS)
        macs = card.macs(CHANNELS, *SIZE, **options) if card.macs else None
        values = {"params_512": attention.params(CHANNELS), "macs_512x14x14": macs}
        counted = [key for key, value in values.items() if value is None]
        if counted:
            found, uncounted = _count(attention, catalog)
            values |= {key: found[key] for key in counted}
        printed = _printed(card, attention)
    except Exception as error:  # a card's formula may raise anything
        counted = []
        reason = str(error) if isinstance(error, AttnbenchError) else describe(error)
    return {
        "params_text": card.params_text,
        "macs_text": card.macs_text,
        **values,
        "costs_counted": counted,
        "costs_uncounted": uncounted,
        "costs_reason": reason,
        "printed": printed,
    }


def _count(attention: Attention, catalog: Catalog) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Return the counted costs, and the operators whose MACs are unknown."""
    from attnbench.counting.cost import uncounted_json
    from attnbench.measure.cost import CostMeter

    part = CostMeter(catalog).part(attention, CHANNELS, SIZE)
    costs = {"params_512": part.params, "macs_512x14x14": part.macs}
    return costs, uncounted_json(part.uncounted)


def _printed(card: Card, attention: Attention) -> dict[str, Any] | None:
    printed = card.printed
    if printed is None:
        return None
    options = attention.options_at(CHANNELS)
    keys = ("source", "params_text", "macs_text", "params_tex", "macs_tex")
    return {
        **{key: getattr(printed, key) for key in keys},
        "params_512": printed.params(CHANNELS, **options),
        "macs_512x14x14": printed.macs(CHANNELS, *SIZE, **options),
        "differences": list(printed.differences),
    }
