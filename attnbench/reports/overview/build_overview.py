"""The report of an overview, its values as data, and its block in a Markdown file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from attnbench.errors import RequestError
from attnbench.reports.overview.columns import (
    accuracy_verdict,
    common,
    figures,
    place_notes,
    rank,
)
from attnbench.reports.overview.entries import OverviewEntry, Place
from attnbench.reports.tables.accuracy_results import PairedTrainings
from attnbench.reports.tables.case_results import LatencyCell
from attnbench.reports.tables.columns import NOT_DECLARED
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.number_format import NOTHING
from attnbench.reports.tables.report import NECESSARY, Cell, Column, Report, Table, TextHead
from attnbench.reports.tables.terms import ACCURACY_RULE, CONVENTIONS, VERDICT_RULE, pointer
from attnbench.utils.files import atomic_write

_COUNTS = ("params", "macs", "activations", "bytes")
_COSTS = (*_COUNTS, *(f"delta_{key}" for key in _COUNTS))
BEGIN = "<!-- attnbench overview -->"
END = "<!-- /attnbench overview -->"
_BETWEEN = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)


def build_overview(
    places: Sequence[Place],
    sources: Sequence[str],
    provenance: Mapping[str, str],
    *,
    brief: bool = False,
) -> Report:
    """Return the report of an overview.

    Args:
        places: placements, a table each.
        sources: names of the runs.
        provenance: versions of the measuring software, by name.
        brief: whether tables have parameters, overheads and accuracies alone, without notes.
    """
    entries = [entry for place in places for entry in place.entries.values()]
    bibtex = {entry.card.get("key"): entry.card.get("bibtex") for entry in entries}
    summary = (
        "By the first overhead; costs are what the module adds to the plain network.",
        pointer("overhead", "accuracy", "macs", "bytes"),
    )
    return Report(
        name="overview",
        title="Attention modules side by side",
        tables=tuple(map(_brief_table if brief else _table, places)),
        footer=summary if brief else tuple(_footer(places, sources, provenance)),
        brief=summary,
        lines=tuple(line for place in places for line in lines(place)),
        bibtex=tuple(text for key, text in sorted(bibtex.items(), key=str) if key and text),
    )


def _table(place: Place) -> Table:
    notes, shown = Footnotes(), list(figures(place))
    heads = [Column(name, shown=(TextHead(name, priority),)) for name, priority in _TEXTS]
    return Table(
        title=f"At {place.name}",
        columns=(*heads, *(column.column for column in shown)),
        rows=tuple(
            (*_module_cells(entry, notes), *(column.cell(entry, notes) for column in shown))
            for entry in rank(place)
        ),
        notes=tuple(place_notes(place)),
        footnotes=notes.texts,
        keys=1,
    )


def _brief_table(place: Place) -> Table:
    shown = [column for column in figures(place) if column.brief]
    verdicts = [accuracy_verdict(place, setting) for setting in common(place, "accuracies")]
    columns, notes = [*shown, *verdicts], Footnotes()
    heads = [Column(name, shown=(TextHead(name, priority),)) for name, priority in _TEXTS[:2]]
    return Table(
        title=f"At {place.name}",
        columns=(*heads, *(column.column for column in columns)),
        rows=tuple(
            (
                *list(_module_cells(entry, notes))[:2],
                *(replace(column, notes=_no_notes).cell(entry, notes) for column in columns),
            )
            for entry in rank(place)
        ),
        keys=len(heads) + sum(not column.column.heads[0].setting for column in shown),
    )


def _no_notes(result: object) -> tuple[str, ...]:
    return ()


_TEXTS = (("Module", NECESSARY), ("Family", 60), ("Paper", 70))
"""Heads and priorities of the columns that describe a module."""


def _module_cells(entry: OverviewEntry, notes: Footnotes) -> Iterator[Cell]:
    failures = (result.failure(result.case.name) for result in entry.costs.values())
    yield Cell(entry.module, notes=notes.add(*failures))
    yield Cell(entry.card.get("family") or NOT_DECLARED)
    yield Cell(entry.card.get("short") or NOTHING, cite=entry.card.get("key") or "")


def _footer(
    places: Sequence[Place], sources: Sequence[str], provenance: Mapping[str, str]
) -> Iterator[str]:
    yield (
        "Rows are in the order of their first overhead. Costs are what the module adds to the "
        "plain network; the verdicts are those of the runs' own tables."
    )
    yield from CONVENTIONS
    if any(common(place, "latencies") for place in places):
        yield VERDICT_RULE
    if any(common(place, "accuracies") for place in places):
        yield ACCURACY_RULE
    measured = ", ".join(f"{name} {version}" for name, version in provenance.items())
    yield f"From the runs {', '.join(sources)}, measured with {measured}."


def objects(place: Place) -> list[dict[str, Any]]:
    """Return the JSON objects, with every setting of the runs, including those not in tables."""
    return [_object(place, entry) for entry in rank(place)]


def lines(place: Place) -> Iterator[Mapping[str, Any]]:
    """Yield the CSV lines: the same objects, flattened, with column names joined by slashes."""
    for record in objects(place):
        flat = {key: record[key] for key in ("placement", "module", "family", "paper")}
        for kind, keys in _WHERE.items():
            for entry in record[kind]:
                where = "/".join(str(entry[key]) for key in keys if entry.get(key))
                flat |= {f"{where}/{key}": entry[key] for key in entry if key not in keys}
        yield flat


_WHERE = {
    "costs": ("backbone",),
    "latencies": ("backbone", "conditions", "form"),
    "accuracies": ("backbone", "dataset", "recipe"),
}


def _object(place: Place, entry: OverviewEntry) -> dict[str, Any]:
    return {
        "module": entry.module,
        "placement": place.name,
        "family": entry.card.get("family"),
        "paper": entry.card.get("short"),
        "costs": [
            {"backbone": name, "status": result.status}
            | {key: result.values.get(key) for key in _COSTS}
            for name, result in entry.costs.items()
        ],
        "latencies": [
            {"backbone": at.backbone, "conditions": at.name, **_timed(form, cell)}
            for form, cells in (("plain", entry.latencies), ("fused", entry.fused))
            for at, cell in cells.items()
        ],
        "accuracies": [
            {"backbone": at.backbone, "dataset": at.name, "recipe": at.recipe, **_trained(pair)}
            for at, pair in entry.accuracies.items()
        ],
    }


def _timed(form: str, cell: LatencyCell) -> dict[str, Any]:
    arm = cell.timing and cell.timing.arm
    return {
        "form": form,
        "status": cell.status,
        "ratio": arm and arm.ratio,
        "ratio_low": arm and arm.low,
        "ratio_high": arm and arm.high,
        "verdict": cell.judgment.verdict if cell.judgment else None,
        "median_ms": cell.timing and 1000 * cell.timing.own.median,
        "peak_bytes": cell.values.get("peak_bytes"),
    }


def _trained(pair: PairedTrainings) -> dict[str, Any]:
    found, mean = pair.difference(), pair.mean()
    return {
        "status": pair.status,
        "seeds": len(pair.seeds),
        "top1_mean": mean and mean.mean,
        "difference": found and found.mean,
        "difference_low": found and found.low,
        "difference_high": found and found.high,
        "verdict": pair.judgment.verdict if pair.judgment else None,
    }


def with_report(text: str, report: str, name: str) -> str:
    """Return a file's text with the report, in Markdown, in place of what is between the comments.

    Raises:
        RequestError: there are not exactly two such comments, one after the other; the message
            has the file's ``name``.
    """
    if text.count(BEGIN) != 1 or len(_BETWEEN.findall(text)) != 1:
        raise RequestError(
            f"{name} has no place for the overview. Put the lines {BEGIN} and {END} where it goes."
        )
    return _BETWEEN.sub(lambda match: f"\n{report.strip()}\n\n", text)


def read_page(path: Path) -> str:
    """Return a Markdown file's text, with line endings normalized to newlines.

    Raises:
        RequestError: the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read: {error}") from error


def write_page(path: Path, text: str) -> None:
    """Replace a file's text, and keep its line endings, its mode and any symbolic link.

    Raises:
        OutputError: the file cannot be written.
    """
    real = path.resolve()
    with atomic_write(real, durable=True) as temporary:
        returns = b"\r\n" in real.read_bytes()
        temporary.write_bytes((text.replace("\n", "\r\n") if returns else text).encode())
