"""Costs of a module at a common reference size, by formula or else counted."""

from __future__ import annotations

from typing import Any

from attnbench.cards import Card, PrintedCost
from attnbench.errors import AttnbenchError
from attnbench.registry.attention import Attention
from attnbench.registry.plugins import Catalog
from attnbench.utils.text import describe

CHANNELS, SIZE = 512, (14, 14)


def costs_of(attention: Attention, catalog: Catalog) -> dict[str, Any]:
    """Return formulas and values at 512 channels on 14x14.

    Costs without a formula are counted, and ``costs_counted`` names them. If the module cannot be
    built at this size, the values are null and ``costs_reason`` holds the reason.
    """
    card = attention.card
    texts = {
        "params_text": card.params_text if card else "",
        "macs_text": card.macs_text if card else "",
    }
    values: dict[str, Any] = {"params_512": None, "macs_512x14x14": None}
    counted: list[str] = []
    printed, reason = None, None
    try:
        attention.check(CHANNELS, SIZE)
        values = _by_formula(attention)
        counted = [key for key, value in values.items() if value is None]
        if counted:
            values |= _counted(attention, catalog, counted)
        printed = _printed(card, attention) if card else None
    except AttnbenchError as error:
        counted, reason = [], str(error)
    except Exception as error:  # a card's formula may raise anything
        counted, reason = [], describe(error)
    return {
        **texts,
        **values,
        "costs_counted": counted,
        "costs_reason": reason,
        "printed": printed,
    }


def _by_formula(attention: Attention) -> dict[str, int | None]:
    card = attention.card
    macs = card.macs(CHANNELS, *SIZE, **attention.options) if card and card.macs else None
    return {"params_512": attention.params(CHANNELS), "macs_512x14x14": macs}


def _counted(attention: Attention, catalog: Catalog, keys: list[str]) -> dict[str, int]:
    from attnbench.measure.cost import CostMeter

    part = CostMeter(catalog).part(attention, CHANNELS, SIZE)
    found = {"params_512": part.params, "macs_512x14x14": part.macs}
    return {key: found[key] for key in keys}


def _printed(card: Card, attention: Attention) -> dict[str, Any] | None:
    printed: PrintedCost | None = card.printed
    if printed is None:
        return None
    keys = ("source", "params_text", "macs_text", "params_tex", "macs_tex")
    return {
        **{key: getattr(printed, key) for key in keys},
        "params_512": printed.params(CHANNELS, **attention.options),
        "macs_512x14x14": printed.macs(CHANNELS, *SIZE, **attention.options),
        "differences": list(printed.differences),
    }
