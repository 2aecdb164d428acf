"""Runner side of ``attnbench check``: modules in parallel, with a time limit per check."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

from attnbench.conformance.checks import Check
from attnbench.conformance.examine import NOT_CHECKED, is_fatal, report_on
from attnbench.conformance.findings import (
    INTERRUPTED,
    ConformanceReport,
    Finding,
    apply_exceptions,
    failure,
    skip,
)
from attnbench.registry.attention import Attention
from attnbench.workers.pool import SIGNAL_S, WorkerPool
from attnbench.workers.process import Limits, Worker, WorkerError, share_memory

LIMIT_S = 60.0
"""Seconds without progress after which a check is ended."""
DEEP_LIMIT_S = 300.0
"""Limit of a deep check: compilers report no progress for minutes."""
_PATIENCE = 3
"""Number of consecutive ended checks after which a module is given up."""


class CheckProgress(Protocol):
    """Progress callbacks of a run."""

    def begin(self, modules: int, checks: int) -> None:
        """Report the number of modules and the number of checks per module."""

    def check(self, module: str, check: Check) -> None:
        """Report that a check begins."""

    def lost(self, module: str, check: Check, why: str) -> None:
        """Report that a check was ended, or that it ended the process."""

    def done(self, report: ConformanceReport) -> None:
        """Report that a module was examined."""

    def end(self) -> None:
        """Report that the run has ended."""


class ConformanceRunner:
    """Runner of conformance checks in worker processes.

    Args:
        like: template of the workers.
        jobs: number of parallel workers; fewer run where the memory would not suffice.
    """

    def __init__(self, like: Worker, jobs: int = 1) -> None:
        alone = {"OMP_NUM_THREADS": "1"} if jobs > 1 else {}
        parallel, self._limits = share_memory(Limits(), jobs)
        self._pool = WorkerPool(like, [alone] * parallel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.stop()

    @property
    def interrupted(self) -> bool:
        """Return whether the run was interrupted, so that reports are incomplete."""
        return self._pool.interrupted.is_set()

    def start(self) -> None:
        """Start the first worker without waiting for it."""
        self._pool.start()

    def examine(
        self,
        modules: Sequence[Attention],
        checks: Sequence[Check],
        progress: CheckProgress,
        limit_s: float | None = None,
    ) -> list[ConformanceReport]:
        """Return the reports in the order of the modules; partial reports if interrupted.

        Args:
            modules: modules to examine.
            checks: checks to run.
            progress: progress callbacks; called from several threads.
            limit_s: seconds without progress after which a check is ended.
        """
        progress.begin(len(modules), len(checks))
        examinations = [
            _Examination(module, checks, progress, limit_s, self._pool.interrupted)
            for module in modules
        ]
        try:
            list(self._pool.each(self._examine, examinations))
        except KeyboardInterrupt:  # the examinations have kept their reports
            pass
        finally:
            progress.end()
        return [examination.report for examination in examinations if examination.report]

    def _examine(self, worker: Worker, examination: _Examination) -> None:
        worker.limits = self._limits
        if not examination.run(worker).passed:
            worker.stop()  # its state must not affect the next module


@dataclass
class _Examination:
    """Checks of one module, robust to crashes and hangs."""

    module: Attention
    checks: Sequence[Check]
    progress: CheckProgress
    limit_s: float | None
    interrupted: threading.Event
    report: ConformanceReport | None = None
    lost: int = 0
    fatal: bool = False
    seconds: float = 0.0
    """Duration of the checks, without the start of workers."""

    def run(self, worker: Worker) -> ConformanceReport:
        findings: list[Finding] = []
        for check in self.checks:
            findings += self._left_out(check) or self._found(check, worker)
        self.report = report_on(self.module, findings, self.seconds)
        self.progress.done(self.report)
        return self.report

    def _left_out(self, check: Check) -> tuple[Finding, ...]:
        if self.interrupted.is_set():
            return (skip(INTERRUPTED).of(check.name),)
        if self.fatal:
            return (NOT_CHECKED.of(check.name),)
        if self.lost < _PATIENCE:
            return ()
        why = f"not tried after {_PATIENCE} checks in a row that had to be ended"
        return (skip(why, f"See to those, or name it: --select {check.name}.").of(check.name),)

    def _found(self, check: Check, worker: Worker) -> tuple[Finding, ...]:
        name = str(self.module.spec)
        self.progress.check(name, check)
        usual = DEEP_LIMIT_S if check.deep else LIMIT_S
        worker.limits = replace(worker.limits, seconds=self.limit_s or usual)
        received: list[Finding] = []
        started = time.perf_counter()
        task = {"do": "check", "module": name, "check": check.name}
        try:
            answer = worker.run(task, lambda text: received.append(Finding(**json.loads(text))))
        except (WorkerError, OSError, ValueError) as error:  # also raised after stop()
            if self.interrupted.wait(SIGNAL_S):  # Ctrl-C ends the worker, too
                return self._left_out(check)
            self.seconds += time.perf_counter() - started
            return self._loss(check, received, str(error))
        self.lost = 0
        if "error" in answer:
            return (failure(answer["error"], "").of(check.name),)
        self.seconds += answer["ok"]["seconds"]
        found = tuple(Finding(**values) for values in answer["ok"]["findings"])
        self.fatal = is_fatal(found)
        return found

    def _loss(self, check: Check, received: list[Finding], why: str) -> tuple[Finding, ...]:
        self.lost += 1
        self.progress.lost(str(self.module.spec), check, why)
        card = self.module.card
        return apply_exceptions(
            [*received, failure(why, _remedy(why))],
            check.name,
            card.exceptions if card else {},
            card.defects if card else {},
        )


def _remedy(why: str) -> str:
    if why.startswith("did not finish"):
        return "Make it end on every input; if it is merely slow, raise --limit."
    if why.startswith("used"):
        return "Look for what grows with the square of the map, or is kept from call to call."
    return "Make it run without crashing or ending Python, or declare why it cannot."
