"""Progress of a run or of checks on standard error: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from attnbench.cli.output import console, log

if TYPE_CHECKING:
    from attnbench.conformance.checks import Check
    from attnbench.conformance.findings import ConformanceReport
    from attnbench.conformance.runner import CheckProgress
    from attnbench.records.format import Record
    from attnbench.runner.eta import TimeLeft
    from attnbench.runner.job import Job
    from attnbench.runner.run_suite import RunProgress
    from attnbench.suites.case import Case


_TRAINING_EVERY_S = 10.0
"""Minimum interval, in seconds, between two progress lines of a training."""
_TEXTS = ("{task.fields[left]}", "{task.description}")


def progress() -> RunProgress:
    """Return the display that suits standard error."""
    return BarProgress() if sys.stderr.isatty() else LineProgress()


class SilentProgress:
    """Progress of a job that takes an instant: none."""

    def begin(self, job: Job) -> None:
        """Do nothing."""

    def step(self, case: Case, text: str) -> None:
        """Do nothing."""

    def done(self, record: Record) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class LineProgress(SilentProgress):
    """Progress as lines: one at the start of a job and one for each case."""

    def begin(self, job: Job) -> None:
        """Report the number of cases to measure."""
        self._left = _time_left(job)
        self._total, self._count = len(job.missing), 0
        self._last_report = -_TRAINING_EVERY_S
        log(_opening(job, self._left))

    def step(self, case: Case, text: str) -> None:
        """Report a long step; cost cases are reported when done, trainings at intervals."""
        if case.kind == "accuracy":
            if time.monotonic() - self._last_report < _TRAINING_EVERY_S:
                return
            self._last_report = time.monotonic()
        if case.kind != "cost":
            log(text)

    def done(self, record: Record) -> None:
        """Report the outcome of a case and the remaining time."""
        self._count += 1
        self._left.done(record)
        left = f"; {self._left} left" if str(self._left) and self._count < self._total else ""
        outcome = f"{record.case} {record.status} ({record.seconds:.2f} s)"
        log(f"[{self._count}/{self._total}] {outcome}{left}")


class _Bar:
    """A bar on standard error, with the current step beside it."""

    def _show(self, total: int, left: str = "", opening: str = "") -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        shown = console(sys.stderr)
        if opening:
            shown.print(opening)
        texts = [TextColumn(text, markup=False) for text in _TEXTS]
        self._bar = Progress(
            BarColumn(), MofNCompleteColumn(), *texts, console=shown, transient=True
        )
        self._task = self._bar.add_task("", total=total, left=left)
        self._bar.start()

    def end(self) -> None:
        """Remove the bar."""
        with suppress(OSError):  # the terminal was closed
            self._bar.stop()


class BarProgress(_Bar):
    """A bar with the current case and the time left."""

    def begin(self, job: Job) -> None:
        """Show the bar."""
        self._left = _time_left(job)
        self._show(len(job.missing), self._text(), _opening(job, self._left))

    def step(self, case: Case, text: str) -> None:
        """Show the current step."""
        self._bar.update(self._task, description=text)

    def done(self, record: Record) -> None:
        """Advance the bar by one case."""
        self._left.done(record)
        self._bar.update(self._task, advance=1, left=self._text())

    def _text(self) -> str:
        return f"{self._left} left" if str(self._left) else ""


def _time_left(job: Job) -> TimeLeft:
    from attnbench.runner.eta import TimeLeft

    return TimeLeft(job)


def _opening(job: Job, left: TimeLeft) -> str:
    text = f"{job.suite.suite.name}: {len(job.missing)} of {len(job.cases)} cases to measure"
    text += f", {len(job.done)} already measured" if job.done else ""
    return f"{text}; {left}" if str(left) else text


def check_progress() -> CheckProgress:
    """Return the display of ``attnbench check`` that suits standard error."""
    return CheckBar() if sys.stderr.isatty() else CheckLines()


class CheckLines:
    """Progress of checks as lines: modules, deep checks and terminated checks."""

    def begin(self, modules: int, checks: int) -> None:
        """Store the number of modules."""
        self._modules, self._count = modules, 0

    def check(self, module: str, check: Check) -> None:
        """Report a deep check."""
        if check.deep:
            log(f"{module}: {check.name}")

    def lost(self, module: str, check: Check, why: str) -> None:
        """Report a terminated check."""
        log(f"{module}: {check.name} {why}")

    def done(self, report: ConformanceReport) -> None:
        """Report the verdict on a module."""
        self._count += 1
        done = f"[{self._count}/{self._modules}] {report.name} {report.verdict}"
        log(f"{done} ({report.seconds:.1f} s)")

    def end(self) -> None:
        """Do nothing."""


class CheckBar(_Bar):
    """A bar with the most recent module and check."""

    def begin(self, modules: int, checks: int) -> None:
        """Show the bar."""
        self._show(modules * checks)

    def check(self, module: str, check: Check) -> None:
        """Advance the bar and show the check."""
        self._bar.update(self._task, advance=1, description=f"{module}: {check.name}")

    def lost(self, module: str, check: Check, why: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(f"{module}: {check.name} {why}")

    def done(self, report: ConformanceReport) -> None:
        """Do nothing; the bar advances with the checks."""
