"""Text and Markdown reports of ``attnbench ci``: changes, untouched networks, classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnbench.errors import AttnbenchError
from attnbench.regression.ci.run import CiResult
from attnbench.regression.compare.report import as_markdown, as_text
from attnbench.utils.escape import markdown

SUMMARY = "GITHUB_STEP_SUMMARY"
_LISTED = 6


def to_text(result: CiResult) -> str:
    """Return the result as lines for a terminal."""
    lines = [as_text(result.comparison).rstrip("\n")]
    if result.untouched:
        lines += ["", f"Untouched, the same sources on both sides: {len(result.untouched)}"]
        lines += [f"  {name}" for name in result.untouched[:_LISTED]]
        left = len(result.untouched) - _LISTED
        lines += [f"  and {left} more"] if left > 0 else []
    for name, side in result.sides.items():
        lines += ["", f"Measured of {name} ({side['revision'][:12]}, {side['tree']})"]
        lines += [f"  {_class_line(entry)}" for entry in _own_classes(side)]
    return "\n".join(lines) + "\n"


def to_comment(result: CiResult) -> str:
    """Return the result in GitHub's Markdown."""
    blocks = [as_markdown(result.comparison).rstrip("\n")]
    if result.untouched:
        names = "\n".join(f"- `{name}`" for name in result.untouched)
        title = f"{len(result.untouched)} untouched: the same sources on both sides, not timed"
        blocks.append(_fold(title, names))
    rows = [
        f"| {name} `{side['revision'][:12]}` | {_cells(entry)} |"
        for name, side in result.sides.items()
        for entry in _own_classes(side)
    ]
    table = "\n".join(["| Side | Class | File | Hash |", "|---|---|---|---|", *rows])
    blocks.append(_fold("What was measured", table))
    return "\n\n".join(blocks) + "\n"


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
            file.write(to_comment(result) + "\n")
    except OSError as error:
        raise AttnbenchError(f"{SUMMARY}={place} cannot be written: {error.strerror}") from error


def _own_classes(side: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the classes that are not a library's; all of them if there are no others."""
    own = [entry for entry in side["classes"] if entry["kind"] != "installed"]
    return own or list(side["classes"])


def _class_line(entry: Mapping[str, str]) -> str:
    installed = ", installed" if entry["kind"] == "installed" else ""
    return f"{entry['class']}  {entry['file']}  {entry['hash']}{installed}"


def _cells(entry: Mapping[str, str]) -> str:
    installed = " (installed)" if entry["kind"] == "installed" else ""
    return f"`{entry['class']}` | {markdown(entry['file'])}{installed} | `{entry['hash']}`"


def _fold(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{inside}\n\n</details>"
