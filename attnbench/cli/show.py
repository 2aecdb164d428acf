"""``attnbench show``: details of a module, a backbone or a suite."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import KINDS, Json, Plugins, chosen_format, parse_size
from attnbench.cli.output import (
    can_overwrite,
    console,
    load_catalog,
    log,
    overwrite,
    print_json,
    stdout_to_stderr,
    write,
    writing,
)
from attnbench.errors import RequestError, unknown
from attnbench.utils.text import count_cases

if TYPE_CHECKING:
    from attnbench.conformance.checks import Check
    from attnbench.registry.plugins import Catalog

Document = dict[str, Any]


EXAMPLES = (
    "attnbench show module se",
    "attnbench show backbone mobilenet_v2",
)


def command(
    what: Annotated[str, typer.Argument(metavar="KIND", help="module, backbone or suite.")],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="SPEC, FILE.py:Class or a suite's file.")
    ],
    size: Annotated[
        str, typer.Option("--size", metavar="HxW", help="Or N: input size of a backbone.")
    ] = "224",
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
    """Show a module, a backbone's sites or a suite."""
    if what not in _FORMATS:
        raise unknown("kind to show", what, _FORMATS)
    chosen = chosen_format(format, json, _FORMATS[what])
    catalog = load_catalog(plugin)
    document: Any
    with stdout_to_stderr():
        if what == "module":
            document = _module(catalog, name, check=check and chosen != "tex")
        elif what == "backbone":
            document = _backbone(catalog, name, parse_size(size))
        else:
            document = _suite(catalog, name)
    if chosen == "json":
        print_json(document)
    elif what == "module":
        _write_module(document, chosen)
    else:
        with writing():
            (_write_backbone if what == "backbone" else _write_suite)(document)


_COMMON = ("text", "json")
_FORMATS = {"module": (*_COMMON, "md", "tex"), "backbone": _COMMON, "suite": _COMMON}


def _module(catalog: Catalog, name: str, *, check: bool) -> Document:
    from attnbench.registry.attention import find_attention
    from attnbench.reports.module_page.document import conformance_of, describe_module

    attention = find_attention(name, catalog)
    document = describe_module(attention, catalog)
    if not check:
        return document
    with _check_callback(str(attention.spec)) as callback:
        return document | conformance_of(attention, callback)


@contextmanager
def _check_callback(spec: str) -> Iterator[Callable[[Check], object]]:
    """Report progress on standard error: each check on a terminal, otherwise a single line."""
    if not can_overwrite(sys.stderr):
        log(f"checking {spec}, which takes seconds; --no-check leaves it out")
        yield id
        return
    try:
        yield lambda check: overwrite(f"checking {spec}: {check.name}")
    finally:
        overwrite("")


def _write_module(document: Document, form: str) -> None:
    from attnbench.reports.document import Equations, to_markdown
    from attnbench.reports.module_page.sections import headline, page_of
    from attnbench.reports.terminal import print_blocks

    if form == "tex" and not document["formula_tex"]:
        raise RequestError(
            f"{document['spec']} ({document['origin']}) declares no formula for LaTeX. "
            "Declare it as formula_tex on its card."
        )
    if form == "text":
        with writing():
            print_blocks(page_of(document), console())
    elif form == "md":
        write(to_markdown(page_of(document)))
    else:
        equations = Equations(document["formula_tex"]).display()
        write(f"% {headline(document)}\n{equations}\n")


def _backbone(catalog: Catalog, name: str, size: tuple[int, int]) -> list[Document]:
    from attnbench.measure.cost import CostMeter

    survey = CostMeter(catalog).backbone_cost(name, size).survey
    return [site.to_dict() for site in survey.sites()]


def _suite(catalog: Catalog, name: str) -> Document:
    from attnbench.measure.cost import CostMeter
    from attnbench.measure.iso_macs import IsoMacBaselines
    from attnbench.suites.load import find_suite
    from attnbench.suites.plan import all_cases, plan

    suite = find_suite(name, catalog)
    tables = plan(suite, catalog, brackets=IsoMacBaselines(CostMeter(catalog)))
    return {
        **suite.suite.model_dump(mode="json"),
        "cases": dict(Counter(case.kind for case in all_cases(tables))),
        "tables": [
            {
                "title": table.layout.title,
                "columns": list(table.layout.columns),
                "rows": [
                    {"label": row.label, "cases": [case.name for case in row.every_case]}
                    for row in table.rows
                ],
            }
            for table in tables
        ],
    }


def _write_backbone(sites: list[Document]) -> None:
    from attnbench.reports.terminal import simple_table

    table = simple_table()
    for head in _site_cells(sites[0]) if sites else ():
        table.add_column(head, justify="right" if head in _NUMERIC else "left")
    for site in sites:
        table.add_row(*_site_cells(site).values())
    console().print(table)
    usable = sum(1 for site in sites if site["placeable"])
    console().print(f"{usable} of {len(sites)} sites can take a module")


_NUMERIC = ("layer", "channels", "size", "expanded")


def _site_cells(site: Document) -> dict[str, str]:
    placeable = site["placeable"]
    return {
        "layer": str(site["layer"] or ""),
        "module path": site["path"],
        "class": site["kind"],
        "channels": str(site["channels"]) if placeable else "",
        "size": "x".join(map(str, site["size"])) if placeable else "",
        "expanded": str(site["expanded"] or ""),
        "replaceable": "yes" if site["replaceable"] else "",
        "SE": "yes" if site["replace_se"] else "",
        "why not": site["reason"] or "",
    }


def _write_suite(document: Document) -> None:
    out = console()
    out.print(
        f"{document['name']} (version {document['version']}): {document['title']}", style="bold"
    )
    if document["source"]:
        out.print(f"source: {document['source']} {document['url']}".rstrip(), soft_wrap=True)
    for note in document["notes"]:
        out.print(f"- {note}", soft_wrap=True)
    out.print(
        f"\n{_kinds(document['cases'])}; all names: attnbench run {document['name']} --dry-run -v"
    )
    for table in document["tables"]:
        out.print(f"\n{table['title'] or 'table'}: {', '.join(table['columns'])}", soft_wrap=True)
        width = max(len(row["label"]) for row in table["rows"])
        for row in table["rows"]:
            kinds = _kinds(Counter(name.partition("/")[0] for name in row["cases"]))
            out.print(f"  {row['label']:<{width}}  {kinds}", soft_wrap=True)


def _kinds(counts: Mapping[str, int]) -> str:
    """Return ``1 cost · 2 latencies · 3 trainings`` for numbers of cases by kind."""
    return " · ".join(count_cases(kind, counts[kind]) for kind in KINDS if counts.get(kind))
