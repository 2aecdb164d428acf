"""Execution of a job: measure the missing cases and write each record as soon as it is complete."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from attnbench.records.cache_key import packages_of
from attnbench.records.format import FORMAT, Header, Record
from attnbench.records.result_values import complete_record
from attnbench.records.store import Run, RunWriter
from attnbench.runner.eta import with_probe
from attnbench.runner.job import Job
from attnbench.runner.latency_sessions import CaseOutcome, SessionRunner, sessions
from attnbench.runner.race import Race
from attnbench.suites.case import Case
from attnbench.suites.load import suite_hash
from attnbench.suites.planned import tables_to_json
from attnbench.system import provenance
from attnbench.training.progress_text import share_done
from attnbench.utils.scratch import scratch_folder
from attnbench.workers.pool import Pool, WorkerPool
from attnbench.workers.process import Limits, Worker, run_task


class RunProgress(Protocol):
    """Progress callbacks of a running job."""

    def begin(self, job: Job) -> None:
        """Report the start of the measurement."""

    def step(self, case: Case, text: str, share: float = 0.0) -> None:
        """Report the current step of a case in one line, and the share of it that is done."""

    def done(self, record: Record) -> None:
        """Report a case whose record is complete."""

    def end(self) -> None:
        """Report the end of the measurement."""


def measure(
    job: Job,
    worker: Worker,
    progress: RunProgress,
    pool: Pool | None = None,
    save: Path | None = None,
) -> Run:
    """Measure the missing cases of a job and return the whole run.

    Args:
        job: job returned by :func:`~attnbench.runner.job.prepare`; without a folder, its records
            are kept in memory only.
        worker: worker for cost and latency cases.
        progress: progress callbacks.
        pool: pool for trainings; by default processes on this machine.
        save: folder for trained weights.
    """
    job = with_probe(job)
    progress.begin(job)
    try:
        if job.folder is None:
            records = _measured(job, worker, progress, pool, save)
            return Run(Path(), records={record.case: record for record in records})
        with RunWriter(job.folder) as writer:
            for line in _opening(job):
                writer.append(line)
            for record in job.done.values():  # the run was killed between the record and this step
                _forget_checkpoint(job, record.hash)
            for record in _measured(job, worker, progress, pool, save):
                writer.append(record)
                progress.done(record)
            return writer.finish()
    finally:
        progress.end()


def _opening(job: Job) -> Iterator[Header | Record]:
    """Yield the lines to write before the first measurement."""
    header = _header(job)
    is_new = job.known is None or not _same_layout(job.known.header, header)
    if job.missing or job.described or is_new:
        yield header
    yield from job.described


def _measured(
    job: Job, worker: Worker, progress: RunProgress, pool: Pool | None, save: Path | None
) -> Iterator[Record]:
    """Measure the missing cases; yield each record as soon as it is complete."""
    for case in job.missing:
        if case.name in job.skipped:
            yield _record(case, job, CaseOutcome(error=job.skipped[case.name]), "skipped", 0.0)
        elif case.kind in ("cost", "export"):
            progress.step(case, case.name)
            yield _measure_alone(case, job, worker)
    latencies = [case for case in job.pending if case.kind == "latency"]
    if latencies:
        yield from _time(latencies, job, worker, progress)
    trainings = [case for case in job.pending if case.kind == "accuracy"]
    if trainings:
        worker.stop()  # an idle worker occupies memory
        race, pool = Race(job), pool or WorkerPool(worker)
        for chosen in race.rounds(trainings):
            for record in _train(chosen, job, pool, progress, save):
                race.add(record)
                yield record


def _measure_alone(case: Case, job: Job, worker: Worker) -> Record:
    start = time.perf_counter()
    worker.limits = Limits(job.suite.suite.limit_s, job.memory_bytes)
    answer = run_task(worker, {"do": case.kind, "case": case.to_json()})
    outcome = CaseOutcome.of(answer)
    return _record(case, job, outcome, outcome.status, time.perf_counter() - start)


def _time(
    cases: Sequence[Case], job: Job, worker: Worker, progress: RunProgress
) -> Iterator[Record]:
    """Time cases in sessions; yield the records of each session at its end."""
    with (
        scratch_folder() as folder,
        SessionRunner(
            worker,
            folder,
            job.suite.suite.limit_s,
            job.memory_bytes,
            plain_alone=job.folder is not None,  # a command's budget is for what it asks for
        ) as runner,
    ):
        worker.stop()  # the state of the counting worker must not affect the timing
        worker.start()  # the worker imports torch while others validate the first session
        for session in sessions(cases):
            start = time.perf_counter()
            protocol = job.protocols[session.cases[0].name]
            outcomes = runner.measure(session, protocol, progress.step)
            seconds = (time.perf_counter() - start) / len(session.cases)
            for case in session.cases:
                outcome = outcomes[case.name]
                yield _record(case, job, outcome, outcome.status, seconds)


def _train(
    cases: Sequence[Case], job: Job, pool: Pool, progress: RunProgress, save: Path | None
) -> Iterator[Record]:
    """Train cases in parallel; yield each record as soon as its training ends."""
    tasks = {
        case: {
            "do": "train",
            "case": case.to_json(),
            "folder": _absolute(job.checkpoint(job.hashes[case.name])),
            "save": _absolute(save and save / _weights_file(case)),
        }
        for case in cases
    }
    patience_s = max(job.accuracies[case.name].patience_s for case in cases)
    pool.limits = Limits(patience_s, job.memory_bytes)
    for case, answer, seconds in pool.run(
        tasks, lambda case, text: progress.step(case, f"{case.name}: {text}", share_done(text))
    ):
        outcome = CaseOutcome.of(answer)
        yield _record(case, job, outcome, outcome.status, seconds)
        if not answer.get("lost"):  # the record is already on disk
            _forget_checkpoint(job, job.hashes[case.name])


def _absolute(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None


def _weights_file(case: Case) -> str:
    return f"{case.network}/{case.training}.pt".replace("/", "_")


def _forget_checkpoint(job: Job, key: str) -> None:
    """Remove the checkpoint of a training whose record is on disk."""
    folder = job.checkpoint(key)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # the folder is not empty, or does not exist
            folder.parent.rmdir()


def _record(case: Case, job: Job, outcome: CaseOutcome, status: str, seconds: float) -> Record:
    fields = {
        "case": case.name,
        "kind": case.kind,
        "status": status,
        "reason": outcome.error,
        "hash": job.hashes.get(case.name, ""),
        "conditions": case.to_json(),
        "notes": outcome.notes,
        "seconds": round(seconds, 4),
    }
    return complete_record(fields, {**outcome.proof, "samples": outcome.samples})


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
        probe_s=job.probe_s,
    )


def _same_layout(known: Header, new: Header) -> bool:
    return known.suite_hash == new.suite_hash and known.tables == new.tables
