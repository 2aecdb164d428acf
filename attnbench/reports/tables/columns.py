"""The heads of columns: quantity, unit and convention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attnbench.reports.tables.accuracy_columns import accuracy_columns
from attnbench.reports.tables.latency_columns import latency_columns
from attnbench.reports.tables.report import Column

if TYPE_CHECKING:
    from attnbench.reports.tables.row_views import RowView
    from attnbench.suites.schema import TableLayout

TRAITS = (("subspace", "Subspace attention"), ("mlp", "MLP"), ("conv1x1", "1×1 conv"))

_HEADS: dict[str, tuple[str, str]] = {
    "placement": ("Placement", ""),
    "params": ("Parameters", "all, BN included"),
    "trainable": ("Trainable parameters", "BN included"),
    "macs": ("MACs", "multiply-adds of conv, linear, matmul; {size}"),
    "activations": ("Activations", "output elements of conv, linear, matmul; {size}"),
    "bytes": ("Bytes", "read and written by each operator, unfused, fp32; {size}"),
    "delta_params": ("Δ parameters", "against the plain backbone"),
    "delta_macs": ("Δ MACs", "against the plain backbone"),
    "params_norm": ("Parameters, norm.", "exact, {reference} = 1"),
    "macs_norm": ("MACs, norm.", "exact, {reference} = 1"),
    "printed_params": ("#Params", "printed / {nominal}"),
    "printed_macs": ("#FLOPs", "multiply-adds, printed / {nominal}"),
    "printed_params_norm": ("#Params, norm.", "printed / {nominal}"),
    "printed_macs_norm": ("#FLOPs, norm.", "printed / {nominal}"),
    "top1": ("Top-1", "%, printed / ours"),
    "top5": ("Top-5", "%, printed / ours"),
    "counters": ("Counters", "reconciled with ours"),
}


def columns_of(layout: TableLayout, views: Sequence[RowView]) -> list[Column]:
    """Return the columns of a table, those of column groups last."""
    words = _words(layout, views)
    columns = [column for key in layout.columns for column in _columns(key, words)]
    latency = views[0].latency
    if latency is not None:
        columns += latency_columns(latency, [view.timed for view in views])
    accuracy = views[0].accuracy
    if accuracy is not None:
        columns += accuracy_columns(accuracy, [view.trained for view in views])
    if layout.groups is None:
        return columns
    for value in layout.groups.values:
        name = layout.groups.label.replace("{}", str(value))
        columns += [_column(key, words, name) for key in layout.groups.columns]
    return columns


def is_alone(views: Sequence[RowView]) -> bool:
    """Return whether the table is about modules measured alone."""
    return all(view.first.case.backbone is None for view in views)


def _words(layout: TableLayout, views: Sequence[RowView]) -> dict[str, str]:
    sizes = {result.case.size for view in views for result in view.results}
    height, width = next(iter(sizes))
    return {
        "size": f"{height}×{width}" if len(sizes) == 1 else "at the row's size",
        "reference": layout.reference or "no row",
        "nominal": _nominal(views),
        "subject": "Module" if is_alone(views) else "Model",
    }


def _nominal(views: Sequence[RowView]) -> str:
    """Return the title of the value beside a printed figure, with the unit of both."""
    name = "by its formula" if is_alone(views) else "nominal"
    base = views[0].suite.convention.base
    return name if base == 1000 else f"{name}, k and M: powers of {base}"


def _columns(key: str, words: dict[str, str]) -> Iterator[Column]:
    if key == "label":
        yield Column(words["subject"])
    elif key == "traits":
        yield from (Column(head) for _, head in TRAITS)
    elif key == "formula":
        yield Column("#Params", "printed formula")
        yield Column("#FLOPs", "printed formula, multiply-adds")
    else:
        yield _column(key, words)


def _column(key: str, words: dict[str, str], group: str = "") -> Column:
    head, unit = _HEADS[key]
    return Column(
        head.format(**words),
        unit.format(**words),
        group,
        numeric=key not in ("placement", "counters"),
    )
