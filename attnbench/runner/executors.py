"""Executors of trainings: this machine or a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence

from attnbench.errors import RequestError
from attnbench.runner.worker_main import ARGUMENTS
from attnbench.workers.pool import Pool, WorkerPool
from attnbench.workers.process import Worker

EXECUTORS = ("local", "ray")


def check_executor(name: str) -> None:
    """Raise :class:`RequestError` unless the name is ``local`` or ``ray``."""
    if name not in EXECUTORS:
        raise RequestError(f"--executor {name!r} is neither {' nor '.join(EXECUTORS)}")


def pool_of(name: str, worker: Worker, plugins: Sequence[str]) -> Pool:
    """Return the pool of an executor's name.

    Raises:
        RequestError: the name is neither ``local`` nor ``ray``.
        MissingExtraError: Ray is not installed.
    """
    check_executor(name)
    if name == "local":
        return WorkerPool(worker)
    from attnbench.workers.ray_pool import RayPool

    return RayPool(ARGUMENTS, plugins)
