"""Progress of a run on standard error: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from attnbench.cli.output import say

if TYPE_CHECKING:
    from attnbench.records.model import Record
    from attnbench.running.runner import Job, Progress
    from attnbench.suites.cases import Case


def progress() -> Progress:
    """Return the display that suits standard error."""
    return BarProgress() if sys.stderr.isatty() else LineProgress()


class LineProgress:
    """One line as a suite starts and one for each case."""

    def begin(self, job: Job) -> None:
        """Say what there is to do."""
        self._total, self._count = len(job.missing), 0
        say(_opening(job))

    def case(self, case: Case) -> None:
        """Nothing: the line is written when the case is done."""

    def done(self, record: Record) -> None:
        """Say what became of a case."""
        self._count += 1
        say(f"[{self._count}/{self._total}] {record.case} {record.status} ({record.seconds:.2f} s)")

    def end(self) -> None:
        """Nothing to close."""


class BarProgress:
    """A bar with the current case and the time left."""

    def begin(self, job: Job) -> None:
        """Show the bar."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True, highlight=False)
        console.print(_opening(job))
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=len(job.missing))
        self._bar.start()

    def case(self, case: Case) -> None:
        """Name the current case."""
        self._bar.update(self._task, description=case.name)

    def done(self, record: Record) -> None:
        """Move on by one."""
        self._bar.advance(self._task)

    def end(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def _opening(job: Job) -> str:
    text = f"{job.suite.suite.name}: {len(job.missing)} of {len(job.cases)} cases to measure"
    return text + (f", {len(job.done)} already measured" if job.done else "")
