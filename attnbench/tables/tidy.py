"""Tidy data: one line for each case of each row, every figure unrounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attnbench.tables.results import Result, RowView
from attnbench.tables.verdicts import as_data, judge

if TYPE_CHECKING:
    from attnbench.suites.cases import Case

METRICS = ("params", "macs", "params_norm", "macs_norm", "top1", "top5")


def tidy_lines(view: RowView, title: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a row; ``title`` is the table's."""
    for result in view.results:
        line = {
            "suite": view.suite.suite.name,
            "table": title,
            "row": view.label,
            **_case_fields(result.case),
            **_group_field(view, result),
            "added": view.added,
            "status": result.status,
            "reason": result.reason,
            **result.values,
            **_counter_fields(result),
        }
        for metric in METRICS:
            line |= _judged_fields(view, metric, result)
        yield line


def to_csv(lines: tuple[Any, ...]) -> str:
    """Return the lines as CSV; a column is there if any line has it."""
    from pandas import DataFrame  # half a second to import

    # object: an integer column with gaps would turn into floats
    text: str = DataFrame(list(lines), dtype=object).to_csv(index=False, lineterminator="\n")
    return text


def _case_fields(case: Case) -> dict[str, Any]:
    height, width = case.size
    return {
        "case": case.name,
        "backbone": case.backbone,
        "module": case.module,
        "placement": case.placement,
        "channels": case.channels,
        "height": height,
        "width": width,
    }


def _group_field(view: RowView, result: Result) -> dict[str, Any]:
    groups = view.layout.groups
    if groups is None or len(view.results) == 1:
        return {}
    return {groups.option: groups.values[result.group]}


def _counter_fields(result: Result) -> dict[str, Any]:
    return {
        f"{name}_{key}": report.get(key)
        for name, report in result.counters.items()
        for key in ("raw", "macs", "agree")
    }


def _judged_fields(view: RowView, metric: str, result: Result) -> dict[str, Any]:
    judged = judge(view, metric, result)
    if judged is None:
        return {}
    return {
        f"printed_{metric}": judged.printed.text,
        f"nominal_{metric}": as_data(judged.value),
        f"verdict_{metric}": judged.verdict,
    }
