"""The accuracy columns of a table and their cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from statistics import median

from attnbench.datasets.dataset import LEFT_OUT
from attnbench.reports.tables.accuracy_results import NOT_MEASURED, PairedTrainings, weak_baseline
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.number_format import NOTHING
from attnbench.reports.tables.report import Cell, Column, TextHead
from attnbench.stats.paired_difference import DifferenceEstimate
from attnbench.stats.power import detectable
from attnbench.stats.verdict import MANY_SEEDS, Verdict
from attnbench.suites.schema import Accuracy

_GUESSED = 0.9
"""Share of the chance-level loss above which a final loss counts as not learned."""


def accuracy_columns(
    accuracy: Accuracy, rows: Sequence[Sequence[PairedTrainings]]
) -> Iterator[Column]:
    """Yield the accuracy columns of a table, as one group."""
    group = _head(accuracy, list(chain(*rows)))
    for key in accuracy.columns:
        title, unit, _ = _COLUMNS[key]
        shown = difference_heads("Difference", SETTING, 5) if key == "difference" else _short(key)
        yield Column(title, unit, group, numeric=True, shown=shown)


SETTING = "Accuracy"
"""Label of the conditions of trainings."""


def difference_heads(head: str, setting: str, priority: int) -> tuple[TextHead, ...]:
    """Return the heads of a difference: the mean, its interval and its verdict."""
    return (
        TextHead(head, priority, "difference", setting=setting),
        TextHead("95%", priority + 30, "interval", name=f"{head} 95%"),
        TextHead("Verdict", priority, "verdict", name=f"{head} verdict", is_verdict=True),
    )


def _short(key: str) -> tuple[TextHead, ...]:
    head, priority = _SHORT[key]
    return (TextHead(head, priority, key, setting=SETTING),)


def _head(accuracy: Accuracy, results: Sequence[PairedTrainings]) -> str:
    """Return the head: data set, image size, recipe and number of seeds."""
    case = next((result.case for pair in results for result in pair.results), None)
    training = case.training if case else None
    epochs = training.epochs if training else None
    measured = next((pair for pair in results if pair.facts), None)
    parts = [
        accuracy.dataset,
        "×".join(map(str, case.size)) if case else "",
        f"recipe {training.recipe}" if training else "",
        f"{epochs} epoch{'s' * (epochs > 1)}" if epochs else "",
        f"{'at most ' * bool(accuracy.until)}{accuracy.seeds} seed{'s' * (accuracy.seeds > 1)}",
        "smoke test" if measured and measured.recipe.get("smoke") else "",
        "synthetic pictures" if measured and measured.facts.get("synthetic") else "",
        "weak baseline" if any(map(weak_baseline, results)) else "",
    ]
    return ", ".join(part for part in parts if part)


def accuracy_cells(
    accuracy: Accuracy, row: Sequence[PairedTrainings], notes: Footnotes
) -> Iterator[Cell]:
    """Yield a row's accuracy cells; an untrained row is shown as *not measured*."""
    for place, key in enumerate(accuracy.columns):
        if not row:
            yield Cell(NOT_MEASURED)
        else:
            numbers = notes.add(*footnotes_of(row[0])) if place == 0 else ()
            parts = difference_parts(row[0]) if key == "difference" else ()
            yield Cell(figure(row[0], key), notes=numbers, parts=parts)


def figure(one: PairedTrainings, key: str) -> str:
    """Return the text of an accuracy column."""
    return _COLUMNS[key][2](one) if one.own else one.status


def interval(found: DifferenceEstimate, *, signed: bool = False) -> str:
    """Return an estimate as ``92.31 [92.05, 92.57]``; without bounds, only the mean."""
    ends = (found.low, found.high) if signed else (max(0.0, found.low), min(100.0, found.high))
    form = "+.2f" if signed else ".2f"
    mean, low, high = (format(value, form) for value in (found.mean, *ends))
    return f"{mean} [{low}, {high}]" if math.isfinite(found.low) else mean


def difference_parts(one: PairedTrainings) -> tuple[str, str, str]:
    """Return mean, interval and verdict of a difference, or only the reason why it is missing."""
    found = None if one.is_plain else one.difference()
    if found is None or not one.own:
        return figure(one, "difference"), "", ""
    mean, _, bounds = interval(found, signed=True).partition(" ")
    return mean, bounds, _short_verdict(one.judgment)


def _short_verdict(judgment: Verdict | None) -> str:
    """Return ``inconclusive (+7 seeds)`` with the seeds that a verdict needs in addition."""
    if judgment is None or judgment.more_seeds is None:
        return str(judgment or "")
    count = judgment.more_seeds
    more = f">{MANY_SEEDS}" if count > MANY_SEEDS else str(count)
    return f"{judgment.verdict} (+{more} seed{'s' * (count != 1)})"


def _difference(pair: PairedTrainings) -> str:
    """Return the text ``+0.31 [-0.10, +0.72] inconclusive, about 4 more seeds needed``."""
    if pair.is_plain:
        return NOTHING
    found = pair.difference()
    if found is None:
        return "plain not measured"
    return f"{interval(found, signed=True)} {pair.judgment or ''}".strip()


def accuracy_notes(results: Sequence[PairedTrainings]) -> Iterator[str]:
    """Yield the notes of a table: detectable difference, marks of its data, unreadable images."""
    spreads = [found.sd for pair in results if not pair.is_plain and (found := pair.difference())]
    finite = [spread for spread in spreads if math.isfinite(spread) and spread > 0]
    seeds = max((len(pair.seeds) for pair in results), default=0)
    if finite and seeds > 1:
        sd = median(finite)
        yield (
            f"With {seeds} seeds and the spread seen here (standard deviation of a paired "
            f"difference {sd:.2f} points, median of the rows) a true difference of "
            f"{detectable(sd, seeds):.2f} points is found in 8 of 10 such tables, judged alone."
        )
    yield from dict.fromkeys(text for pair in results if (text := _marks(pair)))


def footnotes_of(one: PairedTrainings) -> tuple[str, ...]:
    """Return the footnotes of a row: failed trainings, failed int8 models, lack of learning."""
    # a skipped case is missing for all rows and seeds alike: reported once
    failures = [
        result.failure("" if result.status == "skipped" else result.case.name)
        for result in one.results
    ]
    facts = (record.get("training") or {} for record in one.own.values())
    failures += [f"int8: {why}" for fact in facts if (why := fact.get("int8_failed"))]
    return (*dict.fromkeys(filter(None, failures)), *learning_notes(one))


def learning_notes(pair: PairedTrainings) -> Iterator[str]:
    """Yield a note if the loss stayed at chance level, which can be due to the recipe as well."""
    classes = pair.facts.get("classes")
    if not isinstance(classes, int) or classes < 2 or not pair.own:
        return
    guessing = math.log(classes)
    losses = [loss for loss in pair.values("loss") if not loss < _GUESSED * guessing]
    if losses:
        yield (
            f"Did not learn by this recipe in {len(losses)} of {len(pair.own)} seeds: the training "
            f"loss ended at {median(losses):.2f}, guessing among {classes} classes has "
            f"{guessing:.2f}."
        )


def _marks(pair: PairedTrainings) -> str:
    facts = pair.facts
    parts = []
    if facts.get("synthetic"):
        parts.append("The pictures are synthetic: a dry run, whose accuracy says nothing.")
    if pair.recipe.get("smoke"):
        parts.append(
            "The accuracy is a smoke test: it shows that every module trains, not which is better."
        )
    weak = weak_baseline(pair)
    if weak:
        parts.append(f"{weak[0].upper()}{weak[1:]}; verdicts are withheld.")
    notes = [str(note) for note in facts.get("notes") or []]
    parts += [f"{facts.get('dataset')}: {'; '.join(notes)}."] if notes else []
    left_out = sum(facts.get("unreadable") or [])
    if left_out and not any(LEFT_OUT in note for note in notes):  # as in older records
        names = (facts.get("unreadable_names") or [])[:3]
        more = ["..."] if left_out > len(names) else []
        parts.append(
            f"Images that cannot be read, left out: {left_out} ({', '.join(names + more)})"
        )
    return " ".join(parts)


def _mean(key: str) -> Callable[[PairedTrainings], str]:
    def text(pair: PairedTrainings) -> str:
        found = pair.mean(key)
        return interval(found) if found else NOTHING

    return text


def _int8_difference(pair: PairedTrainings) -> str:
    found = None if pair.is_plain else pair.difference("int8_top1")
    return interval(found, signed=True) if found else NOTHING


def _mcnemar(pair: PairedTrainings) -> str:
    found = pair.mcnemar
    if found is None:
        return NOTHING
    return f"{found.only_a} / {found.only_b}, p = {found.p_value:.2g}"


def _seconds(pair: PairedTrainings) -> str:
    return f"{median(record['training']['training_s'] for record in pair.own.values()):.0f}"


_INTERVAL = "points, 95% interval"
_COLUMNS: dict[str, tuple[str, str, Callable[[PairedTrainings], str]]] = {
    "top1": ("Top-1", "%, mean, 95% interval", _mean("top1")),
    "top5": ("Top-5", "%, mean, 95% interval", _mean("top5")),
    "difference": ("Difference to plain", f"{_INTERVAL}, verdict", _difference),
    "int8": ("Top-1, int8", "%, mean, 95% interval", _mean("int8_top1")),
    "int8_difference": ("Difference to plain, int8", _INTERVAL, _int8_difference),
    "mcnemar": ("Images gained / lost", "McNemar's p, these weights only", _mcnemar),
    "seconds": ("Training", "s per seed", _seconds),
}
"""Head, unit and text by the key of a column."""
_SHORT = {
    "top1": ("Top-1", 20),
    "top5": ("Top-5", 70),
    "int8": ("Int8 top-1", 40),
    "int8_difference": ("Int8 difference", 30),
    "mcnemar": ("Gained / lost", 60),
    "seconds": ("Seconds", 80),
}
"""Head on a terminal and priority by the key of a column."""
