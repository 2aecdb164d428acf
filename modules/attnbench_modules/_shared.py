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


def squeezed(channels: int, reduction: int, minimum: int = 1) -> int:
    """Return ``channels // reduction``, but never less than ``minimum``.

    That is 1 at least: a layer of no channels cannot be built.
    """
    return max(minimum, channels // reduction)


def odd(name: str, otherwise: str) -> Constraint:
    """Option ``name``, where it is given, must be odd, or what ``otherwise`` says happens."""

    def holds(channels: int, **options: object) -> bool:
        value = options.get(name)
        return value is None or (type(value) is int and value > 0 and value % 2 == 1)

    return Constraint(f"{name} must be a positive odd number, or {otherwise}", holds)


def split_by(name: str, times: int = 1) -> Constraint:
    """Channels must be a multiple of ``times`` times option ``name``, where it is given."""
    factor = f"{times} * {name}" if times > 1 else name

    def holds(channels: int, **options: object) -> bool:
        value = options.get(name)
        return value is None or (
            type(value) is int and value > 0 and channels % (times * value) == 0
        )

    return Constraint(f"channels must be a multiple of {factor}; leave {name} out to fit", holds)


def even(name: str) -> Constraint:
    """``name``, which is ``channels`` or an option, must be even: it is cut into halves."""

    def holds(channels: int, **options: object) -> bool:
        value = {**options, "channels": channels}.get(name, 2)
        return isinstance(value, int) and value % 2 == 0

    return Constraint(f"{name} must be even: it is cut into halves", holds)


def largest_divisor(number: int, limit: int) -> int:
    """Return the largest divisor of ``number`` that is not above ``limit``."""
    return max(d for d in range(1, min(number, limit) + 1) if number % d == 0)


PRINTED_SOURCE = "ULSAM slides and poster, WACV 2020"
"""Where the simplified formulas of the comparison table are printed."""

BEFORE_NORM = "stands before a batch norm, which in training takes every shift away"
"""Why a bias gets no gradient."""

SQUEEZE_NOTE = "The hidden width is at least 1, where C // r would give 0."
"""Deviation of every module with a reduction."""

TIES_NOTE = (
    "Where several values tie for a maximum they share its gradient; the original gives it to one "
    "of them."
)
"""Deviation of every module with a maximum."""

HALVES = "At the start it scales x by about one half, so it disturbs pretrained weights."
"""Trap of a gate whose scores start near 0."""

QUARTERS = "At the start it scales x by about one quarter, so it disturbs pretrained weights."
"""Trap of two such gates, one after the other."""

IN_PLACE_OF_SE = {"mobilenet_v3_small": "replace-se:all", "mobilenet_v3_large": "replace-se:all"}
"""Where modules go that the field compares with SE; see below for networks without one."""

AS_SE = {
    "mobilenet_v1": "after-project:all",
    "mobilenet_v2": "after-project:all",
    **IN_PLACE_OF_SE,
}
"""Where SE and what replaces it goes."""

AS_SE_NOTE = (
    "Our translation: after the last pointwise convolution of every MobileNet block; in "
    "MobileNetV3, in place of the SE that is built in."
)
"""What AS_SE is, in words."""

AS_NON_LOCAL_NOTE = (
    "Our translation, the same as for the non-local block: one module in the 14x14 stage, before "
    "the last block of that stage."
)
"""Placement of modules that are compared with the non-local block, in words."""

WHERE_SE_STANDS_NOTE = (
    f"The original puts it where SE stands, in every ResNet block before the addition. {AS_SE_NOTE}"
)
"""Placement of modules whose paper replaces SE."""
