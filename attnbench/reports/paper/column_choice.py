"""The columns that a paper's table shows, in which order and below which heads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from attnbench.errors import unknown
from attnbench.reports.paper.columns import PaperColumn

MOST_COLUMNS = 7
_RANKS = {
    "label": 0,
    "printed_params": 10,
    "printed_macs": 11,
    "overhead": 12,
    "difference": 13,
    "top1": 14,
    "delta_params": 20,
    "delta_macs": 21,
    "params": 22,
    "macs": 23,
    "placement": 40,
    "int8": 50,
    "top5": 51,
    "bytes": 52,
    "peak": 53,
    "median": 54,
}
"""Order in which columns are chosen; others come last."""
_FURTHER = 18
"""Lower rank of each further runtime."""
_METRICS = ("params", "params_norm", "macs", "macs_norm", "activations", "bytes")


def named_columns(columns: Sequence[PaperColumn], keys: Sequence[str]) -> list[PaperColumn]:
    """Return the columns of the keys, in their order, between the names and column groups.

    Raises:
        UnknownNameError: a key is of no column.
    """
    found = [column for column in columns if column.key == "label"]
    single = [column for column in columns if not column.is_grouped]
    for key in keys:
        matching = [column for column in single if key == column.key]
        matching = matching or [column for column in single if key == _slug(column)]
        if not matching:
            raise unknown("--columns", key, dict.fromkeys(column.key for column in single))
        found += [column for column in matching if column not in found]
    return [*found, *(column for column in columns if column.is_grouped)]


def _slug(column: PaperColumn) -> str:
    return column.head.lower().replace(" ", "-")


def ranked_columns(columns: Sequence[PaperColumn]) -> list[PaperColumn]:
    """Return the columns that say something, the most important ones first."""
    keys = {column.key for column in columns}
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int, PaperColumn]] = []
    for column in columns:
        further = seen[column.key] = seen.get(column.key, -1) + 1
        rank = _rank(column.key, keys) + _FURTHER * further * (not column.is_grouped)
        if column.key == "label" or not (rank < 0 or column.is_empty or column.constant):
            ranked.append((rank, len(ranked), column))
    return [column for _, _, column in sorted(ranked, key=lambda item: item[:2])]


def _rank(key: str, keys: Collection[str]) -> int:
    """Return the rank of a column beside others; a negative one for a needless column."""
    if key in ("params", "macs"):
        if f"printed_{key}" in keys:
            return _RANKS["top1"] + 1
        return -1 if f"delta_{key}" in keys else _RANKS[key]
    if key == "top1" and "difference" in keys:
        return _RANKS["difference"] + _FURTHER
    return _RANKS.get(key, 60)


def with_shared_heads(columns: Sequence[PaperColumn], head: str) -> Iterator[PaperColumn]:
    """Yield the columns, a printed figure below one head with ours."""
    keys = {column.key for column in columns}
    for column in columns:
        metric = column.key.removeprefix("printed_")
        if metric in keys and f"printed_{metric}" in keys and not column.group:
            name = "Params" if metric.startswith("params") else "FLOPs"
            name += ", norm." if metric.endswith("_norm") else ""
            unit = f" ({column.unit})" if column.unit else ""
            sub = "printed" if metric != column.key else "ours"
            yield replace(column, head=sub, group=f"{name}{unit}", unit="")
        elif head and column.key in ("top1", "top5", "difference") and not column.is_grouped:
            yield replace(column, group=column.group or head, unit="")
        else:
            yield column


def place_of(column: PaperColumn) -> tuple[int, int, bool]:
    """Return the place of a column: name, place, cost on paper, then what is measured."""
    metric = column.key.removeprefix("printed_").removeprefix("delta_")
    if metric in _METRICS:
        return 2, _METRICS.index(metric), column.key == metric
    return {"label": 0, "placement": 1}.get(column.key, 3), 0, False
