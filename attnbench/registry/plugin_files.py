"""Plugin files: executed without installation; their failures are located by line."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from attnbench.errors import AttnbenchError, PluginError
from attnbench.utils.text import describe, shown_path


def run_file(path: Path) -> ModuleType:
    """Run a plugin file and return the resulting module.

    Raises:
        PluginError: it is not a Python file; exceptions of the file itself propagate.
    """
    # a unique name for each file: two files called my.py must not replace each other
    name = f"attnbench_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError("its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.parent)
    is_new = folder not in sys.path
    if is_new:
        sys.path.append(folder)  # sibling files are importable, with the lowest priority
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        if is_new:
            sys.path.remove(folder)
        raise
    return module


def file_reason(path: Path, error: BaseException) -> str:
    """Return why a plugin failed to load: the place and the first line of the error."""
    if isinstance(error, AttnbenchError):
        # errors of a folder already name their file
        return str(error) if path.is_dir() else f"plugin file {shown_path(path)}: {error}"
    place = failing_line(error, lambda frame_path: frame_path == path) or shown_path(path)
    return f"plugin file {place} fails: {describe(error)}"


def failing_line(error: BaseException, is_own: Callable[[Path], bool]) -> str:
    """Return the last ``file:line`` of a traceback in the plugin's own files, or an empty text."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(Path(frame.filename), frame.lineno) for frame in frames]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((Path(error.filename), error.lineno))
    own = [(path, line) for path, line in places if line and is_own(path)]
    return f"{shown_path(own[-1][0])}:{own[-1][1]}" if own else ""
