"""``attnbench compare``: differences between two runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.options import (
    COMMENT_FORMATS,
    AllowMissing,
    CommentFormat,
    Json,
    Only,
    Out,
    Strict,
    chosen_format,
    chosen_kinds,
)
from attnbench.cli.output import log_left_out, print_document, print_json
from attnbench.errors import RequestError

if TYPE_CHECKING:
    from attnbench.registry.settings import ProjectSettings


EXAMPLES = (
    "attnbench compare results/quick attnbench-results/quick",
    "attnbench compare attnbench-results/quick --strict",
)


def command(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="[BASE] NEW", help="Suites' names, folders or files; BASE: the baseline."
        ),
    ],
    strict: Strict = False,
    allow_missing: AllowMissing = False,
    only: Only = None,
    format: CommentFormat = None,
    json: Json = False,
    *,
    out: Out,
) -> None:
    """Compare two runs; status 1 where a gate fails.

    A single run is compared with the baseline of [tool.attnbench].
    """
    from attnbench.records.store import read_run
    from attnbench.registry.settings import settings
    from attnbench.regression.compare.compare_runs import compare
    from attnbench.regression.compare.report import markdown_blocks, text_blocks

    chosen = chosen_format(format, json, COMMENT_FORMATS)
    settled = settings()
    before, after = places(runs, out, settled)
    kinds = chosen_kinds(only)
    old, latest = read_run(before).only(kinds), read_run(after).only(kinds)
    log_left_out(old, latest)
    found = compare(old, latest, settled.gates)
    failed = found.failed(strict=strict, allow_missing=allow_missing)
    if chosen == "json":
        print_json(found.to_json(strict=strict, allow_missing=allow_missing))
    else:
        blocks = markdown_blocks(found) if chosen == "md" else text_blocks(found, failed=failed)
        print_document(blocks, chosen)
    if failed:
        sys.exit(1)


def places(words: list[str], out: str, settled: ProjectSettings) -> tuple[Path, Path]:
    """Return the files of BASE and NEW from one or two words; for one word, BASE is the baseline.

    Raises:
        RecordError: a file cannot be found or read.
        RequestError: there are more words, or only one and no baseline in the settings.
    """
    from attnbench.records.store import find_run, read_run
    from attnbench.regression.compare.comparison import suite_of

    if len(words) > 2:
        raise RequestError(
            f"compare takes BASE and NEW: got {len(words)} runs, {words[2]!r} too many"
        )
    new = find_run(words[-1], out)
    if len(words) == 2:
        return find_run(words[0], out), new
    if settled.baseline is None:
        raise RequestError(
            f"compare needs two runs: got only {words[0]!r}. Name BASE and NEW, or set baseline in "
            "[tool.attnbench] of pyproject.toml"
        )
    suite, _ = suite_of(read_run(new).header)
    return find_run(settled.root / settled.baseline / suite), new
