"""The loop of a side's process: tasks as JSON lines come in, answers go out."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from . import guard


def serve(setup: str) -> None:
    """Serve until standard input ends.

    Args:
        setup: a JSON file: ``own``, ``head`` and ``owned`` folders, ``first`` and ``after`` on the
            path, ``folder`` to be in, ``plugins`` and entry ``points``.
    """
    answers = _private_stdout()
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    warnings.simplefilter("ignore")  # of what is measured; what matters comes as an error
    told = json.loads(Path(setup).read_text(encoding="utf-8"))
    os.chdir(told["folder"])
    trees = guard.Trees(Path(told["own"]), Path(told["head"]), tuple(map(Path, told["owned"])))
    guard.install(trees, told["first"], told["after"])
    _send(answers, {"ready": os.getpid()})
    tasks: Any = None
    for line in sys.stdin:
        try:
            if tasks is None:
                from .tasks import Tasks

                tasks = Tasks(trees, told["plugins"], told["points"])
            _send(answers, {"ok": tasks.do(json.loads(line))})
        except MemoryError:
            _send(answers, {"error": "out of memory", "kind": "MemoryError"})
        except (Exception, SystemExit) as error:
            _send(answers, _failed(error))


def _failed(error: BaseException) -> dict[str, str]:
    """The error as its reader wants it: attnbench's own by their text, others with their type."""
    kinds = [one.__name__ for one in type(error).__mro__]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    if "AttnbenchError" not in kinds:
        text = f"{kinds[0]}: {text}" if text else kinds[0]
    return {"error": text, "kind": kinds[0]}


def _private_stdout() -> TextIO:
    """Keep the answers' stream to ourselves: what plugins print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _die_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _send(stream: TextIO, answer: Mapping[str, Any]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()
