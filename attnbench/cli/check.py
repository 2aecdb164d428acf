"""``attnbench check``: conformance of modules, with remedies for failed checks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.options import CommentFormat, Json, Plugins, chosen_format
from attnbench.cli.output import console, guests, load_catalog, print_json, say, writing
from attnbench.errors import RequestError

if TYPE_CHECKING:
    from attnbench.conformance.checks import Check
    from attnbench.conformance.findings import ConformanceReport
    from attnbench.conformance.runner import ConformanceRunner
    from attnbench.conformance.select import Chosen
    from attnbench.registry.plugins import Catalog

FORMATS = ("text", "json", "md")


def command(
    module: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODULE|SUITE", help="name,key=value, FILE.py:Class, a suite or its file."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every registered module.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compile, export and quantise: minutes.")
    ] = False,
    select: Annotated[
        str | None, typer.Option("--select", metavar="CHECK,...", help="These checks alone.")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, help="Modules at the same time, a thread each.")
    ] = 1,
    limit: Annotated[
        float | None,
        typer.Option(
            "--limit",
            metavar="SECONDS",
            help="End a check that shows no sign of life.",
            show_default="60, deep checks 300",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="List what holds, too.")] = False,
    plugin: Plugins = None,
    format: CommentFormat = None,
    json: Json = False,
) -> None:
    """Prove modules: shapes, gradients, batches, precisions, exports; status 1 if one is broken.

    Without a name: what the plugins of [tool.attnbench], or of --plugin, register.
    """
    from attnbench.conformance.runner import ConformanceRunner
    from attnbench.runner.worker_main import new_worker

    chosen = chosen_format(format, json, FORMATS)
    checks = _checks(select, deep)
    if limit is not None and not 0 < limit < float("inf"):
        raise RequestError(f"--limit {limit} must be a number of seconds above 0")
    catalog, own = _catalog(plugin)
    words = list(module or ([] if every else own))
    if not words and not every:
        raise RequestError(
            "check which module? Name modules or suites, or --all; in a project whose "
            "[tool.attnbench] plugins register some, those are checked"
        )
    with ConformanceRunner(new_worker(plugin or []), jobs) as examiner:
        examiner.start()  # the worker imports torch in parallel
        requested = _requested(words, every, catalog)
        reports = _examined(examiner, requested, checks, limit)
    _print(reports, chosen, verbose=verbose)
    if examiner.interrupted:
        count = f"{len(reports)} of {len(requested)} modules"
        say(f"attnbench: check interrupted; {count} are reported")
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

    with guests():
        before = set(catalog().modules.names())
    found = load_catalog(plugins)
    return found, [name for name in found.modules.names() if name not in before]


def _requested(words: Sequence[str], every: bool, catalog: Catalog) -> list[Chosen]:
    from attnbench.cli.output import say_failures
    from attnbench.conformance.select import all_modules, select_modules

    known_failures = len(catalog.failures)
    with guests():
        if every:
            return _merged(all_modules(catalog), select_modules(words, catalog))
        found = select_modules(words, catalog)
    say_failures(catalog, known_failures)  # the selector "@all" of a suite loads every plugin
    return found


def _merged(first: Sequence[Chosen], more: Sequence[Chosen]) -> list[Chosen]:
    names = {_name(module) for module in first}
    return [*first, *(module for module in more if _name(module) not in names)]


def _name(module: Chosen) -> str:
    from attnbench.conformance.findings import ConformanceReport

    return module.name if isinstance(module, ConformanceReport) else str(module.spec)


def _examined(
    examiner: ConformanceRunner,
    requested: Sequence[Chosen],
    checks: Sequence[Check],
    limit: float | None,
) -> list[ConformanceReport]:
    """Return the reports in the order of the requested modules."""
    from attnbench.cli.progress import check_progress
    from attnbench.conformance.findings import ConformanceReport

    modules = [module for module in requested if not isinstance(module, ConformanceReport)]
    made = examiner.examine(modules, checks, check_progress(), limit) if modules else []
    reports = {
        report.name: report
        for report in [
            *made,
            *(report for report in requested if isinstance(report, ConformanceReport)),
        ]
    }
    return [reports[name] for name in map(_name, requested) if name in reports]


def _print(reports: Sequence[ConformanceReport], form: str, *, verbose: bool) -> None:
    from attnbench.conformance.report import as_markdown, print_text

    if form == "json":
        found = [report.to_dict() for report in reports]
        print_json(found[0] if len(found) == 1 else {"arms": found})
        return
    with writing():
        if form == "md":
            sys.stdout.write(as_markdown(reports))
        else:
            print_text(reports, console(), verbose=verbose)
