"""Global settings of torch in the process, which a module and its import must not change."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from attnbench.conformance.findings import Finding, failure
from attnbench.utils.git import child_environment

_BACKENDS: Mapping[str, tuple[Any, tuple[str, ...]]] = {
    "torch.backends.cudnn": (
        torch.backends.cudnn,
        ("enabled", "benchmark", "deterministic", "allow_tf32"),
    ),
    "torch.backends.mkldnn": (torch.backends.mkldnn, ("enabled",)),
}
_SETTERS: Mapping[str, Callable[[Any], object]] = {
    "the default dtype": torch.set_default_dtype,
    # None instead of the CPU: a default device, once set, intercepts every call
    "the default device": lambda to: torch.set_default_device(None if to.type == "cpu" else to),
    "whether gradients are recorded": torch.set_grad_enabled,
    "the number of threads": torch.set_num_threads,
    "the precision of float32 products": torch.set_float32_matmul_precision,
    "whether anomalies are detected": torch.autograd.set_detect_anomaly,
    "the autocast of the CPU": lambda on: torch.set_autocast_enabled("cpu", on),
}


def read_settings() -> dict[str, Any]:
    """Return the global settings of the process, by name."""
    flags = {
        f"{name}.{flag}": getattr(place, flag)
        for name, (place, names) in _BACKENDS.items()
        for flag in names
    }
    return {
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "whether gradients are recorded": torch.is_grad_enabled(),
        "the number of threads": torch.get_num_threads(),
        "the precision of float32 products": torch.get_float32_matmul_precision(),
        "whether anomalies are detected": torch.is_anomaly_enabled(),
        "the autocast of the CPU": torch.is_autocast_enabled("cpu"),
        "whether operators must be deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        **flags,
    }


def find_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the differences of two results of :func:`read_settings`: (before, after) by name."""
    return {name: (old, after[name]) for name, old in before.items() if after[name] != old}


def restore(before: Mapping[str, Any]) -> None:
    """Restore all settings that differ from ``before``."""
    for name, (old, _) in find_changes(before, read_settings()).items():
        if name in _SETTERS:
            _SETTERS[name](old)
        elif name.startswith("torch.backends."):
            place, _, flag = name.rpartition(".")
            with suppress(RuntimeError):  # torch may have frozen its flags
                setattr(_BACKENDS[place][0], flag, old)
        else:
            torch.use_deterministic_algorithms(old[0], warn_only=old[1])


@contextmanager
def preserve_settings() -> Iterator[dict[str, Any]]:
    """Yield the current settings, and restore them on exit."""
    before = read_settings()
    try:
        yield before
    finally:
        restore(before)


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
from attnbench.conformance.global_state import find_changes, read_settings
target, paths = json.loads(sys.argv[1])
sys.path[:] = paths
before = read_settings()
if target.endswith(".py"):
    from attnbench.registry.plugins import catalog
    catalog().load_file(target)
else:
    __import__(target)
found = find_changes(before, read_settings())
print(json.dumps({name: [str(one) for one in pair] for name, pair in found.items()}))
"""


def find_import_changes(factory: Any) -> Iterator[Finding]:
    """Report the settings that importing the factory's file changes.

    A fresh interpreter takes seconds, so it is started only where a setting differs from that of
    a new process: other code may have changed it.
    """
    now = read_settings()
    if all(str(now[name]) == value for name, value in _FRESH.items()):
        return
    target = _target(factory)
    if target is None:
        return
    command = [sys.executable, "-c", _PROGRAM, json.dumps([target, sys.path])]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=child_environment(),
            text=True, check=True, timeout=120,
        )  # fmt: skip
        found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError):
        return  # not importable by itself; other checks report errors of the module
    for name, (old, new) in found.items():
        yield failure(
            f"importing it changes {name} of the whole process from {old} to {new}",
            "Take the setting out of the file: it is for programs, not for modules.",
        )


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
