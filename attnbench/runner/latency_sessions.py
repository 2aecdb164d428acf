"""Sessions: latency cases with the same plain network, timed together in fresh processes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from attnbench.suites.case import Case, conditions_of
from attnbench.timing.isolation import allowed_cores
from attnbench.workers.answers import Answer
from attnbench.workers.pool import WorkerPool
from attnbench.workers.process import Limits, Worker, run_task

OnStep = Callable[[Case, str, float], object]
"""Progress callback, called with a case, a line of text and the share of the session done."""
_BUILDING = 1 / 3
"""Share of a session that its proofs take; the processes share the rest."""
_NO_ARM = "not timed: no module is left beside it"
_LOAD_LIMIT_S = 120.0
"""Time limit for loading one arm in a fresh process; compilers take tens of seconds."""


@dataclass(frozen=True)
class Session:
    """Latency cases of one backbone, input and conditions: the arms of one comparison."""

    cases: tuple[Case, ...]

    @property
    def plain(self) -> Case:
        """Return the baseline of all arms."""
        return self.cases[0].plain

    @property
    def is_on_processor(self) -> bool:
        """Return whether the networks run on the cores of this machine, and on no other device."""
        return conditions_of(self.plain).device == "cpu"


@dataclass(frozen=True)
class SessionProtocol:
    """Sampling protocol of a session."""

    budget_s: float
    """Sampling time of each process in seconds, after warm-up."""
    processes: int
    width: float | None = None
    """Half-width of the confidence intervals for early stopping; None for the sampler's default."""

    def sampling(self, process: int) -> dict[str, Any]:
        """Return the sampler's arguments for a process, given by its number."""
        width = {} if self.width is None else {"width": self.width}
        return {"budget_s": self.budget_s, "seed": process, **width}


@dataclass
class CaseOutcome:
    """The outcome of one case: its proof and its samples, or the reason of the failure."""

    proof: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    """Settings of the process that its module or a plugin has changed."""
    skipped: bool = False
    """Whether the error is a reason to leave the case out, and no failure of its own."""

    @classmethod
    def of(cls, answer: Answer) -> CaseOutcome:
        """Return the outcome in a worker's answer, which may be of any form."""
        proof, notes = answer.get("ok", {}), answer.get("notes", [])
        if isinstance(proof, dict):
            return cls(proof, error=answer.get("error"), notes=notes)
        return cls(error=f"the result is no object: got {type(proof).__name__}", notes=notes)

    @property
    def status(self) -> str:
        """Return the status of the case's record."""
        if self.error is None:
            return "ok"
        return "skipped" if self.skipped else "failed"


def sessions(cases: Iterable[Case]) -> list[Session]:
    """Group latency cases into sessions, in the order of their first cases."""
    found: dict[Case, list[Case]] = {}
    for case in cases:
        found.setdefault(case.plain, []).append(case)
    return [Session(tuple(members)) for members in found.values()]


class SessionRunner:
    """Measurement of sessions in worker processes: proofs in parallel, then sampling alone.

    Args:
        worker: worker for sampling, replaced by a fresh process each time. Other workers of the
            same kind prove the cases and are idle during sampling.
        folder: folder for exported artifacts, shared by all processes.
        limit_s: time limit for the proof of a case, in seconds.
        memory_bytes: resident size above which a process is terminated.
        provers: number of parallel processes for proofs; by default one for each available core.
            On another device than the processor they take turns.
        plain_alone: whether the plain network is timed if no arm is left beside it.
    """

    def __init__(
        self,
        worker: Worker,
        folder: Path,
        limit_s: float = 600.0,
        memory_bytes: int = 0,
        provers: int | None = None,
        *,
        plain_alone: bool = True,
    ) -> None:
        self.worker = worker
        self.folder = folder
        self.limit_s = limit_s
        self.memory_bytes = memory_bytes
        self.plain_alone = plain_alone
        self._provers = WorkerPool(worker, [{}] * (provers or len(allowed_cores())))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._provers.stop()

    def measure(
        self, session: Session, protocol: SessionProtocol, on_step: OnStep
    ) -> dict[str, CaseOutcome]:
        """Return the outcome of each case by its name; a failing case raises nothing."""
        proved = self._validate(session, on_step)
        plain = proved[session.plain]
        if plain.error is not None:
            why = f"the plain network failed: {plain.error}"
            return {
                case.name: plain
                if case == session.plain
                else CaseOutcome(error=why, notes=proved[case].notes)
                for case in session.cases
            }
        outcomes = {case.name: proved[case] for case in session.cases}
        good = [case for case in session.cases if outcomes[case.name].error is None]
        if not self.plain_alone and good == [session.plain] != [*session.cases]:
            outcomes[session.plain.name] = CaseOutcome(error=_NO_ARM, skipped=True)
        elif good:
            self._sample(session, good, outcomes, protocol, on_step)
        return outcomes

    def _validate(self, session: Session, on_step: OnStep) -> dict[Case, CaseOutcome]:
        """Validate each network, on another device than the processor one at a time.

        Each process would take a share of the device's memory, and keep it while others sample.
        """
        limits = Limits(self.limit_s, self.memory_bytes)
        tasks = {
            case: {"do": "validate", "case": case.to_json(), "folder": str(self.folder)}
            for case in dict.fromkeys((session.plain, *session.cases))
        }
        started = itertools.count()

        def report(case: Case) -> None:
            on_step(case, f"{case.name}: building", _BUILDING * next(started) / len(tasks))

        parallel = None if session.is_on_processor else 1
        answers = self._provers.map(tasks, limits, on_start=report, parallel=parallel)
        outcomes = {case: CaseOutcome.of(answer) for case, answer, _ in answers}
        if not session.is_on_processor:
            self._provers.stop()
        return outcomes

    def _sample(
        self,
        session: Session,
        cases: Sequence[Case],
        outcomes: dict[str, CaseOutcome],
        protocol: SessionProtocol,
        on_step: OnStep,
    ) -> None:
        """Time proved cases once for each process; a failing case does not affect the others."""
        for case in cases:
            outcomes[case.name].samples.clear()
        for number in range(protocol.processes):
            step = _sampling_step(session, len(cases), number, protocol)
            share = _BUILDING + (1 - _BUILDING) * number / protocol.processes
            on_step(cases[0], step, share)
            self.worker.limits = Limits(self._patience(len(cases), protocol), self.memory_bytes)
            task = _task(cases, self.folder, protocol, number)
            answer = run_task(self.worker, task, _report(cases[0], step, share, on_step))
            self.worker.stop()  # each process samples with a memory layout of its own
            if "error" in answer:
                for part in _parts(cases, answer, outcomes):
                    self._sample(session, part, outcomes, protocol, on_step)
                return
            for case in cases:
                outcomes[case.name].samples.append(answer["ok"].get(case.name))

    def _patience(self, arms: int, protocol: SessionProtocol) -> float:
        return self.limit_s + (arms + 2) * _LOAD_LIMIT_S + 10 * protocol.budget_s


def _parts(
    cases: Sequence[Case], answer: dict[str, Any], outcomes: dict[str, CaseOutcome]
) -> list[Sequence[Case]]:
    """Return the parts of a failed session to time again: all but the failed case, or each half."""
    failed = [case for case in cases if case.name == answer.get("arm")]
    if len(cases) == 1:
        failed = list(cases)
    for case in failed:
        outcomes[case.name].error = f"while timing: {answer['error']}"
    if failed:
        rest = [case for case in cases if case not in failed]
        return [rest] if rest else []
    # the error names no case: the process died, or the plain network failed
    middle = len(cases) // 2
    return [cases[:middle], cases[middle:]]


def _task(
    cases: Sequence[Case], folder: Path, protocol: SessionProtocol, number: int
) -> dict[str, Any]:
    return {
        "do": "sample",
        "cases": [case.to_json() for case in cases],
        "folder": str(folder),
        "sampling": protocol.sampling(number),
    }


def _report(case: Case, step: str, share: float, on_step: OnStep) -> Callable[[str], object]:
    """Return the progress callback of a sampling worker, whose texts belong to a step."""
    return lambda text: on_step(case, f"{step}; {text}", share)


def _sampling_step(session: Session, arms: int, number: int, protocol: SessionProtocol) -> str:
    what = "1 arm" if arms == 1 else f"{arms} arms"
    process = f"process {number + 1} of {protocol.processes}"
    where = f"{session.plain.network}/{session.plain.conditions}"
    return f"{where}: timing {what}, {process}, {protocol.budget_s:g} s"
