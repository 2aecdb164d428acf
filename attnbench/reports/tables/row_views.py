"""Rows of a table with their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from attnbench.records.latency_result import LatencyResult
from attnbench.reports.tables.accuracy_results import PairedTrainings, read_trainings
from attnbench.reports.tables.case_results import CostResult, LatencyCell, Records, read_latencies
from attnbench.suites.planned import PlannedTable
from attnbench.suites.schema import Accuracy, Latency, Row, Suite, TableLayout


@dataclass(frozen=True)
class RowView:
    """A row of a planned table with its results."""

    suite: Suite
    layout: TableLayout
    label: str
    row: Row
    results: tuple[CostResult, ...]
    reference: CostResult | None
    """Result of the row by which normalized columns are divided."""
    added: bool = False
    timed: tuple[LatencyCell, ...] = ()
    """Latency cells, one for each runtime of the table."""
    trained: tuple[PairedTrainings, ...] = ()
    """Trainings, one entry for each result; empty where the row is not trained."""

    @property
    def latency(self) -> Latency | None:
        """Return the latency settings of the table."""
        return self.suite.latency_of(self.layout)

    @property
    def accuracy(self) -> Accuracy | None:
        """Return the accuracy settings of the table."""
        return self.suite.accuracy_of(self.layout)

    @property
    def first(self) -> CostResult:
        """Return the only result, or that of the first column group."""
        return self.results[0]

    @property
    def measured(self) -> list[CostResult]:
        """Return the results that have values."""
        return [result for result in self.results if result.values]

    @property
    def counters(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the reports of the external counters for all results, with their names."""
        return [pair for result in self.measured for pair in result.counters.items()]

    @property
    def uncounted(self) -> list[Mapping[str, Any]]:
        """Return the operators of all results whose MACs are unknown."""
        return [entry for result in self.measured for entry in result.uncounted]

    @property
    def card(self) -> Mapping[str, Any]:
        """Return the module's card, from the first result that has it."""
        return next((card for result in self.results if (card := result.part("card"))), {})

    def only(self, result: CostResult) -> RowView:
        """Return the row restricted to one of its results."""
        own = self.trained_of(result)
        return replace(self, results=(result,), trained=(own,) if own else ())

    def trained_of(self, result: CostResult) -> PairedTrainings | None:
        """Return the trainings of a result; None where the row is not trained."""
        if len(self.trained) != len(self.results):
            return None
        return self.trained[self.results.index(result)]

    def printed_figure(self, metric: str, result: CostResult) -> str | float | None:
        """Return the printed figure that belongs to a result."""
        figures: Mapping[str, Any] = self.row.printed  # type: ignore[assignment]
        figure = figures.get(metric)
        return figure[result.group] if isinstance(figure, list) else figure

    def numbers(self, key: str) -> list[int]:
        """Return the values of a metric for all results that have it, sorted."""
        found = (result.values.get(key) for result in self.results)
        return sorted(value for value in found if value is not None)

    def group_name(self, result: CostResult) -> str:
        """Return ``g = 8`` for a result of a row with column groups, else its case's name."""
        groups = self.layout.groups
        if groups is None or len(self.results) == 1:
            return result.case.name
        return groups.label.replace("{}", str(groups.values[result.group]))


def row_views(
    suite: Suite,
    table: PlannedTable,
    records: Records,
    timings: Mapping[str, LatencyResult],
) -> list[RowView]:
    """Return the rows of a table with their records, in display order.

    ``timings`` are those of all records of the run, by case name.
    """
    results = [
        tuple(CostResult(case, records.get(case.name), at) for at, case in enumerate(row.cases))
        for row in table.rows
    ]
    wanted = table.layout.reference or ""  # a row without a label has none, not this one
    labeled = zip(table.rows, results, strict=True)
    reference = next((costs[0] for row, costs in labeled if row.row.label == wanted), None)
    latencies = read_latencies([row.latency for row in table.rows], records, timings)
    trainings = read_trainings(table.rows, records, suite.accuracy_of(table.layout))
    made = [
        RowView(suite, table.layout, row.label, row.row, costs, reference, row.added, cells, pairs)
        for row, costs, cells, pairs in zip(table.rows, results, latencies, trainings, strict=True)
    ]
    return _rank(made)


def _rank(views: list[RowView]) -> list[RowView]:
    """Return the rows by overhead if the layout requests it, unmeasured ones last."""
    latency = views[0].latency
    if latency is None or latency.rank is None:
        return views
    number = latency.runtimes.index(latency.rank)
    backbones = list(dict.fromkeys(view.first.case.backbone for view in views))

    def key(view: RowView) -> tuple[int, bool, float]:
        ratio, case = view.timed[number].ratio, view.first.case
        # the plain network, as the baseline, always comes first
        place = 0.0 if case.module is None else ratio or 0.0
        return (backbones.index(case.backbone), ratio is None, place)

    return sorted(views, key=key)
