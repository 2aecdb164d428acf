"""torch.export, and exporters in general: their output captured, their failure in one line."""

from __future__ import annotations

import copy
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TYPE_CHECKING

from attnbench.runtimes.runtime import RuntimeFailure

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

_LONGEST = 240
_WHERE = re.compile(r"(Check '.*' failed|Exception from|FrontEnd API failed|Model wasn't fully) ")
"""Pattern of lines in which OpenVINO gives its source position, not the reason."""


def eval_copy(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, without gradients; the given model is not changed."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def export_program(model: nn.Module, example: Tensor) -> ExportedProgram:
    """Return the exported graph of a model in evaluation mode, for the example's shape.

    Raises:
        RuntimeFailure: the export fails; the text is torch.export's reason.
    """
    import torch

    try:
        with torch.no_grad():
            return torch.export.export(eval_copy(model), (example,))
    except Exception as error:
        raise failure("torch.export", error) from error


def failure(tool: str, error: BaseException) -> RuntimeFailure:
    """Return the failure of an exporter or runtime, its long report reduced to one line."""
    return RuntimeFailure(f"{tool}: {root_cause(error)}")


def root_cause(error: BaseException) -> str:
    """Return the innermost cause of an exception chain: its type and first informative line."""
    while (inner := error.__cause__) is not None:
        error = inner
    lines = [line for line in map(_clean, str(error).splitlines()) if line]
    text = _sentence([line for line in lines if not _WHERE.match(line)] or lines)
    name = type(error).__name__
    line = f"{name}: {text}" if text else name
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _sentence(lines: list[str]) -> str:
    """Return the first line, and the next ones as long as the text ends in a colon."""
    text = ""
    for line in lines:
        text = f"{text} {line}".lstrip()
        if not text.endswith(":"):
            break
    return text


def _clean(line: str) -> str:
    """Return a line without color codes; an empty string for a line that is only decoration."""
    bare = re.sub(r"\x1b\[[0-9;]*m", "", line).strip().removesuffix('"')
    return bare if re.search(r"\w", bare) else ""


@contextmanager
def capture_output() -> Iterator[Callable[[], str]]:
    """Capture both output streams, also of C code; suppress them, logging and warnings.

    Yields a function that returns the text captured so far: some exporters report the reason of a
    failure only there.
    """
    before = logging.root.manager.disable
    with ExitStack() as stack:
        captured = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            stack.enter_context(_redirect(number, stream, captured.fileno()))
        stack.enter_context(redirect_stdout(captured))
        stack.enter_context(redirect_stderr(captured))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.callback(logging.disable, before)
        logging.disable(logging.CRITICAL)

        def text() -> str:
            captured.flush()
            # read by position: both descriptors write at their shared offset
            return os.pread(captured.fileno(), 1 << 20, 0).decode(errors="replace")

        yield text


@contextmanager
def _redirect(number: int, stream: object, target: int) -> Iterator[None]:
    """Redirect a file descriptor; a process without it (a service) has nothing to suppress."""
    try:
        kept = os.dup(number)
    except OSError:
        yield
        return
    with suppress(AttributeError, OSError, ValueError):
        stream.flush()  # type: ignore[attr-defined]
    os.dup2(target, number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)
