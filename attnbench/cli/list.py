"""``attnbench list``: listings of available objects, without importing torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from attnbench.cli.options import Json, PlainFormat, Plugins, chosen_format
from attnbench.cli.output import console, load_catalog, print_json, stdout_to_stderr, writing
from attnbench.errors import unknown
from attnbench.registry.plugins import Catalog
from attnbench.registry.registry import Registry

Rows = list[dict[str, Any]]
_UNSHOWN = ("origin", "page", "missing")
"""Keys in JSON only; hints on missing objects follow the table."""
_WHOLE = ("name", "family", "year", "paper", "params_512")
"""Columns without line breaks."""
_GAP, _ROOM, _LEAST = 3, 40, 20
"""Widths in characters: gap between cells, preferred and minimum width of constraints."""


EXAMPLES = (
    "attnbench list",
    "attnbench list runtimes",
)


def command(
    what: Annotated[
        str,
        typer.Argument(metavar="[KIND]", help="modules, backbones, suites, runtimes or datasets."),
    ] = "modules",
    long: Annotated[
        bool, typer.Option("--long", help="Modules: parameters at 512 channels, constraints.")
    ] = False,
    plugin: Plugins = None,
    format: PlainFormat = None,
    json: Json = False,
) -> None:
    """List modules, backbones, suites and more."""
    chosen = chosen_format(format, json, ("text", "json"))
    if what not in _ROWS:
        raise unknown("kind to list", what, _ROWS)
    catalog = load_catalog(plugin)
    rows = _ROWS[what](catalog)
    if long and what == "modules":
        with stdout_to_stderr():
            rows = [row | _details(row["name"]) for row in rows]
    if chosen == "json":
        print_json(rows)
    else:
        with writing():
            _print([_with_state(row) for row in rows] if what == "runtimes" else rows)
            if what == "modules":
                _print_families(catalog)


def _backbones(catalog: Catalog) -> Rows:
    from attnbench.registry.backbone_names import BACKBONES, FAMILIES

    rows = _picked((*BACKBONES, *FAMILIES), "name", "title", "source", "options")
    return [row | {"options": ", ".join(row["options"])} for row in rows]


def _entries(table: Registry[Any], *keys: str) -> Rows:
    return _picked(map(table.entry, table.names()), *keys)


def _picked(things: Iterable[object], *keys: str) -> Rows:
    return [{key: getattr(thing, key) for key in keys} for thing in things]


def _runtimes(catalog: Catalog) -> Rows:
    from attnbench.runtimes.registry import describe_runtime, runtimes

    keys = ("name", "title", "precisions", "devices", "available", "missing", "versions", "origin")
    return [{key: found.get(key) for key in keys} for found in map(describe_runtime, runtimes())]


def _with_state(runtime: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a runtime with one cell that says its version, or the way to install it."""
    state = {key: runtime[key] for key in ("available", "versions", "missing")}
    kept = {key: value for key, value in runtime.items() if key not in state}
    if state["available"]:
        return kept | {"installed": _cell("versions", state["versions"])}
    return kept | {"installed": f"no: {state['missing']}"}


def _datasets(catalog: Catalog) -> Rows:
    from attnbench.datasets.registry import datasets, describe_dataset

    keys = ("name", "title", "classes", "train", "test", "available", "where", "missing", "page")
    names = [name for name in datasets() if name != _FOLDER["name"]]
    found = [*map(describe_dataset, names), _FOLDER]
    return [{key: description.get(key) for key in keys} for description in found]


_FOLDER = {
    "name": "folder:PATH",
    "title": "your own: PATH/train/CLASS/*.jpg and PATH/val/CLASS/*.jpg, or PATH/CLASS/*.jpg",
    "available": True,
}

_ROWS: dict[str, Callable[[Catalog], Rows]] = {
    "modules": lambda catalog: _entries(
        catalog.modules, "name", "family", "year", "paper", "title", "origin"
    ),
    "backbones": _backbones,
    "suites": lambda catalog: _entries(catalog.suites, "name", "title", "paper", "origin"),
    "runtimes": _runtimes,
    "datasets": _datasets,
}


def _details(name: str) -> dict[str, Any]:
    from attnbench.errors import AttnbenchError
    from attnbench.registry.attention import find_attention

    try:
        attention = find_attention(name)
        built = attention.build(512, (14, 14))
    except AttnbenchError as error:
        return {"params_512": None, "constraints": [str(error)]}
    declared = attention.card.constraints if attention.card else ()
    return {
        "params_512": sum(parameter.numel() for parameter in built.parameters()),
        "constraints": [constraint.text for constraint in declared if not constraint.basic],
    }


def _print(rows: Rows) -> None:
    from attnbench.reports.terminal import simple_table

    out = console()
    shown = _fitting(rows, out.width)
    table = simple_table()
    for key in shown:
        table.add_column(
            key.replace("_", " "),
            justify="right" if key == "params_512" else "left",
            no_wrap=key in _WHOLE,
            overflow="ellipsis" if key in _WHOLE else "fold",
        )
    for row in rows:
        table.add_row(*(_cell(key, row[key]) for key in shown))
    out.print(table)
    for row in rows:
        if row.get("missing"):
            out.print(row["missing"], soft_wrap=True)


def _fitting(rows: Rows, width: int) -> list[str]:
    """Return the columns to show; drop columns of the short list to make room for constraints."""
    shown = [key for key in rows[0] if key not in _UNSHOWN] if rows else []
    if "constraints" not in shown:
        return shown
    for key, room in (("title", _ROOM), ("paper", _ROOM), ("year", _ROOM), ("family", _LEAST)):
        short = [column for column in shown if column != "constraints"]
        texts = ([column, *(_cell(column, row[column]) for row in rows)] for column in short)
        taken = sum(max(map(len, column)) + _GAP for column in texts)
        if taken + room > width:
            shown.remove(key)
    return shown


def _print_families(catalog: Catalog) -> None:
    from attnbench.errors import PluginError
    from attnbench.registry.module_families import member_names

    for prefix in catalog.module_families.names():
        entry = catalog.module_families.entry(prefix)
        try:
            names = member_names(catalog.module_families, prefix)
        except PluginError as error:
            console().print(str(error), soft_wrap=True, markup=False)
            continue
        title = f"{len(names)} {entry.title or 'modules'}: {', '.join(names)}"
        console().print(f"{prefix}NAME  {title}", soft_wrap=True, markup=False)


def _cell(key: str, value: Any) -> str:
    if key in ("params_512", "train", "test") and value is not None:
        return f"{value:,}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {version or '-'}" for name, version in value.items())
    return "" if value is None else str(value)
