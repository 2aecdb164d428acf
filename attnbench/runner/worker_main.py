"""The worker process of a run: counts, times, trains and checks cases.

Started as ``python -m attnbench.runner.worker_main [PLUGIN ...]``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from attnbench.workers.process import Worker
from attnbench.workers.serve import TaskHandler, serve

ARGUMENTS = ("-m", "attnbench.runner.worker_main")
"""Of the interpreter; plugin files follow."""


def new_worker(plugins: Sequence[str] = ()) -> Worker:
    """Return a worker of this machine, not started yet, that loads these plugin files."""
    return Worker([*ARGUMENTS, *plugins])


def main(plugins: Sequence[str]) -> None:
    """Serve until standard input ends; ``plugins`` are files to load first."""

    def make_tasks(report: Callable[[str], None]) -> TaskHandler:
        # only now: what these import and plugins print must not reach the answers' stream
        from attnbench.registry.plugins import catalog
        from attnbench.runner.worker_tasks import WorkerTasks

        for path in plugins:
            catalog().load_file(path)
        return WorkerTasks(catalog(), report)

    serve(make_tasks)


if __name__ == "__main__":
    main(sys.argv[1:])
