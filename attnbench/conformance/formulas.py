"""Comparison of a card's formulas with counts, for given options and generated variants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import torch
from torch import nn

from attnbench.cards import Card
from attnbench.conformance.findings import Finding, failure, note, success
from attnbench.conformance.module_under_test import Size, Subject, join_shape
from attnbench.counting.trace import trace
from attnbench.errors import AttnbenchError
from attnbench.registry.attention import Attention
from attnbench.registry.first_run import materialize
from attnbench.registry.specs import Spec, value_text
from attnbench.utils.text import describe

_SHOWN = (512, (14, 14))
"""Channels and size at which costs are reported if the card has no formula."""
_WIDTHS = (16, 24, 32, 64, 96, 100, 160, 320, 512)
_MACS_WIDTHS = (32, 64, 96, 160)
_SIZES: tuple[Size, ...] = ((7, 7), (14, 14), (7, 12), (1, 1), (1, 5), (28, 28))


@dataclass
class _Tally:
    """Result of the comparison of one formula with counts."""

    name: str
    places: int = 0
    wrong: list[str] = field(default_factory=list)

    def compare(self, formula: Callable[[], Any], counted: int, place: str) -> None:
        self.places += 1
        try:
            value = formula()
        except Exception as error:
            self.wrong.append(f"fails with {describe(error)} for {place}")
            return
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong.append(f"gives {value!r}, which is no whole number, for {place}")
        elif value != counted:
            self.wrong.append(f"gives {value:,} where {counted:,} were counted, for {place}")

    def findings(self) -> Iterator[Finding]:
        if self.wrong:
            yield failure(
                f"the card's formula for {self.name} {self.wrong[0]} "
                f"(wrong in {len(self.wrong)} of {self.places} places)",
                "Correct the formula; it takes every option of the constructor by name, or **_.",
                wrong=len(self.wrong),
                places=self.places,
            )


def formulas(subject: Subject) -> Iterator[Finding]:
    """Compare formulas with counts; where a formula is missing, report the counts."""
    attention, card = subject.attention, subject.card
    # the card does not count the parameter of the blend, which attnbench adds
    own = {key: value for key, value in attention.spec.options.items() if key in attention.options}
    attention = replace(attention, blend=False, spec=Spec(attention.spec.name, own))
    missing = [name for name in ("params", "macs") if card is None or getattr(card, name) is None]
    if missing:
        yield _undeclared(subject, attention, missing)
    if card is None:
        return
    params, macs = _Tally("parameters"), _Tally("multiply-adds")
    variants = [attention, *_variants(attention)]
    for variant in variants:
        _compare_params(params, card, subject, variant)
        _compare_macs(macs, card, subject, variant, few=variant is not attention)
    wrong = [*params.findings(), *macs.findings(), *_printed(card, attention)]
    yield from wrong
    if not wrong and not missing:
        yield success(variants=len(variants), params=params.places, macs=macs.places)


def _undeclared(subject: Subject, attention: Attention, missing: list[str]) -> Finding:
    channels, size = _SHOWN
    module = _built(subject, attention, channels, size)
    if module is None:
        channels, size = subject.channels, subject.size
        module = subject.build(moved=False)
    params, macs = _params(module), _macs(module, channels, size)
    where = f"{channels} channels at {join_shape(size)}"
    counted = f"{params:,} parameters"
    counted += f" and {macs:,} multiply-adds" if macs is not None else ""
    return note(
        f"no formula for {' and '.join(missing)} is declared; counted for {where}: {counted}",
        "Give Card.params(channels, **options) and Card.macs(channels, height, width, **options).",
        params=params,
        macs=macs,
        channels=channels,
        size=list(size),
    )


def _compare_params(tally: _Tally, card: Card, subject: Subject, attention: Attention) -> None:
    if card.params is None:
        return
    size = (14, 14)
    further = {"feature_size": size} if attention.signature.takes_feature_size else {}
    for channels in _WIDTHS:
        module = _built(subject, attention, channels, size)
        if module is not None:
            options = attention.options_at(channels) | further
            formula = partial(card.params, channels, **options)
            tally.compare(formula, _params(module), _place(attention, channels))


def _compare_macs(
    tally: _Tally, card: Card, subject: Subject, attention: Attention, *, few: bool
) -> None:
    if card.macs is None:
        return
    widths, sizes = (_MACS_WIDTHS[:2], _SIZES[:3]) if few else (_MACS_WIDTHS, _SIZES)
    for channels, size in product(widths, sizes):
        module = _built(subject, attention, channels, size)
        counted = None if module is None else _macs(module, channels, size)
        if counted is not None:
            formula = partial(card.macs, channels, *size, **attention.options_at(channels))
            tally.compare(formula, counted, _place(attention, channels, size))


def _printed(card: Card, attention: Attention) -> Iterator[Finding]:
    """Report a printed formula that cannot be called; its values are not compared."""
    if card.printed is None:
        return
    channels, size = _SHOWN
    try:
        card.printed.params(channels, **attention.options_at(channels))
        card.printed.macs(channels, *size, **attention.options_at(channels))
    except Exception as error:
        yield failure(
            f"the printed formula fails for {_place(attention, channels, size)}: {describe(error)}",
            "Let it take every option of the constructor by name, or **_.",
        )


def _place(attention: Attention, channels: int, size: Size | None = None) -> str:
    at = f" at {join_shape(size)}" if size else ""
    options = [f"{key}={value_text(value)}" for key, value in attention.spec.options.items()]
    return f"{channels} channels{at}" + (f" with {', '.join(options)}" if options else "")


def _built(subject: Subject, attention: Attention, channels: int, size: Size) -> nn.Module | None:
    """Return an instance, on the meta device if possible; None where it is rejected."""
    for device in ("meta", "cpu"):
        try:
            with torch.random.fork_rng(devices=[]), torch.device(device):
                module = attention.construct(channels, size)
                is_whole = not subject.appearing
                return module if is_whole else materialize(module, (1, channels, *size))
        except AttnbenchError as error:
            if error.__cause__ is None:
                return None  # forbidden by the card, on any device
    return None


def _params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _macs(module: nn.Module, channels: int, size: Size) -> int | None:
    """Return the multiply-adds of one image; None where the module cannot run."""
    try:
        return trace(module, (1, channels, *size)).macs
    except AttnbenchError:
        return None


def _variants(attention: Attention) -> Iterator[Attention]:
    """Yield variants with one option changed at a time; some may be impossible to build."""
    for name, value in attention.options.items():
        parameter = attention.signature.options.get(name)
        for other in _others(value, parameter.annotation if parameter else None):
            options = {**attention.options, name: other}
            given = Spec(attention.spec.name, {**attention.spec.options, name: other})
            yield replace(attention, options=options, spec=given)


def _others(value: Any, annotation: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    choices = _choices(annotation)
    if choices:
        return [choice for choice in choices if choice != value]
    if isinstance(value, int) and value:
        return [value // 2, value * 2] if value >= 2 else [value * 2]
    return []


def _choices(annotation: Any) -> tuple[Any, ...]:
    """Return the values of a Literal, also within a union."""
    origin = get_origin(annotation)
    if origin is Literal:
        return get_args(annotation)
    if origin in (Union, UnionType):
        return tuple(choice for member in get_args(annotation) for choice in _choices(member))
    return ()
