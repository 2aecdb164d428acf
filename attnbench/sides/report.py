"""The result of ``attnbench ci`` in words: what changed, what was not timed, who was measured."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnbench.comparing.show import as_markdown, as_text
from attnbench.errors import AttnbenchError
from attnbench.sides.measure import Result
from attnbench.tables.escape import markdown

SUMMARY = "GITHUB_STEP_SUMMARY"
_LISTED = 6


def text(result: Result) -> str:
    """Return the result as lines for a terminal."""
    lines = [as_text(result.comparison).rstrip("\n")]
    if result.untouched:
        lines += ["", f"Untouched, the same sources on both sides: {len(result.untouched)}"]
        lines += [f"  {name}" for name in result.untouched[:_LISTED]]
        left = len(result.untouched) - _LISTED
        lines += [f"  and {left} more"] if left > 0 else []
    for name, side in result.sides.items():
        lines += ["", f"Measured of {name} ({side['revision'][:12]}, {side['tree']})"]
        lines += [f"  {_class(one)}" for one in _own(side)]
    return "\n".join(lines) + "\n"


def as_comment(result: Result) -> str:
    """Return the result in GitHub's Markdown."""
    blocks = [as_markdown(result.comparison).rstrip("\n")]
    if result.untouched:
        names = "\n".join(f"- `{name}`" for name in result.untouched)
        title = f"{len(result.untouched)} untouched: the same sources on both sides, not timed"
        blocks.append(_folded(title, names))
    rows = [
        f"| {name} `{side['revision'][:12]}` | `{one['class']}` | {_place(one)} | `{one['hash']}` |"
        for name, side in result.sides.items()
        for one in _own(side)
    ]
    table = "\n".join(["| Side | Class | File | Hash |", "|---|---|---|---|", *rows])
    blocks.append(_folded("What was measured", table))
    return "\n\n".join(blocks) + "\n"


def append_summary(result: Result) -> None:
    """Append the Markdown to the job's summary, where the CI system has one.

    Raises:
        AttnbenchError: the file cannot be written.
    """
    place = os.environ.get(SUMMARY)
    if not place:
        return
    try:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(as_comment(result) + "\n")
    except OSError as error:
        raise AttnbenchError(f"{SUMMARY}={place} cannot be written: {error.strerror}") from error


def _own(side: Mapping[str, Any]) -> list[dict[str, str]]:
    """The classes that are not a library's; all of them, where there are no others."""
    own = [one for one in side["classes"] if one["kind"] != "installed"]
    return own or list(side["classes"])


def _class(one: Mapping[str, str]) -> str:
    installed = ", installed" if one["kind"] == "installed" else ""
    return f"{one['class']}  {one['file']}  {one['hash']}{installed}"


def _place(one: Mapping[str, str]) -> str:
    return markdown(one["file"]) + (" (installed)" if one["kind"] == "installed" else "")


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{inside}\n\n</details>"
