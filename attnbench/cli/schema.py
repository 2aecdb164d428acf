"""``attnbench schema``: the JSON Schema of suite files, for editors."""

from __future__ import annotations

from attnbench.cli.output import print_json

EXAMPLES = (
    "attnbench schema > suite.schema.json",
    "attnbench schema | head",
)


def command() -> None:
    """Print the JSON Schema of suite files.

    For completion and checks in an editor.
    """
    from attnbench.suites.schema import json_schema

    print_json(json_schema())
