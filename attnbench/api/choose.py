"""A choice from Python, as ``attnbench choose`` makes it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pandas import DataFrame

from attnbench.api.suite_run import RunTable
from attnbench.api.suites import StepLines, load_plugins, out_folder
from attnbench.choosing.answer import Answer, find_answer
from attnbench.choosing.known_accuracy import find_accuracy_runs
from attnbench.choosing.measurement import RunFolder, folder_name
from attnbench.choosing.report import report_of
from attnbench.choosing.request import ChooseRequest, parse_limit
from attnbench.registry.plugins import catalog
from attnbench.runner.worker_main import new_worker
from attnbench.runner.worker_tasks import Measurers
from attnbench.suites.case import Conditions


class ModuleChoice:
    """The answer of a choice.

    Attributes:
        rows: the answers in order, each with the keys of the command's JSON.
        answer: the first of them, None if nothing meets the budget.
        document: the whole JSON document of the command.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.document = answer.to_json()
        self.rows: list[Mapping[str, object]] = self.document["rows"]
        self.answer: Mapping[str, object] | None = self.document["answer"]

    def to_frame(self) -> DataFrame:
        """Return a pandas frame with a row for each answer."""
        return DataFrame([dict(line) for line in report_of(self._answer).lines])

    def table(self) -> RunTable:
        """Return the table of the command."""
        return RunTable(report_of(self._answer))

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def choose(
    backbone: str,
    *,
    max_overhead: str,
    runtime: str = "eager",
    max_params: str | None = None,
    max_macs: str | None = None,
    max_peak: str | None = None,
    modules: Sequence[str] = ("@all",),
    places: Sequence[str] = (),
    size: tuple[int, int] = (224, 224),
    budget_s: float = 600.0,
    known: Sequence[str] | None = None,
    out: str | Path | None = None,
    plugins: Sequence[str | Path] = (),
    report: Callable[[str], object] | None = None,
    **conditions: Any,
) -> ModuleChoice:
    """Choose a module and its places under a budget, as ``attnbench choose`` does.

    Args:
        backbone: spec of the network.
        max_overhead: share of the latency that a module may add: ``"5%"``.
        runtime: name of a runtime, see ``attnbench list runtimes``.
        max_params: parameters that it may add: ``"2%"`` or ``"20k"``.
        max_macs: multiply-adds that it may add.
        max_peak: bytes of peak memory that it may add.
        modules: specs, ``"@all"`` or ``"@family:channel"``.
        places: kinds of places or placements; all kinds by default.
        size: height and width of the image.
        budget_s: wall time in seconds.
        known: runs with accuracies, for the order; by default those of the project's baseline.
        out: folder of runs; by default the project's.
        plugins: plugin files that are not installed, in addition to the project's.
        report: called with a line about each step, such as ``print``.
        conditions: ``batch``, ``precision``, ``device`` and ``threads``.

    Raises:
        RequestError: an argument is wrong, or the network cannot be timed.
    """
    given = {"params": max_params, "macs": max_macs, "peak": max_peak}
    request = ChooseRequest(
        backbone,
        Conditions(runtime, **conditions),
        parse_limit("max_overhead", max_overhead, share=True),
        {key: parse_limit(f"max_{key}", text) for key, text in given.items() if text},
        tuple(modules),
        tuple(places),
        size,
        budget_s,
    )
    files, measurers = load_plugins(plugins), Measurers(catalog())
    folder = out_folder(out)
    runs = find_accuracy_runs(known, folder)
    with new_worker(files) as worker:
        place = folder / folder_name(request)
        measure = RunFolder(request, place, measurers, worker, StepLines(report))
        answer = find_answer(request, measurers, measure, runs)
        measure.finish()
    return ModuleChoice(answer)
