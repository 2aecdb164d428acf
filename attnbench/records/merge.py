"""Merge of runs of one suite: shards, or the same suite measured on several machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from attnbench.errors import RecordError
from attnbench.records.store import FILE, Run, RunWriter, read_run
from attnbench.utils.text import shown_path


def merge(paths: Sequence[Path], folder: Path) -> Run:
    """Write the records of several runs of one suite into ``folder`` and return the merged run.

    Damaged records are left out, as the result says.

    Every record keeps its own header. Of two records of one case, that of the later run is used,
    but a record that is ``ok`` is never replaced by one that is not.

    Raises:
        RecordError: the runs are of different suites or layouts, or the folder has a run already.
    """
    runs = [read_run(path) for path in paths]
    for run in runs[1:]:
        _refuse_unlike(runs[0], run)
    if (folder / FILE).exists():
        raise RecordError(f"{shown_path(folder / FILE)} exists already. Merge into a new folder")
    chosen = _chosen(runs)
    left_out = {name: reason for run in runs for name, reason in run.left_out.items()}
    with RunWriter(folder) as writer:
        for run in runs:
            for header in run.headers:
                own = [
                    record
                    for name, record in run.records.items()
                    if run.header_of[name] is header and chosen[name] is run
                ]
                if own:
                    writer.append(header)
                for record in own:
                    writer.append(record)
        return replace(writer.finish(), left_out=left_out)


def _chosen(runs: Sequence[Run]) -> dict[str, Run]:
    chosen: dict[str, Run] = {}
    for run in runs:
        for name, record in run.records.items():
            previous = chosen.get(name)
            if previous is None or record.status == "ok" or previous.records[name].status != "ok":
                chosen[name] = run
    return chosen


def _refuse_unlike(first: Run, other: Run) -> None:
    names = [run.header.suite_name for run in (first, other)]
    if names[0] != names[1]:
        raise RecordError(
            f"{shown_path(other.path)} is of suite {names[1]}, {shown_path(first.path)} of "
            f"{names[0]}. Only runs of one suite can be merged"
        )
    if first.header.tables != other.header.tables or (
        first.header.suite_hash != other.header.suite_hash
    ):
        raise RecordError(
            f"{shown_path(other.path)} and {shown_path(first.path)} are of different versions of "
            f"suite {names[0]}, or have other added rows. Run one of them again"
        )
