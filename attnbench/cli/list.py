"""``attnbench list``: listings of available objects, without importing torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import (
    Columns,
    Json,
    PlainFormat,
    Plugins,
    Wide,
    chosen_format,
    table_view,
)
from attnbench.cli.output import console, load_catalog, print_json, stdout_to_stderr, writing
from attnbench.errors import unknown
from attnbench.registry.plugins import Catalog
from attnbench.registry.registry import Registry

if TYPE_CHECKING:
    from attnbench.reports.table_view import TableView

Rows = list[dict[str, Any]]
_PRIORITIES = {
    "name": 0,
    "params 512": 10,
    "family": 40,
    "paper": 50,
    "title": 20,
    "source": 30,
    "options": 40,
    "precisions": 35,
    "devices": 45,
    "classes": 30,
    "train": 50,
    "test": 51,
    "available": 10,
    "installed": 10,
    "where": 60,
    "constraints": 15,
}
"""Columns in their order; the years of modules stand with their papers."""
_PROSE = ("title", "constraints", "options", "installed", "precisions", "devices")


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
    columns: Columns = None,
    wide: Wide = False,
    format: PlainFormat = None,
    json: Json = False,
) -> None:
    """List modules, backbones, suites and more."""
    chosen = chosen_format(format, json, ("text", "json"))
    view = table_view(chosen, columns, wide)
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
            _print([_with_state(row) for row in rows] if what == "runtimes" else rows, view)
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


def _print(rows: Rows, view: TableView) -> None:
    from attnbench.reports.terminal import plain_text
    from attnbench.reports.terminal_table import listed_columns, print_table, print_wrapped

    out = console()
    texts = [{key: _cell(key, value) for key, value in row.items()} for row in rows]
    shown = [{key.replace("_", " "): text for key, text in row.items()} for row in texts]
    columns = listed_columns(
        shown, _PRIORITIES, numeric=("params 512", "train", "test", "classes"), prose=_PROSE
    )
    if columns:
        print_table(columns, out, view)
    for row in rows:
        if row.get("missing"):
            print_wrapped(plain_text(row["missing"]), out)


def _print_families(catalog: Catalog) -> None:
    from attnbench.errors import PluginError
    from attnbench.registry.module_families import member_names
    from attnbench.reports.terminal import plain_text
    from attnbench.reports.terminal_table import print_wrapped

    for prefix in catalog.module_families.names():
        entry = catalog.module_families.entry(prefix)
        try:
            names = member_names(catalog.module_families, prefix)
        except PluginError as error:
            print_wrapped(plain_text(str(error)), console())
            continue
        title = f"{len(names)} {entry.title or 'modules'}: {', '.join(names)}"
        print_wrapped(plain_text(f"{prefix}NAME  {title}"), console())


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
