"""``attnbench explain``: definitions of the terms of tables."""

from __future__ import annotations

from typing import Annotated

import typer

from attnbench.cli.options import Json, PlainFormat, chosen_format
from attnbench.cli.output import console, print_json, writing

EXAMPLES = (
    "attnbench explain overhead trust",
    "attnbench explain",
)


def command(
    terms: Annotated[
        list[str] | None, typer.Argument(metavar="[TERM ...]", help="All terms by default.")
    ] = None,
    format: PlainFormat = None,
    json: Json = False,
) -> None:
    """Explain the columns and words of tables."""
    from attnbench.reports.document import Rows
    from attnbench.reports.tables.terms import TERMS, find_terms
    from attnbench.reports.terminal import print_blocks

    chosen = chosen_format(format, json, ("text", "json"))
    names = list(dict.fromkeys(name for word in terms or TERMS for name in find_terms(word)))
    if chosen == "json":
        print_json([{"name": name, "definition": TERMS[name]} for name in names])
    else:
        with writing():
            print_blocks([Rows(tuple((name, TERMS[name]) for name in names))], console())
