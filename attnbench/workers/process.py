"""Runner side of the worker process: start, requests, limits, restart."""

from __future__ import annotations

import contextlib
import json
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

import psutil

from attnbench.utils.crash_dump import SWITCH, place_of, without_dump
from attnbench.utils.git import child_environment
from attnbench.workers.answers import Answer, parse_answer, read_answers
from attnbench.workers.process_family import MARK, children_of, kill_family
from attnbench.workers.serve import TaskHandler

START_LIMIT_S = 300.0
"""Time limit for importing torch and the plugins; slow disks need minutes."""
_POLL_S = 0.25
_EXIT_S = 5.0
"""Seconds that a process may take to end after it has closed its descriptors."""
_GIB = 2**30
LEAST_SHARE = 2 * _GIB
"""Memory of a process of several; importing torch and the trainer alone takes 0.8 GiB."""
Task = Mapping[str, Any]


class WorkerError(Exception):
    """Death, hang or excessive memory use of the worker; the text is the reason in the record."""


@dataclass(frozen=True)
class Limits:
    """Limits at which a case is given up."""

    seconds: float = 600.0
    """Seconds without an answer or a progress report."""
    memory_bytes: int = 0
    """Resident size of the worker and its children; 0 for 80% of the total memory."""

    def memory(self) -> int:
        """Return the limit in bytes."""
        return self.memory_bytes or int(psutil.virtual_memory().total * 0.8)


def module_arguments(name: str) -> list[str]:
    """Return the arguments of an interpreter that runs a module.

    Its import path begins with the working folder only if that of this process does: a file there
    may have the name of a library (``random.py``), or of this package.
    """
    places = {""}
    with contextlib.suppress(OSError):  # the folder was removed
        places.add(str(Path.cwd()))
    return ["-m", name] if places & {*sys.path[:1]} else ["-P", "-m", name]


def share_memory(limits: Limits, processes: int) -> tuple[int, Limits]:
    """Return the number of processes that run side by side, and the limits of each.

    A memory limit that is set holds for each process, and as many run as fit into 80% of the total
    memory with it. Otherwise they share that, and each has at least 2 GiB.
    """
    total = Limits().memory()
    parallel = max(1, min(processes, total // (limits.memory_bytes or LEAST_SHARE)))
    return parallel, replace(limits, memory_bytes=limits.memory_bytes or total // parallel)


class Worker:
    """Worker process that starts at the first request, and again after it was lost.

    Args:
        arguments: arguments of the interpreter: the script or module that serves, and its own.
        limits: limits at which a case is given up; may be changed between cases.
        environment: environment variables in addition to those of this process.
        python: interpreter; that of this process by default.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        self._command = [python, *arguments]
        self.limits = limits or Limits()
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[bytes | None] = queue.Queue()
        self._writer: threading.Thread | None = None
        self._errors: IO[bytes] | None = None
        self._ready = False
        self._token = ""
        """Random beginning of the labels of this process's tasks and answers."""
        self._mark = ""
        self._number = 0
        self._errors_start = 0
        """Offset in its standard error at which the output of the current task begins."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def copy(self, environment: Mapping[str, str] | None = None) -> Worker:
        """Return another worker with the same command and additional environment variables."""
        python, *arguments = self._command
        merged = {**self._environment, **(environment or {})}
        return Worker(arguments, self.limits, merged, python=python)

    def start(self) -> None:
        """Start the process without waiting for it."""
        if self._process is not None:
            return
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._token, self._mark = secrets.token_hex(16), secrets.token_hex(16)
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=child_environment() | self._environment | SWITCH | {MARK: self._mark},
            start_new_session=True,
        )
        self._process, self._answers = process, queue.Queue()
        # this thread alone closes the stream: a survivor of the process may keep it open
        read = (process.stdout, self._token, self._answers.put)
        threading.Thread(target=read_answers, args=read, daemon=True).start()
        self._number = 0
        self._ready = False
        self._send("")

    def run(self, task: Task, on_progress: Callable[[str], object] = str) -> Answer:
        """Return the worker's answer to a task: ``{"ok": ...}`` or ``{"error": ...}``.

        Args:
            task: task as a JSON object.
            on_progress: called with the text of each progress report of the worker.

        Raises:
            WorkerError: the worker crashed, hung or exceeded the memory limit, and was ended.
        """
        self.start()
        try:
            if not self._ready:
                self._wait(START_LIMIT_S, "start")
                self._ready = True
            self._errors_start = self._errors.seek(0, 2) if self._errors else 0
            self._number += 1
            self._send(json.dumps(task))
            while "progress" in (answer := self._wait(self.limits.seconds, "finish")):
                on_progress(answer["progress"])
            return answer
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill the process and all that it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        kill_family(process.pid, self._mark)
        process.kill()
        process.wait()
        if self._writer is not None:
            self._writer.join(_EXIT_S)
        for stream in (process.stdin, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    @property
    def _label(self) -> str:
        return f"{self._token}-{self._number}"

    def _send(self, text: str) -> None:
        """Write a task in a thread: a worker that does not read must not block this process."""
        if self._process is None:
            raise WorkerError("the worker is not running")
        arguments = (self._process.stdin, f"{self._label} {text}\n".encode())
        self._writer = threading.Thread(target=_write, args=arguments, daemon=True)
        self._writer.start()

    def _wait(self, limit_s: float, what: str) -> Answer:
        process, has_ended = self._process, False
        deadline = time.monotonic() + limit_s
        while process is not None:
            try:
                line = self._answers.get(timeout=_POLL_S)
            except queue.Empty:
                if has_ended:  # and its last answer would have been read by now
                    break
                has_ended = process.poll() is not None
                self._watch(deadline, limit_s, what)
                continue
            if line is None:
                break
            try:
                answer = parse_answer(line, self._label)
            except ValueError as error:
                raise WorkerError(f"sent a damaged answer and was ended: {error}") from None
            if answer is not None:
                return answer
        raise WorkerError(self._death_reason(process))

    def _watch(self, deadline: float, limit_s: float, what: str) -> None:
        if time.monotonic() > deadline:
            raise WorkerError(f"did not {what} within {limit_s:g} s and was ended")
        resident = self._resident()
        if resident > self.limits.memory():
            raise WorkerError(
                f"used {resident / _GIB:.1f} GiB of memory, over the limit of "
                f"{self.limits.memory() / _GIB:.1f} GiB, and was ended"
            )

    def _resident(self) -> int:
        with contextlib.suppress(psutil.Error):
            if self._process is not None:
                family = [psutil.Process(self._process.pid), *children_of(self._process.pid)]
                return sum(int(process.memory_info().rss) for process in family)
        return 0

    def _death_reason(self, process: subprocess.Popen[bytes] | None) -> str:
        """Return the exit status or signal of the process, its place and last line of output."""
        try:
            code = process.wait(timeout=_EXIT_S) if process else 0
        except subprocess.TimeoutExpired:
            return "closed the descriptor of its answers and was ended"
        how = f"exit status {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-code).name
        output = ""
        if self._errors is not None:
            self._errors.seek(self._errors_start)
            output = self._errors.read().decode(errors="replace")
        place, lines = place_of(output), without_dump(output).strip().splitlines()
        return (
            f"the process died ({how})"
            + (f" {place}" if place else "")
            + (f": {lines[-1].strip()[:200]}" if lines else "")
        )


def _write(stream: IO[bytes], line: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):  # the process has ended, which is noticed
        stream.write(line)
        stream.flush()


class InProcessWorker(Worker):
    """A worker that runs its tasks in this process, without limits.

    Args:
        tasks: handler of the tasks.
        failures: exceptions that are a failure of the task; any other is raised.
    """

    def __init__(self, tasks: TaskHandler, failures: tuple[type[Exception], ...] = ()) -> None:
        super().__init__(())
        self._tasks, self._failures = tasks, failures

    def start(self) -> None:
        """Do nothing."""

    def run(self, task: Task, on_progress: Callable[[str], object] = str) -> Answer:
        """Return the answer to a task."""
        try:
            outcome: Answer = {"ok": self._tasks.do(task)}
        except self._failures as failure:
            outcome = {"error": str(failure)}
        return {**outcome, "notes": self._tasks.notes(task)}


def run_task(worker: Worker, task: Task, on_progress: Callable[[str], object] = str) -> Answer:
    """Return the answer of a worker; if its process is lost, an answer with ``lost``."""
    try:
        return worker.run(task, on_progress)
    except WorkerError as failure:
        return {"error": str(failure), "lost": True}
