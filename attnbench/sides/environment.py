"""An environment for one side: what ``--install`` puts there is in nobody else's way."""

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
"""Lines of output of what failed."""


def prepared(
    folder: Path, tree: Path, command: str, name: str, tell: Callable[[str], object]
) -> tuple[str, dict[str, str]]:
    """Make a virtual environment and run a command of the shell in a tree.

    The environment sees what ours has (torch is not installed once more), behind what is installed
    into it.

    Args:
        folder: where the environment will be.
        tree: where the command runs.
        command: ``pip install -e .``
        name: of the side, for errors.
        tell: is told the end of the output of what fails.

    Returns:
        Its interpreter, and the variables that put it first.

    Raises:
        AttnbenchError: the command failed; with its last line.
    """
    _run([sys.executable, "-m", "venv", str(folder)], tree, dict(os.environ), f"{name}: venv", tell)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = str(scripts / Path("python.exe" if os.name == "nt" else "python"))
    _see_ours(folder)
    variables = {
        "VIRTUAL_ENV": str(folder),
        "PATH": os.pathsep.join([str(scripts), os.environ.get("PATH", "")]),
    }
    shell = ["cmd", "/c", command] if os.name == "nt" else ["/bin/sh", "-c", command]
    environment = {**os.environ, **variables}
    environment.pop("PYTHONPATH", None)  # it may name head's tree
    _run(shell, tree, environment, f"{name}: --install {command!r}", tell)
    return python, variables


def _see_ours(folder: Path) -> None:
    """Put our site-packages behind the environment's own, their ``.pth`` files included."""
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    ours = dict.fromkeys(sysconfig.get_path(one) for one in ("purelib", "platlib"))
    line = "import site; " + "; ".join(f"site.addsitedir({one!r})" for one in ours)
    file = Path(paths["purelib"]) / "zz_attnbench_outer.pth"  # last: files are read by name
    file.write_text(line + "\n", encoding="utf-8")


def _run(
    words: list[str],
    folder: Path,
    environment: dict[str, str],
    what: str,
    tell: Callable[[str], object],
) -> None:
    try:
        done = subprocess.run(
            words, cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=_LIMIT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise AttnbenchError(f"{what} did not end within {_LIMIT_S} s") from None
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        last = f": {lines[-1]}" if lines else ""
        for line in lines[-_SHOWN:]:
            tell(line)
        raise AttnbenchError(f"{what} failed (exit status {done.returncode}){last}")
