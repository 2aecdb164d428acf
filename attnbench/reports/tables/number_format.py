"""Numbers as text: exact parsing of printed figures, and formatting of our own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from attnbench.errors import RequestError
from attnbench.suites.schema import FIGURE

NOTHING = "–"
_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "B": 3}
_MORE_DIGITS = 2


@dataclass(frozen=True)
class ReportedValue:
    """A figure as printed in its source: ``261.88M``, ``33x``, ``70.65``."""

    text: str
    units: int
    """The figure in units of its last digit."""
    unit: Fraction
    """Value of one unit of the last digit."""
    decimals: int
    suffix: str

    def is_rounded(self, value: Fraction) -> bool:
        """Return whether ``value``, rounded at the last printed digit, gives this figure."""
        return self._is_cut_after(value, Fraction(1, 2))

    def is_cut(self, value: Fraction) -> bool:
        """Return whether ``value``, cut at the last printed digit, gives this figure."""
        return self._is_cut_after(value, Fraction(0))

    def _is_cut_after(self, value: Fraction, added: Fraction) -> bool:
        sign = -1 if value < 0 else 1
        return self.units * sign == int(abs(value) / self.unit + added)

    def beside(self, value: Fraction) -> str:
        """Return ``value`` in this figure's unit, with a few digits more than printed."""
        text = self._decimal(value)
        extra = len(text) - (_MORE_DIGITS if self.decimals else _MORE_DIGITS + 1)
        shown = text[:extra] + text[extra:].rstrip("0")
        return shown.removesuffix(".") + self.suffix

    def shortest(self, value: Fraction) -> str:
        """Return ``value`` in this figure's unit, without zeros at its end."""
        return self._decimal(value).rstrip("0").removesuffix(".") + self.suffix

    def _decimal(self, value: Fraction) -> str:
        return decimal(value / self.unit / 10**self.decimals, self.decimals + _MORE_DIGITS)


def read_printed(figure: str | float, base: int = 1000) -> ReportedValue:
    """Read a printed figure, in which k, M and G are powers of ``base``.

    Raises:
        RequestError: the text is not a figure.
    """
    text = str(figure).strip()
    match = FIGURE.fullmatch(text)
    if match is None:
        raise RequestError(
            f"printed figure is no number: got {text!r}. Write it like 261.88M, 524k, 33x or 70.65."
        )
    decimals = len(match["decimals"] or "")
    digits = match["digits"].replace(",", "").replace(".", "")
    unit = Fraction(base ** _POWERS[match["scale"]], 10**decimals)
    return ReportedValue(text, int(digits), unit, decimals, match["scale"] + match["mark"])


def decimal(value: Fraction, places: int) -> str:
    """Return a number with ``places`` decimals, with halves rounded away from zero."""
    units = int(abs(value) * 10**places + Fraction(1, 2))
    whole, rest = divmod(units, 10**places)
    sign = "-" if value < 0 and units else ""
    return f"{sign}{whole}.{rest:0{places}d}" if places else f"{sign}{whole}"


def whole(value: int) -> str:
    """Return a count as ``3,504,872``."""
    return f"{value:,}"


def with_sign(value: int) -> str:
    """Return a difference as ``+812``, ``-117,780`` or ``0``."""
    return f"{value:+,}" if value else "0"


def ratio(value: Fraction) -> str:
    """Return a ratio as ``26.64x``, with more digits below one."""
    return decimal(value, 2 if value >= 1 or value == 0 else 4) + "x"


def spread(texts: Iterable[str]) -> str:
    """Return the range from the first to the last of sorted texts, or the only text."""
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return NOTHING
    return distinct[0] if len(distinct) == 1 else f"{distinct[0]} to {distinct[-1]}"
