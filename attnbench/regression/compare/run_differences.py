"""Differences between two runs as a whole, and what they exclude from the comparison."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from attnbench.records.format import Header
from attnbench.records.store import Run
from attnbench.regression.compare.record_pair import differing, suite_of
from attnbench.utils.text import shown_path


def notes(base: Run, new: Run) -> Iterator[str]:
    """Yield the notes on two runs as a whole, in sentences."""
    yield from _suites(base, new)
    machines = [_machines(run) for run in (base, new)]
    units = [_units(run) for run in (base, new)]
    if machines[0] == machines[1] and all(units):
        machines = [f"{machine}, {unit}" for machine, unit in zip(machines, units, strict=True)]
    if machines[0] != machines[1]:
        yield (
            f"Different machines ({machines[0]}, then {machines[1]}): latency is not compared, "
            "counts are."
        )
    versions = differing(base.measured_with(), new.measured_with())
    if versions:
        yield (
            f"Different versions: {versions}. Counts are compared all the same; latency, what "
            "left the fast path and accuracy only where their own packages are the same."
        )
    for run in (base, new):
        if _is_torn(run.path):
            yield (
                f"{shown_path(run.path)} ends in half a line: its run was stopped, or is still "
                "going on."
            )


def _suites(base: Run, new: Run) -> Iterator[str]:
    before, after = suite_of(base.header), suite_of(new.header)
    if before != after:
        names = [f"{suite} version {version}" for suite, version in (before, after)]
        yield (
            f"Different suites ({names[0]}, then {names[1]}): only counts of cases of one name are "
            "compared."
        )


def _machines(run: Run) -> str:
    headers: list[Header] = [*run.header_of.values()] or run.headers
    shown = {", ".join(map(str, header.machine.values())) for header in headers}
    return " / ".join(sorted(shown))


def _units(run: Run) -> str:
    """Return the instruction sets in a run's latency records; empty for a run that has none."""
    found = {str((record.runtime or {}).get("isa", "")) for record in run.records.values()} - {""}
    return " / ".join(sorted(found))


def _is_torn(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        file.seek(0, 2)
        if file.tell():
            file.seek(-1, 2)
            return file.read(1) != b"\n"
    return False
