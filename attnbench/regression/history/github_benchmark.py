"""The last run as github-action-benchmark reads it, with ``tool: customSmallerIsBetter``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnbench.errors import RequestError
from attnbench.regression.history import value_format
from attnbench.regression.history.metric_values import ACCURACIES, FALLBACKS, OVERHEAD, PEAK, STATUS
from attnbench.regression.history.report_data import HistoryReport
from attnbench.regression.history.series import Point
from attnbench.utils.text import shown_path

_UNITS = {OVERHEAD: "x plain", FALLBACKS: "operators", PEAK: "bytes", "bytes": "bytes"}
_WHOLE = 100.0


def entries(found: HistoryReport) -> list[dict[str, Any]]:
    """Return one entry for each series that the last commit has a value of.

    Its alerts compare quotients of values, of which smaller is better. Overheads are therefore
    ratios to the plain backbone, and accuracies 100 less the points gained over it.
    """
    return list(_entries(found))


def write(found: HistoryReport, path: Path) -> int:
    """Write the entries to a file and return how many there are.

    Raises:
        RequestError: there is none, or the file cannot be written.
    """
    content = entries(found)
    if not content:
        raise RequestError("nothing to export: the last commit has none of the chosen values")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{shown_path(path)} cannot be written: {error}") from error
    return len(content)


def _entries(found: HistoryReport) -> Iterator[dict[str, Any]]:
    runs = found.history.entries
    last = runs[-1].label
    for one in found.tracks:
        metric, point = one.series.metric, one.series.points[-1]
        if metric == STATUS or runs[point.run].label != last:
            continue
        start = max((change.first_after for change in one.changes), default=None)
        known = f"commit {last}, {len(one.series.points)} runs"
        changed = f"last change at {runs[start].label}" if start is not None else "no change"
        yield {
            "name": f"{one.series.case} {metric}",
            "unit": _UNITS.get(metric, "points" if metric in ACCURACIES else "count"),
            "value": _smaller_is_better(metric, point.number),
            **_range(metric, point),
            "extra": f"{value_format.text(metric, point.value)}\n{known}\n{changed}",
        }


def _smaller_is_better(metric: str, value: float) -> float | int:
    if metric == OVERHEAD:
        return math.exp(value)
    return _WHOLE - value if metric in ACCURACIES else int(value)


def _range(metric: str, point: Point) -> dict[str, str]:
    low, high = point.reading.low, point.reading.high
    if low is None or high is None:
        return {}
    ends = [_smaller_is_better(metric, one) for one in (low, high)]
    half = abs(ends[1] - ends[0]) / 2
    return {"range": f"± {half:.4g}"} if math.isfinite(half) else {}
