"""The worker process of a run, which counts, times, trains and checks cases.

Started as ``python -m attnbench.runner.worker_main [PLUGIN ...]``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from attnbench.workers.process import Worker
from attnbench.workers.serve import TaskHandler, serve

ARGUMENTS = ("-m", "attnbench.runner.worker_main")
"""Arguments of the Python interpreter; plugin files follow."""


def new_worker(plugins: Sequence[str] = ()) -> Worker:
    """Return a local worker, not yet started, that loads these plugin files."""
    return Worker([*ARGUMENTS, *plugins])


def main(plugins: Sequence[str]) -> None:
    """Serve tasks until standard input ends; load the files ``plugins`` first."""

    def make_tasks(report: Callable[[str], None]) -> TaskHandler:
        # imported late: output of imports and plugins must not reach the stream of answers
        from attnbench.registry.plugins import catalog
        from attnbench.runner.worker_tasks import WorkerTasks

        for path in plugins:
            catalog().load_file(path)
        return WorkerTasks(catalog(), report)

    serve(make_tasks)


if __name__ == "__main__":
    main(sys.argv[1:])
