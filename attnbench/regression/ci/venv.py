"""Isolated virtual environment of one side (``--install``)."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from attnbench.errors import AttnbenchError

_LIMIT_S = 1800
_SHOWN = 30
"""Maximum number of output lines that are reported for a failed command."""


def create_venv(
    folder: Path, tree: Path, command: str, name: str, progress: Callable[[str], object]
) -> tuple[str, dict[str, str]]:
    """Create a virtual environment and run a shell command in a tree.

    Packages of the current environment are importable, too (torch is not installed again), after
    those that the command installs.

    Args:
        folder: of the environment.
        tree: working directory of the command.
        command: such as ``pip install -e .``.
        name: of the side, for errors.
        progress: receives the last lines of output if a command fails.

    Returns:
        Its interpreter, and the variables that put it first.

    Raises:
        AttnbenchError: the command failed; with its last line.
    """
    create = [sys.executable, "-m", "venv", str(folder)]
    _run(create, tree, dict(os.environ), f"{name}: venv", progress)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = str(scripts / Path("python.exe" if os.name == "nt" else "python"))
    _share_site_packages(folder)
    variables = {
        "VIRTUAL_ENV": str(folder),
        "PATH": os.pathsep.join([str(scripts), os.environ.get("PATH", "")]),
    }
    shell = ["cmd", "/c", command] if os.name == "nt" else ["/bin/sh", "-c", command]
    environment = {**os.environ, **variables}
    environment.pop("PYTHONPATH", None)  # it may name head's tree
    _run(shell, tree, environment, f"{name}: --install {command!r}", progress)
    return python, variables


def _share_site_packages(folder: Path) -> None:
    """Put the current site-packages behind the environment's own, ``.pth`` files included."""
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    ours = dict.fromkeys(sysconfig.get_path(scheme) for scheme in ("purelib", "platlib"))
    line = "import site; " + "; ".join(f"site.addsitedir({path!r})" for path in ours)
    file = Path(paths["purelib"]) / "zz_attnbench_outer.pth"  # last: files are read by name
    file.write_text(line + "\n", encoding="utf-8")


def _run(
    command: list[str],
    folder: Path,
    environment: dict[str, str],
    label: str,
    progress: Callable[[str], object],
) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=_LIMIT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise AttnbenchError(f"{label} did not end within {_LIMIT_S} s") from None
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        last = f": {lines[-1]}" if lines else ""
        for line in lines[-_SHOWN:]:
            progress(line)
        raise AttnbenchError(f"{label} failed (exit status {done.returncode}){last}")
