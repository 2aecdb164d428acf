"""One side: its tree, what is put on its path, and the process that builds its networks."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attnbench.errors import RequestError
from attnbench.running.process import Limits, Worker, WorkerError

_START = Path(__file__).parent / "inside" / "start.py"
_LIMIT_S = 900.0

Answer = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """Base or head.

    Attributes:
        name: ``base`` or ``head``.
        tree: its files.
        root: the checkout, which is head's tree.
        commit: its full id.
        sources: folders on its path before all others, absolute.
        plugins: plugin files and folders, absolute; those of the repository are the side's own.
        folder: where its process is, so that relative names in suites mean the same.
        scratch: for setup files.
        python: its interpreter.
        owned: folders of an environment of its own.
        variables: of its process's environment.
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

    def builder(self, points: Sequence[Sequence[str]] = ()) -> Builder:
        """Return a process of this side; it starts when it is first asked.

        Args:
            points: entry points that it must have besides its own.
        """
        folders = [str(one) for one in self.sources]
        beside = [str(one.parent) for one in self.plugins if one.is_file()]
        first, after = (folders, []) if self.sources_first else ([], folders)
        setup = {
            "own": str(self.tree),
            "head": str(self.root),
            "owned": [str(one) for one in self.owned],
            "first": first,
            "after": [*after, *beside],
            "folder": str(self.folder),
            "plugins": [str(one) for one in self.plugins],
            "points": [list(one) for one in points],
        }
        file = self.scratch / f"{self.name}-{len(points)}.json"
        file.write_text(json.dumps(setup), encoding="utf-8")
        return Builder(self, file)

    @property
    def environment(self) -> dict[str, str]:
        """Variables of its process: those of ours, with no way into the other tree."""
        found = dict(self.variables)
        if "PYTHONPATH" in os.environ:
            entries = [
                Path(one).resolve() for one in os.environ["PYTHONPATH"].split(os.pathsep) if one
            ]
            found["PYTHONPATH"] = os.pathsep.join(str(self.counterpart(one)) for one in entries)
        return found

    def counterpart(self, path: Path) -> Path:
        """Return the same place in this side's tree; a path outside the repository as it is."""
        return counterpart(path, self.root, self.tree)


class Builder:
    """The process of a side, asked and answered."""

    def __init__(self, side: Side, setup: Path) -> None:
        self.side = side
        arguments = ["-P", str(_START), str(setup)]
        self._worker = Worker(arguments, Limits(_LIMIT_S), side.environment, side.python)

    def start(self) -> None:
        """Start without waiting: it imports torch meanwhile."""
        self._worker.start()

    def ask(self, **task: Any) -> Answer:
        """Return ``{"ok": ...}``, or ``{"error": text, "kind": class}``; it never raises."""
        try:
            return self._worker.ask(task)
        except WorkerError as failure:
            return {"error": str(failure), "kind": "WorkerError"}

    def need(self, **task: Any) -> Any:
        """Return the answer to what must work.

        Raises:
            RequestError: it does not; with the side's own reason.
        """
        answer = self.ask(**task)
        if "error" in answer:
            raise RequestError(f"{self.side.name} ({self.side.commit[:12]}): {explained(answer)}")
        return answer["ok"]

    def stop(self) -> None:
        """End the process."""
        self._worker.stop()


def explained(answer: Answer) -> str:
    """Return the reason of a failed answer, with a word on what an old attnbench lacks."""
    text = str(answer["error"])
    missing = answer.get("kind") in ("ModuleNotFoundError", "ImportError")
    if missing and "attnbench" in text:
        return f"{text}: its attnbench is too old, or not the one that this command belongs to"
    return text


def counterpart(path: Path, root: Path, tree: Path) -> Path:
    """Return the place in ``tree`` of a path in ``root``; any other path as it is."""
    return tree / path.relative_to(root) if path.is_relative_to(root) else path


def source_folders(root: Path, tree: Path, asked: Sequence[str]) -> tuple[Path, ...]:
    """Return what comes first on a side's path: ``asked``, else ``src/`` or the tree itself.

    Raises:
        RequestError: a folder that was asked for is not in head's tree.
    """
    for one in asked:
        if not (root / one).is_dir():
            raise RequestError(f"--source {one!r} is no folder of {root}")
    named = tuple((tree / one).resolve() for one in asked if (tree / one).is_dir())
    if named:
        return named
    return ((tree / "src") if (tree / "src").is_dir() else tree,)
