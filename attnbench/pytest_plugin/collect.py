"""Collector of a suite file, whose tests are the suite's cases."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from attnbench.errors import AttnbenchError
from attnbench.pytest_plugin.baseline import CostBaseline
from attnbench.pytest_plugin.benchmark import has_benchmark
from attnbench.pytest_plugin.items import BaselineItem, CostItem, LatencyItem
from attnbench.pytest_plugin.project import project_of
from attnbench.suites.case import Case, PlannedTable
from attnbench.suites.load import read_suite
from attnbench.suites.plan import all_cases, plan
from attnbench.suites.schema import Suite


class SuiteFile(pytest.File):
    """A collector of cost cases and, with pytest-benchmark, latency cases; accuracy is excluded."""

    @classmethod
    def at(cls, path: Path, parent: pytest.Collector) -> Self:
        """Return the collector of a file.

        A file outside the project, as of a shipped suite, would have no name of its own in reports.
        """
        named: dict[str, Any] = {}
        if not path.is_relative_to(parent.config.rootpath):
            named["nodeid"] = f"{path.parent.name}/{path.name}"
        return cls.from_parent(parent, path=path, **named)

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the tests.

        Raises:
            CollectError: the file is invalid, or a name in it is unknown; a message of one or two
                lines.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # warnings of torch and the imported plugins
                yield from list(self._items())
        except AttnbenchError as error:
            raise self.CollectError(str(error)) from error

    def _items(self) -> Iterator[pytest.Item]:
        project = project_of(self.config)
        suite = read_suite(self.path)
        tables = self._planned(suite)
        cases = all_cases(tables)
        baseline = CostBaseline.of(suite.suite.name, self.path, project)
        budgets = _budgets(suite, tables)
        for case in cases:
            if case.kind == "cost":
                yield CostItem.of(self, case, baseline)
            elif case.kind == "latency" and has_benchmark(self.config):
                yield LatencyItem.of(self, case, project.budget or budgets[case])
        if baseline.run is not None:
            yield BaselineItem.of(self, baseline, cases)

    def _planned(self, suite: Suite) -> list[PlannedTable]:
        from attnbench.measure.iso_macs import IsoMacBaselines

        project = project_of(self.config)
        return plan(suite, project.catalog, brackets=IsoMacBaselines(project.cost))


def _budgets(suite: Suite, tables: list[PlannedTable]) -> dict[Case, float]:
    """Return the seconds of each latency case, from the first table that has it."""
    found: dict[Case, float] = {}
    for table in tables:
        latency = suite.latency_of(table.layout)
        if latency is not None:
            cases = (case for row in table.rows for case in row.latency)
            found = dict.fromkeys(cases, latency.budget_s) | found
    return found
