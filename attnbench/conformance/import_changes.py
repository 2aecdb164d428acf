"""Settings of the process that importing a module's file changes."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnbench.conformance.findings import Finding, failure
from attnbench.registry.attention import Attention
from attnbench.utils.git import child_environment
from attnbench.utils.process_settings import read_settings, setting_changes

_FRESH = {
    "the default dtype": "torch.float32",
    "the default device": "cpu",
    "the grad mode": "True",
    "the anomaly mode": "False",
    "the flushing of denormal numbers": "False",
    "the autocast of the CPU": "False",
    "the autocast of CUDA": "False",
    "the deterministic mode": "(False, False)",
    "the precision of float32 products": "highest",
    "torch.backends.cudnn.enabled": "True",
    "torch.backends.cudnn.benchmark": "False",
    "torch.backends.cudnn.deterministic": "False",
    "torch.backends.mkldnn.enabled": "True",
}
"""Settings of a new process. The module was imported before any code of this file ran."""
_PROGRAM = """
import json, sys
from attnbench.registry.plugins import catalog
from attnbench.utils.process_settings import preserve_from_plugin, setting_changes
target, paths = json.loads(sys.argv[1])
sys.path[:] = paths
with preserve_from_plugin(target, target):
    catalog().load_file(target) if target.endswith(".py") else __import__(target)
print(json.dumps([(found.setting, found.old, found.new) for found in setting_changes(target)]))
"""


def find_import_changes(attention: Attention) -> Iterator[Finding]:
    """Report the settings that importing the factory's file changes."""
    target = _target(attention.factory)
    known = setting_changes(target or "", attention.origin)
    changes = [(change.setting, change.old, change.new) for change in known if change.old]
    if not changes and target is not None:
        changes = _in_fresh_process(target)
    for name, old, new in changes:
        yield failure(
            f"importing it changes {name} of the whole process from {old} to {new}",
            "Take the setting out of the file: it is for programs, not for modules.",
        )


def _in_fresh_process(target: str) -> list[tuple[str, str, str]]:
    """Return the changes by a file that was not loaded as a plugin: a test imports its own.

    A fresh interpreter takes seconds, so it is started only where a setting differs from that of
    a new process: other code may have changed it.
    """
    now = read_settings()
    if all(str(now[name]) == value for name, value in _FRESH.items()):
        return []
    command = [sys.executable, "-c", _PROGRAM, json.dumps([target, sys.path])]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=child_environment(),
            text=True, check=True, timeout=120,
        )  # fmt: skip
        found: list[tuple[str, str, str]] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError):
        return []  # not importable by itself; other checks report errors of the module
    return [change for change in found if change[1]]


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
