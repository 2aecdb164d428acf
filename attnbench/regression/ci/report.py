"""Text and Markdown reports of ``attnbench ci``: changes, untouched networks, classes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attnbench.errors import AttnbenchError
from attnbench.regression.ci.run import CiResult
from attnbench.regression.compare.report import markdown_blocks, text_blocks
from attnbench.reports.document import Block, Folded, Grid, Heading, Items, Lines, to_markdown
from attnbench.utils.escape import EscapedText, markdown, markdown_code

SUMMARY = "GITHUB_STEP_SUMMARY"
_LISTED = 6
_TABLE = "| Side | Class | File | Hash |\n|---|---|---|---|"


def ci_text_blocks(result: CiResult, *, failed: bool = False) -> Iterator[Block]:
    """Yield the result as blocks for a terminal."""
    yield from text_blocks(result.comparison, failed=failed)
    if result.untouched:
        yield Heading(f"Untouched, the same sources on both sides: {len(result.untouched)}")
        yield Lines([f"  {name}" for name in result.untouched[:_LISTED]])
        left = len(result.untouched) - _LISTED
        yield Lines([f"  and {left} more"] if left > 0 else [])
    for name, side in result.sides.items():
        yield Heading(f"Measured of {name} ({side['revision'][:12]}, {side['tree']})")
        yield Lines([f"  {_class_line(entry)}" for entry in _own_classes(side)])


def ci_markdown_blocks(result: CiResult) -> Iterator[Block]:
    """Yield the result as blocks for Markdown."""
    yield from markdown_blocks(result.comparison)
    if result.untouched:
        title = f"{len(result.untouched)} untouched: the same sources on both sides, not timed"
        yield Folded(title, [Items(tuple(map(markdown_code, result.untouched)))])
    rows = [
        (EscapedText(f"{name} {markdown_code(side['revision'][:12])}"), *_cells(entry))
        for name, side in result.sides.items()
        for entry in _own_classes(side)
    ]
    yield Folded("What was measured", [Grid(_TABLE, rows)])


def append_summary(result: CiResult) -> None:
    """Append the Markdown to the job's summary, where the CI system has one.

    Raises:
        AttnbenchError: the file cannot be written.
    """
    place = os.environ.get(SUMMARY)
    if not place:
        return
    try:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(to_markdown(ci_markdown_blocks(result)) + "\n")
    except OSError as error:
        raise AttnbenchError(f"{SUMMARY}={place} cannot be written: {error.strerror}") from error


def _own_classes(side: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the classes that are not a library's; all of them if there are no others."""
    own = [entry for entry in side["classes"] if entry["kind"] != "installed"]
    return own or list(side["classes"])


def _class_line(entry: Mapping[str, str]) -> str:
    installed = ", installed" if entry["kind"] == "installed" else ""
    return f"{entry['class']}  {entry['file']}  {entry['hash']}{installed}"


def _cells(entry: Mapping[str, str]) -> tuple[str, ...]:
    installed = " (installed)" if entry["kind"] == "installed" else ""
    file = EscapedText(f"{markdown(entry['file'])}{installed}")
    return markdown_code(entry["class"]), file, markdown_code(entry["hash"])
