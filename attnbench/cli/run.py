"""``attnbench run``: measurement of suites and output of their tables."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.options import KINDS, Only, Out, Plugins, chosen_kinds
from attnbench.cli.output import (
    command_to_go_on,
    load_catalog,
    log,
    log_left_out,
    log_plugin_failures,
    log_warning,
    print_report,
    stdout_to_stderr,
    write,
)
from attnbench.errors import OutputError, RequestError
from attnbench.registry.settings import settings
from attnbench.utils.text import count_cases, shown_path

if TYPE_CHECKING:
    from attnbench.records.store import Run
    from attnbench.registry.plugins import Catalog
    from attnbench.reports.tables.report import Report
    from attnbench.runner.eta import TimeLeft
    from attnbench.runner.job import Job
    from attnbench.runner.select_cases import Choice
    from attnbench.suites.case import Case
    from attnbench.suites.schema import Suite
    from attnbench.workers.pool import Pool
    from attnbench.workers.process import Worker

DEFAULT_SUITE = "quick"


EXAMPLES = (
    "attnbench run quick",
    "attnbench run quick --add my.py:MyAttention --dry-run",
)

Suites = Annotated[
    list[str] | None, typer.Argument(metavar="[SUITE ...]", help="Names or .toml files.")
]
AllShipped = Annotated[
    bool, typer.Option("--all-shipped", help="All suites that come with attnbench.")
]
Adds = Annotated[
    list[str] | None,
    typer.Option("--add", metavar="SPEC", help="Additional module, with rows of its own; repeats."),
]
Cases = Annotated[
    list[str] | None,
    typer.Option("--case", metavar="GLOB", help="Cases by canonical name; repeats."),
]
Shard = Annotated[
    str | None, typer.Option("--shard", metavar="I/N", help="Only the I-th of N parts.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Measure everything again.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what is to measure, by kind and time.")
]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="With --dry-run: the names of all cases.")
]
Executor = Annotated[
    str,
    typer.Option(
        "--executor", metavar="NAME", help="Of trainings: local, or ray on a Ray cluster."
    ),
]


def command(
    suite: Suites = None,
    all_shipped: AllShipped = False,
    add: Adds = None,
    only: Only = None,
    case: Cases = None,
    shard: Shard = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    verbose: Verbose = False,
    executor: Executor = "local",
    plugin: Plugins = None,
    *,
    out: Out,
) -> None:
    """Measure suites and write their tables.

    Only missing cases are measured. Without a name: the suites of [tool.attnbench], or "quick".
    """
    from attnbench.runner.select_cases import Choice
    from attnbench.runner.worker_main import check_executor, new_pool, new_worker
    from attnbench.suites.load import find_suite

    check_executor(executor)

    catalog = load_catalog(plugin)
    choice = Choice(add or (), case or (), shard, chosen_kinds(only) if only else (), fresh)
    suites = [find_suite(name, catalog) for name in _names(suite, all_shipped, catalog)]
    _refuse_twins([loaded.suite.name for loaded in suites])
    with new_worker(plugin or []) as worker:
        counts = not choice.only or "cost" in choice.only
        if counts and not dry_run and any(_is_new(loaded, Path(out)) for loaded in suites):
            worker.start()  # the worker imports torch in parallel
        known_failures = len(catalog.failures)
        with stdout_to_stderr():
            jobs = _jobs(suites, catalog, Path(out), choice)
        log_plugin_failures(catalog, known_failures)  # "@all" loads every plugin
        log_left_out(*(job.known for job in jobs if job.known))
        if dry_run:
            _print_plan(jobs, verbose=verbose)
            return
        pool = new_pool(executor, worker, plugin or [])
        results = [_run(job, worker, pool) for job in jobs]
    _write_page([run for run, _, _ in results], Path(out) / "report.html")
    try:
        for _, report, _ in results:
            print_report(report, "text")
    finally:  # also where nothing reads the tables
        if any(failed for _, _, failed in results):
            sys.exit(1)


def _write_page(runs: Sequence[Run], path: Path) -> None:
    """Write the interactive report; the tables are there without it."""
    from attnbench.reports.web_report.report_page import write_page

    try:
        with stdout_to_stderr():
            write_page(runs, path)
    except OutputError as error:
        log(f"attnbench: {error}")
    else:
        log(f"wrote {path}")


def _names(given: list[str] | None, all_shipped: bool, catalog: Catalog) -> list[str]:
    if all_shipped and given:
        raise RequestError(
            f"--all-shipped takes no suites: got {given[0]!r}. Leave out one of the two"
        )
    found = settings()
    project = found.paths(found.suites) or [DEFAULT_SUITE]
    return catalog.shipped_suites() if all_shipped else given or project


def _is_new(suite: Suite, out: Path) -> bool:
    return not (out / suite.suite.name).exists()


def _jobs(suites: Sequence[Suite], catalog: Catalog, out: Path, choice: Choice) -> list[Job]:
    """Return the jobs of all suites, planned and checked before the first measurement."""
    from attnbench.runner.job import prepare
    from attnbench.runner.worker_tasks import Measurers

    measurers = Measurers(catalog)
    return [prepare(suite, catalog, out / suite.suite.name, choice, measurers) for suite in suites]


def _run(job: Job, worker: Worker, pool: Pool) -> tuple[Run, Report, int]:
    """Measure a job and write its tables; return the run, tables to show and failed cases."""
    from attnbench.cli.progress import progress
    from attnbench.reports.run_report import write_tables
    from attnbench.reports.tables.extract import extract
    from attnbench.runner.run_suite import measure

    try:
        run = measure(job, worker, progress(), pool)
    except KeyboardInterrupt:
        log(
            f"attnbench: {job.suite.suite.name} interrupted; what is measured is kept, and "
            f"{command_to_go_on()} goes on from there"
        )
        sys.exit(130)
    log_warning(run)
    report, written = write_tables(run, run.path.parent)
    log(written)
    shown = extract(report, f"attnbench table {shown_path(run.path.parent)}")
    return run, shown, _report_failures(run, job)


def _report_failures(run: Run, job: Job) -> int:
    names = [case.name for case in job.cases]
    known = [run.records[name] for name in names if name in run.records]  # a race trains some
    failed = [record for record in known if record.status == "failed"]
    for record in failed:
        log(f"attnbench: {record.case} failed: {record.reason}")
    return len(failed)


def _print_plan(jobs: Sequence[Job], *, verbose: bool) -> None:
    """Print what would be measured, by kind and time; with ``verbose`` the names of all cases."""
    plans = [_plan(job) for job in jobs]
    if not verbose:
        write("".join(f"{plan}\n" for plan in plans))
        return
    cases = [(job, case) for job in jobs for case in job.cases]
    write(
        "".join(
            f"{job.suite.suite.name}\t{_state(job, case)}\t{case.name}\n" for job, case in cases
        )
    )
    for plan in plans:
        log(plan)


def _plan(job: Job) -> str:
    """Return ``quick: 24 costs 4 s · 48 latencies 5 min; 3 measured``."""
    from attnbench.runner.eta import TimeLeft, with_probe

    known = job.known.headers if job.known else []
    left = TimeLeft(with_probe(job) if any(header.probe_s for header in known) else job)
    found = left.by_kind()
    missing = [_missing(kind, *found[kind], left) for kind in KINDS if kind in found]
    states = Counter(_state(job, case) for case in job.cases)
    rest = [f"{states[state]} {state}" for state in ("measured", "skipped") if states[state]]
    text = "; ".join([" · ".join(missing) or "nothing to measure", *rest])
    return f"{job.suite.suite.name}: {text}"


def _missing(kind: str, count: int, seconds: float | None, left: TimeLeft) -> str:
    from attnbench.runner.eta import format_duration

    text = count_cases(kind, count)
    if seconds is not None:
        return f"{text} {format_duration(seconds)}"
    is_bound = kind == "latency"
    return f"{text} at least {format_duration(left.sampling_s)}" if is_bound else text


def _state(job: Job, case: Case) -> str:
    if case.name in job.skipped:
        return "skipped"
    return "measured" if case.name in job.done else "to measure"


def _refuse_twins(names: list[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise RequestError(
            f"suite names must be unique: got {twice[0]!r} twice. One folder holds one run"
        )
