"""``attnbench ci``: effects of a change on modules and models, base and head on one machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.options import (
    AllowMissing,
    Budget,
    CommentFormat,
    Json,
    Only,
    Plugins,
    Strict,
    chosen_format,
    chosen_kinds,
)
from attnbench.cli.output import print_document, print_json, say
from attnbench.errors import RequestError

if TYPE_CHECKING:
    from attnbench.registry.settings import ProjectSettings
    from attnbench.regression.ci.run import CiRequest, CiResult
    from attnbench.regression.ci.timing import TimingPlan

FORMATS = ("text", "md", "json")
KINDS = ("cost", "latency")


def command(
    base: Annotated[
        str, typer.Option("--base", metavar="REV", help="The revision to compare with.")
    ],
    suite: Annotated[
        list[str] | None,
        typer.Option("--suite", metavar="S", help="Name or .toml file; repeats."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source", metavar="PATH", help="Folder of packages; src/ or the root by default."
        ),
    ] = None,
    install: Annotated[
        str | None,
        typer.Option("--install", metavar="CMD", help="Command to build each environment."),
    ] = None,
    processes: Annotated[
        int,
        typer.Option("--processes", min=1, help="Fresh processes; a verdict needs 3."),
    ] = 3,
    pairs: Annotated[
        int,
        typer.Option("--pairs", min=1, help="Process pairs if export fails; a verdict needs 8."),
    ] = 8,
    only: Only = None,
    strict: Strict = False,
    allow_missing: AllowMissing = False,
    plugin: Plugins = None,
    format: CommentFormat = None,
    json: Json = False,
    *,
    budget: Budget,
) -> None:
    """Build a revision and the working tree apart, time them interleaved, and compare them."""
    from attnbench.registry.settings import settings
    from attnbench.regression.ci.report import append_summary
    from attnbench.regression.ci.run import run_ci
    from attnbench.regression.ci.timing import TimingPlan

    chosen = chosen_format(format, json, FORMATS)
    settled = settings()
    if not 0 < budget < float("inf"):
        raise RequestError(f"--budget is not a number of seconds above 0: got {budget}")
    timing = TimingPlan(budget, processes, pairs)
    request = _request(base, suite, plugin or [], settled, only, timing, source or (), install)
    try:
        result = run_ci(request, Path.cwd(), say)
    except KeyboardInterrupt:
        say("attnbench: ci interrupted; base's tree is removed")
        sys.exit(130)
    append_summary(result)
    _print(result, chosen, strict=strict, allow_missing=allow_missing)
    if result.comparison.failed(strict=strict, allow_missing=allow_missing):
        sys.exit(1)


def _request(
    base: str,
    suites: list[str] | None,
    plugins: list[str],
    settled: ProjectSettings,
    only: str | None,
    timing: TimingPlan,
    sources: Sequence[str],
    install: str | None,
) -> CiRequest:
    from attnbench.regression.ci.run import CiRequest
    from attnbench.regression.compare.gates import Gates

    named = suites or settled.paths(settled.suites)
    if not named:
        raise RequestError(
            "no suite to measure. Name one with --suite, or set suites in [tool.attnbench]"
        )
    return CiRequest(
        base,
        named,
        plugins,
        sources,
        install,
        chosen_kinds(only, KINDS),
        timing,
        Gates(settled.gates),
    )


def _print(result: CiResult, form: str, *, strict: bool, allow_missing: bool) -> None:
    from attnbench.regression.ci.report import ci_markdown_blocks, ci_text_blocks

    if form == "json":
        print_json(result.to_json(strict=strict, allow_missing=allow_missing))
    else:
        print_document(ci_markdown_blocks(result) if form == "md" else ci_text_blocks(result), form)
