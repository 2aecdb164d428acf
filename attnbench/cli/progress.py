"""Progress of a run on standard error: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from attnbench.cli.output import say
from attnbench.running.estimate import seconds_of, spoken

if TYPE_CHECKING:
    from attnbench.records.model import Record
    from attnbench.running.runner import Job, Progress


_WORTH_SAYING_S = 20.0


def progress() -> Progress:
    """Return the display that suits standard error."""
    return BarProgress() if sys.stderr.isatty() else LineProgress()


class LineProgress:
    """One line as a suite starts and one for each case."""

    def begin(self, job: Job) -> None:
        """Say what there is to do."""
        self._total, self._count = len(job.missing), 0
        say(_opening(job))

    def step(self, text: str) -> None:
        """Say what takes long; a count is told when it is done."""
        if not text.startswith("cost/"):
            say(text)

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

    def step(self, text: str) -> None:
        """Name what is done now."""
        self._bar.update(self._task, description=text)

    def done(self, record: Record) -> None:
        """Move on by one."""
        self._bar.advance(self._task)

    def end(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def _opening(job: Job) -> str:
    text = f"{job.suite.suite.name}: {len(job.missing)} of {len(job.cases)} cases to measure"
    text += f", {len(job.done)} already measured" if job.done else ""
    seconds = seconds_of(job)
    return text + (f"; {spoken(seconds)}" if seconds > _WORTH_SAYING_S else "")
