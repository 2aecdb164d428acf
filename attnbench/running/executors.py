"""Where trainings run: on this machine, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence

from attnbench.errors import RequestError
from attnbench.running.pool import LocalPool, Pool
from attnbench.running.process import Worker

EXECUTORS = ("local", "ray")


def pool_of(name: str, worker: Worker, plugins: Sequence[str]) -> Pool:
    """Return the pool of an executor's name.

    Raises:
        RequestError: it is neither ``local`` nor ``ray``.
        MissingExtraError: Ray is not installed.
    """
    if name == "local":
        return LocalPool(worker)
    if name != "ray":
        raise RequestError(f"--executor {name!r} is neither local nor ray")
    from attnbench.running.ray_pool import RayPool

    return RayPool(plugins)
