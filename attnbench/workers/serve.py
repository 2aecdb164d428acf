"""Main loop of a worker process: tasks and answers through its private channel.

Each case is measured in a separate process, so that a case that crashes, hangs or exhausts the
memory does not affect others.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from attnbench.errors import AttnbenchError
from attnbench.utils.text import describe
from attnbench.workers.task_channel import TaskChannel


class TaskHandler(Protocol):
    """Handler of the tasks of a worker process."""

    def do(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of a task, or raise an exception."""
        ...

    def notes(self, task: Mapping[str, Any]) -> list[str]:
        """Return what is to be noted of a task that has ended, whatever its end."""
        ...


def serve(make_tasks: Callable[[Callable[[str], None]], TaskHandler]) -> None:
    """Serve until the parent ends this process or is gone.

    Args:
        make_tasks: factory of the task handler; it receives a function that reports progress, and
            each report restarts the parent's time limit.
    """
    channel = TaskChannel()
    warnings.simplefilter("ignore")  # warnings of measured libraries

    def send(answer: dict[str, Any]) -> None:
        channel.write(json.dumps(answer))

    try:
        tasks = make_tasks(lambda text: send({"progress": text}))
        send({"ready": os.getpid()})
        for line in channel:
            send(answer_of(tasks, json.loads(line)))
    except KeyboardInterrupt:
        sys.exit(130)


def answer_of(tasks: TaskHandler, task: Mapping[str, Any]) -> dict[str, Any]:
    """Run a task; return ``{"ok": ...}`` or ``{"error": ...}`` with ``notes``; never raise."""
    return {**_outcome_of(tasks, task), "notes": tasks.notes(task)}


def _outcome_of(tasks: TaskHandler, task: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"ok": tasks.do(task)}
    except AttnbenchError as error:
        return {"error": str(error), "arm": getattr(error, "arm", None)}
    except MemoryError:
        return {"error": "out of memory"}
    except Exception as error:
        return {"error": f"{describe(error)}{_place(error)}"}


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" (at {Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
