"""One side: its tree, its import path, and the process that runs its attnbench."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attnbench.errors import RequestError
from attnbench.workers.answers import Answer
from attnbench.workers.process import Limits, Worker, WorkerError

SPOKEN = (1,)
"""Protocol numbers of the bridge that this attnbench supports."""
_SUPPORTED = f"protocol {', '.join(map(str, SPOKEN))}"
_LAUNCHER = Path(__file__).parent / "launcher.py"
_LIMIT_S = 900.0


@dataclass(frozen=True)
class Side:
    """One side of a comparison, base or head.

    Attributes:
        name: ``base`` or ``head``.
        tree: folder of its files.
        root: the checkout, which is head's tree.
        commit: its full id.
        sources: folders on its path before all others, absolute.
        plugins: plugin files and folders, absolute; those of the repository are the side's own.
        folder: working directory of its process, so that relative names in suites mean the same.
        scratch: folder for setup files.
        owned: folders of an environment of its own.
        sources_first: whether ``sources`` also come before what was installed for it.
    """

    name: str
    tree: Path
    root: Path
    commit: str
    sources: tuple[Path, ...]
    plugins: tuple[Path, ...]
    folder: Path
    scratch: Path
    python: str = sys.executable
    owned: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    sources_first: bool = True

    def process(self, points: Sequence[Sequence[str]] = ()) -> SideProcess:
        """Return a process of this side, with entry points besides its own."""
        folders = [str(folder) for folder in self.sources]
        beside = [str(plugin.parent) for plugin in self.plugins if plugin.is_file()]
        first, after = (folders, []) if self.sources_first else ([], folders)
        setup = {
            "own": str(self.tree),
            "head": str(self.root),
            "owned": [str(folder) for folder in self.owned],
            "first": first,
            "after": [*after, *beside],
            "folder": str(self.folder),
            "plugins": [str(plugin) for plugin in self.plugins],
            "points": points,
        }
        file = self.scratch / f"{self.name}-{len(points)}.json"
        file.write_text(json.dumps(setup), encoding="utf-8")
        return SideProcess(self, file)

    @property
    def label(self) -> str:
        """Name and short commit, for errors."""
        return f"{self.name} ({self.commit[:12]})"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of its process, with no path into the other tree."""
        found = dict(self.variables)
        if "PYTHONPATH" in os.environ:
            entries = filter(None, os.environ["PYTHONPATH"].split(os.pathsep))
            paths = [counterpart(Path(entry).resolve(), self.root, self.tree) for entry in entries]
            found["PYTHONPATH"] = os.pathsep.join(map(str, paths))
        return found


class SideProcess:
    """The process of a side: tasks in, answers out, by the bridge's protocol."""

    def __init__(self, side: Side, setup: Path) -> None:
        self.side = side
        arguments = ["-P", str(_LAUNCHER), str(setup)]
        self._worker = Worker(arguments, Limits(_LIMIT_S), side.environment, side.python)

    def start(self) -> None:
        """Start without waiting; the process imports torch meanwhile."""
        self._worker.start()

    def answer(self, **task: Any) -> Answer:
        """Return ``{"ok": ...}`` or ``{"error": text, ...}``; it never raises."""
        try:
            return self._worker.run(task)
        except WorkerError as failure:
            return {"error": str(failure)}

    def result(self, **task: Any) -> Any:
        """Return the result of a task that must succeed.

        Raises:
            RequestError: it failed; with the side's own reason.
        """
        answer = self.answer(**task)
        if answer.get("kind") == "no-bridge":
            problem = _lack_of_bridge(self.side, answer.get("facts") or {})
            raise RequestError(f"{self.side.label}: {problem}")
        if "error" in answer:
            raise RequestError(f"{self.side.label}: {answer['error']}")
        return answer["ok"]

    def facts(self) -> Mapping[str, Any]:
        """Return the ``facts`` of the side.

        Raises:
            RequestError: it has no bridge, or one of a protocol that is not supported here.
        """
        facts: Mapping[str, Any] = self.result(do="facts")
        if facts.get("protocol") not in SPOKEN:
            raise RequestError(_other_protocol(self.side, facts))
        return facts

    def stop(self) -> None:
        """End the process."""
        self._worker.stop()


def counterpart(path: Path, root: Path, tree: Path) -> Path:
    """Return the place in ``tree`` of a path in ``root``; any other path as it is."""
    return tree / path.relative_to(root) if path.is_relative_to(root) else path


def source_folders(root: Path, tree: Path, requested: Sequence[str]) -> tuple[Path, ...]:
    """Return the first folders of a side's path: ``requested``, else ``src/`` or the tree itself.

    Raises:
        RequestError: a requested folder is not in head's tree.
    """
    for name in requested:
        if not (root / name).is_dir():
            raise RequestError(f"--source is not a folder of {root}: got {name!r}")
    named = tuple((tree / name).resolve() for name in requested if (tree / name).is_dir())
    if named:
        return named
    return ((tree / "src") if (tree / "src").is_dir() else tree,)


def _lack_of_bridge(side: Side, facts: Mapping[str, Any]) -> str:
    file = Path(facts.get("attnbench") or "__init__.py")
    if file.stem != "__init__":
        remedy = "Choose another --base" if side.name == "base" else "Rename it"
        return (
            f"a file of this tree hides the package attnbench: got {file.name}. {remedy}, or name "
            "the folder of your packages with --source"
        )
    return (
        f"{_installation(facts)} has no bridge for attnbench ci ({_SUPPORTED} is needed); "
        f"{_newer(side)}"
    )


def _other_protocol(side: Side, facts: Mapping[str, Any]) -> str:
    number = facts.get("protocol")
    is_newer = isinstance(number, int) and number > max(SPOKEN)
    remedy = "run attnbench ci with a newer attnbench" if is_newer else _newer(side)
    return (
        f"{side.label}: {_installation(facts)} speaks protocol {number} of attnbench ci, this "
        f"attnbench only {_SUPPORTED}; {remedy}"
    )


def _newer(side: Side) -> str:
    install = "install a newer attnbench there with --install"
    return f"choose a newer --base, or {install}" if side.name == "base" else install


def _installation(facts: Mapping[str, Any]) -> str:
    """Return the name of a side's attnbench, for errors; the commit identifies its tree's."""
    if not facts.get("attnbench"):
        return "its environment"
    if facts.get("kind") == "tree":
        return "the attnbench of this tree"
    version = facts.get("version") or "of an unknown version"
    return f"attnbench {version} ({facts['attnbench']})"
