"""The loop of a worker process: JSON tasks on standard input, answers on standard output.

A case is measured in a process of its own so that one that crashes, hangs or eats the memory takes
nothing else with it.
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
    """The tasks that a worker process can do."""

    def do(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a task, or raise."""
        ...


def serve(make_tasks: Callable[[Callable[[str], None]], TaskHandler]) -> None:
    """Serve until standard input ends or the parent is gone.

    Args:
        make_tasks: builds what does the tasks; gets a function that reports progress, which the
            parent takes as a sign of life.
    """
    answers = _private_stdout()
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    warnings.simplefilter("ignore")  # of the libraries measured; what matters comes as an error
    try:
        tasks = make_tasks(lambda text: _send(answers, {"tell": text}))
        _send(answers, {"ready": os.getpid()})
        for line in sys.stdin:
            _send(answers, answer_of(tasks, json.loads(line)))
    except (KeyboardInterrupt, BrokenPipeError):  # the parent ends workers; nothing to report
        sys.exit(130)


def answer_of(tasks: TaskHandler, task: dict[str, Any]) -> dict[str, Any]:
    """Return what became of a task: ``{"ok": ...}`` or ``{"error": ...}``, never an exception."""
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
    """Keep the answers' stream to ourselves: what plugins print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _die_with_parent(parent: int) -> None:
    """End this process when the runner is gone, also in the middle of a case that hangs."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _send(stream: TextIO, answer: dict[str, Any]) -> None:
    """Write one answer."""
    stream.write(json.dumps(answer) + "\n")
    stream.flush()
