"""Measurement of sections and networks: jobs of the ordinary runner, kept in one run folder."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from attnbench.choosing.request import ChooseRequest
from attnbench.records.format import Record
from attnbench.runner.job import Job, prepare_tables
from attnbench.runner.run_suite import RunProgress, measure
from attnbench.runner.select_cases import Choice
from attnbench.runner.worker_tasks import Measurers
from attnbench.suites.case import Case, Conditions, conditions_of
from attnbench.suites.load import parse_suite
from attnbench.suites.planned import PlannedRow, PlannedTable
from attnbench.suites.schema import Suite, TableLayout
from attnbench.workers.process import Worker

_SHARE = 0.02
"""Most of the budget that one session samples."""
Records = Mapping[str, Mapping[str, Any]]


class Measure(Protocol):
    """A function that measures cases and keeps their records."""

    def __call__(self, cases: Sequence[Case], until: float) -> Records:
        """Return the records of the cases that are measured by ``until``, of ``time.monotonic``."""
        ...


class RunFolder:
    """The run folder of a choice: all cases so far are rows of its tables.

    Args:
        request: the request.
        folder: folder of the run.
        measurers: measurers for the checks.
        worker: worker of the measurement.
        progress: progress callbacks.
    """

    def __init__(
        self,
        request: ChooseRequest,
        folder: Path,
        measurers: Measurers,
        worker: Worker,
        progress: RunProgress,
    ) -> None:
        self.folder = folder
        self._request = request
        self._measurers = measurers
        self._worker = worker
        self._progress = progress
        self._cases: dict[tuple[bool, Conditions], dict[Case, None]] = {}

    def __call__(self, cases: Sequence[Case], until: float) -> Records:
        """Return the records of the cases that are measured by ``until``; the others are missing.

        Raises:
            RecordError: the folder is in use or damaged.
        """
        for case in cases:
            key = bool(case.section), conditions_of(case)
            self._cases.setdefault(key, {})[case] = None
        job = self._job()
        wanted = {case.name for case in cases}
        chosen = [case for case in job.cases if case.name in wanted]
        records = {name: job.done[name] for name in wanted if name in job.done}
        progress = _UntilTime(self._progress, until, records)
        with suppress(TimeIsUpError):
            measure(replace(job, cases=chosen), self._worker, progress)
        return {name: dict(record) for name, record in records.items()}

    def finish(self) -> None:
        """Count the costs of all rows, which the tables show beside the overheads."""
        if not self._cases:
            return
        job = self._job()
        costs = [case for case in job.cases if case.kind == "cost"]
        measure(replace(job, cases=costs), self._worker, self._progress)

    def _job(self) -> Job:
        suite = _suite(self._request, self._cases)
        tables = [
            PlannedTable(layout, tuple(_rows(layout, cases)))
            for layout, cases in zip(suite.table, self._cases.values(), strict=True)
        ]
        catalog = self._measurers.catalog
        return prepare_tables(suite, tables, catalog, self.folder, Choice(), self._measurers)


class TimeIsUpError(Exception):
    """The time of a measurement is used up."""


class _UntilTime:
    """Progress of a job that ends when its time is up; complete records are collected."""

    def __init__(self, inner: RunProgress, until: float, records: dict[str, Record]) -> None:
        self._inner = inner
        self._until = until
        self._records = records

    def begin(self, job: Job) -> None:
        self._inner.begin(job)

    def step(self, case: Case, text: str, share: float = 0.0) -> None:
        self._check()
        self._inner.step(case, text, share)

    def done(self, record: Record) -> None:
        self._records[record.case] = record
        self._inner.done(record)

    def end(self) -> None:
        self._inner.end()

    def _check(self) -> None:
        if time.monotonic() > self._until:
            raise TimeIsUpError


def folder_name(request: ChooseRequest) -> str:
    """Return the name of the run folder: the same for all limits, which share its records."""
    height, width = request.size
    text = f"choose-{request.backbone}-{request.conditions}-{height}x{width}"
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text)


def _cost(case: Case) -> Case:
    """Return the cost case beside a latency in its row."""
    return replace(case, kind="cost", conditions=None, section=None)


def _suite(request: ChooseRequest, cases: Mapping[tuple[bool, Conditions], Any]) -> Suite:
    tables = [_layout(*key, list(rows)) for key, rows in cases.items()]
    head = {"name": "choose", "title": f"Modules for {request.backbone}", "size": request.size}
    budget_s = min(request.sampling_s, _SHARE * request.budget_s)
    section = {"processes": 1, "budget_s": budget_s, "runtimes": [request.conditions.runtime]}
    return parse_suite({"suite": head, "latency": section, "table": tables}, "of this choice")


def _layout(is_section: bool, conditions: Conditions, cases: Sequence[Case]) -> dict[str, Any]:
    what = "Sections of the network, each with a module" if is_section else "Whole networks"
    given = {**vars(conditions)}
    latency = {
        "runtimes": [given.pop("runtime")],
        "precisions": [given.pop("precision")],
        **given,
        "columns": ["overhead", "median", "peak"],
    }
    rows = [
        {key: getattr(case, key) for key in ("backbone", "module", "placement")} for case in cases
    ]
    return {
        "title": f"{what}, in {conditions}",
        "columns": ["label", "placement", "delta_params", "delta_macs"],
        "latency": latency,
        "row": [{key: value for key, value in row.items() if value} for row in rows],
    }


def _rows(layout: TableLayout, cases: Mapping[Case, None]) -> Iterator[PlannedRow]:
    for row, case in zip(layout.row, cases, strict=True):
        label = case.module or "plain"
        label += f" in {case.section}" if case.section else ""
        yield PlannedRow(label, row, (_cost(case),), (case,))
