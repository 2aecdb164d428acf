"""Workers of a run, and the main function of their process.

Started as ``python -m attnbench.runner.worker_main [PLUGIN ...]``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from attnbench.errors import unknown
from attnbench.workers.pool import Pool, WorkerPool
from attnbench.workers.process import Worker, module_arguments
from attnbench.workers.serve import TaskHandler, serve

MODULE = "attnbench.runner.worker_main"
"""Module that a worker runs; plugin files follow."""
EXECUTORS = ("local", "ray")
"""Executors of trainings: this machine, or a Ray cluster."""


def new_worker(plugins: Sequence[str] = ()) -> Worker:
    """Return a local worker, not yet started, that loads these plugin files."""
    return Worker([*module_arguments(MODULE), *plugins])


def check_executor(name: str) -> None:
    """Raise :class:`RequestError` unless the name is ``local`` or ``ray``."""
    if name not in EXECUTORS:
        raise unknown("--executor", name, EXECUTORS)


def new_pool(executor: str, worker: Worker, plugins: Sequence[str]) -> Pool:
    """Return the pool for trainings: workers like ``worker`` on this machine, or a Ray cluster.

    Raises:
        RequestError: the executor is neither ``local`` nor ``ray``.
        MissingExtraError: Ray is not installed.
    """
    check_executor(executor)
    if executor == "local":
        return WorkerPool(worker)
    from attnbench.workers.ray_pool import RayPool

    return RayPool(module_arguments(MODULE), plugins)


def main(plugins: Sequence[str]) -> None:
    """Serve tasks until standard input ends; load the files ``plugins`` first."""

    def make_tasks(report: Callable[[str], None]) -> TaskHandler:
        # imported late: output of imports and plugins must not reach the stream of answers
        from attnbench.registry.plugins import catalog
        from attnbench.runner.worker_tasks import Measurers, WorkerTasks

        for path in plugins:
            catalog().load_file(path)
        return WorkerTasks(Measurers(catalog()), report)

    serve(make_tasks)


if __name__ == "__main__":
    main(sys.argv[1:])
