"""``attnbench show``: details of a module, a backbone or a suite."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import (
    KINDS,
    Columns,
    Json,
    Plugins,
    Wide,
    chosen_format,
    parse_size,
    table_view,
)
from attnbench.cli.output import (
    can_overwrite,
    console,
    load_catalog,
    log,
    print_json,
    stdout_to_stderr,
    write,
    writing,
)
from attnbench.errors import RequestError, unknown
from attnbench.utils.text import count_cases

if TYPE_CHECKING:
    from attnbench.conformance.runner import ConformanceRunner
    from attnbench.registry.attention import Attention
    from attnbench.registry.plugins import Catalog
    from attnbench.reports.table_view import TableView

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
    columns: Columns = None,
    wide: Wide = False,
    every: Annotated[
        bool, typer.Option("--all", help="All sites of a backbone instead of its blocks.")
    ] = False,
) -> None:
    """Show a module, a backbone's sites or a suite."""
    if what not in _FORMATS:
        raise unknown("kind to show", what, _FORMATS)
    chosen = chosen_format(format, json, _FORMATS[what])
    view = table_view(chosen, columns, wide)
    if what == "module" and (columns is not None or wide):
        raise RequestError("--columns and --wide are for backbones and suites: got a module")
    catalog = load_catalog(plugin)
    document: Any
    with stdout_to_stderr():
        if what == "module":
            document = _module(catalog, name, plugin or [], check=check and chosen != "tex")
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
            if what == "backbone":
                _write_backbone(document, view, every=every)
            else:
                _write_suite(document, view)


_COMMON = ("text", "json")
_FORMATS = {"module": (*_COMMON, "md", "tex"), "backbone": _COMMON, "suite": _COMMON}


def _module(catalog: Catalog, name: str, plugins: Sequence[str], *, check: bool) -> Document:
    from attnbench.conformance.runner import ConformanceRunner
    from attnbench.registry.attention import find_attention
    from attnbench.reports.module_page.document import describe_module
    from attnbench.runner.worker_main import new_worker

    with ConformanceRunner(new_worker(plugins)) as runner:
        if check:
            runner.start()  # the worker imports torch in parallel
        attention = find_attention(name, catalog)
        document = describe_module(attention, catalog)
        return document | _conformance(attention, runner) if check else document


def _conformance(attention: Attention, runner: ConformanceRunner) -> Document:
    """Run the quick checks in a worker, which a module may crash or hang."""
    from attnbench.cli.progress import check_progress
    from attnbench.conformance.checks import default_checks
    from attnbench.reports.module_page.document import conformance_of, try_first_pass

    try_first_pass(attention)
    if not can_overwrite(sys.stderr):
        log(f"checking {attention.spec}, which takes seconds; --no-check leaves it out")
    reports = runner.examine([attention], default_checks(), check_progress())
    if runner.interrupted:
        raise KeyboardInterrupt
    return conformance_of(reports[0])


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


def _write_backbone(sites: list[Document], view: TableView, *, every: bool) -> None:
    from attnbench.reports.terminal_table import listed_columns, print_table

    shown = sites if every else _blocks(sites) or sites
    rows = list(map(_site_cells, shown))
    columns = listed_columns(rows, _PRIORITIES, numeric=_NUMERIC)
    filled = [column for column in columns if any(cell.plain for cell in column.cells)]
    out = console()
    if filled:
        print_table(filled, out, view)
    usable = sum(1 for site in sites if site["placeable"])
    out.print(f"{usable} of {len(sites)} sites can take a module")
    if len(shown) < len(sites):
        out.print(f"shown are its {len(shown)} blocks; --all shows the other sites as well")


def _blocks(sites: Sequence[Document]) -> list[Document]:
    """Return the numbered layers, or the outermost composite modules that can take a module."""
    parents = {site["path"].rpartition(".")[0] for site in sites}
    found: list[Document] = []
    for site in sites:
        is_composite = site["path"] in parents and site["kind"] != "Sequential"
        inner = any(site["path"].startswith(f"{block['path']}.") for block in found[-1:])
        if site["layer"] is not None or (is_composite and site["placeable"] and not inner):
            found.append(site)
    return found


_PRIORITIES = {
    "layer": 5,
    "module path": 0,
    "class": 40,
    "channels": 10,
    "size": 15,
    "expanded": 30,
    "replaceable": 20,
    "SE": 25,
    "why not": 50,
}
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


def _write_suite(document: Document, view: TableView) -> None:
    from attnbench.reports.terminal import plain_text
    from attnbench.reports.terminal_table import listed_columns, print_table, print_wrapped

    out = console()
    head = f"{document['name']} (version {document['version']}): {document['title']}"
    print_wrapped(plain_text(head, "bold"), out)
    source = f"source: {document['source']} {document['url']}".rstrip()
    notes = [source] if document["source"] else []
    names = f"all names: attnbench run {document['name']} --dry-run -v"
    notes += [*(f"- {note}" for note in document["notes"]), f"{_kinds(document['cases'])}; {names}"]
    for note in notes:
        print_wrapped(plain_text(note), out)
    for table in document["tables"]:
        title = f"{table['title'] or 'table'}: {', '.join(table['columns'])}"
        out.print()
        print_wrapped(plain_text(title), out)
        rows = [
            {"row": row["label"], "cases": _kinds(Counter(map(_kind, row["cases"])))}
            for row in table["rows"]
        ]
        print_table(listed_columns(rows, {"row": 0, "cases": 1}, common=["cases"]), out, view)


def _kind(case: str) -> str:
    return case.partition("/")[0]


def _kinds(counts: Mapping[str, int]) -> str:
    """Return ``1 cost · 2 latencies · 3 trainings`` for numbers of cases by kind."""
    return " · ".join(count_cases(kind, counts[kind]) for kind in KINDS if counts.get(kind))
