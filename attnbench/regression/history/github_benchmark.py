"""Last run in the format of github-action-benchmark, ``tool: customSmallerIsBetter``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from attnbench.errors import RequestError
from attnbench.regression.history.metric_values import (
    ACCURACIES,
    FALLBACKS,
    OVERHEAD,
    PEAK,
    STATUS,
    format_value,
)
from attnbench.regression.history.report_data import HistoryReport
from attnbench.regression.history.series import Point
from attnbench.utils.files import replace_file

_UNITS = {OVERHEAD: "x plain", FALLBACKS: "operators", PEAK: "bytes", "bytes": "bytes"}


def entries(found: HistoryReport) -> list[dict[str, Any]]:
    """Return one entry for each series that has a value at the last commit.

    The alerts of github-action-benchmark compare quotients of values, and a smaller value is
    better. Overheads are therefore ratios to the plain backbone, and accuracies are 100 less the
    points gained over it.
    """
    runs = found.history.entries
    last = runs[-1].label
    entries = []
    for track in found.tracks:
        metric, point = track.series.metric, track.series.points[-1]
        if metric == STATUS or runs[point.run].label != last:
            continue
        start = max((change.first_after for change in track.changes), default=None)
        extent = f"commit {last}, {len(track.series.points)} runs"
        changed = f"last change at {runs[start].label}" if start is not None else "no change"
        entry = {
            "name": f"{track.series.case} {metric}",
            "unit": _UNITS.get(metric, "points" if metric in ACCURACIES else "count"),
            "value": _smaller_is_better(metric, point.number),
            **_range(metric, point),
            "extra": f"{format_value(metric, point.value)}\n{extent}\n{changed}",
        }
        entries.append(entry)
    return entries


def write(found: HistoryReport, path: Path) -> int:
    """Write the entries to a file and return their number.

    Raises:
        RequestError: there is no entry.
        OutputError: the file cannot be written.
    """
    content = entries(found)
    if not content:
        raise RequestError("--export: the last commit has none of the chosen values")
    replace_file(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return len(content)


def _smaller_is_better(metric: str, value: float) -> float | int:
    if metric == OVERHEAD:
        return math.exp(value)
    return 100.0 - value if metric in ACCURACIES else int(value)


def _range(metric: str, point: Point) -> dict[str, str]:
    low, high = point.reading.low, point.reading.high
    if low is None or high is None:
        return {}
    ends = [_smaller_is_better(metric, end) for end in (low, high)]
    half = abs(ends[1] - ends[0]) / 2
    return {"range": f"± {half:.4g}"} if math.isfinite(half) else {}
