"""Baseline of costs: the committed records that new counts are compared with."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import NoReturn

import pytest

from attnbench.errors import RecordError
from attnbench.pytest_plugin.project import DEFAULT_OUT, Project
from attnbench.records.format import Record
from attnbench.records.store import FILE, Run, read_run
from attnbench.regression.compare.gates import COSTS, Gates
from attnbench.suites.case import Case
from attnbench.utils.text import shown_path

_COMPARED = ("backbone", "module", "placement")
_ALIKE = 0.5
"""Smallest similarity, from 0 to 1, at which a case name is suggested as a renamed one."""


@dataclass(frozen=True)
class CostBaseline:
    """The baseline of one suite.

    Attributes:
        requested: the argument of ``attnbench run``: the name of a shipped suite, or the file.
        path: the path of the records, existing or not; None if no folder is set.
        run: the content of the records; None if there are none.
        out: the folder of the runs of ``attnbench run``.
    """

    suite: str
    requested: str
    path: Path | None
    run: Run | None
    gates: Gates
    out: str

    @classmethod
    def of(cls, suite: str, file: Path, project: Project) -> CostBaseline:
        """Return the baseline of a suite.

        Raises:
            RecordError: its records cannot be read.
            RequestError: a gate is for an unknown metric.
        """
        path = None if project.baseline is None else project.baseline / suite / FILE
        run = read_run(path) if path is not None and path.is_file() else None
        for reason in run.left_out.values() if run is not None else ():
            raise RecordError(reason)  # without it, nothing would be compared in silence
        settings = project.settings
        shipped = suite in project.catalog.suites and project.catalog.suites.get(suite) == file
        requested = suite if shipped else shown_path(file)
        return cls(suite, requested, path, run, Gates(settings.gates), settings.out or DEFAULT_OUT)

    def missing(self) -> str:
        """Return the reason why nothing is compared, if there is no baseline."""
        if self.path is None:
            return (
                "no baseline: nothing was compared. Name its folder with --attnbench-baseline DIR, "
                "or as baseline in [tool.attnbench]"
            )
        return f"no baseline at {shown_path(self.path)}: nothing was compared"

    def record(self, case: str) -> Record | None:
        """Return the record of a case; None if there is none."""
        return self.run.records.get(case) if self.run is not None else None

    def differences(self, record: Record, values: Mapping[str, int | None]) -> list[str]:
        """Return a line for each value that differs from the baseline beyond its gate."""
        return [
            _line(metric, int(base), int(now))
            for metric in filter(self.gates.judges, COSTS)
            if (base := record.values.get(metric)) is not None
            and (now := values.get(metric)) is not None
            # 10% of 1000 is 100, but 1000 * 0.1 may be slightly less by rounding
            and abs(now - base) > self.gates.tolerance_of(metric) * abs(base) * (1 + 1e-9)
        ]

    def gone(self, cases: Iterable[Case]) -> Iterator[str]:
        """Yield a line for each case of the baseline that the suite no longer has."""
        present = {case.name: case for case in cases}
        records = self.run.records if self.run is not None else {}
        fresh = [present[name] for name in sorted(set(present) - set(records))]
        for case, record in records.items():
            if case not in present:
                near = _nearest(record, fresh)
                yield f"  {case}" + (f", now perhaps {' or '.join(near)}" if near else "")

    def fail(self, head: str, lines: Iterable[str], case: str = "") -> NoReturn:
        """Fail a test, with the commands that make the measured values the new baseline."""
        base = shown_path(self.path.parent) if self.path is not None else "BASE"
        new = f"{self.out.rstrip('/')}/{self.suite}"
        accept = ["attnbench", "accept", base, new, *([case] if case else [])]
        remedy = (
            f"If this is intended: attnbench run {shlex.quote(self.requested)}, then "
            f"{shlex.join(accept)} --reason TEXT. attnbench compare {shlex.join([base, new])} "
            "lists all differences"
        )
        pytest.fail("\n".join([head, *lines, remedy]), pytrace=False)


def _line(metric: str, base: int, now: int) -> str:
    share = f", {(now - base) / base:+.2%}" if base else ""
    return f"  {metric}: {base:,} -> {now:,} ({now - base:+,}{share})"


def _nearest(record: Record, fresh: Iterable[Case]) -> list[str]:
    """Return up to three names of the same kind, those of the same module and placement first."""

    def likeness(other: Case) -> tuple[int, float]:
        pairs = ((record.conditions.get(field), getattr(other, field)) for field in _COMPARED)
        # without the parameters of a spec
        names = [[(spec or "").partition(",")[0] for spec in pair] for pair in pairs]
        shared = sum(own == new for own, new in names)
        return shared, SequenceMatcher(None, record.case, other.name).ratio()

    alike = {case.name: likeness(case) for case in fresh if case.kind == record.kind}
    ranked = sorted(alike, key=lambda name: alike[name], reverse=True)
    return [name for name in ranked if alike[name][1] >= _ALIKE][:3]
