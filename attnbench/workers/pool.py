"""Pools of worker processes: on the cores and GPUs of this machine, or elsewhere."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Protocol, Self, TypeVar

from attnbench.timing.isolation import allowed_cores
from attnbench.workers.answers import Answer
from attnbench.workers.process import Limits, Task, Worker, run_task, share_memory

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
SIGNAL_S = 0.3
"""Seconds within which Ctrl-C is noticed."""


class Pool(Protocol):
    """Executor of parallel tasks."""

    limits: Limits

    def run(
        self, tasks: Mapping[K, Task], on_progress: Callable[[K, str], object]
    ) -> Iterator[tuple[K, Answer, float]]:
        """Yield each task's key, its answer and its duration in seconds, as tasks end.

        An answer with ``lost`` is not from the task: its process died or was given up.

        Args:
            tasks: tasks by key, started in this order.
            on_progress: called with the key and the text of each progress report of a task.
        """
        ...


class WorkerPool:
    """Worker processes on this machine, each of which starts at its first task.

    A worker that dies is an error of its task, and is replaced by the next task. An interruption,
    an exception, or a result that is not awaited ends all processes at once.

    Args:
        like: template of the workers.
        environments: environment variables of each process; those of :func:`local_environments`
            by default.
    """

    def __init__(
        self, like: Worker, environments: Sequence[Mapping[str, str]] | None = None
    ) -> None:
        self.limits = Limits()
        self.interrupted = threading.Event()
        """Set before an interruption ends the processes."""
        self._workers = [
            like.copy(environment) for environment in environments or local_environments()
        ]
        self._free: queue.LifoQueue[Worker] = queue.LifoQueue()  # running workers come first
        for worker in reversed(self._workers):
            self._free.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the first worker without waiting for it."""
        self._workers[0].start()

    def stop(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.stop()

    def run(
        self, tasks: Mapping[K, Task], on_progress: Callable[[K, str], object]
    ) -> Iterator[tuple[K, Answer, float]]:
        """Yield key, answer and duration of each task as in :class:`Pool`; end all processes.

        Fewer processes run side by side where the memory would not suffice.
        """
        parallel, limits = share_memory(self.limits, min(len(self._workers), len(tasks)))
        try:
            yield from self.map(tasks, limits, on_progress=on_progress, parallel=parallel)
        finally:
            self.stop()

    def map(
        self,
        tasks: Mapping[K, Task],
        limits: Limits,
        *,
        on_start: Callable[[K], object] = id,
        on_progress: Callable[[K, str], object] = lambda key, text: None,
        parallel: int | None = None,
    ) -> Iterator[tuple[K, Answer, float]]:
        """Yield key, answer and duration of each task as in :class:`Pool`; keep all processes.

        ``limits`` are those of each process; ``on_start`` is called with the key of a task that
        starts; ``parallel`` processes run side by side, all by default.
        """

        def run(worker: Worker, key: K) -> tuple[K, Answer, float]:
            on_start(key)
            start = time.perf_counter()
            worker.limits = limits
            answer = run_task(worker, tasks[key], lambda text: on_progress(key, text))
            return key, answer, time.perf_counter() - start

        return self.each(run, tasks, parallel)

    def each(
        self, work: Callable[[Worker, T], R], items: Iterable[T], parallel: int | None = None
    ) -> Iterator[R]:
        """Yield the result of ``work(worker, item)`` for each item, as they end.

        Args:
            work: called in a thread with a worker that no other thread uses.
            items: items, started in this order.
            parallel: number of items at a time; by default one for each worker.
        """

        def run(item: T) -> R:
            worker = self._free.get()
            try:
                return work(worker, item)
            finally:
                self._free.put(worker)

        self.interrupted.clear()
        threads = ThreadPoolExecutor(max_workers=parallel or len(self._workers))
        pending: set[Future[R]] = set()
        try:
            for item in items:
                pending.add(threads.submit(run, item))
            while pending:
                # with a timeout: a signal just before an unlimited wait would be missed
                ended, pending = wait(pending, SIGNAL_S, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield future.result()
        except BaseException:
            self._interrupt(pending)
            raise
        finally:
            threads.shutdown()

    def _interrupt(self, pending: Iterable[Future[R]]) -> None:
        self.interrupted.set()
        running = [future for future in pending if not future.cancel()]
        self.stop()
        while wait(running, SIGNAL_S).not_done:
            self.stop()  # again: a thread may have been restarting its worker


def local_environments() -> list[dict[str, str]]:
    """Return the environment variables of one process per GPU, or per allowed core.

    On cores, each process has one thread: more threads per training are slower than parallel
    trainings, and a thread count that depends on the load would not be reproducible.
    """
    gpus = local_gpus()
    if gpus:
        return [{_VISIBLE: name} for name in gpus]
    return [{"OMP_NUM_THREADS": "1"} for _ in allowed_cores()]


def local_gpus() -> list[str]:
    """Return the CUDA devices that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    With the variable set to ``2,3`` these are ``2`` and ``3``, and not ``0`` and ``1``; a name may
    also be a UUID, or a MIG instance, of which CUDA shows one to a process whatever is listed.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    given = os.environ.get(_VISIBLE)
    if given is None or not count:
        return [str(number) for number in range(count)]
    listed = [name.strip() for name in given.split(",")]
    instances = [name for name in listed if name.startswith("MIG-")]
    return instances or listed[:count]
