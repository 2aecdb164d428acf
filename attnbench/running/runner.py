"""Running a suite: plan, check, measure what is missing, write records and tables."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from attnbench.errors import MissingExtraError, RequestError
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
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Why a case cannot be measured here: an optional extra is not installed."""
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
    skipped = _skipped(cases, suite, meter)
    folder = out / suite.suite.name
    known = _known_run(folder / FILE)
    hashes = {case.name: fingerprint(case, suite, catalog) for case in cases}
    done = {} if choice.fresh or known is None else _still_valid(known, hashes, skipped)
    return Job(suite, tables, cases, hashes, folder, done, skipped, known)


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


def _skipped(cases: Sequence[Case], suite: Suite, meter: CostMeter) -> dict[str, str]:
    """Check all cases, and return those that need what is not installed, with the reason."""
    skipped: dict[str, str] = {}
    for case in cases:
        try:
            meter.check(case)
        except MissingExtraError as error:
            skipped[case.name] = str(error)
        except RequestError as error:
            raise type(error)(f"suite {suite.suite.name}, case {case.name}: {error}") from error
    return skipped


def _known_run(path: Path) -> Run | None:
    if not path.is_file() or path.stat().st_size == 0:
        return None
    if b"\n" not in path.read_bytes():  # killed while the very first line was written
        return None
    return read_run(path)


def _still_valid(
    known: Run, hashes: Mapping[str, str], skipped: Mapping[str, str]
) -> dict[str, Record]:
    found = {name: known.records[name] for name in hashes if name in known.records}
    return {
        name: record
        for name, record in found.items()
        if record.hash == hashes[name]
        and (record.status == "ok" or (record.status == "skipped" and name in skipped))
    }


def _measured(case: Case, job: Job, worker: Worker) -> Record:
    start = time.perf_counter()
    reason = job.skipped.get(case.name)
    status = "skipped"
    values: dict[str, Any] = {}
    if reason is None:
        answer = _answer(case, worker)
        values, reason = answer.get("ok", {}), answer.get("error")
        status = "ok" if reason is None else "failed"
    return Record.model_validate(
        {
            "case": case.name,
            "kind": case.kind,
            "status": status,
            "reason": reason,
            "hash": job.hashes[case.name],
            "conditions": case_to_json(case),
            "seconds": round(time.perf_counter() - start, 4),
            **values,
        }
    )


def _answer(case: Case, worker: Worker) -> dict[str, Any]:
    try:
        return worker.measure(case)
    except WorkerError as failure:
        return {"error": str(failure)}


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
