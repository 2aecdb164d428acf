"""Side effects of importing a module's file on the process."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnbench.conformance.findings import Finding, broken
from attnbench.conformance.global_state import surroundings

_TIMEOUT = 120
_FRESH = {
    "the default dtype": "torch.float32",
    "the default device": "cpu",
    "whether gradients are recorded": "True",
    "whether anomalies are detected": "False",
    "the autocast of the CPU": "False",
    "whether operators must be deterministic": "(False, False)",
    "the precision of float32 products": "highest",
    "torch.backends.cudnn.enabled": "True",
    "torch.backends.cudnn.benchmark": "False",
    "torch.backends.cudnn.deterministic": "False",
    "torch.backends.mkldnn.enabled": "True",
}
"""Settings of a new process. The module was imported before any code of this file ran."""
_PROGRAM = """
import json, sys
from pathlib import Path
from attnbench.conformance.global_state import changes, surroundings
target, paths = json.loads(sys.argv[1])
sys.path[:] = paths
before = surroundings()
if target.endswith(".py"):
    from attnbench.registry.plugins import catalog
    catalog().load_file(target)
else:
    __import__(target)
found = changes(before, surroundings())
print(json.dumps({name: [str(one) for one in pair] for name, pair in found.items()}))
"""


def changed_by_import(factory: Any) -> Iterator[Finding]:
    """Report the settings that importing the factory's file changes.

    A fresh interpreter takes seconds, so it is started only where a setting differs from that of
    a new process: other code may have changed it.
    """
    now = surroundings()
    if all(str(now[name]) == value for name, value in _FRESH.items()):
        return
    for name, (old, new) in _imported_afresh(factory).items():
        yield broken(
            f"importing it changes {name} of the whole process from {old} to {new}",
            "Take the setting out of the file: it is for programs, not for modules.",
        )


def _imported_afresh(factory: Any) -> dict[str, list[str]]:
    target = _target(factory)
    if target is None:
        return {}
    command = [sys.executable, "-c", _PROGRAM, json.dumps([target, sys.path])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT)
        found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError):
        return {}  # not importable by itself; other checks report errors of the module
    return found


def _target(factory: Any) -> str | None:
    """Return the target that a fresh interpreter can import: a plugin file, or a module name."""
    name = getattr(factory, "__module__", None) or type(factory).__module__
    if name in ("__main__", "builtins"):
        return None
    if not str(name).startswith("attnbench_plugin_"):
        return str(name)
    try:
        path = inspect.getsourcefile(factory)
    except TypeError:
        return None
    return str(Path(path).resolve()) if path else None
