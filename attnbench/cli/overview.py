"""``attnbench overview``: all modules of several runs, a table for each placement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.options import (
    Columns,
    Explain,
    Format,
    Json,
    Out,
    Wide,
    chosen_format,
    table_view,
)
from attnbench.cli.output import log, log_left_out, print_json, print_report
from attnbench.errors import RequestError, unknown

if TYPE_CHECKING:
    from attnbench.reports.overview.entries import Place
    from attnbench.reports.tables.report import Report


EXAMPLES = (
    "attnbench overview mobilenet-latency digits-accuracy",
    "attnbench overview quick -p after:14 --figure macs -o macs.pdf",
)

FigureName = Annotated[
    str | None,
    typer.Option(
        "--figure",
        metavar="NAME",
        help="With -o: modules, or accuracy against overhead, macs or params.",
        show_default="modules",
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="MODULE", help="Name it in the figure; repeats."),
]

Placements = Annotated[
    list[str] | None,
    typer.Option(
        "-p", "--placement", metavar="PLACEMENT", help="Show only this one, in this order; repeats."
    ),
]


Modules = Annotated[
    list[str] | None,
    typer.Option("-m", "--module", metavar="SPEC", help="Show only this one; repeats."),
]
Brief = Annotated[
    bool, typer.Option("--brief", help="Only parameters, overheads and accuracies, no notes.")
]


def command(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN ...", help="Suites' names, folders or files.")
    ],
    place: Placements = None,
    module: Modules = None,
    brief: Brief = False,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="Write it into a Markdown file, between comments."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="With --into: status 1 if the file differs.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Draw one place: a .png, .pdf or .svg file."
        ),
    ] = None,
    figure: FigureName = None,
    label: Labels = None,
    columns: Columns = None,
    wide: Wide = False,
    explain: Explain = False,
    format: Format = None,
    json: Json = False,
    *,
    out: Out,
) -> None:
    """Print all modules of several runs side by side.

    Cost, latency and accuracy of each, a table for each placement.
    """
    if check and into is None:
        raise RequestError("--check needs a file to compare. Give --into FILE.md as well.")
    if output is None and (figure or label):
        raise RequestError("--figure and --label need a file. Give -o FILE.pdf as well.")
    chosen = chosen_format(format, json)
    view = table_view(chosen, columns, wide, explain)
    if into is not None and (format or json) and chosen != "md":
        raise RequestError(
            f"--into writes Markdown only: got --format {chosen}. Leave one of the two out."
        )
    places, report = _overview(runs, place or [], module or [], brief, out)
    if output is not None:
        _draw(places, output, figure or "modules", label or [])
    if into is not None:
        _into(into, report, check)
    elif chosen == "json":
        from attnbench.reports.overview.build_overview import objects

        print_json([row for found in places for row in objects(found)])
    else:
        print_report(report, chosen, view)


def _overview(
    runs: list[str], wanted: list[str], modules: list[str], brief: bool, out: str
) -> tuple[list[Place], Report]:
    from attnbench.records.store import find_run, read_run
    from attnbench.reports.overview.build_overview import build_overview
    from attnbench.reports.overview.entries import collect
    from attnbench.reports.run_report import planned_of

    paths = dict.fromkeys(find_run(name, out).resolve() for name in runs)
    found = [read_run(path) for path in paths]
    log_left_out(*found)
    collected = _chosen(collect(planned_of(run) for run in found), wanted)
    places = _of_modules(collected, modules) if modules else collected
    versions: dict[str, dict[str, None]] = {}
    for run in found:
        for name, version in run.measured_with().items():
            versions.setdefault(name, {}).update(dict.fromkeys(version.split(" / ")))
    joined = {name: " / ".join(seen) for name, seen in versions.items()}
    names = [run.header.suite_name for run in found]
    return places, build_overview(places, names, joined, brief=brief)


def _chosen(places: list[Place], wanted: list[str]) -> list[Place]:
    named = {place.name: place for place in places}
    if not named:
        raise RequestError("the runs have no module. Name a run with one.")
    for name in wanted:
        if name not in named:
            raise unknown("--placement", name, named)
    return [named[name] for name in dict.fromkeys(wanted)] if wanted else places


def _of_modules(places: list[Place], modules: list[str]) -> list[Place]:
    """Return the places that have some of these modules, which alone are shown."""
    from dataclasses import replace

    known = dict.fromkeys(name for place in places for name in place.entries)
    for name in modules:
        if name not in known:
            raise unknown("--module", name, known)
    kept = [place for place in places if not place.entries.keys().isdisjoint(modules)]
    return [replace(place, chosen=tuple(modules)) for place in kept]


def _draw(places: list[Place], path: Path, figure: str, labels: list[str]) -> None:
    from attnbench.reports.figures.figure_files import save
    from attnbench.reports.overview.figure import draw_figure

    if len(places) > 1:
        names = ", ".join(place.name for place in places)
        raise RequestError(f"-o draws one place: got {len(places)}. Choose it with -p: {names}.")
    log(f"wrote {save(draw_figure(places[0], figure, labels), path)}")


def _into(path: Path, report: Report, check: bool) -> None:
    from dataclasses import replace

    from attnbench.reports.overview.build_overview import read_page, with_report, write_page
    from attnbench.reports.tables.render import render

    text = read_page(path)
    wanted = with_report(text, render(replace(report, title=""), "md"), str(path))
    if not check:
        write_page(path, wanted)
        log(f"wrote {path}")
    elif text != wanted:
        log(f"attnbench: {path} differs from the runs. Run without --check to update it.")
        raise typer.Exit(1)
