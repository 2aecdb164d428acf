"""Running a suite: plan, check, measure what is missing, write records and tables."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from attnbench.errors import RequestError
from attnbench.measure.cost import CostMeter
from attnbench.plugins import Catalog
from attnbench.records import provenance
from attnbench.records.fingerprint import fingerprint, packages_of
from attnbench.records.model import FORMAT, Header, Record
from attnbench.records.store import FILE, Run, RunWriter, read_run
from attnbench.running.process import Limits, Worker, WorkerError
from attnbench.running.select import Choice, chosen
from attnbench.running.wire import case_to_json, tables_to_json
from attnbench.suites.cases import Case, PlannedTable, all_cases, plan
from attnbench.suites.load import suite_hash
from attnbench.suites.schema import Suite

_GIB = 2**30


@dataclass(frozen=True)
class Job:
    """A suite, planned and checked, with the state of its cases in a folder."""

    suite: Suite
    tables: list[PlannedTable]
    cases: list[Case]
    """The chosen ones, in order."""
    hashes: Mapping[str, str]
    folder: Path
    done: Mapping[str, Record] = field(default_factory=dict)
    """Records of chosen cases that hold as they are."""
    known: Run | None = None

    @property
    def missing(self) -> list[Case]:
        """The cases to measure."""
        return [case for case in self.cases if case.name not in self.done]


class Progress(Protocol):
    """What is told while a suite runs."""

    def begin(self, job: Job) -> None:
        """Measuring starts."""

    def case(self, case: Case) -> None:
        """A case starts."""

    def done(self, record: Record) -> None:
        """A case is measured and on disk."""

    def end(self) -> None:
        """Measuring is over."""


def prepare(suite: Suite, catalog: Catalog, out: Path, choice: Choice, meter: CostMeter) -> Job:
    """Plan a suite and check every chosen case before anything is measured.

    Raises:
        RequestError: a spec, placement or choice is wrong.
        RecordError: the folder holds a damaged record file.
    """
    tables = plan(suite, catalog, choice.added)
    cases = chosen(all_cases(tables), choice)
    for case in cases:
        _check(case, suite, meter)
    folder = out / suite.suite.name
    known = _known_run(folder / FILE)
    hashes = {case.name: fingerprint(case, suite, catalog) for case in cases}
    done = {} if choice.fresh or known is None else _still_valid(known, hashes)
    return Job(suite, tables, cases, hashes, folder, done, known)


def measure(job: Job, worker: Worker, progress: Progress) -> Run:
    """Measure the missing cases of a job into its folder and return the whole run."""
    head = job.suite.suite
    worker.limits = Limits(head.limit_s, int((head.memory_gib or 0) * _GIB))
    with RunWriter(job.folder) as writer:
        header = _header(job)
        if job.missing or job.known is None or not _same_layout(job.known.header, header):
            writer.append(header)
        progress.begin(job)
        try:
            for case in job.missing:
                progress.case(case)
                record = _measured(case, job, worker)
                writer.append(record)
                progress.done(record)
        finally:
            progress.end()
    return read_run(job.folder / FILE)


def _check(case: Case, suite: Suite, meter: CostMeter) -> None:
    try:
        meter.check(case)
    except RequestError as error:
        raise type(error)(f"suite {suite.suite.name}, case {case.name}: {error}") from error


def _known_run(path: Path) -> Run | None:
    if not path.is_file() or path.stat().st_size == 0:
        return None
    if b"\n" not in path.read_bytes():  # killed while the very first line was written
        return None
    return read_run(path)


def _still_valid(known: Run, hashes: Mapping[str, str]) -> dict[str, Record]:
    return {
        name: known.records[name]
        for name, expected in hashes.items()
        if name in known.records
        and known.records[name].hash == expected
        and known.records[name].status == "ok"
    }


def _measured(case: Case, job: Job, worker: Worker) -> Record:
    start = time.perf_counter()
    answer: dict[str, Any]
    try:
        answer = worker.measure(case)
    except WorkerError as failure:
        answer = {"error": str(failure)}
    seconds = round(time.perf_counter() - start, 4)
    return Record(
        case=case.name,
        kind="cost",
        status="ok" if "ok" in answer else "failed",
        reason=answer.get("error"),
        hash=job.hashes[case.name],
        conditions=case_to_json(case),
        seconds=seconds,
        **answer.get("ok", {}),
    )


def _header(job: Job) -> Header:
    packages = sorted({package for case in job.cases for package in packages_of(case)})
    return Header(
        format=FORMAT,
        suite=job.suite.model_dump(mode="json"),
        suite_hash=suite_hash(job.suite),
        tables=tables_to_json(job.suite, job.tables),
        versions=provenance.versions(packages),
        machine=provenance.machine(),
        commit=provenance.commit(),
    )


def _same_layout(known: Header, new: Header) -> bool:
    return known.suite_hash == new.suite_hash and known.tables == new.tables
