"""``attnbench table``: table of a run, from its records alone."""

from __future__ import annotations

from collections.abc import Mapping
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
from attnbench.cli.output import log, log_left_out, print_json, print_report, write
from attnbench.errors import RequestError, unknown

if TYPE_CHECKING:
    from attnbench.records.store import Run

EXAMPLES = (
    "attnbench table results/quick --preset paper",
    "attnbench table ulsam-ablation --figure groups -o groups.pdf",
)


Preset = Annotated[
    str | None,
    typer.Option("--preset", metavar="NAME", help="paper: LaTeX of few columns that fit."),
]
TwoColumn = Annotated[
    bool, typer.Option("--two-column", help="With --preset paper: for two-column pages.")
]
FigureName = Annotated[
    str | None,
    typer.Option(
        "--figure",
        metavar="NAME",
        help="With -o: curves, differences, sites, or an option such as groups.",
    ),
]
FigureFile = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="A .png, .pdf or .svg file."),
]


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A suite's name, folder or file.")],
    preset: Preset = None,
    two_column: TwoColumn = False,
    figure: FigureName = None,
    output: FigureFile = None,
    columns: Columns = None,
    wide: Wide = False,
    explain: Explain = False,
    format: Format = None,
    json: Json = False,
    *,
    out: Out,
) -> None:
    """Print the table of a run.

    Nothing is measured and no plugin is needed.
    """
    from attnbench.records.store import find_run, read_run
    from attnbench.reports.run_report import report_of
    from attnbench.reports.tables.long_format import printed_figures

    if figure is not None or output is not None:
        others = {"--preset": preset, "--format": format, "--json": json, "--columns": columns}
        _draw(run, out, figure, output, others)
        return
    if preset is not None:
        others = {"--format": format, "--json": json, "--wide": wide, "--explain": explain}
        _check_preset(preset, others)
        found = read_run(find_run(run, out))
        log_left_out(found)
        _print_paper(found, two_column, columns)
        return
    if two_column:
        raise RequestError("--two-column is for papers. Give --preset paper as well")
    chosen = chosen_format(format, json)
    view = table_view(chosen, columns, wide, explain)
    found = read_run(find_run(run, out))
    log_left_out(found)
    report = report_of(found)
    if chosen == "json":
        printed = printed_figures(report.lines)
        records = {name: record.model_dump(mode="json") for name, record in found.records.items()}
        extra = {name: {"printed": printed[name]} for name in records.keys() & printed}
        print_json([record | extra.get(name, {}) for name, record in records.items()])
    else:
        print_report(report, chosen, view)


def _draw(
    name: str, out: str, figure: str | None, output: Path | None, others: Mapping[str, object]
) -> None:
    from attnbench.records.store import find_run, read_run
    from attnbench.reports.figures.figure_files import check_suffix, save
    from attnbench.reports.run_report import draw_run

    if figure is None:
        raise RequestError("-o is for figures. Give --figure NAME as well, for example curves")
    if output is None:
        raise RequestError(f"--figure needs a file: got {figure} without one. Give -o FILE.pdf")
    given = next((option for option, value in others.items() if value), None)
    if given:
        raise RequestError(f"--figure draws: got {given} as well. Omit one of them")
    check_suffix(output)
    found = read_run(find_run(name, out))
    log_left_out(found)
    log(f"wrote {save(draw_run(found, figure), output)}")


def _check_preset(preset: str, others: Mapping[str, object]) -> None:
    if preset != "paper":
        raise unknown("--preset", preset, ("paper",))
    given = next(
        (option for option, value in others.items() if value not in (None, False, "tex")), None
    )
    if given:
        raise RequestError(f"--preset paper is LaTeX: got {given} as well. Omit one of them")


def _print_paper(run: Run, two_column: bool, columns: str | None) -> None:
    from attnbench.reports.paper.build_paper import build_paper
    from attnbench.reports.paper.latex import to_latex
    from attnbench.reports.run_report import planned_of

    keys = table_view("text", columns, wide=False).columns
    suite, tables, records = planned_of(run)
    built = build_paper(suite, tables, records, two_column=two_column, columns=keys)
    write(to_latex(built, suite.suite.name, two_column=two_column))
