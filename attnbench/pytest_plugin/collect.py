"""Collector of a suite file, and the tests of its cases: costs, latencies, and the baseline."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

import pytest

from attnbench.errors import AttnbenchError
from attnbench.pytest_plugin.baseline import CostBaseline
from attnbench.pytest_plugin.benchmark import has_benchmark, pedantic
from attnbench.pytest_plugin.project import Project, project_of
from attnbench.pytest_plugin.reporting import NEW, NOTE, RATIO, report_user_errors
from attnbench.runtimes.torch_export import root_cause
from attnbench.suites.case import Case
from attnbench.suites.load import read_suite
from attnbench.suites.plan import all_cases, plan
from attnbench.suites.planned import PlannedTable
from attnbench.suites.schema import Suite
from attnbench.utils.scratch import scratch_folder

if TYPE_CHECKING:
    from attnbench.records.latency_result import LatencyResult


class SuiteFile(pytest.File):
    """A collector of cost cases and, with pytest-benchmark, latency cases; accuracy is excluded."""

    @classmethod
    def at(cls, path: Path, parent: pytest.Collector) -> Self:
        """Return the collector of a file.

        A file outside the project, as of a shipped suite, would have no name of its own in reports.
        """
        is_inside = path.is_relative_to(parent.config.rootpath)
        name = None if is_inside else f"{path.parent.name}/{path.name}"
        return cls.from_parent(parent, path=path, nodeid=name)

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
        from attnbench.measure.iso_macs import IsoMacBaselines

        project, suite = project_of(self.config), read_suite(self.path)
        tables = plan(suite, project.catalog, brackets=IsoMacBaselines(project.cost))
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


def _budgets(suite: Suite, tables: list[PlannedTable]) -> dict[Case, float]:
    """Return the seconds of each latency case, from the first table that has it."""
    found: dict[Case, float] = {}
    for table in tables:
        latency = suite.latency_of(table.layout)
        if latency is not None:
            cases = (case for row in table.rows for case in row.latency)
            found = dict.fromkeys(cases, latency.budget_s) | found
    return found


class SuiteItem(pytest.Item):
    """A test of a suite file."""

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return the file, its first line (a skip must have one) and the name."""
        return self.path, 0, self.name


class CostItem(SuiteItem):
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
            values = project_of(self.config).cost.measure(self.case)["values"]
        record = self.baseline.record(self.name)
        if self.baseline.run is None:
            self.user_properties.append((NOTE, self.baseline.missing()))
        elif record is None:
            self.user_properties.append((NEW, self.name))
        elif record.status != "ok":
            why = f"{self.name}: nothing was compared, the baseline's is {record.status}"
            self.user_properties.append((NOTE, why))
        elif lines := self.baseline.differences(record, values):
            self.baseline.fail(f"{self.name} differs from the baseline:", lines, self.name)


class BaselineItem(SuiteItem):
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
        if lines := list(self.baseline.gone(self.cases)):
            count = "1 case" if len(lines) == 1 else f"{len(lines)} cases"
            self.baseline.fail(f"{count} of the baseline not in {self.path.name}:", lines)


class LatencyItem(pytest.Function, SuiteItem):  # pyright: ignore[reportIncompatibleMethodOverride]
    """The test of a latency case, timed by pytest-benchmark and our sampler; no timing fails it."""

    @classmethod
    def of(cls, parent: pytest.Collector, case: Case, budget_s: float) -> Self:
        """Return the test of a case; ``budget_s`` is the budget of our sampler in seconds."""

        def benchmarked(request: pytest.FixtureRequest, benchmark: Any) -> None:
            line = time_case(case, project_of(request.config), benchmark, budget_s)
            if line:
                request.node.user_properties.append((RATIO, line))

        return cls.from_parent(parent, name=case.name, callobj=benchmarked)

    reportinfo = SuiteItem.reportinfo  # pyright: ignore[reportAssignmentType]


def time_case(case: Case, project: Project, benchmark: Any, budget_s: float) -> str | None:
    """Time a case; return a line with its ratio, or None if benchmarks are disabled.

    The test fails if the network cannot be built or its output differs from eager's, and is skipped
    if its runtime is not installed; it does not depend on the measured latency.
    """
    from attnbench.records.latency_result import timing_of

    with report_user_errors(), scratch_folder() as folder:
        project.latency.check(case)
        run = _ready(case, project, folder, benchmark)
        if not benchmark.enabled:
            benchmark.pedantic(run)
            return None
        samples = project.latency.sample([case], Path(folder), {"budget_s": budget_s})
        timing = timing_of([samples[case.name]], case.conditions.batch if case.conditions else 1)
        if timing is None:
            raise AttnbenchError(f"{case.name}: no round was timed")
        facts = _facts(case, project, timing)
        benchmark.group = f"{case.plain.network}/{case.conditions}"
        benchmark.extra_info.update(facts)
        threads = case.conditions.threads if case.conditions else 1
        pedantic(benchmark, run, timing.own.median, budget_s, threads)
        arm = timing.arm
        ratio = f"ratio {arm.ratio:.4g} ({arm.low:.4g}-{arm.high:.4g})"
        return f"{case.name}: {ratio}, {facts['verdict']}"


def _ready(case: Case, project: Project, folder: Path, benchmark: Any) -> Callable[[], object]:
    try:
        return project.latency.ready(case, folder)
    except Exception as error:
        # through the fixture: an unused one would issue a warning as well
        benchmark.pedantic(_fail, args=(case, error))
        raise


def _facts(case: Case, project: Project, timing: LatencyResult) -> dict[str, Any]:
    """Return the values listed in addition to pytest-benchmark's own."""
    from attnbench.records.latency_result import judge_timings

    verdict = judge_timings({case: timing})[case]
    counted = project.cost.measure(replace(case, kind="cost", conditions=None))["values"]
    return {
        "case": case.name,
        "ratio": timing.arm.ratio,
        "ratio_low": timing.arm.low,
        "ratio_high": timing.arm.high,
        "verdict": verdict.verdict,
        "floor": verdict.floor,
        "trust": verdict.trust,
        "pairs": timing.arm.pairs,
        "params": counted["params"],
        "macs": counted["macs"],
    }


def _fail(case: Case, error: Exception) -> NoReturn:
    """Raise an error, also one of a plugin's code, with its cause in one line."""
    if isinstance(error, AttnbenchError):
        raise error
    raise AttnbenchError(f"{case.module or case.backbone}: {root_cause(error)}") from error
