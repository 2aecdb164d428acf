"""``attnbench show``: one module, backbone or suite in full."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from attnbench.cli.options import Format, Json, Plugins, chosen_format, parse_size
from attnbench.cli.output import console, guests, load_catalog, print_json, writing
from attnbench.errors import RequestError, suggestion
from attnbench.plugins import Catalog

_CHANNELS, _SIZE = 512, (14, 14)


def command(
    what: Annotated[str, typer.Argument(metavar="{module,backbone,suite}")],
    name: Annotated[str, typer.Argument(metavar="NAME")],
    size: Annotated[str, typer.Option("--size", help="Input size of a backbone.")] = "224",
    plugin: Plugins = None,
    format: Format = None,
    json: Json = False,
) -> None:
    """Show a module's card, a backbone's sites or a suite's cases."""
    chosen = chosen_format(format, json, ("text", "json"))
    if what not in _SHOWN:
        raise RequestError(
            f"cannot show {what!r}; there are {', '.join(_SHOWN)}.{suggestion(what, _SHOWN)}"
        )
    describe, write = _SHOWN[what]
    catalog = load_catalog(plugin)
    with guests():
        document = describe(catalog, name, parse_size(size))
    if chosen == "json":
        print_json(document)
    else:
        with writing():
            write(document)


def _module(catalog: Catalog, name: str, size: tuple[int, int]) -> dict[str, Any]:
    from attnbench.attention import find_attention

    attention = find_attention(name, catalog)
    card = attention.card
    document: dict[str, Any] = {
        "name": attention.name,
        "title": attention.title,
        "origin": attention.origin,
        "options": _options(attention),
        "declared": card is not None,
    }
    if card is None:
        return document
    fields = {
        key: getattr(card, key)
        for key in ("family", "version", "official_note", "params_text", "macs_text", "licence")
    }
    return (
        document
        | fields
        | {
            "paper": _paper(card.paper),
            "traits": asdict(card.traits) if card.traits else None,
            "constraints": [one.text for one in card.constraints],
            "official": dict(card.official),
            "params_512": attention.params(_CHANNELS),
            "macs_512x14x14": card.macs(_CHANNELS, *_SIZE, **attention.options)
            if card.macs
            else None,
            "printed": _printed(card.printed),
            "deviations": list(card.deviations),
            "traps": list(card.traps),
        }
    )


def _options(attention: Any) -> dict[str, dict[str, Any]]:
    described = attention.card.options if attention.card else {}
    return {
        name: {
            "default": parameter.default,
            "type": _type_name(parameter.annotation),
            "description": described.get(name),
        }
        for name, parameter in attention.signature.options.items()
    }


def _type_name(annotation: Any) -> str | None:
    if annotation is inspect.Parameter.empty:
        return None
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _paper(paper: Any) -> dict[str, Any] | None:
    return {**asdict(paper), "bibtex": paper.bibtex()} if paper else None


def _printed(printed: Any) -> dict[str, Any] | None:
    if printed is None:
        return None
    keys = ("source", "params_text", "macs_text", "params_tex", "macs_tex")
    return {key: getattr(printed, key) for key in keys} | {"differences": list(printed.differences)}


def _backbone(catalog: Catalog, name: str, size: tuple[int, int]) -> list[dict[str, Any]]:
    from attnbench.measure.cost import CostMeter

    survey = CostMeter(catalog).known(name, size).survey
    return [site.to_dict() for site in survey.sites()]


def _suite(catalog: Catalog, name: str, size: tuple[int, int]) -> dict[str, Any]:
    from attnbench.measure.brackets import Brackets
    from attnbench.measure.cost import CostMeter
    from attnbench.suites.cases import plan
    from attnbench.suites.load import find_suite

    suite = find_suite(name, catalog)
    tables = plan(suite, catalog, brackets=Brackets(CostMeter(catalog)))
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


def _write_module(document: dict[str, Any]) -> None:
    out = console()
    out.print(f"{document['name']}: {document['title']}", style="bold")
    if not document["declared"]:
        out.print("no card: family, paper, formulas and constraints are not declared")
    for label, text in _module_lines(document):
        out.print(f"{label:<18}{text}", soft_wrap=True)
    for label in ("constraints", "deviations", "traps"):
        _write_list(label, document.get(label) or [])
    if document.get("printed"):
        _write_list("the paper's figures differ because", document["printed"]["differences"])
    if document.get("paper"):
        out.print(f"\n{document['paper']['bibtex']}", soft_wrap=True)


def _module_lines(document: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [("origin", document["origin"])]
    for name, option in document["options"].items():
        about = f" - {option['description']}" if option["description"] else ""
        lines.append((f"  {name}={option['default']}", about.removeprefix(" - ")))
    if not document["declared"]:
        return lines
    paper, printed = document["paper"], document["printed"]
    if paper:
        lines.append(("paper", f"{paper['short']}, {paper['title']}, {paper['url']}"))
    lines.append(("family", document["family"]))
    lines.append(
        ("parameters", _with_value(document["params_text"], document["params_512"], "512"))
    )
    lines.append(
        ("MACs", _with_value(document["macs_text"], document["macs_512x14x14"], "512x14x14"))
    )
    if printed:
        lines.append(
            ("printed", f"{printed['params_text']} ; {printed['macs_text']} ({printed['source']})")
        )
    for family, placement in document["official"].items():
        lines.append(
            ("official", f"{placement} in {'any other backbone' if family == '*' else family}")
        )
    if document["official_note"]:
        lines.append(("", document["official_note"]))
    lines.append(("licence", f"original code: {document['licence'] or 'not declared'}"))
    return lines


def _with_value(text: str, value: int | None, where: str) -> str:
    return f"{text or 'not declared'}" + (f"   ({value:,} at {where})" if value is not None else "")


def _write_list(label: str, items: list[str]) -> None:
    if items:
        console().print(f"\n{label}")
    for item in items:
        console().print(f"  - {item}", soft_wrap=True)


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


_SHOWN: dict[str, tuple[Callable[[Catalog, str, tuple[int, int]], Any], Callable[[Any], None]]] = {
    "module": (_module, _write_module),
    "backbone": (_backbone, _write_backbone),
    "suite": (_suite, _write_suite),
}
