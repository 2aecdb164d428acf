"""Trainings on the nodes of a Ray cluster: https://docs.ray.io/en/latest/ray-core/tasks.html

attnbench must be installed on every node, with the same versions; plugin files are sent along. Data
sets are read where the training runs. Ray starts a training again, up to three times, when its node
dies; what other nodes have finished is already on disk.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from attnbench.errors import MissingExtraError
from attnbench.running.pool import Answer, Task
from attnbench.running.process import Limits

K = TypeVar("K")
RETRIES = 3
"""Of a training whose node died."""
_FILES = tuple[str, bytes]
Do = Callable[[Task, Sequence[_FILES]], Answer]


class RayPool:
    """Runs each task as a Ray task on one core, and one GPU where the cluster has some.

    ``limits.seconds`` is not watched: Ray tells a dead node by itself, and a training that hangs
    is ended with the command.

    Args:
        plugins: plugin files, read here and loaded there.
        do: does a task; the tests give others.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, plugins: Sequence[str] = (), do: Do | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise MissingExtraError(
                "--executor ray needs Ray; install it with: pip install 'attnbench[ray]'"
            ) from None
        self.limits = Limits()
        self._ray = ray
        self._files = [(Path(one).name, Path(one).read_bytes()) for one in plugins]
        self._do = do or do_task

    def run(
        self, tasks: Mapping[K, Task], tell: Callable[[K, str], object]
    ) -> Iterator[tuple[K, Answer, float]]:
        """Yield what became of each task, in the order in which they end.

        A cluster that is up (``RAY_ADDRESS``) is used; otherwise one is started on this machine and
        shut down at the end.
        """
        ray = self._ray
        ours = not ray.is_initialized()
        if ours:
            ray.init(include_dashboard=False, log_to_driver=False)
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(_timed)
        waiting = {
            remote.remote(self._do, dict(task), self._files): key for key, task in tasks.items()
        }
        try:
            while waiting:
                (done,), _ = ray.wait(list(waiting), num_returns=1)
                key = waiting.pop(done)
                yield key, *self._answer(done)
        finally:
            for reference in waiting:
                with suppress(Exception):  # it may have ended meanwhile
                    ray.cancel(reference, force=True)
            if ours:
                ray.shutdown()

    def _answer(self, reference: Any) -> tuple[Answer, float]:
        try:
            answer, seconds = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[0]
            return {"error": f"Ray gave it up after {RETRIES} retries: {reason}"}, 0.0
        return answer, seconds


def do_task(task: Task, files: Sequence[_FILES]) -> Answer:
    """Do a task in this process as a worker does: ``{"ok": ...}`` or ``{"error": ...}``.

    The checkpoint folder of the driver is used where it is seen here too.
    """
    from attnbench.plugins import catalog
    from attnbench.running.tasks import Tasks
    from attnbench.running.worker import answer_of

    found = catalog()
    with tempfile.TemporaryDirectory(prefix="attnbench-") as folder:
        for name, content in files:
            path = Path(folder) / name
            path.write_bytes(content)
            found.load_file(str(path))
        return answer_of(Tasks(found), {**task, "folder": _seen(task.get("folder"))})


def _timed(do: Do, task: Task, files: Sequence[_FILES]) -> tuple[Answer, float]:
    start = time.perf_counter()
    return do(task, files), time.perf_counter() - start


def _seen(folder: str | None) -> str | None:
    """A folder of the driver, if it is one of this machine or shared with it."""
    if folder is None or not Path(folder).parent.parent.is_dir():
        return None
    return folder
