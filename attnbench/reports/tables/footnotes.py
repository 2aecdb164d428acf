"""The numbered footnotes of a table, and the texts of those about counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attnbench.reports.tables.case_results import CostResult, placement_text
from attnbench.reports.tables.number_format import whole, with_sign
from attnbench.reports.tables.report import Cell

CounterReport = Mapping[str, Any]
_MOST_CALLS = 6


class Footnotes:
    """Footnotes numbered in order of first appearance; a repeated text keeps its number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.details: dict[str, str] = {}
        """Footnotes that only explain, each with its short form, which may be empty."""

    def add(self, *texts: str) -> tuple[int, ...]:
        """Return the numbers of the texts, without empty ones."""
        present = [text for text in texts if text]
        return tuple(self._numbers.setdefault(text, len(self._numbers) + 1) for text in present)

    @property
    def texts(self) -> tuple[str, ...]:
        """Return all texts in the order of their numbers."""
        return tuple(self._numbers)


def differences(card: Mapping[str, Any]) -> str:
    """Return the reasons why a module's exact counts differ from its printed formulas."""
    sentences = (card.get("printed") or {}).get("differences") or []
    return " ".join([f"{card['title']}:", *sentences]) if sentences else ""


def sites(result: CostResult) -> str:
    """Return the layers that a placement's numbers denote, with their number for wildcards."""
    found = []
    for slot in result.slots:
        height, width = slot["size"]
        layer = f"layer {slot['layer']} is " if slot.get("layer") is not None else ""
        found.append(f"{layer}{slot['path']}, {slot['channels']} channels, {height}x{width}")
    if not found:
        return ""
    placement = str(result.case.placement)
    is_wildcard = "*" in placement
    name = placement_text(placement, len(found)) if is_wildcard else placement
    return f"{name}: {'; '.join(found)}."


def uncounted_note(uncounted: Sequence[Mapping[str, Any]]) -> str:
    """Return the operators without MACs of a rule, with calls and sizes; empty without any."""
    calls = [_call(entry) for entry in uncounted]
    more = len(calls) - _MOST_CALLS
    shown = [*calls[:_MOST_CALLS], *([f"{more} more"] if more > 0 else [])]
    return f"Not countable, and not in the MACs: {'; '.join(shown)}." if calls else ""


def _call(entry: Mapping[str, Any]) -> str:
    calls = f"{entry['calls']} {'call' if entry['calls'] == 1 else 'calls'}"
    sizes = ", ".join("x".join(map(str, size)) or "a number" for size in entry["sizes"])
    return f"{entry['operator']} ({calls}{f' on {sizes}' if sizes else ''})"


def agreement(
    reports: Iterable[tuple[str, CounterReport]],
    notes: Footnotes,
    uncounted: Sequence[Mapping[str, Any]] = (),
) -> Cell:
    """Return the cell ``2 of 3 agree`` of counters' reports by name; empty without any.

    Over operators that no counter knows it names them instead.
    """
    reports = list(reports)
    if not reports:
        return Cell()
    agreeing = sum(bool(report["agree"]) for _, report in reports)
    text = _reconciliations(reports)
    numbers = notes.add(text)
    notes.details[text] = _reconciliations(pair for pair in reports if not pair[1]["agree"])
    if uncounted:
        names = dict.fromkeys(str(entry["operator"]) for entry in uncounted)
        return Cell(f"not countable: {', '.join(names)}", notes=numbers)
    return Cell(f"{agreeing} of {len(reports)} agree", notes=numbers)


def _reconciliations(reports: Iterable[tuple[str, CounterReport]]) -> str:
    texts = dict.fromkeys(_reconciliation(name, report) for name, report in reports)
    return " ".join(text for text in texts if text)


def all_agree(reports: Sequence[tuple[str, CounterReport]], *, uncounted: bool) -> str:
    """Return the sentence for counters that agree on every row; empty where one does not."""
    names = list(dict.fromkeys(name for name, _ in reports))
    if not names or uncounted or not all(report["agree"] for _, report in reports):
        return ""
    subject = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    verb = "agree" if len(names) > 1 else "agrees"
    return f"{subject} {verb} with ours on every row (--explain shows how)."


def counter_units(reports: Iterable[tuple[str, CounterReport]]) -> list[str]:
    """Return the unit of each counter, ``fvcore counts MACs``, in order of first appearance."""
    units = {name: report["unit"] for name, report in reports}
    return [f"{name} counts {unit}" for name, unit in units.items()]


def _reconciliation(name: str, report: CounterReport) -> str:
    """Return a counter's result and its reconciliation with ours; empty where both are equal."""
    if report.get("raw") is None:
        return f"{name} failed: {report.get('reason') or 'no number'}."
    explained = report["agree"] or not report.get("remainder")
    if explained and report["raw"] == report["macs"]:
        return ""
    factor = report.get("factor") or 1
    changes: Counter[str] = Counter()
    for change in report.get("adjustments") or []:
        changes[change["operator"]] += change["macs"]
    steps = [
        *([f"{factor} to a multiply-add"] if factor != 1 else []),
        *(f"{operator} {with_sign(macs)}" for operator, macs in changes.items()),
        *([] if explained else [f"{with_sign(report.get('remainder') or 0)} unexplained"]),
    ]
    return f"{name} says {whole(report['raw'])}: {', '.join(steps)}."
