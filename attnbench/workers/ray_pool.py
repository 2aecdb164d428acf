"""Executor of trainings on the nodes of a Ray cluster.

attnbench must be installed on every node, with the same versions. Plugin files, plugin folders and
recipes are sent to the nodes. All other files that a case names by path (a folder of images,
initial weights, ``my.py:MyAttention``) and the data sets are read on the node of the training, and
kept weights are written there: such paths must be on a disk that all nodes share.

Ray restarts a training, up to three times, when its node dies; finished results are on disk.
https://docs.ray.io/en/latest/ray-core/fault_tolerance/tasks.html
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from attnbench.errors import MissingExtraError, RequestError
from attnbench.registry.plugin_files import plugin_sources
from attnbench.utils.scratch import scratch_folder
from attnbench.utils.text import describe
from attnbench.workers.answers import Answer
from attnbench.workers.process import Limits, Task, Worker, run_task

K = TypeVar("K")
RETRIES = 3
"""Maximum number of restarts of a training whose node died."""


class RayPool:
    """Executor that runs each task as a Ray task on one core, and one GPU if the cluster has any.

    On its node a task gets a worker process of its own, with one thread, as on this machine.
    ``limits`` apply there; a memory limit holds per training, not per node.

    Args:
        arguments: arguments of the node's interpreter that start a worker; plugins follow them.
        plugins: plugin files and folders, read here and loaded on the node.
        address: cluster address; ``local`` starts one here. By default ``$RAY_ADDRESS``, else the
            cluster that ``ray start`` left on this machine, else ``local``.

    Raises:
        MissingExtraError: Ray is not installed.
        RequestError: a plugin cannot be read.
    """

    def __init__(
        self, arguments: Sequence[str], plugins: Sequence[str] = (), address: str | None = None
    ) -> None:
        try:
            import ray
        except ImportError:
            raise MissingExtraError(
                "--executor ray needs Ray: not installed. Run: pip install 'attnbench[ray]'"
            ) from None
        self.limits = Limits()
        self._ray: Any = ray
        self._plugins = tuple(_Sent.read(plugin) for plugin in plugins)
        self._address = address
        self._arguments = tuple(arguments)

    def run(
        self, tasks: Mapping[K, Task], on_progress: Callable[[K, str], object]
    ) -> Iterator[tuple[K, Answer, float]]:
        """Yield key, answer and duration of each task, in the order in which they end.

        Raises:
            RequestError: no cluster responds, or a recipe cannot be read.
        """
        remote_tasks = [self._remote_task(n, task) for n, task in enumerate(tasks.values())]
        with self._connected():
            yield from self._streamed(list(tasks), remote_tasks, on_progress)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        ray = self._ray
        if ray.is_initialized():  # initialized by the caller, which also shuts it down
            yield
            return
        try:
            ray.init(
                self._address, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
            )
        except (ConnectionError, ValueError) as error:
            where = self._address or os.environ.get("RAY_ADDRESS") or "of `ray start`"
            raise RequestError(
                f"Ray cluster {where} cannot be reached: {describe(error)}. Start one with `ray "
                "start --head`, or unset RAY_ADDRESS and run `ray stop` to have one started here."
            ) from error
        try:
            yield
        finally:
            ray.shutdown()  # stops a cluster started here, and disconnects from an existing one

    def _streamed(
        self,
        keys: Sequence[K],
        tasks: Sequence[_RemoteTask],
        on_progress: Callable[[K, str], object],
    ) -> Iterator[tuple[K, Answer, float]]:
        ray = self._ray
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(_do)
        progress = ray.remote(num_cpus=0, max_restarts=-1)(_ProgressActor).remote()
        waiting = {remote.remote(task, progress): task.number for task in tasks}
        try:
            while waiting:
                ended, _ = ray.wait(list(waiting), timeout=0.5)
                for number, text in self._reports(progress).items():
                    on_progress(keys[number], text)
                for reference in ended:
                    yield keys[waiting.pop(reference)], *self._answer(reference)
        finally:
            for reference in waiting:
                with suppress(Exception):  # it may have ended meanwhile
                    ray.cancel(reference, force=True)
            with suppress(Exception):
                ray.kill(progress)

    def _reports(self, progress: Any) -> dict[int, str]:
        try:
            return dict(self._ray.get(progress.take.remote(), timeout=5.0))
        except self._ray.exceptions.RayError:  # the actor is starting or restarting
            return {}

    def _answer(self, reference: Any) -> tuple[Answer, float]:
        errors = self._ray.exceptions
        try:
            answer, seconds = self._ray.get(reference)
        except errors.RayTaskError as error:
            reason = f"the node could not begin it: {describe(error.cause)}"
        except errors.RayError as error:
            reason = f"given up by Ray after {RETRIES} retries: {describe(error)}"
        else:
            return answer, seconds
        return {"error": reason, "lost": True}, 0.0

    def _remote_task(self, number: int, task: Task) -> _RemoteTask:
        recipe = str((task.get("case", {}).get("training") or {}).get("recipe", ""))
        sent = _Sent.read(recipe) if recipe.endswith(".toml") or "/" in recipe else None
        return _RemoteTask(
            number, dict(task), self._plugins, sent, self.limits, self._arguments, str(Path.cwd())
        )


@dataclass(frozen=True)
class _Sent:
    """File, or folder of a package, transferred by content."""

    name: str
    """Name of the file; empty for a folder."""
    files: Mapping[str, bytes]
    """Relative path to content of each file."""

    @classmethod
    def read(cls, path: str) -> _Sent:
        full = Path(path).expanduser()
        contents = {}
        for name, source in plugin_sources(full).items():
            try:
                contents[name] = source.read_bytes()
            except OSError as error:
                why = error.strerror
                raise RequestError(f"file {str(source)!r} cannot be read: {why}") from error
        return cls("" if full.is_dir() else full.name, contents)

    def write(self, folder: Path) -> str:
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return str(folder / self.name)


@dataclass(frozen=True)
class _RemoteTask:
    """Task with all files and settings that it needs on its node."""

    number: int
    task: dict[str, Any]
    plugins: tuple[_Sent, ...]
    recipe: _Sent | None
    limits: Limits
    arguments: Sequence[str]
    cwd: str
    """Working directory of the driver, for relative paths on a shared disk."""

    def local(self, folder: Path) -> dict[str, Any]:
        task = {**self.task, "folder": _seen(self.task.get("folder"))}
        if self.recipe is not None:
            recipe = self.recipe.write(folder / "recipe")
            training = {**task["case"]["training"], "recipe": recipe}
            task["case"] = {**task["case"], "training": training}
        return task


class _ProgressActor:
    """Ray actor that stores the last progress report of each task until it is fetched."""

    def __init__(self) -> None:
        self._last: dict[int, str] = {}

    def put(self, number: int, text: str) -> None:
        self._last[number] = text

    def take(self) -> dict[int, str]:
        found, self._last = self._last, {}
        return found


def _do(remote_task: _RemoteTask, progress: Any) -> tuple[Answer, float]:
    """Run a task on a node; return its answer and its duration in seconds."""
    start = time.perf_counter()
    with suppress(OSError):
        os.chdir(remote_task.cwd)
    with scratch_folder() as folder:
        plugins = [plugin.write(folder / str(n)) for n, plugin in enumerate(remote_task.plugins)]
        arguments = [*remote_task.arguments, *plugins]
        # set explicitly: Ray keeps a value that the node already has
        with Worker(arguments, remote_task.limits, {"OMP_NUM_THREADS": "1"}) as worker:
            answer = run_task(
                worker,
                remote_task.local(folder),
                lambda text: progress.put.remote(remote_task.number, text),
            )
    return answer, time.perf_counter() - start


def _seen(folder: str | None) -> str | None:
    """Return the driver's checkpoint folder if the folder of the run exists on this node too.

    Otherwise there are no checkpoints: a training that is restarted on another node could not read
    the checkpoints of a dead node.
    """
    return folder if folder is not None and Path(folder).parent.parent.is_dir() else None
