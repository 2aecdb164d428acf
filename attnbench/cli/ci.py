"""``attnbench ci``: effects of a change on modules and models, base and head on one machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.options import (
    COMMENT_FORMATS,
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
from attnbench.cli.output import log, print_document, print_json
from attnbench.errors import RequestError

if TYPE_CHECKING:
    from attnbench.regression.ci.run import CiRequest, CiResult

KINDS = ("cost", "latency")


EXAMPLES = (
    "attnbench ci --base origin/main --suite suite.toml",
    "attnbench ci --base HEAD~1 --suite quick --only cost --format md",
)

Base = Annotated[str, typer.Option("--base", metavar="REV", help="The revision to compare with.")]
Suites = Annotated[
    list[str] | None,
    typer.Option("--suite", metavar="SUITE", help="Name or .toml file; repeats."),
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source", metavar="PATH", help="Folder of packages; src/ or the root by default."
    ),
]
Install = Annotated[
    str | None,
    typer.Option("--install", metavar="CMD", help="Command to build each environment."),
]
Processes = Annotated[
    int,
    typer.Option("--processes", metavar="N", min=1, help="Fresh processes; a verdict needs 3."),
]
Pairs = Annotated[
    int,
    typer.Option(
        "--pairs", metavar="N", min=1, help="Process pairs if export fails; a verdict needs 8."
    ),
]


def command(
    base: Base,
    suite: Suites = None,
    source: Sources = None,
    install: Install = None,
    processes: Processes = 3,
    pairs: Pairs = 8,
    only: Only = None,
    strict: Strict = False,
    allow_missing: AllowMissing = False,
    plugin: Plugins = None,
    format: CommentFormat = None,
    json: Json = False,
    *,
    budget: Budget,
) -> None:
    """Compare a revision with the working tree.

    Both are built apart and timed interleaved; status 1 where a gate fails.
    """
    from attnbench.registry.settings import settings
    from attnbench.regression.ci.report import append_summary
    from attnbench.regression.ci.run import CiRequest
    from attnbench.regression.ci.timing import TimingPlan
    from attnbench.regression.compare.gates import Gates

    chosen = chosen_format(format, json, COMMENT_FORMATS)
    settled = settings()
    if not 0 < budget < float("inf"):
        raise RequestError(f"--budget is not a number of seconds above 0: got {budget}")
    timing = TimingPlan(budget, processes, pairs)
    suites = suite or settled.paths(settled.suites)
    if not suites:
        raise RequestError(
            "no suite to measure. Name one with --suite, or set suites in [tool.attnbench]"
        )
    kinds, gates = chosen_kinds(only, KINDS), Gates(settled.gates)
    request = CiRequest(base, suites, plugin or [], source or (), install, kinds, timing, gates)
    result = _run(request)
    append_summary(result)
    _print(result, chosen, strict=strict, allow_missing=allow_missing)
    if result.comparison.failed(strict=strict, allow_missing=allow_missing):
        sys.exit(1)


def _run(request: CiRequest) -> CiResult:
    from attnbench.regression.ci.run import run_ci

    try:
        return run_ci(request, Path.cwd(), log)
    except KeyboardInterrupt:
        log("attnbench: ci interrupted; base's tree is removed")
        sys.exit(130)


def _print(result: CiResult, form: str, **options: bool) -> None:
    from attnbench.regression.ci.report import ci_markdown_blocks, ci_text_blocks

    if form == "json":
        print_json(result.to_json(**options))
        return
    failed = result.comparison.failed(**options)
    is_markdown = form == "md"
    blocks = ci_markdown_blocks(result) if is_markdown else ci_text_blocks(result, failed=failed)
    print_document(blocks, form)
