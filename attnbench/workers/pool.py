"""Parallel execution of long tasks: on the cores and GPUs of this machine, or elsewhere."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Protocol, TypeVar

from attnbench.timing.isolation import allowed_cores
from attnbench.workers.process import Limits, Worker, WorkerError

K = TypeVar("K")
Task = Mapping[str, Any]
Answer = dict[str, Any]


class Pool(Protocol):
    """Executor of parallel tasks."""

    limits: Limits

    def run(
        self, tasks: Mapping[K, Task], tell: Callable[[K, str], None]
    ) -> Iterator[tuple[K, Answer, float]]:
        """Yield each task's key, its answer and its duration in seconds, as tasks end.

        An answer with ``lost`` is not from the task: its process died or was given up.

        Args:
            tasks: tasks by key, started in this order.
            tell: progress callback, called with the key and text of each report of a task.
        """
        ...


class LocalPool:
    """Worker processes on this machine: one for each GPU, or for each core it may use.

    Args:
        like: template of the workers.
        places: environment variables of each process; those of :func:`local_places` by default.
    """

    def __init__(self, like: Worker, places: Sequence[Mapping[str, str]] | None = None) -> None:
        self.limits = Limits()
        self._like = like
        self._places = local_places() if places is None else places

    def run(
        self, tasks: Mapping[K, Task], tell: Callable[[K, str], None]
    ) -> Iterator[tuple[K, Answer, float]]:
        """Yield key, answer and duration of each task, in the order in which they end."""
        workers = [self._like.twin(place) for place in self._places[: len(tasks)]]
        free: queue.Queue[Worker] = queue.Queue()
        for worker in workers:
            free.put(worker)
        memory = self.limits.memory() // len(workers)

        def run_task(key: K) -> tuple[K, Answer, float]:
            worker = free.get()
            start = time.perf_counter()
            try:
                worker.limits = Limits(self.limits.seconds, memory)
                answer = worker.ask(tasks[key], lambda text: tell(key, text))
            except WorkerError as failure:
                answer = {"error": str(failure), "lost": True}
            finally:
                free.put(worker)
            return key, answer, time.perf_counter() - start

        threads = ThreadPoolExecutor(max_workers=len(workers))
        try:
            waiting = [threads.submit(run_task, key) for key in tasks]
            for done in as_completed(waiting):
                yield done.result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.stop()


def local_places() -> list[dict[str, str]]:
    """Return the environment variables of one process per GPU, or per allowed core.

    On cores, each process has one thread: more threads per training are slower than parallel
    trainings, and a thread count that depends on the load would not be reproducible.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus:
        return [{"CUDA_VISIBLE_DEVICES": str(number)} for number in range(gpus)]
    return [{"OMP_NUM_THREADS": "1"} for _ in allowed_cores()]
