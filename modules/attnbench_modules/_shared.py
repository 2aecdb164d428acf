"""What the modules share: constraints, the check that applies them, the width of a squeeze."""

from __future__ import annotations

from typing import ClassVar, Protocol

from attnbench.cards import Card, Constraint


class _Carded(Protocol):
    """A class with a card."""

    card: ClassVar[Card]


def check(
    owner: type[_Carded],
    channels: int,
    *,
    feature_size: tuple[int, int] | None = None,
    **options: object,
) -> None:
    """Raise ValueError, retelling the call, unless every constraint on the card holds."""
    problem = owner.card.violated(channels, feature_size, options)
    if problem:
        given: dict[str, object] = {"channels": channels, **options}
        if feature_size is not None:
            given["feature_size"] = feature_size
        call = ", ".join(f"{k}={v!r}" for k, v in given.items())
        raise ValueError(f"{owner.__name__}({call}): {problem}")


def whole(name: str) -> Constraint:
    """``name``, which is ``channels`` or an option, must be a whole number of at least 1."""

    def holds(channels: int, **options: object) -> bool:
        value = {**options, "channels": channels}.get(name, 1)
        return isinstance(value, int) and not isinstance(value, bool) and value >= 1

    return Constraint(f"{name} must be a whole number, 1 or more", holds, basic=True)


def one_of(name: str, *choices: str) -> Constraint:
    """Option ``name`` must be one of ``choices``."""

    def holds(channels: int, **options: object) -> bool:
        return options.get(name, choices[0]) in choices

    return Constraint(f"{name} must be one of: {', '.join(choices)}", holds, basic=True)


def squeezed(channels: int, reduction: int) -> int:
    """Return ``channels // reduction``, but at least 1: a layer of no channels cannot be built."""
    return max(1, channels // reduction)


def largest_divisor(channels: int, limit: int) -> int:
    """Return the largest divisor of ``channels`` that is not above ``limit``."""
    return max(n for n in range(1, min(channels, limit) + 1) if channels % n == 0)


PRINTED_SOURCE = "ULSAM slides and poster, WACV 2020"
"""Where the simplified formulas of the comparison table are printed."""

BEFORE_NORM = "stands before a batch norm, which in training takes every shift away"
"""Why a bias gets no gradient."""

SQUEEZE_NOTE = "The hidden width is at least 1, where C // r would give 0."
"""Deviation of every module with a reduction."""
