"""torch.export, and the reason of a failed export in one line."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

from attnbench.runtimes.runtime import RuntimeFailure

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

_LONGEST = 240
_WHERE = re.compile(r"(Check '.*' failed|Exception from|FrontEnd API failed|Model wasn't fully) ")
"""Pattern of lines in which OpenVINO gives its source position, not the reason."""


def evaluated(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, without gradients; the given model is not changed."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def exported(model: nn.Module, example: Tensor) -> ExportedProgram:
    """Return the exported graph of a model in evaluation mode, for the example's shape.

    Raises:
        RuntimeFailure: the export fails; the text is torch.export's reason.
    """
    import torch

    try:
        with torch.no_grad():
            return torch.export.export(evaluated(model), (example,))
    except Exception as error:
        raise failure("torch.export", error) from error


def failure(who: str, error: BaseException) -> RuntimeFailure:
    """Return the failure of an exporter or runtime, its long report reduced to one line."""
    return RuntimeFailure(f"{who}: {root_cause(error)}")


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
    bare = re.sub(r"\x1b\[[0-9;]*m", "", line).strip()
    bare = bare.removesuffix('"')
    return bare if re.search(r"\w", bare) else ""
