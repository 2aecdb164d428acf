"""The figures of a column: read from cells, in one unit, with as many digits as a reader needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import median

from attnbench.reports.tables.number_format import decimal

_NUMBER = r"[+-]?[\d,]*\.?\d+"
_FIGURE = re.compile(
    rf"(?P<number>{_NUMBER}) ?(?P<unit>%|[x×]|[kKMGB]|[KMG]iB)?"
    rf"(?: ?\[(?P<low>{_NUMBER}), (?P<high>{_NUMBER})\])?"
)
_POWERS = {"G": 9, "M": 6, "k": 3, "": 0}
_SIGNIFICANT = 3


@dataclass(frozen=True)
class Figure:
    """A cell: a number as siunitx reads it, or a text in its place."""

    number: str = ""
    low: str = ""
    high: str = ""
    verdict: str = ""
    text: str = ""
    unit: str = ""
    is_best: bool = False
    is_shared: bool = False
    """Whether the figure is that of a cell across all column groups."""

    @property
    def value(self) -> float | None:
        """Return the number."""
        return float(self.number) if self.number and self.number[0] != "<" else None


def read_figure(text: str, bounds: str = "", verdict: str = "") -> Figure:
    """Return the figure of a cell's texts; one without a number keeps its text."""
    found = _FIGURE.fullmatch(f"{text} {bounds}".strip())
    if found is None:
        return Figure(text=text, verdict=verdict)
    low, high = found["low"] or "", found["high"] or ""
    unit = {"x": "×", "K": "k", "B": "G"}.get(found["unit"] or "", found["unit"] or "")
    return Figure(_plain(found["number"]), _plain(low), _plain(high), verdict, "", unit)


def _plain(number: str) -> str:
    return number.replace(",", "").removeprefix("+")


def count_figures(
    rows: Sequence[Sequence[int]], beside: Iterable[Figure] = ()
) -> tuple[list[Figure], str]:
    """Return counts in one unit of k, M or G, and the unit.

    Args:
        rows: the counts of each row, several where its cases differ.
        beside: printed figures of the same metric, whose unit and one digit more are taken.
    """
    printed = [figure for figure in beside if figure.number]
    unit, places = _printed_scale(printed) if printed else _scale([n for row in rows for n in row])
    return [_count(row, unit, places) for row in rows], unit


def _printed_scale(printed: Sequence[Figure]) -> tuple[str, int]:
    decimals = max(len(figure.number.partition(".")[2]) for figure in printed)
    return printed[0].unit, decimals + 1


def _scale(counts: Sequence[int]) -> tuple[str, int]:
    sizes = [abs(count) for count in counts if count]
    if not sizes or max(sizes) < 10**4:
        return "", 0
    middle = median(sizes)
    unit = next(unit for unit, power in _POWERS.items() if middle >= 10**power)
    places = _SIGNIFICANT - len(str(int(middle / 10 ** _POWERS[unit])))
    return (unit, max(0, places)) if unit else ("k", 1)


def _count(counts: Sequence[int], unit: str, places: int) -> Figure:
    scale = 10 ** _POWERS[unit]
    texts = dict.fromkeys(decimal(Fraction(count, scale), places) for count in counts)
    if len(texts) != 1:
        return Figure(text="–".join(texts) or "–")
    (text,) = texts
    if any(counts) and not float(text):
        text = f"<{decimal(Fraction(1, 10**places), places)}"
    return Figure(text)


def mark_best(figures: Sequence[Figure], sense: str, eligible: Sequence[bool]) -> list[Figure]:
    """Return the figures with the best of the eligible ones marked, if they differ."""
    known = [
        figure.value
        for figure, may in zip(figures, eligible, strict=True)
        if may and figure.value is not None
    ]
    if len(set(known)) < 2:
        return list(figures)
    best = min(known) if sense == "min" else max(known)
    return [
        replace(figure, is_best=may and figure.value == best)
        for figure, may in zip(figures, eligible, strict=True)
    ]
