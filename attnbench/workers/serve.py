"""Main loop of a worker process: JSON tasks on standard input, answers on standard output.

Each case is measured in a separate process, so that a case that crashes, hangs or exhausts the
memory does not affect others.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TextIO

from attnbench.errors import AttnbenchError
from attnbench.utils.text import describe


class TaskHandler(Protocol):
    """Handler of the tasks of a worker process."""

    def do(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a task, or raise an exception."""
        ...


def serve(make_tasks: Callable[[Callable[[str], None]], TaskHandler]) -> None:
    """Serve until standard input ends or the parent is gone.

    Args:
        make_tasks: factory of the task handler; it receives a function that reports progress, and
            each report restarts the parent's time limit.
    """
    answers = _private_stdout()
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    warnings.simplefilter("ignore")  # warnings of measured libraries
    try:
        tasks = make_tasks(lambda text: _send(answers, {"progress": text}))
        _send(answers, {"ready": os.getpid()})
        for line in sys.stdin:
            _send(answers, answer_of(tasks, json.loads(line)))
    except (KeyboardInterrupt, BrokenPipeError):  # the parent ends workers: no error
        sys.exit(130)


def answer_of(tasks: TaskHandler, task: dict[str, Any]) -> dict[str, Any]:
    """Run a task; return ``{"ok": ...}`` or ``{"error": ...}``, and raise no exception."""
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


def _private_stdout() -> TextIO:
    """Return a private stream for answers, and redirect standard output to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _die_with_parent(parent: int) -> None:
    """End this process when the parent has ended, even during a case that hangs."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _send(stream: TextIO, answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()
