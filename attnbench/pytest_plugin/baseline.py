"""The committed records that costs are held against."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from attnbench.pytest_plugin.project import DEFAULT_OUT, Project
from attnbench.records.format import Record
from attnbench.records.store import FILE, Run, read_run
from attnbench.regression.compare.gates import COSTS, Gates
from attnbench.utils.text import shown_path

_ALIKE = 0.5
"""Likeness of two names, of 1, below which one is no new name of the other."""


@dataclass(frozen=True)
class CostBaseline:
    """The baseline of one suite.

    Attributes:
        suite: the suite's name.
        asked: what ``attnbench run`` is given: the name of a shipped suite, or the file.
        path: where its records are, or would be; None where no folder is set.
        run: its content; None where there is none.
        gates: how a metric is judged, of the settings.
        out: where ``attnbench run`` keeps its runs.
    """

    suite: str
    asked: str
    path: Path | None
    run: Run | None
    gates: Gates
    out: str

    @classmethod
    def of(cls, suite: str, file: Path, project: Project) -> CostBaseline:
        """Return the baseline of a suite.

        Raises:
            RecordError: its records cannot be read.
            RequestError: a gate is of no known metric.
        """
        path = None if project.baseline is None else project.baseline / suite / FILE
        run = read_run(path) if path is not None and path.is_file() else None
        settings = project.settings
        shipped = suite in project.catalog.suites and project.catalog.suites.get(suite) == file
        asked = suite if shipped else shown_path(file)
        return cls(suite, asked, path, run, Gates(settings.gates), settings.out or DEFAULT_OUT)

    def missing(self) -> str:
        """Why nothing is compared, where that is so."""
        if self.path is None:
            return (
                "no baseline: nothing was compared; --attnbench-baseline DIR, or baseline in "
                "[tool.attnbench], says where it is"
            )
        return f"no baseline at {shown_path(self.path)}: nothing was compared"

    def record(self, case: str) -> Record | None:
        """Return the record of a case, None where there is none."""
        return self.run.records.get(case) if self.run is not None else None

    def differences(self, record: Record, values: Mapping[str, int | None]) -> list[str]:
        """Return a line for each figure that is not the baseline's, by the gates."""
        return [
            _line(metric, int(base), int(now))
            for metric in filter(self.gates.judges, COSTS)
            if (base := record.values.get(metric)) is not None
            and (now := values.get(metric)) is not None
            and not self._let_pass(metric, base, now)
        ]

    def _let_pass(self, metric: str, base: float, now: float) -> bool:
        # 1000 and 10% are 1100, which 1000 * 0.1 may fall short of by rounding
        return abs(now - base) <= self.gates.allowed(metric) * abs(base) * (1 + 1e-9)

    def gone(self, cases: Iterable[str]) -> Iterator[str]:
        """Yield a line for each case of the baseline that the suite has no more."""
        known = set(cases)
        records = self.run.records if self.run is not None else {}
        fresh = sorted(known - set(records))
        for case in records:
            if case not in known:
                near = _nearest(case, fresh)
                yield f"  {case}" + (f", now perhaps {' or '.join(near)}" if near else "")

    def way_out(self, case: str = "") -> str:
        """The commands that make what was measured the new baseline."""
        base, new = self._folders()
        accept = ["attnbench", "accept", base, new, *([case] if case else [])]
        return (
            f"If that is meant: attnbench run {shlex.quote(self.asked)}, then "
            f"{shlex.join(accept)} --reason TEXT; attnbench compare {shlex.join([base, new])} "
            "shows all"
        )

    def _folders(self) -> tuple[str, str]:
        base = shown_path(self.path.parent) if self.path is not None else "BASE"
        return base, f"{self.out.rstrip('/')}/{self.suite}"


def _line(metric: str, base: int, now: int) -> str:
    share = f", {(now - base) / base:+.2%}" if base else ""
    return f"  {metric}: {base:,} -> {now:,} ({now - base:+,}{share})"


def _nearest(case: str, fresh: Iterable[str]) -> list[str]:
    """Return up to three names of the same kind, those of the same module and place first."""

    def likeness(other: str) -> tuple[int, float]:
        pairs = zip(case.split("/"), other.split("/"), strict=False)
        shared = sum(one.partition(",")[0] == two.partition(",")[0] for one, two in pairs)
        return shared, SequenceMatcher(None, case, other).ratio()

    kind = case.partition("/")[0]
    alike = {one: likeness(one) for one in fresh if one.partition("/")[0] == kind}
    ranked = sorted(alike, key=lambda one: alike[one], reverse=True)
    return [one for one in ranked if alike[one][1] >= _ALIKE][:3]
