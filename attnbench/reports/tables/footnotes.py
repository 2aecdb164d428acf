"""The numbered footnotes of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnbench.reports.tables.case_result import NOT_RUN
from attnbench.reports.tables.number_format import signed, whole

if TYPE_CHECKING:
    from attnbench.reports.tables.row_views import CostResult, RowView


class Footnotes:
    """Footnotes numbered in order of first appearance; a repeated text keeps its number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def add(self, *texts: str) -> tuple[int, ...]:
        """Return the numbers of the texts, without empty ones."""
        present = [text for text in texts if text]
        return tuple(self._numbers.setdefault(text, len(self._numbers) + 1) for text in present)

    @property
    def texts(self) -> tuple[str, ...]:
        """Return all texts in the order of their numbers."""
        return tuple(self._numbers)


def failure(view: RowView, result: CostResult) -> str:
    """Return the reason why a result has no values; empty where it has values."""
    if result.values or result.status == NOT_RUN:  # the cells show this status
        return ""
    group = view.group_name(result) if len(view.results) > 1 else ""
    reason = f": {result.reason}" if result.reason else ""
    return f"{group or result.case.name}: {result.status}{reason}"


def differences(view: RowView) -> str:
    """Return the reasons why a module's exact counts differ from its printed formulas."""
    sentences = (view.card.get("printed") or {}).get("differences") or []
    return " ".join([f"{view.card['title']}:", *sentences]) if sentences else ""


def sites(result: CostResult) -> str:
    """Return the layers that a placement's numbers denote."""
    if not result.slots:
        return ""
    return f"{result.case.placement}: {'; '.join(_site(slot) for slot in result.slots)}."


def _site(slot: Mapping[str, Any]) -> str:
    height, width = slot["size"]
    layer = f"layer {slot['layer']} is " if slot.get("layer") is not None else ""
    return f"{layer}{slot['path']}, {slot['channels']} channels, {height}x{width}"


def reconciliation(name: str, report: Mapping[str, Any]) -> str:
    """Return a counter's result and its reconciliation with ours; empty where both are equal."""
    if report.get("raw") is None:
        return f"{name} failed: {report.get('reason') or 'no number'}."
    if report["agree"] and report["raw"] == report["macs"]:
        return ""
    steps = _steps(report)
    if not report["agree"]:
        steps.append(f"{signed(report.get('remainder') or 0)} unexplained")
    return f"{name} says {whole(report['raw'])}: {', '.join(steps)}."


def _steps(report: Mapping[str, Any]) -> list[str]:
    factor = report.get("factor") or 1
    changes: dict[str, int] = {}
    for change in report.get("adjustments") or []:
        changes[change["operator"]] = changes.get(change["operator"], 0) + change["macs"]
    unit = [f"{factor} to a multiply-add"] if factor != 1 else []
    return unit + [f"{operator} {signed(macs)}" for operator, macs in changes.items()]
