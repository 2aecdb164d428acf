"""Execution of a suite: plan, check, measure the missing cases, write records and tables."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol as Interface

from attnbench.errors import MissingExtraError, RequestError
from attnbench.measure.accuracy import Effort
from attnbench.measure.iso_macs import IsoMacBaselines
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
from attnbench.runner.measurers import Measurers
from attnbench.runner.select_cases import Choice, chosen
from attnbench.suites.case import Case, PlannedTable, tables_to_json
from attnbench.suites.load import suite_hash
from attnbench.suites.plan import all_cases, plan
from attnbench.suites.schema import Accuracy, Suite
from attnbench.system import provenance
from attnbench.workers.pool import Pool, WorkerPool
from attnbench.workers.process import Limits, Worker, run_task

CHECKPOINTS = "checkpoints"
"""Name of the folder, in the folder of a run, for the checkpoints of unfinished trainings."""
_GIB = 2**30


@dataclass(frozen=True)
class Job:
    """A planned and validated suite with the state of its cases in a folder."""

    suite: Suite
    tables: list[PlannedTable]
    cases: list[Case]
    """Chosen cases, in order."""
    hashes: Mapping[str, str]
    folder: Path
    done: Mapping[str, Record] = field(default_factory=dict)
    """Valid records of chosen cases."""
    described: Sequence[Record] = ()
    """Records of ``done`` with changed card texts: written again without measurement."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Reasons by skipped case: an optional extra is not installed."""
    known: Run | None = None
    protocols: Mapping[str, SessionProtocol] = field(default_factory=dict)
    """Sampling protocol of each latency case."""
    accuracies: Mapping[str, Accuracy] = field(default_factory=dict)
    """Accuracy settings of each accuracy case."""
    efforts: Mapping[str, Effort] = field(default_factory=dict)
    """Effort of each pending training."""

    @property
    def missing(self) -> list[Case]:
        """Return the cases to measure."""
        return [case for case in self.cases if case.name not in self.done]


class RunProgress(Interface):
    """Progress callbacks of a running suite."""

    def begin(self, job: Job) -> None:
        """Report the start of the measurement."""

    def step(self, text: str) -> None:
        """Report the current step in one line."""

    def done(self, record: Record) -> None:
        """Report a case whose record is on disk."""

    def end(self) -> None:
        """Report the end of the measurement."""


def prepare(suite: Suite, catalog: Catalog, out: Path, choice: Choice, measurers: Measurers) -> Job:
    """Plan a suite and check every chosen case before the first measurement.

    Raises:
        RequestError: a spec, placement or choice is wrong.
        RecordError: the folder contains a damaged record file.
    """
    tables = plan(suite, catalog, choice.added, IsoMacBaselines(measurers.cost))
    cases = chosen(all_cases(tables), choice)
    accuracies = _accuracies(suite, tables)
    skipped = _skipped(cases, suite, measurers, accuracies)
    folder = out / suite.suite.name
    known = _known_run(folder / FILE)
    protocols = _protocols(suite, tables)
    hashes = {
        case.name: fingerprint(case, suite, catalog, protocols.get(case.name)) for case in cases
    }
    done = {} if choice.fresh or known is None else _still_valid(known, hashes, skipped)
    described = list(_described_anew(cases, done, measurers))
    done |= {record.case: record for record in described}
    efforts = {
        case.name: measurers.accuracy.effort(case)
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
        job: job returned by :func:`prepare`.
        worker: worker for cost and latency cases.
        progress: progress callbacks.
        pool: pool for trainings; by default processes on this machine.
        save: folder for trained weights.
    """
    pool = pool or WorkerPool(worker)
    with RunWriter(job.folder) as writer:
        header = _header(job)
        is_new = job.known is None or not _same_layout(job.known.header, header)
        if job.missing or job.described or is_new:
            writer.append(header)
        for record in job.described:
            writer.append(record)
        for record in job.done.values():  # the run was killed between the record and this step
            _forget_checkpoint(job, record.hash)
        progress.begin(job)
        try:
            for record in _records(job, worker, progress, pool, save):
                writer.append(record)
                progress.done(record)
        finally:
            progress.end()
        return writer.finish()


def _records(
    job: Job, worker: Worker, progress: RunProgress, pool: Pool, save: Path | None
) -> Iterator[Record]:
    """Measure the missing cases; yield each record as soon as it is complete."""
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
        worker.stop()  # an idle worker occupies memory
        yield from _trained(trainings, job, pool, progress, save)


def _trained(
    cases: Sequence[Case], job: Job, pool: Pool, progress: RunProgress, save: Path | None
) -> Iterator[Record]:
    """Train cases in parallel; yield each record as soon as its training ends."""
    tasks = {
        case: {
            "do": "train",
            "case": case.to_json(),
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
        if not answer.get("lost"):  # the record is already on disk
            _forget_checkpoint(job, job.hashes[case.name])


def _weights(folder: Path, case: Case) -> Path:
    return folder / f"{case.network}/{case.training}.pt".replace("/", "_")


def _checkpoint(job: Job, name: str) -> Path:
    return job.folder / CHECKPOINTS / job.hashes[name]


def _forget_checkpoint(job: Job, key: str) -> None:
    """Remove the checkpoint of a training whose record is on disk."""
    shutil.rmtree(job.folder / CHECKPOINTS / key, ignore_errors=True)
    with contextlib.suppress(OSError):  # the folder is not empty, or does not exist
        (job.folder / CHECKPOINTS).rmdir()


def _timed(
    found: Sequence[Session], job: Job, worker: Worker, progress: RunProgress
) -> Iterator[Record]:
    head = job.suite.suite
    with (
        tempfile.TemporaryDirectory(prefix="attnbench-") as folder,
        SessionRunner(worker, Path(folder), head.limit_s, _memory(job)) as runner,
    ):
        worker.stop()  # the state of the counting worker must not affect the timing
        for session in found:
            start = time.perf_counter()
            protocol = job.protocols[session.cases[0].name]
            outcomes = runner.measure(session, protocol, progress.step)
            seconds = (time.perf_counter() - start) / len(session.cases)
            for case in session.cases:
                outcome = outcomes[case.name]
                yield _record(case, job, outcome, "failed" if outcome.error else "ok", seconds)


def _skipped(
    cases: Sequence[Case], suite: Suite, measurers: Measurers, accuracies: Mapping[str, Accuracy]
) -> dict[str, str]:
    """Check all cases and return the reason of each case that lacks an extra or a GPU."""
    skipped: dict[str, str] = {}
    for case in cases:
        try:
            measurers.of(case).check(case)
            if case.kind == "accuracy" and accuracies[case.name].gpu:
                measurers.require_gpu()
        except MissingExtraError as error:
            skipped[case.name] = str(error)
        except RequestError as error:
            raise type(error)(f"suite {suite.suite.name}, case {case.name}: {error}") from error
    return skipped


def _known_run(path: Path) -> Run | None:
    if not path.is_file() or path.stat().st_size == 0:
        return None
    if b"\n" not in path.read_bytes():  # the run was killed while it wrote the first line
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
    cases: Sequence[Case], done: Mapping[str, Record], measurers: Measurers
) -> Iterator[Record]:
    """Yield each valid cost record with an outdated card, with the current card.

    The texts of a card are not part of the hash, but tables read them from the record.
    """
    for case in cases:
        record = done.get(case.name)
        if record is not None and case.kind == "cost" and record.status == "ok":
            # normalized as if read from a file
            card = json.loads(json.dumps(measurers.cost.card(case)))
            if record.card != card:
                yield record.model_copy(update={"card": card})


def _counted(case: Case, job: Job, worker: Worker) -> Record:
    start = time.perf_counter()
    worker.limits = Limits(job.suite.suite.limit_s, _memory(job))
    answer = run_task(worker, {"do": "cost", "case": case.to_json()})
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
            "conditions": case.to_json(),
            "seconds": round(seconds, 4),
            "samples": outcome.samples if outcome.error is None else [],
            **known,
        }
    )


def _memory(job: Job) -> int:
    return int((job.suite.suite.memory_gib or 0) * _GIB)


def _protocols(suite: Suite, tables: Sequence[PlannedTable]) -> dict[str, SessionProtocol]:
    """Return the sampling protocol of each latency case, from the first table that contains it."""
    found: dict[str, SessionProtocol] = {}
    for table in tables:
        latency = suite.latency_of(table.layout)
        if latency is not None:
            protocol = SessionProtocol(latency.budget_s, latency.processes)
            names = (case.name for row in table.rows for case in row.latency)
            found = dict.fromkeys(names, protocol) | found
    return found


def _accuracies(suite: Suite, tables: Sequence[PlannedTable]) -> dict[str, Accuracy]:
    """Return the accuracy settings of each accuracy case, from the first table that contains it."""
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
