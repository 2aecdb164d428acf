"""``attnbench check``: conformance of modules, with remedies for failed checks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.options import (
    Columns,
    CommentFormat,
    Json,
    Plugins,
    Wide,
    chosen_format,
    table_view,
)
from attnbench.cli.output import (
    console,
    load_catalog,
    log,
    print_json,
    stdout_to_stderr,
    write,
    writing,
)
from attnbench.errors import RequestError

if TYPE_CHECKING:
    from attnbench.conformance.checks import Check
    from attnbench.conformance.findings import ConformanceReport
    from attnbench.conformance.runner import ConformanceRunner
    from attnbench.conformance.select import Chosen
    from attnbench.registry.plugins import Catalog
    from attnbench.reports.table_view import TableView

FORMATS = ("text", "json", "md")


EXAMPLES = (
    "attnbench check se",
    "attnbench check my.py:MyAttention --deep",
)

Modules = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SPEC|SUITE ...]", help="NAME,key=value, FILE.py:Class, a suite or its file."
    ),
]
Every = Annotated[bool, typer.Option("--all", help="Check every registered module.")]
Deep = Annotated[
    bool, typer.Option("--deep", help="Also compile, export and quantize; takes minutes.")
]
Select = Annotated[
    str | None, typer.Option("--select", metavar="CHECK,...", help="Run only these checks.")
]
Jobs = Annotated[
    int,
    typer.Option("--jobs", metavar="N", min=1, help="Modules in parallel, one thread each."),
]
Limit = Annotated[
    float | None,
    typer.Option(
        "--limit",
        metavar="SECONDS",
        help="End a check after this time without progress.",
        show_default="60, deep checks 300",
    ),
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show passed checks.")]


def command(
    module: Modules = None,
    every: Every = False,
    deep: Deep = False,
    select: Select = None,
    jobs: Jobs = 1,
    limit: Limit = None,
    verbose: Verbose = False,
    plugin: Plugins = None,
    columns: Columns = None,
    wide: Wide = False,
    format: CommentFormat = None,
    json: Json = False,
) -> None:
    """Check modules; status 1 if one is broken.

    Shapes, gradients, batches, precisions, copies; with --deep also exports and more.

    Without a name: the modules that the plugins of [tool.attnbench] or --plugin register.
    """
    from attnbench.conformance.runner import ConformanceRunner
    from attnbench.runner.worker_main import new_worker

    chosen = chosen_format(format, json, FORMATS)
    view = table_view(chosen, columns, wide)
    checks = _checks(select, deep)
    if limit is not None and not 0 < limit < float("inf"):
        raise RequestError(f"--limit must be a number of seconds above 0: got {limit}")
    catalog, own = _catalog(plugin)
    words = list(module or ([] if every else own))
    if not words and not every:
        raise RequestError(
            "check needs a module: got none, and no plugin of [tool.attnbench] or --plugin "
            "registers one. Name modules or suites, or pass --all."
        )
    with ConformanceRunner(new_worker(plugin or []), jobs) as runner:
        runner.start()  # the worker imports torch in parallel
        requested = _requested(words, every, catalog)
        reports = _examine(runner, requested, checks, limit)
    _print(reports, chosen, view, verbose=verbose)
    if runner.interrupted:
        count = f"{len(reports)} of {len(requested)} modules"
        log(f"attnbench: check interrupted; {count} are reported")
        sys.exit(130)
    if not all(report.passed for report in reports):
        sys.exit(1)


def _checks(select: str | None, deep: bool) -> list[Check]:
    from attnbench.conformance.checks import default_checks, find_checks

    if select is None:
        return default_checks(deep)
    return find_checks(part.strip() for part in select.split(","))


def _catalog(plugins: Sequence[str] | None) -> tuple[Catalog, list[str]]:
    """Return the catalog and the names of the modules from plugin files."""
    from attnbench.registry.plugins import catalog

    with stdout_to_stderr():
        before = set(catalog().modules.names())
    found = load_catalog(plugins)
    return found, [name for name in found.modules.names() if name not in before]


def _requested(words: Sequence[str], every: bool, catalog: Catalog) -> list[Chosen]:
    from attnbench.cli.output import log_plugin_failures
    from attnbench.conformance.select import all_modules, each_once, select_modules

    known_failures = len(catalog.failures)
    with stdout_to_stderr():
        if every:
            return each_once([*all_modules(catalog), *select_modules(words, catalog)])
        found = select_modules(words, catalog)
    log_plugin_failures(catalog, known_failures)  # "@all" of a suite loads all plugins
    return found


def _examine(
    runner: ConformanceRunner,
    requested: Sequence[Chosen],
    checks: Sequence[Check],
    limit: float | None,
) -> list[ConformanceReport]:
    """Return the reports in the order of the requested modules."""
    from attnbench.cli.progress import check_progress
    from attnbench.conformance.findings import ConformanceReport
    from attnbench.conformance.select import name_of

    reports = [choice for choice in requested if isinstance(choice, ConformanceReport)]
    modules = [choice for choice in requested if not isinstance(choice, ConformanceReport)]
    if modules:
        reports += runner.examine(modules, checks, check_progress(), limit)
    by_name = {report.name: report for report in reports}
    return [by_name[name] for name in map(name_of, requested) if name in by_name]


def _print(
    reports: Sequence[ConformanceReport], form: str, view: TableView, *, verbose: bool
) -> None:
    from attnbench.reports.conformance import as_markdown, print_text

    if form == "json":
        found = [report.to_dict() for report in reports]
        print_json(found[0] if len(found) == 1 else {"arms": found})
    elif form == "md":
        write(as_markdown(reports))
    else:
        with writing():
            print_text(reports, console(), view, verbose=verbose)
