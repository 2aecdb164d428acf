"""Options ``-b``, ``-m`` and ``-p``, and the jobs that they request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import parse_size
from attnbench.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from attnbench.records.store import Run
    from attnbench.reports.tables.case_results import Records
    from attnbench.reports.tables.row_views import RowView
    from attnbench.runner.job import Job
    from attnbench.runner.worker_tasks import Measurers
    from attnbench.suites.request import GridRequest

Backbones = Annotated[
    list[str] | None,
    typer.Option(
        "-b", "--backbone", metavar="SPEC", help="NAME,key=value or FILE.py:factory; repeats."
    ),
]
Modules = Annotated[
    list[str] | None,
    typer.Option(
        "-m", "--module", metavar="SPEC", help="NAME,key=value or FILE.py:Class; repeats."
    ),
]
Placements = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--placement",
        metavar="PLACEMENT",
        help="replace:14,17, after:8-12, official ...; repeats.",
    ),
]
Size = Annotated[
    str | None,
    typer.Option("--size", metavar="HxW", help="Or N: the image, or the map of a module alone."),
]
Channels = Annotated[
    int | None, typer.Option("--channels", metavar="N", min=1, help="Of a module alone.")
]
Fused = Annotated[
    bool, typer.Option("--fused", help="Also the inference form of modules that have one.")
]


def forms_of(fused: bool) -> tuple[str, ...]:
    """Return the forms of modules to measure, with or without ``--fused``."""
    return ("plain", "fused") if fused else ("plain",)


def grid_request(
    backbones: Sequence[str] | None,
    modules: Sequence[str] | None,
    placements: Sequence[str] | None,
    size: str | None = None,
    channels: int | None = None,
    forms: Sequence[str] = ("plain",),
    **further: Any,
) -> GridRequest:
    """Return the request of these options; ``further`` are fields of the request.

    Raises:
        RequestError: the options contradict each other.
    """
    from attnbench.suites.request import GridRequest

    if not backbones and not modules:
        raise RequestError("a request needs a backbone (-b), a module (-m) or both: got neither")
    if not backbones and (channels is None or size is None):
        raise RequestError(
            "a module alone needs --channels and --size. Or place it in a backbone with -b and -p"
        )
    if backbones and channels is not None:
        raise RequestError(
            f"--channels is for a module alone: got {channels} with a backbone, whose sites have "
            "their own. Omit it"
        )
    if placements and not backbones:
        raise RequestError(f"a placement (-p) needs a backbone (-b): got {placements[0]!r} alone")
    if placements and not modules:
        raise RequestError(
            f"a placement (-p) needs a module (-m): got {placements[0]!r} alone. Omit it for plain"
        )
    if backbones and modules and not placements:
        raise RequestError(
            f"a module in a backbone needs a placement (-p): got none for {modules[0]!r}. Write "
            "after:11, replace:14,17 or official; the layers are listed by: attnbench show "
            f"backbone {backbones[0]}"
        )
    return GridRequest(
        backbones or (),
        modules or (),
        placements or (),
        parse_size(size or "224"),
        channels,
        forms=forms,
        **further,
    )


def prepare_request(
    kind: str,
    request: GridRequest,
    measurers: Measurers,
    settings: Mapping[str, Any] | None = None,
    folder: Path | None = None,
    *,
    fresh: bool = False,
) -> Job:
    """Return the job of a request, planned and checked; its records are kept in ``folder``, if any.

    Raises:
        RequestError: a spec, placement or setting is wrong.
    """
    from attnbench.runner.job import prepare
    from attnbench.runner.select_cases import Choice
    from attnbench.suites.request import request_suite

    suite = request_suite(kind, request, measurers.catalog, settings)
    choice = Choice(fresh=fresh)
    return prepare(suite, measurers.catalog, folder, choice, measurers, request=kind)


def refuse_skipped(job: Job) -> None:
    """Raise :class:`RequestError` if a case is skipped: without a suite, the request is wrong."""
    reasons = dict.fromkeys(job.skipped.values())
    if reasons:
        raise RequestError("; ".join(reasons))


def rows_of(job: Job, run: Run) -> list[RowView]:
    """Return the rows of a request's table with their results."""
    from attnbench.reports.run_report import records_of

    return _rows(job, records_of(run))


def planned_rows(job: Job) -> list[RowView]:
    """Return the rows of a request's table before anything is measured."""
    return _rows(job, {})


def _rows(job: Job, records: Records) -> list[RowView]:
    from attnbench.reports.tables.case_results import read_timings
    from attnbench.reports.tables.row_views import row_views

    return row_views(job.suite, job.tables[0], records, read_timings(records))


def requested_rows(rows: Sequence[RowView]) -> list[RowView]:
    """Return the rows that were requested: the plain ones only where no module was."""
    return [row for row in rows if row.first.case.module] or list(rows)


def one_or_arms(arms: Sequence[Any]) -> Any:
    """Return the JSON document of several arms, or of one."""
    return arms[0] if len(arms) == 1 else {"arms": arms}
