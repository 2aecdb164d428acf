"""Shared options of several commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.errors import RequestError, unknown
from attnbench.registry.settings import DEFAULT_OUT, settings

if TYPE_CHECKING:
    from attnbench.reports.table_view import TableView

DEFAULT_BUDGET_S = 5.0
KINDS = ("cost", "latency", "accuracy")
FORMATS = ("text", "json", "md", "csv", "tex", "html")
COMMENT_FORMATS = ("text", "md", "json")


def with_project_plugins(given: list[str] | None) -> list[str]:
    """Return the plugins of the project and of the option, each once."""
    files = [*settings().plugin_paths, *(given or [])]
    return list({Path(file).resolve(): file for file in files}.values())


def project_out() -> str:
    """Return the folder of the project's runs."""
    return settings().runs


def project_budget() -> float:
    """Return the project's sampling time in seconds."""
    return settings().budget or DEFAULT_BUDGET_S


Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="PATH",
        help="A plugin that is not installed: a file, or a package's folder; repeats.",
        callback=with_project_plugins,
    ),
]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="FORMAT", help="text, json, md, csv, tex or html."),
]
PlainFormat = Annotated[
    str | None, typer.Option("--format", metavar="FORMAT", help="text or json.")
]
Json = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
Strict = Annotated[bool, typer.Option("--strict", help="Inconclusive cases fail, too.")]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Missing cases do not fail.")]
CommentFormat = Annotated[
    str | None, typer.Option("--format", metavar="FORMAT", help="text, md or json.")
]
Only = Annotated[
    str | None,
    typer.Option("--only", metavar="KIND,...", help="Kinds of cases: cost, latency, accuracy."),
]
Out = Annotated[
    str,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder of runs.",
        default_factory=project_out,
        show_default=DEFAULT_OUT,
    ),
]
Budget = Annotated[
    float,
    typer.Option(
        "--budget",
        metavar="SECONDS",
        help="Sampling time per runtime, after warm-up.",
        default_factory=project_budget,
        show_default=f"{DEFAULT_BUDGET_S:g}",
    ),
]


Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="NAME,...", help="Of a text table, in this order."),
]
Wide = Annotated[
    bool, typer.Option("--wide", help="All columns of a text table, beyond the terminal's width.")
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Methods and notes of a text table in full.")
]


def table_view(form: str, columns: str | None, wide: bool, explain: bool = False) -> TableView:
    """Return the part of a table to show, from ``--columns``, ``--wide`` and ``--explain``.

    Raises:
        RequestError: an option is given with another format than text, or names no column.
    """
    from attnbench.reports.table_view import TableView

    options = {"--columns": columns is not None, "--wide": wide, "--explain": explain}
    given = next((option for option, is_given in options.items() if is_given), None)
    if given and form != "text":
        raise RequestError(f"{given} is for text: got --format {form}. Omit one of them")
    names = tuple(part.strip().lower() for part in (columns or "").split(",") if part.strip())
    if columns is not None and not names:
        raise RequestError(f"--columns contains no name: got {columns!r}")
    return TableView(names, wide, explain)


def chosen_format(name: str | None, json: bool, possible: tuple[str, ...] = FORMATS) -> str:
    """Return the output format.

    Raises:
        RequestError: the format is not in ``possible``.
    """
    if json and name not in (None, "json"):
        raise RequestError(f"--json contradicts --format: got {name!r}. Omit one of them")
    chosen = "json" if json else name or "text"
    if chosen not in possible:
        raise unknown("--format", chosen, possible)
    return chosen


def parse_size(text: str) -> tuple[int, int]:
    """Return (height, width) of ``224`` or ``192x256``.

    Raises:
        RequestError: the text is neither.
    """
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip())
    if not found:
        raise RequestError(f"--size is malformed: got {text!r}. Write a number or HEIGHTxWIDTH")
    height = int(found[1])
    width = int(found[2] or height)
    if not 1 <= min(height, width) <= max(height, width) <= 100_000:
        raise RequestError(f"--size must be between 1 and 100000: got {text!r}")
    return height, width


_SECONDS = {"s": 1, "": 1, "m": 60, "h": 3600}


def parse_duration(option: str, text: str) -> float:
    """Return the seconds of ``90``, ``90s``, ``10m`` or ``4h``.

    Raises:
        RequestError: the text is none of them, or the duration is 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not seconds:
        raise RequestError(f"{option} is malformed: got {text!r}. Write 90s, 10m or 4h")
    return seconds


def chosen_kinds(text: str | None, possible: tuple[str, ...] = KINDS) -> tuple[str, ...]:
    """Return the kinds of ``cost,latency``; by default all possible kinds.

    Raises:
        RequestError: a kind is not in ``possible``.
    """
    kinds = tuple(part.strip() for part in text.split(",")) if text else possible
    for kind in kinds:
        if kind not in possible:
            raise unknown("--only", kind, possible)
    return kinds
