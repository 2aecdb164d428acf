"""Measurers of all kinds of cases, and the tasks of a worker process that use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.errors import MissingExtraError
from attnbench.measure.cost import CostMeter
from attnbench.registry.plugins import Catalog
from attnbench.suites.case import Case, case_from_json
from attnbench.utils.process_settings import preserve_settings, setting_notes

if TYPE_CHECKING:
    from attnbench.conformance.examine import CheckTask
    from attnbench.measure.accuracy import AccuracyMeter
    from attnbench.measure.export import ExportMeter
    from attnbench.measure.latency import LatencyMeter


class Measurers:
    """The measurers of all kinds, which share the surveys of backbones.

    Args:
        catalog: catalog for the lookup of modules.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.cost = CostMeter(catalog)
        self.export: ExportMeter | None = None
        """The meter of export cases; set by the command that knows their folder."""

    @cached_property
    def latency(self) -> LatencyMeter:
        """The meter of latency cases."""
        from attnbench.measure.latency import LatencyMeter  # scipy and the runtimes

        return LatencyMeter(self.cost)

    @cached_property
    def accuracy(self) -> AccuracyMeter:
        """The meter of accuracy cases."""
        from attnbench.measure.accuracy import AccuracyMeter  # data sets and recipes

        return AccuracyMeter(self.cost)

    def of(self, case: Case) -> Any:
        """Return the meter for the kind of a case."""
        return getattr(self, case.kind)

    def try_module(self, case: Case) -> None:
        """Run the module of a case once at each of its places, in this process.

        Raises:
            RequestError: it fails there, or does not return one tensor of the map's shape.
        """
        attention = case.resolve(self.catalog).attention
        if attention is not None:
            attention.try_at(sorted(self.of(case).places(case)))

    @staticmethod
    def require_gpu() -> None:
        """Raise :class:`MissingExtraError` on a machine without a GPU."""
        import torch

        if not torch.cuda.is_available():
            raise MissingExtraError(
                "these trainings need a GPU, and this machine has none: on a processor they take "
                "weeks. Remove `gpu = true` from a copy of the suite to train them nevertheless"
            )


class WorkerTasks:
    """The tasks of one worker, with shared state that is built once.

    Args:
        measurers: measurers of the cases.
        report: progress callback of long tasks, which also serves as a heartbeat.
    """

    def __init__(self, measurers: Measurers, report: Callable[[str], object] = str) -> None:
        self._measurers = measurers
        self._report = report

    def do(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of a task: ``{"do": "cost" | "validate" | ..., ...}``.

        The settings of the process are afterwards as before, whatever the case has changed.

        Raises:
            AttnbenchError: the case is invalid or cannot be measured.
        """
        with preserve_settings():
            return self._result(task)

    def notes(self, task: Mapping[str, Any]) -> list[str]:
        """Return the settings that plugins and the module of a task's case have changed."""
        return setting_notes(task["case"]["module"]) if "case" in task else []

    def _result(self, task: Mapping[str, Any]) -> dict[str, Any]:
        measurers = self._measurers
        match task["do"]:
            case "cost":
                return measurers.cost.measure(self._case(task))
            case "validate":
                return measurers.latency.validate(self._case(task), Path(task["folder"]))
            case "export" if measurers.export is not None:
                return measurers.export.measure(self._case(task))
            case "sample":
                cases = [self._resolved(content) for content in task["cases"]]
                return measurers.latency.sample(
                    cases, Path(task["folder"]), task["sampling"], self._report
                )
            case "train":
                folder, save = (Path(task[key]) if task.get(key) else None for key in _FOLDERS)
                return measurers.accuracy.measure(self._case(task), folder, self._report, save)
            case "check":
                return dict(self._checks.check(task["module"], task["check"]))
            case unknown:
                raise ValueError(f"unknown task {unknown!r}")

    def _case(self, task: Mapping[str, Any]) -> Case:
        return self._resolved(task["case"])

    def _resolved(self, content: dict[str, Any]) -> Case:
        return case_from_json(content).resolve(self._measurers.catalog)

    @cached_property
    def _checks(self) -> CheckTask:
        from attnbench.conformance.examine import CheckTask  # the checks

        return CheckTask(self._measurers.catalog, self._report)


_FOLDERS = ("folder", "save")
