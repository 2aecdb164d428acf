"""``attnbench choose``: which module, where, under a budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.latency import Batch, Device, Precision, Threads
from attnbench.cli.options import (
    Columns,
    Explain,
    Format,
    Json,
    Out,
    Plugins,
    Wide,
    chosen_format,
    parse_duration,
    parse_size,
    table_view,
)
from attnbench.cli.output import (
    command_to_go_on,
    load_catalog,
    log,
    print_json,
    print_report,
    stdout_to_stderr,
)
from attnbench.cli.request_grid import Size
from attnbench.utils.text import shown_path

if TYPE_CHECKING:
    from attnbench.choosing.answer import Answer
    from attnbench.choosing.request import ChooseRequest

EXAMPLES = (
    "attnbench choose -b mobilenet_v2 --runtime onnxruntime --max-overhead 5%",
    "attnbench choose -b mobilenet_v2 --max-overhead 3% --modules se,eca",
)


Backbone = Annotated[str, typer.Option("-b", "--backbone", metavar="SPEC", help="NAME,key=value.")]
MaxOverhead = Annotated[
    str, typer.Option("--max-overhead", metavar="PERCENT", help="Of the latency: 5%.")
]
MaxParams = Annotated[
    str | None, typer.Option("--max-params", metavar="LIMIT", help="Added: 2%, or 20k.")
]
MaxMacs = Annotated[
    str | None, typer.Option("--max-macs", metavar="LIMIT", help="Added: 2%, or 1.5M.")
]
MaxPeak = Annotated[
    str | None,
    typer.Option("--max-peak", metavar="LIMIT", help="Added peak memory: 10%, or 1M bytes."),
]
Selected = Annotated[
    list[str] | None,
    typer.Option(
        "--modules",
        metavar="SPEC",
        help="@all, @family:NAME, or a spec; repeats.",
        show_default="@all",
    ),
]
Places = Annotated[
    list[str] | None,
    typer.Option(
        "--places",
        metavar="KIND",
        help="single, last, stages, all, official, replace-se, or a placement; repeats.",
        show_default="all kinds",
    ),
]
Runtime = Annotated[
    str, typer.Option("--runtime", metavar="NAME", help="See: attnbench list runtimes.")
]
WallTime = Annotated[str, typer.Option("--budget", metavar="TIME", help="Wall time: 90s, 10m, 1h.")]
Known = Annotated[
    list[str] | None,
    typer.Option(
        "--known",
        metavar="RUN",
        help="Run with accuracies, for the order; repeats.",
        show_default="the project's baseline",
    ),
]
FigureFile = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Figure: a .png, .pdf or .svg file."),
]


def command(
    backbone: Backbone,
    max_overhead: MaxOverhead,
    max_params: MaxParams = None,
    max_macs: MaxMacs = None,
    max_peak: MaxPeak = None,
    modules: Selected = None,
    places: Places = None,
    runtime: Runtime = "eager",
    device: Device = "cpu",
    precision: Precision = "fp32",
    batch: Batch = 1,
    threads: Threads = 1,
    size: Size = None,
    budget: WallTime = "10m",
    known: Known = None,
    output: FigureFile = None,
    plugin: Plugins = None,
    columns: Columns = None,
    wide: Wide = False,
    explain: Explain = False,
    format: Format = None,
    json: Json = False,
    *,
    out: Out,
) -> None:
    """Choose a module and its places under a budget.

    Costs are exact, overheads predicted from sections; answers are timed as whole networks.
    """
    from attnbench.choosing.request import ChooseRequest, parse_limit
    from attnbench.suites.case import Conditions

    chosen = chosen_format(format, json)
    view = table_view(chosen, columns, wide, explain)
    given = {"params": max_params, "macs": max_macs, "peak": max_peak}
    request = ChooseRequest(
        backbone,
        Conditions(runtime, batch, precision, device, threads),
        parse_limit("--max-overhead", max_overhead, share=True),
        {key: parse_limit(f"--max-{key}", text) for key, text in given.items() if text},
        _each(modules) or ("@all",),
        _each(places),
        parse_size(size or "224"),
        parse_duration("--budget", budget),
    )
    answer = _answer(request, plugin or [], known, Path(out))
    if output is not None:
        _draw(answer, output)
    if chosen == "json":
        print_json(answer.to_json())
    else:
        from attnbench.choosing.report import report_of

        print_report(report_of(answer), chosen, view)
    if not answer.rows:
        raise typer.Exit(1)


def _draw(answer: Answer, path: Path) -> None:
    from attnbench.choosing.figure import draw_answer
    from attnbench.reports.figures.figure_files import save

    log(f"wrote {save(draw_answer(answer), path)}")


def _each(texts: list[str] | None) -> tuple[str, ...]:
    """Return the texts; several names in one, without options, are separated by commas."""
    found: list[str] = []
    for text in texts or []:
        found += [text] if any(mark in text for mark in "=:") else text.split(",")
    return tuple(filter(None, (text.strip() for text in found)))


def _answer(
    request: ChooseRequest, plugins: list[str], known: list[str] | None, out: Path
) -> Answer:
    from attnbench.choosing.answer import find_answer
    from attnbench.choosing.known_accuracy import find_accuracy_runs
    from attnbench.choosing.measurement import RunFolder, folder_name
    from attnbench.cli.progress import progress
    from attnbench.runner.worker_main import new_worker
    from attnbench.runner.worker_tasks import Measurers

    measurers = Measurers(load_catalog(plugins))
    runs = find_accuracy_runs(known, out)
    folder = out / folder_name(request)
    try:
        with new_worker(plugins) as worker, stdout_to_stderr():
            measure = RunFolder(request, folder, measurers, worker, progress())
            answer = find_answer(request, measurers, measure, runs)
            measure.finish()
            return answer
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"(what is measured is kept in {shown_path(folder)}, and {command_to_go_on()} goes on)"
        ) from None
