"""Tasks of a worker process: count, prove a latency case, time a session, train, check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attnbench.measure.cost import CostMeter
from attnbench.registry.plugins import Catalog
from attnbench.suites.case import case_from_json


class WorkerTasks:
    """The tasks of one worker, with shared state that is built once.

    Args:
        catalog: catalog for the lookup of modules.
        tell: progress callback of long tasks, which also serves as a heartbeat.
    """

    def __init__(self, catalog: Catalog, tell: Callable[[str], object] = str) -> None:
        self._catalog = catalog
        self._cost = CostMeter(catalog)
        self._tell = tell
        self._latency: Any = None
        self._accuracy: Any = None
        self._examined: Any = None

    def do(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a task: ``{"do": "cost" | "prove" | ..., ...}``.

        Raises:
            AttnbenchError: the case is invalid or cannot be measured.
        """
        match task["do"]:
            case "cost":
                return self._cost.measure(case_from_json(task["case"])).to_dict()
            case "prove":
                proof = self._meter().prove(case_from_json(task["case"]), Path(task["folder"]))
                return dict(proof.to_dict())
            case "sample":
                cases = [case_from_json(content) for content in task["cases"]]
                return dict(self._meter().sample(cases, Path(task["folder"]), task["sampling"]))
            case "train":
                case, folder = case_from_json(task["case"]), task.get("folder")
                where = Path(folder) if folder else None
                save = Path(task["save"]) if task.get("save") else None
                return dict(self._trainer().measure(case, where, self._tell, save))
            case "check":
                return dict(self._examiner().check(task["module"], task["check"]))
            case unknown:
                raise ValueError(f"unknown task {unknown!r}")

    def _meter(self) -> Any:
        if self._latency is None:
            from attnbench.measure.latency import LatencyMeter  # scipy and the runtimes

            self._latency = LatencyMeter(self._cost)
        return self._latency

    def _trainer(self) -> Any:
        if self._accuracy is None:
            from attnbench.measure.accuracy import AccuracyMeter  # data sets and recipes

            self._accuracy = AccuracyMeter(self._cost)
        return self._accuracy

    def _examiner(self) -> Any:
        if self._examined is None:
            from attnbench.conformance.examine import CheckTask  # the checks

            self._examined = CheckTask(self._catalog, self._tell)
        return self._examined
