"""Processes that build and validate latency cases in parallel, without timing."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from attnbench.workers.process import Limits, Worker, WorkerError

K = TypeVar("K")
Task = Mapping[str, Any]


class ValidationPool:
    """Pool of workers, each of which starts at its first task.

    Args:
        like: template of the workers.
        count: number of parallel workers.
    """

    def __init__(self, like: Worker, count: int) -> None:
        self.limits = Limits()
        self._workers = [like.twin() for _ in range(count)]
        self._free: queue.Queue[Worker] = queue.Queue()
        for worker in self._workers:
            self._free.put(worker)

    def ask(self, tasks: Mapping[K, Task], begin: Callable[[K], None]) -> dict[K, dict[str, Any]]:
        """Return the answer to each task; ``begin`` is called with its key when it starts."""

        def answer_task(key: K) -> dict[str, Any]:
            worker = self._free.get()
            try:
                begin(key)
                worker.limits = self.limits
                return answered(worker, tasks[key])
            finally:
                self._free.put(worker)

        pool = ThreadPoolExecutor(max_workers=len(self._workers))
        try:
            return dict(zip(tasks, pool.map(answer_task, tasks), strict=True))
        except BaseException:
            self.stop()  # unblocks all threads
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def stop(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.stop()


def answered(worker: Worker, task: Task) -> dict[str, Any]:
    """Return the answer of a worker; if the worker is lost, an answer with ``error``."""
    try:
        return worker.ask(task)
    except WorkerError as failure:
        return {"error": str(failure)}
