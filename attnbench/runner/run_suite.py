"""Running a suite: plan, check, measure what is missing, write records and tables."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

from attnbench.errors import MissingExtraError, RequestError
from attnbench.measure.accuracy import Effort
from attnbench.measure.iso_macs import Brackets
from attnbench.records.cache_key import fingerprint, packages_of
from attnbench.records.format import FORMAT, Header, Record
from attnbench.records.store import FILE, Run, RunWriter, read_run
from attnbench.registry.plugins import Catalog
from attnbench.runner.latency_sessions import (
    CaseOutcome,
    Session,
    SessionProtocol,
    SessionRunner,
    sessions,
)
from attnbench.runner.meters import Meters
from attnbench.runner.select_cases import Choice, chosen
from attnbench.suites.case import Case, PlannedTable
from attnbench.suites.load import suite_hash
from attnbench.suites.plan import all_cases, plan
from attnbench.suites.schema import Accuracy, Suite
from attnbench.suites.serialize import case_to_json, tables_to_json
from attnbench.system import provenance
from attnbench.workers.pool import LocalPool, Pool
from attnbench.workers.process import Limits, Worker, WorkerError

CHECKPOINTS = "checkpoints"
"""Folder of trainings that are under way, in the run's own."""
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
    described: Sequence[Record] = ()
    """Those of ``done`` whose card's texts have changed: written anew, not measured."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Why a case cannot be measured here: an optional extra is not installed."""
    known: Run | None = None
    protocols: Mapping[str, SessionProtocol] = field(default_factory=dict)
    """How each latency case is sampled."""
    accuracies: Mapping[str, Accuracy] = field(default_factory=dict)
    """How each accuracy case is measured."""
    efforts: Mapping[str, Effort] = field(default_factory=dict)
    """What each training to come has to do."""

    @property
    def missing(self) -> list[Case]:
        """The cases to measure."""
        return [case for case in self.cases if case.name not in self.done]


class RunProgress(Interface):
    """What is told while a suite runs."""

    def begin(self, job: Job) -> None:
        """Measuring starts."""

    def step(self, text: str) -> None:
        """What is done now, in a line."""

    def done(self, record: Record) -> None:
        """A case is measured and on disk."""

    def end(self) -> None:
        """Measuring is over."""


def prepare(suite: Suite, catalog: Catalog, out: Path, choice: Choice, meters: Meters) -> Job:
    """Plan a suite and check every chosen case before anything is measured.

    Raises:
        RequestError: a spec, placement or choice is wrong.
        RecordError: the folder holds a damaged record file.
    """
    tables = plan(suite, catalog, choice.added, Brackets(meters.cost))
    cases = chosen(all_cases(tables), choice)
    accuracies = _accuracies(suite, tables)
    skipped = _skipped(cases, suite, meters, accuracies)
    folder = out / suite.suite.name
    known = _known_run(folder / FILE)
    protocols = _protocols(suite, tables)
    hashes = {
        case.name: fingerprint(case, suite, catalog, protocols.get(case.name)) for case in cases
    }
    done = {} if choice.fresh or known is None else _still_valid(known, hashes, skipped)
    described = list(_described_anew(cases, done, meters))
    done |= {record.case: record for record in described}
    efforts = {
        case.name: meters.accuracy.effort(case)
        for case in cases
        if case.kind == "accuracy" and case.name not in skipped and case.name not in done
    }
    return Job(
        suite=suite,
        tables=tables,
        cases=cases,
        hashes=hashes,
        folder=folder,
        done=done,
        described=described,
        skipped=skipped,
        known=known,
        protocols=protocols,
        accuracies=accuracies,
        efforts=efforts,
    )


def measure(
    job: Job,
    worker: Worker,
    progress: RunProgress,
    pool: Pool | None = None,
    save: Path | None = None,
) -> Run:
    """Measure the missing cases of a job into its folder and return the whole run.

    Args:
        job: what :func:`prepare` returned.
        worker: counts and times.
        progress: is told.
        pool: trains; processes on this machine by default.
        save: folder that trained weights are kept in.
    """
    pool = pool or LocalPool(worker)
    with RunWriter(job.folder) as writer:
        header = _header(job)
        is_new = job.known is None or not _same_layout(job.known.header, header)
        if job.missing or job.described or is_new:
            writer.append(header)
        for record in job.described:
            writer.append(record)
        for record in job.done.values():  # a kill came between its record and this
            _forget_checkpoint(job, record.hash)
        progress.begin(job)
        try:
            for record in _records(job, worker, progress, pool, save):
                writer.append(record)
                progress.done(record)
        finally:
            progress.end()
    return read_run(job.folder / FILE)


def _records(
    job: Job, worker: Worker, progress: RunProgress, pool: Pool, save: Path | None
) -> Iterator[Record]:
    """Measure what is missing; a record comes as soon as it is known."""
    waiting: list[Case] = []
    trainings: list[Case] = []
    for case in job.missing:
        if case.name in job.skipped:
            yield _record(case, job, CaseOutcome(error=job.skipped[case.name]), "skipped", 0.0)
        elif case.kind == "cost":
            progress.step(case.name)
            yield _counted(case, job, worker)
        else:
            (waiting if case.kind == "latency" else trainings).append(case)
    if waiting:
        yield from _timed(sessions(waiting), job, worker, progress)
    if trainings:
        worker.stop()  # it would hold memory and, on one core, nothing else
        yield from _trained(trainings, job, pool, progress, save)


def _trained(
    cases: Sequence[Case], job: Job, pool: Pool, progress: RunProgress, save: Path | None
) -> Iterator[Record]:
    """Train cases side by side; a record comes as soon as its training ends."""
    tasks = {
        case: {
            "do": "train",
            "case": case_to_json(case),
            "folder": str(_checkpoint(job, case.name).absolute()),
            "save": str(_weights(save, case).absolute()) if save else None,
        }
        for case in cases
    }
    pool.limits = Limits(max(job.accuracies[case.name].patience_s for case in cases), _memory(job))
    for case, answer, seconds in pool.run(
        tasks, lambda case, text: progress.step(f"{case.name}: {text}")
    ):
        outcome = CaseOutcome(answer.get("ok") or {}, error=answer.get("error"))
        yield _record(case, job, outcome, "failed" if outcome.error else "ok", seconds)
        if not answer.get("lost"):  # by now its record is on disk
            _forget_checkpoint(job, job.hashes[case.name])


def _weights(folder: Path, case: Case) -> Path:
    return folder / f"{case.name.removeprefix('accuracy/').replace('/', '_')}.pt"


def _checkpoint(job: Job, name: str) -> Path:
    return job.folder / CHECKPOINTS / job.hashes[name]


def _forget_checkpoint(job: Job, key: str) -> None:
    """Remove the checkpoint of a training whose record is on disk."""
    shutil.rmtree(job.folder / CHECKPOINTS / key, ignore_errors=True)
    with contextlib.suppress(OSError):  # others are still there, or there is none
        (job.folder / CHECKPOINTS).rmdir()


def _timed(
    found: Sequence[Session], job: Job, worker: Worker, progress: RunProgress
) -> Iterator[Record]:
    head = job.suite.suite
    with (
        tempfile.TemporaryDirectory(prefix="attnbench-") as folder,
        SessionRunner(worker, Path(folder), head.limit_s, _memory(job)) as runner,
    ):
        worker.stop()  # what it counted must not weigh on the timing
        for session in found:
            start = time.perf_counter()
            protocol = job.protocols[session.cases[0].name]
            outcomes = runner.measure(session, protocol, progress.step)
            seconds = (time.perf_counter() - start) / len(session.cases)
            for case in session.cases:
                outcome = outcomes[case.name]
                yield _record(case, job, outcome, "failed" if outcome.error else "ok", seconds)


def _skipped(
    cases: Sequence[Case], suite: Suite, meters: Meters, accuracies: Mapping[str, Accuracy]
) -> dict[str, str]:
    """Check all cases, and return those that need what is not here, with the reason."""
    skipped: dict[str, str] = {}
    for case in cases:
        try:
            meters.of(case).check(case)
            if case.kind == "accuracy" and accuracies[case.name].gpu:
                meters.require_gpu()
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


def _described_anew(
    cases: Sequence[Case], done: Mapping[str, Record], meters: Meters
) -> Iterator[Record]:
    """Yield valid cost records with the card of today where theirs differs.

    A card's texts are no part of the hash, but tables read them from the record.
    """
    for case in cases:
        record = done.get(case.name)
        if record is not None and case.kind == "cost" and record.status == "ok":
            card = json.loads(json.dumps(meters.cost.card(case)))  # as it is read from a file
            if record.card != card:
                yield record.model_copy(update={"card": card})


def _counted(case: Case, job: Job, worker: Worker) -> Record:
    start = time.perf_counter()
    worker.limits = Limits(job.suite.suite.limit_s, _memory(job))
    answer: dict[str, Any]
    try:
        answer = worker.ask({"do": "cost", "case": case_to_json(case)})
    except WorkerError as failure:
        answer = {"error": str(failure)}
    outcome = CaseOutcome(answer.get("ok", {}), error=answer.get("error"))
    status = "failed" if outcome.error else "ok"
    return _record(case, job, outcome, status, time.perf_counter() - start)


def _record(case: Case, job: Job, outcome: CaseOutcome, status: str, seconds: float) -> Record:
    known = outcome.proof if outcome.error is None else {}
    return Record.model_validate(
        {
            "case": case.name,
            "kind": case.kind,
            "status": status,
            "reason": outcome.error,
            "hash": job.hashes[case.name],
            "conditions": case_to_json(case),
            "seconds": round(seconds, 4),
            "samples": outcome.samples if outcome.error is None else [],
            **known,
        }
    )


def _memory(job: Job) -> int:
    return int((job.suite.suite.memory_gib or 0) * _GIB)


def _protocols(suite: Suite, tables: Sequence[PlannedTable]) -> dict[str, SessionProtocol]:
    """How each latency case is sampled; of several tables that have it, as the first says."""
    found: dict[str, SessionProtocol] = {}
    for table in tables:
        latency = suite.latency_of(table.layout)
        if latency is not None:
            protocol = SessionProtocol(latency.budget_s, latency.processes)
            names = (case.name for row in table.rows for case in row.latency)
            found = dict.fromkeys(names, protocol) | found
    return found


def _accuracies(suite: Suite, tables: Sequence[PlannedTable]) -> dict[str, Accuracy]:
    """How each accuracy case is measured; of several tables that have it, as the first says."""
    found: dict[str, Accuracy] = {}
    for table in tables:
        accuracy = suite.accuracy_of(table.layout)
        if accuracy is not None:
            rows = [case for row in table.rows for cases in row.accuracy for case in cases]
            rows += [case for row in table.rows for case in row.against]
            found = dict.fromkeys((case.name for case in rows), accuracy) | found
    return found


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
        date=provenance.now(),
    )


def _same_layout(known: Header, new: Header) -> bool:
    return known.suite_hash == new.suite_hash and known.tables == new.tables
