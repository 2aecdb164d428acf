"""The tests of a suite: costs against the baseline, latencies, and the baseline's own cases."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import pytest

from attnbench.pytest_plugin.baseline import CostBaseline
from attnbench.pytest_plugin.errors import report_user_errors
from attnbench.pytest_plugin.latency_item import timed
from attnbench.pytest_plugin.project import project_of
from attnbench.pytest_plugin.report_notes import NEW, NOTE, RATIO
from attnbench.records.format import Record
from attnbench.suites.case import Case

Place = tuple[os.PathLike[str] | str, int | None, str]


class CostItem(pytest.Item):
    """The test of a cost case: its counts must equal the baseline's."""

    case: Case
    baseline: CostBaseline

    @classmethod
    def of(cls, parent: pytest.Collector, case: Case, baseline: CostBaseline) -> Self:
        """Return the test of a case."""
        item = cls.from_parent(parent, name=case.name)
        # the counters of other tools take seconds, and the baseline has only ours
        item.case, item.baseline = replace(case, counters=False), baseline
        return item

    def runtest(self) -> None:
        """Count the case and compare it with the baseline."""
        with report_user_errors():
            values = project_of(self.config).cost.measure(self.case).values
        record = self.baseline.record(self.name)
        if record is None or record.status != "ok":
            self.user_properties.append(self._why_not_compared(record))
            return
        lines = self.baseline.differences(record, values)
        if lines:
            head = f"{self.name} is not what it was:"
            pytest.fail("\n".join([head, *lines, self.baseline.way_out(self.name)]), pytrace=False)

    def _why_not_compared(self, record: Record | None) -> tuple[str, object]:
        if self.baseline.run is None:
            return NOTE, self.baseline.missing()
        if record is not None:
            return NOTE, f"{self.name}: nothing was compared, the baseline's is {record.status}"
        return NEW, self.name

    def reportinfo(self) -> Place:
        """Return the file, its first line (a skip must have one) and the name."""
        return self.path, 0, self.name


class BaselineItem(pytest.Item):
    """The test that every case of the baseline still exists."""

    baseline: CostBaseline
    cases: Sequence[Case]

    @classmethod
    def of(cls, parent: pytest.Collector, baseline: CostBaseline, cases: Sequence[Case]) -> Self:
        """Return the test of a suite's baseline."""
        item = cls.from_parent(parent, name="baseline")
        item.baseline, item.cases = baseline, cases
        return item

    def runtest(self) -> None:
        """Fail if a case was renamed or removed."""
        lines = list(self.baseline.gone(self.cases))
        if lines:
            count = "a case" if len(lines) == 1 else f"{len(lines)} cases"
            head = f"{count} of the baseline, renamed or removed in {self.path.name}:"
            pytest.fail("\n".join([head, *lines, self.baseline.way_out()]), pytrace=False)

    def reportinfo(self) -> Place:
        """Return the file, its first line (a skip must have one) and the name."""
        return self.path, 0, f"{self.path.name}: every case of the baseline is still there"


class LatencyItem(pytest.Function):
    """The test of a latency case, timed by pytest-benchmark and our sampler; no timing fails it."""

    case: Case
    budget_s: float

    @classmethod
    def of(cls, parent: pytest.Collector, case: Case, budget_s: float) -> Self:
        """Return the test of a case; ``budget_s`` is the budget of our sampler in seconds."""

        def benchmarked(request: pytest.FixtureRequest, benchmark: Any) -> None:
            line = timed(case, project_of(request.config), benchmark, budget_s)
            if line:
                request.node.user_properties.append((RATIO, line))

        return cls.from_parent(parent, name=case.name, callobj=benchmarked)

    def reportinfo(self) -> Place:
        """Return the file, its first line (a skip must have one) and the name."""
        return self.path, 0, self.name
