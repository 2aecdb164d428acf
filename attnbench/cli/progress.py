"""Progress of a run or of checks on standard error: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from attnbench.cli.output import can_overwrite, console, log

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import ProgressColumn, Task

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
_BAR_WIDTH = 20


def progress() -> RunProgress:
    """Return the display that suits standard error."""
    return BarProgress() if can_overwrite(sys.stderr) else LineProgress()


class SilentProgress:
    """Progress of a job that takes an instant: none."""

    def begin(self, job: Job) -> None:
        """Do nothing."""

    def step(self, case: Case, text: str, share: float = 0.0) -> None:
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

    def step(self, case: Case, text: str, share: float = 0.0) -> None:
        """Report a long step; cost cases are reported when done, trainings at intervals."""
        self._left.step(case, share)
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
        phrase = self._left.phrase() if self._count < self._total else ""
        left = f"; {phrase}" if phrase else ""
        outcome = f"{record.case} {record.status} ({record.seconds:.2f} s)"
        log(f"[{self._count}/{self._total}] {outcome}{left}")


class _Bar:
    """A bar on standard error, with count and time, and the current step in the room that is left.

    A text that is too long is cut at its left: the end of a case's name tells it from others.
    """

    def _show(self, total: int, opening: str = "") -> None:
        from rich.progress import Progress

        shown = console(sys.stderr)
        if opening:
            shown.print(opening)
        self._total = total
        self._bar = Progress(self._line(), console=shown, transient=True, refresh_per_second=4)
        self._task = self._bar.add_task("", total=total)
        self._bar.start()

    def _line(self) -> ProgressColumn:
        from rich.progress import ProgressColumn

        class Line(ProgressColumn):
            """The whole line, drawn anew by the clock."""

            def render(line, task: Task) -> RenderableType:  # noqa: N805
                return self._render(task)

        return Line()

    def _render(self, task: Task) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        share, times = self._times(task)
        count = f"{int(task.completed)}/{self._total}"
        room = self._bar.console.width - _BAR_WIDTH - len(count) - len(times) - 3
        grid = Table.grid(padding=(0, 1), pad_edge=False)
        for _ in range(4):
            grid.add_column(no_wrap=True)
        grid.add_row(
            ProgressBar(1.0, share, width=_BAR_WIDTH),
            count,
            times,
            cut_left(task.description, room),
        )
        return grid

    def _times(self, task: Task) -> tuple[float, str]:
        """Return the share of the bar that is full, and the time that has passed."""
        return task.completed / max(self._total, 1), format_elapsed(task.elapsed or 0.0)

    def end(self) -> None:
        """Remove the bar."""
        with suppress(OSError):  # the terminal was closed
            self._bar.stop()


class BarProgress(_Bar):
    """A bar with the current step, the time that has passed, and the time left by the clock."""

    def begin(self, job: Job) -> None:
        """Show the bar."""
        self._left = _time_left(job)
        self._show(len(job.missing), _opening(job, self._left))

    def step(self, case: Case, text: str, share: float = 0.0) -> None:
        """Show the current step."""
        self._left.step(case, share)
        self._bar.update(self._task, description=text)

    def done(self, record: Record) -> None:
        """Advance the count by a case."""
        self._left.done(record)
        self._bar.update(self._task, advance=1)

    def _times(self, task: Task) -> tuple[float, str]:
        ended = task.completed / max(self._total, 1)
        share, elapsed = self._left.share, format_elapsed(self._left.elapsed_s)
        left = self._left.phrase()
        return ended if share is None else share, f"{elapsed}, {left}" if left else elapsed


def format_elapsed(seconds: float) -> str:
    """Return ``0:07``, ``12:40``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def cut_left(text: str, width: int) -> str:
    """Return the end of a text in ``width`` characters, after an ellipsis where it is longer."""
    if len(text) <= width:
        return text
    return f"…{text[len(text) - width + 1 :]}" if width > 1 else ""


def _time_left(job: Job) -> TimeLeft:
    from attnbench.runner.eta import TimeLeft  # torch

    return TimeLeft(job)


def _opening(job: Job, left: TimeLeft) -> str:
    text = f"{job.suite.suite.name}: {len(job.missing)} of {len(job.cases)} cases to measure"
    text += f", {len(job.done)} already measured" if job.done else ""
    return f"{text}; {left}" if str(left) else text


def check_progress() -> CheckProgress:
    """Return the display of ``attnbench check`` that suits standard error."""
    return CheckBar() if can_overwrite(sys.stderr) else CheckLines()


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
