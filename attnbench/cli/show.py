"""``attnbench show``: details of a module, a backbone or a suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from attnbench.cli.options import Json, Plugins, chosen_format, parse_size
from attnbench.cli.output import console, guests, load_catalog, print_json, writing
from attnbench.cli.show_module import MODULE_FORMATS, show_module
from attnbench.errors import RequestError, suggestion
from attnbench.registry.plugins import Catalog


def command(
    what: Annotated[str, typer.Argument(metavar="{module,backbone,suite}")],
    name: Annotated[str, typer.Argument(metavar="NAME")],
    size: Annotated[str, typer.Option("--size", help="Input size of a backbone.")] = "224",
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Run the conformance checks on a module, which takes seconds.",
        ),
    ] = True,
    plugin: Plugins = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="text or json; of a module also md, and tex for its formula alone.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show all about a module, a backbone's sites or a suite's cases."""
    if what not in _SHOWN:
        raise RequestError(
            f"cannot show {what!r}; there are {', '.join(_SHOWN)}.{suggestion(what, _SHOWN)}"
        )
    chosen = chosen_format(format, json, MODULE_FORMATS if what == "module" else ("text", "json"))
    catalog = load_catalog(plugin)
    if what == "module":
        show_module(catalog, name, chosen, check=check)
    else:
        _show(catalog, what, name, parse_size(size), chosen)


def _show(catalog: Catalog, what: str, name: str, size: tuple[int, int], chosen: str) -> None:
    describe, write = _WRITTEN[what]
    with guests():
        document = describe(catalog, name, size)
    if chosen == "json":
        print_json(document)
    else:
        with writing():
            write(document)


def _backbone(catalog: Catalog, name: str, size: tuple[int, int]) -> list[dict[str, Any]]:
    from attnbench.measure.cost import CostMeter

    survey = CostMeter(catalog).known(name, size).survey
    return [site.to_dict() for site in survey.sites()]


def _suite(catalog: Catalog, name: str, size: tuple[int, int]) -> dict[str, Any]:
    from attnbench.measure.cost import CostMeter
    from attnbench.measure.iso_macs import IsoMacBaselines
    from attnbench.suites.load import find_suite
    from attnbench.suites.plan import plan

    suite = find_suite(name, catalog)
    tables = plan(suite, catalog, brackets=IsoMacBaselines(CostMeter(catalog)))
    return {
        **suite.suite.model_dump(mode="json"),
        "tables": [
            {
                "title": table.layout.title,
                "columns": list(table.layout.columns),
                "rows": [
                    {"label": row.label, "cases": [case.name for case in row.cases]}
                    for row in table.rows
                ],
            }
            for table in tables
        ],
    }


def _write_backbone(sites: list[dict[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head, justify in _SITE_COLUMNS:
        table.add_column(head, justify=justify)
    for site in sites:
        table.add_row(*_site_cells(site))
    console().print(table)
    usable = sum(1 for site in sites if site["placeable"])
    console().print(f"{usable} of {len(sites)} sites can take a module")


_SITE_COLUMNS: tuple[tuple[str, Any], ...] = (
    ("layer", "right"),
    ("module path", "left"),
    ("class", "left"),
    ("channels", "right"),
    ("size", "right"),
    ("expanded", "right"),
    ("replaceable", "left"),
    ("SE", "left"),
    ("why not", "left"),
)


def _site_cells(site: dict[str, Any]) -> list[str]:
    placeable = site["placeable"]
    return [
        str(site["layer"] or ""),
        site["path"],
        site["kind"],
        str(site["channels"]) if placeable else "",
        "x".join(map(str, site["size"])) if placeable else "",
        str(site["expanded"] or ""),
        "yes" if site["replaceable"] else "",
        "yes" if site["replace_se"] else "",
        site["reason"] or "",
    ]


def _write_suite(document: dict[str, Any]) -> None:
    out = console()
    out.print(
        f"{document['name']} (version {document['version']}): {document['title']}", style="bold"
    )
    if document["source"]:
        out.print(f"source: {document['source']} {document['url']}".rstrip(), soft_wrap=True)
    for note in document["notes"]:
        out.print(f"- {note}", soft_wrap=True)
    for table in document["tables"]:
        out.print(f"\n{table['title'] or 'table'}: {', '.join(table['columns'])}", soft_wrap=True)
        for row in table["rows"]:
            out.print(f"  {row['label']:<40} {'  '.join(row['cases'])}", soft_wrap=True)


_SHOWN = ("module", "backbone", "suite")
_WRITTEN: dict[
    str, tuple[Callable[[Catalog, str, tuple[int, int]], Any], Callable[[Any], None]]
] = {
    "backbone": (_backbone, _write_backbone),
    "suite": (_suite, _write_suite),
}
