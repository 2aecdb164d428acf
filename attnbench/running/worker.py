"""The worker process: reads tasks as JSON lines on standard input, answers on standard output.

It lives in a process of its own so that a case that crashes, hangs or eats the memory takes
nothing else with it. Started as ``python -m attnbench.running.worker``.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from attnbench.errors import AttnbenchError
from attnbench.registry import describe


def main(plugins: Sequence[str]) -> None:
    """Serve until standard input ends; ``plugins`` are files to load first."""
    answers = private_stdout()
    threading.Thread(target=die_with_parent, args=(os.getppid(),), daemon=True).start()
    warnings.simplefilter("ignore")  # of the libraries measured; what matters comes as an error
    from attnbench.plugins import catalog
    from attnbench.running.tasks import Tasks

    for path in plugins:
        catalog().load_file(path)
    tasks = Tasks(catalog(), lambda text: send(answers, {"tell": text}))
    send(answers, {"ready": os.getpid()})
    for line in sys.stdin:
        send(answers, answer_of(tasks, json.loads(line)))


def answer_of(tasks: Any, task: dict[str, Any]) -> dict[str, Any]:
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


def private_stdout() -> TextIO:
    """Keep the answers' stream to ourselves: what plugins print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def die_with_parent(parent: int) -> None:
    """End this process when the runner is gone, also in the middle of a case that hangs."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def send(stream: TextIO, answer: dict[str, Any]) -> None:
    """Write one answer."""
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (KeyboardInterrupt, BrokenPipeError):  # the runner ends workers; nothing to say
        sys.exit(130)
