"""Validation of printed figures against the convention of their source.

A source's convention defines a *nominal* value. For a module alone it is the printed formula. In a
backbone it is the backbone's printed cost, minus the weights and multiply-adds of the replaced
layers, plus the formula of each module. For a plain backbone it is our count without batch norm.
Without a printed formula or a nominal backbone, our own count takes its place; for parameters in a
backbone, the count without batch norm. ``[convention]`` declares that a source counts norms, or
that its M is 2^20.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from attnbench.errors import RequestError
from attnbench.reports.tables.accuracy_results import doubt_of
from attnbench.reports.tables.case_results import CostResult
from attnbench.reports.tables.number_format import ReportedValue, decimal, read_printed, whole
from attnbench.reports.tables.row_views import RowView
from attnbench.suites.schema import Suite

REPRODUCED = "reproduced"
BY_ROUNDING = "reproduced by rounding"
BY_CUTTING = "reproduced by cutting"
EXPLAINED = "explained"
DIFFERS = "differs"
NOT_MEASURED = "not measured"
NOT_JUDGED = "not judged"
_WORST_FIRST = (DIFFERS, EXPLAINED, NOT_JUDGED, BY_CUTTING, BY_ROUNDING, REPRODUCED)
_FEWEST_SEEDS = 3


@dataclass(frozen=True)
class ReportedValueVerdict:
    """A printed figure, our value for it, and the verdict."""

    printed: ReportedValue
    value: Fraction | None
    verdict: str
    plain: Fraction | None = None
    """The plain network's printed figure that the value starts from; None where it is our count."""

    @property
    def ours(self) -> str:
        """Return the value in the printed unit, with its sum: ``3.5M = 3.4M + 99``; or nothing."""
        if self.value is None:
            return ""
        shown = self.printed.beside(self.value)
        if self.plain is None:
            return shown
        change = int(self.value - self.plain)
        sign = "-" if change < 0 else "+"
        return f"{shown} = {self.printed.shortest(self.plain)} {sign} {whole(abs(change))}"


def judge(view: RowView, metric: str, result: CostResult) -> ReportedValueVerdict | None:
    """Return the verdict on a printed figure; None where the source prints none.

    Raises:
        RequestError: the printed figure cannot be read; the message names the row.
    """
    figure = view.printed_figure(metric, result)
    if figure is None:
        return None
    try:
        printed = read_printed(figure, view.suite.convention.base)
    except RequestError as error:
        raise RequestError(f"suite {view.suite.suite.name}, row {view.label!r}: {error}") from error
    if metric in ("top1", "top5"):
        return _judged_accuracy(view, metric, result, printed)
    value = nominal(metric, result, view.suite, view.reference)
    verdict = verdict_of(printed, value, metric in view.row.reasons)
    return ReportedValueVerdict(printed, value, verdict, printed_plain(metric, result, view.suite))


def _judged_accuracy(
    view: RowView, metric: str, result: CostResult, printed: ReportedValue
) -> ReportedValueVerdict:
    """Return *reproduced* if the 95% interval of our mean over seeds contains the printed one."""
    ours = view.trained_of(result)
    found = ours.mean(metric) if ours else None
    if ours is None or found is None:
        return ReportedValueVerdict(printed, None, NOT_MEASURED)
    value = Fraction(str(found.mean))
    if found.count < _FEWEST_SEEDS or doubt_of(ours):
        return ReportedValueVerdict(printed, value, NOT_JUDGED)
    is_within = found.low <= float(printed.units * printed.unit) <= found.high
    reason = EXPLAINED if metric in view.row.reasons else DIFFERS
    return ReportedValueVerdict(printed, value, REPRODUCED if is_within else reason)


def verdict_of(printed: ReportedValue, value: Fraction | None, has_reason: bool) -> str:
    """Return the verdict on one printed figure."""
    if value is None:
        return NOT_MEASURED
    match printed.is_rounded(value), printed.is_cut(value):
        case True, True:
            return REPRODUCED
        case True, False:
            return BY_ROUNDING
        case False, True:
            return BY_CUTTING
        case _:
            return EXPLAINED if has_reason else DIFFERS


def worst(verdicts: Iterable[str]) -> str:
    """Return the verdict on several figures that share a cell."""
    found = set(verdicts)
    return next((verdict for verdict in _WORST_FIRST if verdict in found), NOT_MEASURED)


def nominal(
    metric: str, result: CostResult, suite: Suite, reference: CostResult | None = None
) -> Fraction | None:
    """Return the value of a metric under the source's convention; None without a measurement."""
    base = metric.removesuffix("_norm")
    value = _plain_nominal(base, result, suite)
    if base == metric:
        return value
    unit = _plain_nominal(base, reference, suite) if reference else None
    return value / unit if value is not None and unit else None


def _plain_nominal(metric: str, result: CostResult, suite: Suite) -> Fraction | None:
    values = result.values
    if metric not in ("params", "macs"):
        return _exact(values.get(metric))
    if result.case.backbone is None:
        paper = values.get(f"paper_{metric}")
        return _exact(values.get(metric) if paper is None else paper)
    is_without_norm = metric == "params" and not suite.convention.norms
    plain = printed_plain(metric, result, suite)
    if plain is None:
        return _exact(values.get("params_no_norm" if is_without_norm else metric))
    return plain + int(values[f"paper_delta_{metric}"])


def printed_plain(metric: str, result: CostResult, suite: Suite) -> Fraction | None:
    """Return the printed figure of the plain network that a nominal value starts from.

    None where the nominal value is a formula or our own count.
    """
    backbone = suite.nominal.get(result.case.backbone or "")
    change = result.values.get(f"paper_delta_{metric}")
    if result.case.module is None or backbone is None or change is None:
        return None
    return Fraction(str(getattr(backbone, metric)))


def as_data(value: Fraction | None) -> int | str | None:
    """Return a value for the CSV: an integer if it is whole, else a text with six decimals."""
    if value is None:
        return None
    return value.numerator if value.denominator == 1 else decimal(value, 6)


def _exact(value: float | None) -> Fraction | None:
    return None if value is None else Fraction(str(value))
