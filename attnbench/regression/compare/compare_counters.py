"""Comparison of other tools' counts: their totals, and the reasons that reconcile them with ours.

A counter's figure says as much of our rules as of the network. Where our own counts are the same in
both runs, any difference is a regression, a smaller total as well: the network, the counter or our
reconciliation has changed behind them. Where ours differ, the counter is expected to follow, and a
smaller total is an improvement. Another version of the counter explains a difference as long as
it is still reconciled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attnbench.regression.compare.comparison import Judged, RecordPair, differing
from attnbench.regression.compare.exact_metrics import judge_count
from attnbench.regression.compare.gates import COSTS, COUNTERS, Gates

CounterReport = Mapping[str, Any]
_OURS = "rules"
_FACTS = ("unit", "factor", "macs", "remainder", "agree")


def judge_counters(pairs: Sequence[RecordPair], gates: Gates) -> Iterator[Judged]:
    """Judge the counters of cost cases, as metrics ``counters.NAME``."""
    if not gates.judges(COUNTERS):
        return
    allowed = gates.tolerance_of(COUNTERS)
    for pair in pairs:
        base, new = pair.base.counters or {}, pair.new.counters or {}
        for name in dict.fromkeys([*base, *new]):
            if name in base and name in new and name != _OURS:
                yield from _judge(pair, name, base[name], new[name], allowed)
            elif name != _OURS:
                raws = (counters.get(name, {}).get("raw") for counters in (base, new))
                yield from judge_count(pair.case, f"{COUNTERS}.{name}", *raws)


def _judge(
    pair: RecordPair, name: str, base: CounterReport, new: CounterReport, allowed: float
) -> Iterator[Judged]:
    metric, was, now = f"{COUNTERS}.{name}", base.get("raw"), new.get("raw")
    versions = differing({name: _version(base)}, {name: _version(new)})
    moved, is_same = _moved(base, new), _same_network(pair)
    behind = "our own counts are the same" if is_same else ""
    reason = "; ".join(filter(None, (versions, moved, new.get("reason"), behind)))
    more = f"{now - was:+,}; " if was is not None and now not in (was, None) else ""
    changed = pair.of(metric, was, now, more + reason, change=_share(was, now))
    if was == now and (was is None or not moved):
        yield "unchanged", pair.of(metric, was, now)
    elif now is None or (base["agree"] and not new["agree"]):
        yield "regressions", changed
    elif was is None:
        yield "improvements", changed
    elif versions:
        yield "incomparable", changed
    elif was == now or (is_same and abs(now - was) > allowed * abs(was)):
        yield "regressions", changed
    else:
        yield from judge_count(pair.case, metric, was, now, allowed, reason)


def _moved(base: CounterReport, new: CounterReport) -> str:
    """Return what reconciles the counter otherwise, operator by operator; empty if nothing does."""
    before, after = _adjustments(base), _adjustments(new)
    parts = [
        f"{operator}: {_text(before.get(operator))} to {_text(after.get(operator))}"
        for operator in dict.fromkeys([*before, *after])
        if before.get(operator) != after.get(operator)
    ]
    missed = differing(*(report.get("unsupported") or {} for report in (base, new)))
    calls = missed and f"calls that it cannot count: {missed}"
    return "; ".join(filter(None, (*parts, differing(base, new, _FACTS), calls)))


def _adjustments(report: CounterReport) -> dict[str, Counter[str]]:
    """Return the MACs added to a counter's figure, by operator and reason."""
    found: dict[str, Counter[str]] = {}
    for part in report.get("adjustments") or ():
        found.setdefault(part["operator"], Counter())[part.get("why", "")] += part["macs"]
    return found


def _text(reasons: Mapping[str, int] | None) -> str:
    return ", ".join(f"{macs:+,} ({why})" for why, macs in (reasons or {}).items()) or "none"


def _same_network(pair: RecordPair) -> bool:
    """Return whether our own counts, as far as both runs have them, are the same."""
    base, new = pair.base.values, pair.new.values
    return all(base[metric] == new[metric] for metric in COSTS if metric in base and metric in new)


def _version(report: CounterReport) -> str:
    """Return a counter's version without its build, as in ``2.14.1+cpu``: it counts the same."""
    return str(report.get("version") or "").partition("+")[0]


def _share(base: int | None, new: int | None) -> float | None:
    """Return the change as a fraction; None without a change or without a number."""
    return new / base - 1 if base and new is not None and base != new else None
