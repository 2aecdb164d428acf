"""Tidy data: one line for each case and seed of each row, with unrounded values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attnbench.reports.tables.accuracy_results import PairedTrainings
from attnbench.reports.tables.case_results import CaseResult, CostResult, LatencyCell
from attnbench.reports.tables.footnotes import uncounted_note
from attnbench.reports.tables.reported_values import as_data, judge
from attnbench.reports.tables.row_views import RowView
from attnbench.stats.paired_difference import DifferenceEstimate
from attnbench.suites.case import Case, training_of
from attnbench.utils.escape import csv_cell

_PROOF = ("export_s", "load_s", "max_error", "tolerance", "sqnr_db", "top1_agreement")
_TRAINED = ("top1", "top5", "loss", "int8_top1")
METRICS = ("params", "macs", "params_norm", "macs_norm", "top1", "top5")


def tidy_lines(view: RowView, title: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a row; ``title`` is that of the table."""
    for result in view.results:
        groups = view.layout.groups if len(view.results) > 1 else None
        group = {groups.option: groups.values[result.group]} if groups else {}
        line = _line(view, title, result, group)
        line |= result.values
        line |= {"uncounted": uncounted_note(result.uncounted)} if result.uncounted else {}
        for name, report in result.counters.items():
            line |= {f"{name}_{key}": report.get(key) for key in ("raw", "macs", "agree")}
        for metric in METRICS:
            line |= _judged_fields(view, metric, result)
        yield line
    for cell in view.timed:
        yield _line(view, title, cell, {}) | latency_fields(cell)
    for network in view.trained:
        for training in network.results:
            yield _line(view, title, training, {}) | accuracy_fields(network, training.case)


def _line(
    view: RowView, title: str, result: CaseResult, group: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "suite": view.suite.suite.name,
        "table": title,
        "row": view.label,
        **case_fields(result.case),
        **group,
        "added": view.added,
        "status": result.status,
        "reason": result.reason,
    }


def latency_fields(one: LatencyCell) -> dict[str, Any]:
    """Return the values of a latency case, flattened: milliseconds, bytes, ratios."""
    timing, judgment = one.timing, one.judgment
    fields: dict[str, Any] = dict(vars(one.conditions))
    if timing is None or judgment is None:
        return fields
    figures = {
        "ratio": one.ratio,
        # the plain network is its own baseline; "again" is the difference of its copy
        "ratio_low": 1.0 if timing.is_plain else timing.arm.low,
        "ratio_high": 1.0 if timing.is_plain else timing.arm.high,
        "verdict": "same" if timing.is_plain else judgment.verdict,
        "same_within": judgment.within,
        "again": timing.again.ratio,
        "again_low": timing.again.low,
        "again_high": timing.again.high,
        "floor": judgment.floor,
        "trust": judgment.trust,
        "median_ms": _ms(timing.own.median),
        "p90_ms": _ms(timing.own.p90),
        "p99_ms": _ms(timing.own.p99),
        "min_ms": _ms(timing.own.minimum),
        "baseline_median_ms": _ms(timing.plain.median),
        "throughput": timing.throughput,
        "pairs": timing.arm.pairs,
        "processes": timing.arm.processes,
        "peak_bytes": one.values.get("peak_bytes"),
        **{key: one.values.get(key) for key in _PROOF},
    }
    return fields | {key: _finite(value) for key, value in figures.items()}


def accuracy_fields(one: PairedTrainings, case: Case) -> dict[str, Any]:
    """Return a training's values and those over all seeds of its row, in percent and points.

    ``difference`` is relative to the plain backbone of the same seed; ``difference_low`` and
    ``_high`` bound Student's t-interval.
    """
    training = training_of(case)
    fields = {key: getattr(training, key) for key in ("dataset", "recipe", "seed", "epochs")}
    own, plain = one.own.get(training.seed), one.plain.get(training.seed)
    values = own["values"] if own else {}
    judged = {"verdict": "verdict", "same_within": "within", "more_seeds": "more_seeds"}
    figures = {
        **{key: values.get(key) for key in _TRAINED},
        "difference": own["values"]["top1"] - plain["values"]["top1"]
        if own and plain and not one.is_plain
        else None,
        **_estimate_fields("top1", one.mean()),
        **_estimate_fields("difference", None if one.is_plain else one.difference()),
        **{name: getattr(one.judgment, key, None) for name, key in judged.items()},
    }
    return fields | {key: _finite(value) for key, value in figures.items()}


def _estimate_fields(name: str, found: DifferenceEstimate | None) -> dict[str, float | None]:
    return {f"{name}_{key}": getattr(found, key, None) for key in ("mean", "low", "high")}


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 6)


def _finite(value: Any) -> Any:
    """Return the value, with None for a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_csv(lines: tuple[Any, ...]) -> str:
    """Return the lines as CSV, with the columns of all lines."""
    from pandas import DataFrame  # half a second to import

    cells = [{csv_cell(key): csv_cell(value) for key, value in line.items()} for line in lines]
    # dtype object, as an integer column with gaps would become float
    text: str = DataFrame(cells, dtype=object).to_csv(index=False, lineterminator="\n")
    return text


def case_fields(case: Case) -> dict[str, Any]:
    """Return the fields of a case, flattened."""
    height, width = case.size
    return {
        "case": case.name,
        "backbone": case.backbone,
        "module": case.module,
        "placement": case.placement,
        "channels": case.channels,
        "height": height,
        "width": width,
        "form": "fused" if case.fused else "plain",
    }


def printed_figures(lines: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the printed figures of each case, with the nominal value and the verdict.

    A case that stands in several rows has one entry for each of its figures there.
    """
    keys = ("printed", "nominal", "nominal_plain", "verdict")
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        for metric in METRICS:
            if f"printed_{metric}" in line:
                place = {"table": line["table"], "row": line["row"], "metric": metric}
                figures = {key: line.get(f"{key}_{metric}") for key in keys}
                found.setdefault(line["case"], []).append(place | figures)
    return found


def _judged_fields(view: RowView, metric: str, result: CostResult) -> dict[str, Any]:
    judged = judge(view, metric, result)
    if judged is None:
        return {}
    return {
        f"printed_{metric}": judged.printed.text,
        f"nominal_{metric}": as_data(judged.value),
        **({f"nominal_plain_{metric}": as_data(judged.plain)} if judged.plain else {}),
        f"verdict_{metric}": judged.verdict,
    }
