"""Long form of a table's results: a row for each case and metric, with interval and verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attnbench.reports.tables.accuracy_results import PairedTrainings
from attnbench.reports.tables.case_results import CaseResult, CostResult, LatencyCell
from attnbench.reports.tables.long_format import (
    METRICS,
    accuracy_fields,
    case_fields,
    latency_fields,
)
from attnbench.reports.tables.reported_values import judge
from attnbench.reports.tables.row_views import RowView
from attnbench.suites.case import Case, training_of

COLUMNS = (
    "case",
    "kind",
    "backbone",
    "module",
    "placement",
    "form",
    "channels",
    "height",
    "width",
    "runtime",
    "batch",
    "precision",
    "device",
    "threads",
    "dataset",
    "recipe",
    "epochs",
    "seed",
    "metric",
    "value",
    "low",
    "high",
    "verdict",
    "unit",
    "status",
    "reason",
    "suite",
    "table",
    "row",
)
INTEGERS = ("channels", "height", "width", "batch", "threads", "epochs", "seed")
"""Columns of integers, some of which are missing."""
_TIMED = (
    *("ratio", "again", "floor", "median_ms", "p90_ms", "p99_ms", "min_ms", "baseline_median_ms"),
    *("throughput", "pairs", "processes", "peak_bytes", "export_s", "load_s"),
    *("max_error", "tolerance", "sqnr_db", "top1_agreement"),
)
_TRAINED = ("top1", "top5", "loss", "int8_top1", "difference")
_UNITS = {
    **dict.fromkeys(("ratio", "again"), "x plain"),
    **dict.fromkeys(("difference", "difference_mean"), "points"),
    **dict.fromkeys(("top1", "top5", "int8_top1", "top1_mean"), "%"),
    "throughput": "images/s",
    "sqnr_db": "dB",
}
_ENDINGS = {"_ms": "ms", "_s": "s", "bytes": "B", "macs": "MACs"}


def metric_rows(views: Iterable[tuple[RowView, str]]) -> list[dict[str, Any]]:
    """Return the rows of all tables; a case that several rows or tables have comes once.

    A case without values has one row without a metric. The means over seeds stand under the
    canonical name of the training without its seed.

    Args:
        views: each row of the tables, with the title of its table.
    """
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for view, title in views:
        table = {"suite": view.suite.suite.name, "table": title, "row": view.label}
        for row in _rows(view):
            found.setdefault((row["case"], row.get("metric")), {**row, **table})
    return list(found.values())


def unit_of(metric: str) -> str:
    """Return the unit of a metric; empty for counts and shares."""
    known = _UNITS.get(metric)
    if known is not None:
        return known
    return next((unit for ending, unit in _ENDINGS.items() if metric.endswith(ending)), "")


def _rows(view: RowView) -> Iterator[dict[str, Any]]:
    for result in view.results:
        yield from _cost_rows(view, result)
    for cell in view.timed:
        yield from _latency_rows(cell)
    for network in view.trained:
        yield from _accuracy_rows(network)


def _cost_rows(view: RowView, result: CostResult) -> Iterator[dict[str, Any]]:
    about = _about(result)
    known = {metric: value for metric, value in result.values.items() if value is not None}
    if not known:
        yield about
    for metric, value in known.items():
        judged = judge(view, metric, result) if metric in METRICS else None
        yield {**about, **_figure(metric, value), "verdict": judged.verdict if judged else None}


def _latency_rows(cell: LatencyCell) -> Iterator[dict[str, Any]]:
    fields = latency_fields(cell)
    about = _about(cell) | {key: fields[key] for key in vars(cell.conditions) if key in COLUMNS}
    known = [metric for metric in _TIMED if fields.get(metric) is not None]
    if not known:
        yield about
    for metric in known:
        verdict = {"verdict": fields["verdict"]} if metric == "ratio" else {}
        yield {**about, **_figure(metric, fields[metric], fields), **verdict}


def _accuracy_rows(network: PairedTrainings) -> Iterator[dict[str, Any]]:
    fields: Mapping[str, Any] = {}
    about: dict[str, Any] = {}
    for result in network.results:
        fields = accuracy_fields(network, result.case)
        about = _about(result) | {key: fields[key] for key in ("dataset", "recipe", "epochs")}
        own = {**about, "seed": training_of(result.case).seed}
        known = [metric for metric in _TRAINED if fields.get(metric) is not None]
        if not known:
            yield own
        for metric in known:
            yield {**own, **_figure(metric, fields[metric])}
    for metric in ("top1", "difference"):
        if fields.get(f"{metric}_mean") is not None:
            figure = _figure(f"{metric}_mean", fields[f"{metric}_mean"], fields, metric)
            verdict = {"verdict": fields["verdict"]} if metric == "difference" else {}
            case = network.results[0].case.key
            yield {**about, "case": case, "status": "ok", "reason": "", **figure, **verdict}


def _about(result: CaseResult) -> dict[str, Any]:
    case: Case = result.case
    return {
        **case_fields(case),
        "kind": case.kind,
        "status": result.status,
        "reason": result.reason,
    }


def _figure(
    metric: str, value: Any, fields: Mapping[str, Any] | None = None, bounds: str = ""
) -> dict[str, Any]:
    """Return a value with the ends of its interval, where ``fields`` have them."""
    ends = fields or {}
    return {
        "metric": metric,
        "value": value,
        "low": ends.get(f"{bounds or metric}_low"),
        "high": ends.get(f"{bounds or metric}_high"),
        "unit": unit_of(metric),
    }
