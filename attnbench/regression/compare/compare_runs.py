"""Comparison of two runs: statuses, exact metrics, and metrics with a confidence interval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attnbench.records.format import Header
from attnbench.records.store import FILE, Run
from attnbench.regression.compare.compare_accuracy import judge_accuracies
from attnbench.regression.compare.compare_counters import judge_counters
from attnbench.regression.compare.compare_latency import judge_latencies
from attnbench.regression.compare.comparison import (
    Judged,
    RecordPair,
    RunComparison,
    differing,
    suite_of,
)
from attnbench.regression.compare.exact_metrics import (
    STATUS,
    judge_costs,
    judge_statuses,
    judge_validation,
)
from attnbench.regression.compare.gates import Gates
from attnbench.utils.text import shown_path


def compare(base: Run, new: Run, gates: Mapping[str, str | float] | None = None) -> RunComparison:
    """Compare two runs, case by case and metric by metric.

    A gate is ``"exact"``, ``"ignore"``, or the tolerated change: a fraction for counts and
    ``overhead``, points for ``top1``. A metric without a gate has its default
    (:data:`attnbench.regression.compare.gates.DEFAULTS`).

    Raises:
        RequestError: a gate is of an unknown metric, or its value is invalid.
    """
    chosen = Gates(gates or {})
    pairs = list(_pairs(base, new))
    found = [*judge_statuses(base, new), *_measured(pairs, chosen)]
    # without a compared metric; both runs have them as ok
    mentioned = {change.case for _, change in found}
    silent = [pair for pair in pairs if pair.new.kind != "accuracy" and pair.case not in mentioned]
    found += [("unchanged", pair.of(STATUS, "ok", "ok")) for pair in silent]
    order = {case: number for number, case in enumerate(base.records | new.records)}
    found.sort(key=lambda judged: order.get(judged[1].case, len(order)))
    return RunComparison.of(
        found,  # pyright: ignore[reportArgumentType]
        notes=tuple(notes(base, new)),
        base=_place(base),
        new=_place(new),
    )


def _place(run: Run) -> str:
    """Return a run's path as a command takes it: its folder, if the file has the usual name."""
    return shown_path(run.path.parent if run.path.name == FILE else run.path)


def _pairs(base: Run, new: Run) -> Iterator[RecordPair]:
    for case, record in base.records.items():
        other = new.records.get(case)
        if record.status == "ok" and other is not None and other.status == "ok":
            yield RecordPair(record, other, base.header_of[case], new.header_of[case])


def _measured(pairs: Iterable[RecordPair], gates: Gates) -> Iterator[Judged]:
    kinds: dict[str, list[RecordPair]] = {"cost": [], "latency": [], "accuracy": []}
    for pair in pairs:
        kinds[pair.new.kind].append(pair)
    yield from judge_costs(kinds["cost"], gates)
    yield from judge_counters(kinds["cost"], gates)
    yield from judge_validation(kinds["latency"], gates)
    yield from judge_latencies(kinds["latency"], gates)
    yield from judge_accuracies(kinds["accuracy"], gates)


def notes(base: Run, new: Run) -> Iterator[str]:
    """Yield the notes on two runs as a whole, in sentences."""
    suites = [suite_of(run.header) for run in (base, new)]
    if suites[0] != suites[1]:
        names = ", then ".join(f"{suite} version {version}" for suite, version in suites)
        yield f"Different suites ({names}): only counts of cases of one name are compared."
    machines = [_machines(run) for run in (base, new)]
    units = [_units(run) for run in (base, new)]
    if machines[0] == machines[1] and all(units):
        machines = [f"{machine}, {unit}" for machine, unit in zip(machines, units, strict=True)]
    if machines[0] != machines[1]:
        shown = ", then ".join(machines)
        yield f"Different machines ({shown}): latency is not compared, counts are."
    versions = differing(base.measured_with(), new.measured_with())
    if versions:
        yield (
            f"Different versions: {versions}. Counts are compared all the same; latency, what "
            "left the fast path and accuracy only where their own packages are the same."
        )
    for run in (base, new):
        if run.path.is_file() and not run.path.read_bytes().endswith(b"\n"):
            yield (
                f"{shown_path(run.path)} ends in half a line: its run was stopped, or is still "
                "going on."
            )


def _machines(run: Run) -> str:
    headers: list[Header] = [*run.header_of.values()] or run.headers
    shown = {", ".join(map(str, header.machine.values())) for header in headers}
    return " / ".join(sorted(shown))


def _units(run: Run) -> str:
    """Return the instruction sets in a run's latency records; empty for a run that has none."""
    found = {str((record.runtime or {}).get("isa", "")) for record in run.records.values()} - {""}
    return " / ".join(sorted(found))
