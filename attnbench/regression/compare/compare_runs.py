"""Comparison of two runs: statuses, exact metrics, and metrics with a confidence interval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attnbench.records.store import FILE, Run
from attnbench.regression.compare.compare_accuracy import accuracies
from attnbench.regression.compare.compare_cost import costs
from attnbench.regression.compare.compare_latency import latencies
from attnbench.regression.compare.compare_status import STATUS, statuses
from attnbench.regression.compare.comparison import VERDICTS, MetricChange, RunComparison
from attnbench.regression.compare.gates import Gates
from attnbench.regression.compare.output_validation import proofs
from attnbench.regression.compare.record_pair import Judged, RecordPair
from attnbench.regression.compare.run_differences import notes
from attnbench.utils.text import shown_path


def compare(base: Run, new: Run, gates: Mapping[str, str | float] | None = None) -> RunComparison:
    """Compare two runs, case by case and metric by metric.

    Args:
        base: the earlier run.
        new: the later run.
        gates: metric -> ``"exact"``, ``"ignore"``, or the tolerated change: a fraction for counts
            and ``overhead``, points for ``top1``. A metric without a gate has its default
            (:data:`attnbench.regression.compare.gates.DEFAULTS`).

    Raises:
        RequestError: a gate is of an unknown metric, or its value is invalid.
    """
    chosen = Gates(gates or {})
    pairs = list(_pairs(base, new))
    found = [*statuses(base, new), *_measured(pairs, chosen)]
    found += _unmentioned(pairs, found)
    order = {case: number for number, case in enumerate(base.records | new.records)}
    return RunComparison(
        **_by_verdict(found, order),
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
    yield from costs(kinds["cost"], gates)
    yield from proofs(kinds["latency"], gates)
    yield from latencies(kinds["latency"], gates)
    yield from accuracies(kinds["accuracy"], gates)


def _unmentioned(pairs: Iterable[RecordPair], found: Iterable[Judged]) -> list[Judged]:
    """Return the cases without a compared metric as unchanged: both runs have them as ok."""
    mentioned = {change.case for _, change in found}
    return [
        ("unchanged", pair.of(STATUS, "ok", "ok"))
        for pair in pairs
        if pair.new.kind != "accuracy" and pair.case not in mentioned
    ]


def _by_verdict(
    found: Iterable[Judged], order: Mapping[str, int]
) -> dict[str, tuple[MetricChange, ...]]:
    kept: dict[str, list[MetricChange]] = {verdict: [] for verdict in VERDICTS}
    for verdict, change in found:
        kept[verdict].append(change)
    last = len(order)
    return {
        verdict: tuple(sorted(changes, key=lambda change: order.get(change.case, last)))
        for verdict, changes in kept.items()
    }
