"""The report of a choice: its table, what was left out, and what no timing can know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attnbench.choosing.answer import Answer, AnswerRow
from attnbench.choosing.known_accuracy import KnownAccuracy
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.latency_columns import interval, percent, size
from attnbench.reports.tables.number_format import NOTHING, with_sign
from attnbench.reports.tables.report import NECESSARY, Cell, Column, Report, Table, TextHead

_NEXT = (
    "Timing cannot know the accuracy on your data. Ask: attnbench accuracy -b {backbone} -m "
    "{module} -p {placement} --dataset folder:PATH --seeds 3"
)
_ORDER = (
    "Overhead is that of the whole network, with its 95% interval; a row meets the budget if the "
    "upper end does. Rows are in the order of known accuracy (better, same, unknown, worse), then "
    "of the sites filled, then of the overhead."
)


def report_of(answer: Answer) -> Report:
    """Return the report of an answer."""
    notes = (*_counts(answer), *_left_out(answer))
    return Report(
        "choose",
        tables=tuple(_tables(answer)),
        footer=(_ORDER, *notes),
        brief=(*notes, _ORDER),
        lines=tuple(_line(row.to_json()) for row in answer.rows),
    )


def _line(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the CSV, without nested objects."""
    delta, accuracy = row.pop("delta"), row.pop("accuracy") or {}
    runtimes = " ".join(row.pop("runtimes") or [])
    flat = {f"delta_{key}": value for key, value in delta.items()}
    return {**row, **flat, "runtimes": runtimes, "accuracy": accuracy.get("verdict")}


def _tables(answer: Answer) -> Iterator[Table]:
    budget = ", ".join(f"{name} {text}" for name, text in answer.request.texts.items())
    title = f"{answer.request.backbone} in {answer.request.conditions}, at most {budget}"
    if answer.rows:
        yield _table(title, answer.rows)
    elif answer.over:
        yield _table(f"{title}: nothing; the closest", answer.over[:3])


def _table(title: str, rows: Sequence[AnswerRow]) -> Table:
    notes = Footnotes()
    columns = {
        name: text for name, text in _COLUMNS.items() if any(text(row) != NOTHING for row in rows)
    }
    return Table(
        title,
        tuple(
            Column(name, numeric=name in _NUMERIC, shown=(TextHead(name, _PRIORITIES[name]),))
            for name in columns
        ),
        tuple(
            tuple(
                Cell(text(row), notes=notes.add(*_footnotes(row)) if name == "Module" else ())
                for name, text in columns.items()
            )
            for row in rows
        ),
        footnotes=notes.texts,
        notes=tuple(row.command for row in rows),
    )


def _footnotes(row: AnswerRow) -> Iterator[str]:
    known = row.accuracy
    if known is not None:
        yield (
            f"{known.mean:+.2f} points [{known.low:+.2f}, {known.high:+.2f}] to plain, "
            f"{known.seeds} seeds, on {known.dataset} with {known.backbone} ({known.source})"
        )
    if known is not None and not known.learned:
        yield f"did not learn in {known.source}: its loss stayed at that of guessing"


def _accuracy(known: KnownAccuracy | None) -> str:
    return "unknown" if known is None else known.verdict


def _overhead(row: AnswerRow) -> str:
    return percent(row.verified.timing.arm.ratio)


def _bounds(row: AnswerRow) -> str:
    arm = row.verified.timing.arm
    return interval(arm.low, arm.high)


def _predicted(row: AnswerRow) -> str:
    return percent(1 + row.verified.prediction.value)


def _drift(row: AnswerRow) -> str:
    return NOTHING if row.drift is None else f"{row.drift:.1%}"


_COLUMNS: dict[str, Callable[[AnswerRow], str]] = {
    "Module": lambda row: row.verified.candidate.module,
    "Placement": lambda row: row.verified.candidate.placement,
    "Sites": lambda row: str(row.verified.candidate.sites),
    "Overhead": _overhead,
    "95%": _bounds,
    "Verdict": lambda row: row.verified.verdict.verdict,
    "Predicted": _predicted,
    "+Params": lambda row: with_sign(row.verified.candidate.delta.params),
    "+MACs": lambda row: with_sign(row.verified.candidate.delta.macs),
    "Peak memory": lambda row: size(row.verified.peak_bytes),
    "Accuracy": lambda row: _accuracy(row.accuracy),
    "Drift": _drift,
    "Runtimes": lambda row: ", ".join(row.runtimes or ()) or NOTHING,
}
_NUMERIC = ("Sites", "Overhead", "95%", "Predicted", "+Params", "+MACs", "Peak memory", "Drift")
_PRIORITIES = {
    "Module": NECESSARY,
    "Placement": NECESSARY,
    "Sites": 30,
    "Overhead": NECESSARY,
    "95%": 5,
    "Verdict": 20,
    "Predicted": 60,
    "+Params": 40,
    "+MACs": 45,
    "Peak memory": 50,
    "Accuracy": 10,
    "Drift": 55,
    "Runtimes": 70,
}


def _counts(answer: Answer) -> Iterator[str]:
    counts = answer.counts
    yield (
        f"{counts['all']} candidates, {counts['within']} within the exact limits, "
        f"{counts['screened']} predicted from sections, {counts['verified']} verified as whole "
        "networks."
    )
    if not counts["all"]:
        yield "No module takes any of the places. Name others: --modules, --places."
    elif not counts["within"]:
        yield "No candidate is within the limits on parameters and MACs. Raise them."
    elif not answer.rows:
        yield "Nothing meets the budget. Raise --max-overhead, or give more time: --budget."


def _left_out(answer: Answer) -> Iterator[str]:
    if answer.found.unscreened:
        yield f"Not screened at all their sites in time: {', '.join(answer.found.unscreened)}."
    failed = {**answer.found.candidates.refused, **answer.found.failed}
    yield from (f"{module} left out: {reason}" for module, reason in failed.items())
    if answer.rows:
        candidate = answer.rows[0].verified.candidate
        yield _NEXT.format(
            backbone=answer.request.backbone,
            module=candidate.module,
            placement=candidate.placement,
        )
