"""Provenance of a run: versions, machine, commit. Nothing that names a user or a path."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attnbench.system.cpu import PROC, processor
from attnbench.utils.git import try_git

ALWAYS = ("attnbench", "torch", "torchvision")
COUNTERS = ("fvcore", "ptflops")
_VARIANTS = {"onnxruntime": "onnxruntime-gpu"}
"""Distributions that replace another one, with the same modules."""


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of those ``packages`` that are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        for distribution in (name, _VARIANTS.get(name, name)):
            with suppress(PackageNotFoundError):
                found.setdefault(name, version(distribution))
    return found


def machine(proc: Path = PROC) -> dict[str, str | int]:
    """Return the facts that identify the kind of machine, in records and in ``doctor``."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(proc),
        "cores": os.cpu_count() or 0,
    }


def now() -> str:
    """Return the time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def commit() -> str | None:
    """Return the git commit of the checkout that attnbench runs from; None where it is installed.

    A ``+`` after it marks a checkout with changes.
    """
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    head = try_git(root, "rev-parse", "--short=12", "HEAD").strip()
    changed = try_git(root, "status", "--porcelain", "--untracked-files=no").strip()
    return f"{head}+" if head and changed else head or None
