"""Project settings: ``[tool.attnbench]`` in the nearest ``pyproject.toml``. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from attnbench.errors import RequestError, suggestion
from attnbench.utils.text import shown_path
from attnbench.utils.toml import read_toml

FILE = "pyproject.toml"
_TABLE = "tool.attnbench"

DEFAULT_OUT = "attnbench-results"
"""Folder of the runs in a project that names none."""


@dataclass(frozen=True)
class ProjectSettings:
    """Settings of a project; options of a command take precedence."""

    plugins: tuple[str, ...] = ()
    """Plugin files, or folders of packages, relative to the file's folder, that every command
    loads: ``["."]`` for the package itself, installed or not."""
    suites: tuple[str, ...] = ()
    """Names or paths of the suites of ``attnbench run`` and ``attnbench ci`` by default."""
    baseline: str | None = None
    """Folder of the committed baseline, ``BASELINE/SUITE/records.jsonl``."""
    out: str | None = None
    """Folder of the runs."""
    budget: float | None = None
    """Sampling time of ``latency`` and ``ci`` in seconds."""
    gates: dict[str, str | float] = field(default_factory=dict)
    """Gate of each metric: ``exact``, ``ignore``, or the tolerated change."""
    root: Path = field(default_factory=Path)
    """Folder that paths are relative to."""

    @property
    def runs(self) -> str:
        """Return the folder of runs as a path."""
        return str(self.root / self.out) if self.out else DEFAULT_OUT

    @property
    def plugin_paths(self) -> list[str]:
        """Return the plugins as paths below ``root``."""
        return [str(self.root / plugin) for plugin in self.plugins]

    def paths(self, names: tuple[str, ...]) -> list[str]:
        """Return the names, with each file below ``root`` replaced by its path."""
        return [str(self.root / name) if (self.root / name).is_file() else name for name in names]


def settings(start: Path | None = None) -> ProjectSettings:
    """Return the settings that apply in a folder, by default the current one.

    The nearest ``pyproject.toml`` applies, as for other tools; without the table, the defaults.

    Raises:
        RequestError: the file is not valid TOML, or a key or value of the table is wrong.
    """
    folder = (start or Path.cwd()).resolve()
    places = (parent / FILE for parent in (folder, *folder.parents))
    path = next(filter(Path.is_file, places), None)
    if path is None:
        return ProjectSettings()
    table = _table(path)
    known = [setting.name for setting in fields(ProjectSettings) if setting.name != "root"]
    for key, value in table.items():
        if key not in known:
            near = suggestion(key, known)
            raise _wrong(path, f"unknown key {key}; known: {', '.join(known)}.{near}")
        _check(path, key, value)
        table[key] = tuple(value) if isinstance(value, list) else value
    return ProjectSettings(**table, root=path.parent)


def _table(path: Path) -> dict[str, Any]:
    try:
        content: Any = read_toml(path)
    except (OSError, ValueError) as error:
        raise RequestError(f"{shown_path(path)} cannot be read: {error}") from error
    tools = content.get("tool", {})
    table: Any = tools.get("attnbench", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise _wrong(path, f"must be a table, not {table!r}")
    return table


def _check(path: Path, key: str, value: object) -> None:
    if key in ("plugins", "suites"):
        right = isinstance(value, list) and all(isinstance(item, str) for item in value)
        wanted = "a list of texts"
    elif key in ("baseline", "out"):
        right, wanted = isinstance(value, str) and bool(value), "a text"
    elif key == "budget":
        right, wanted = _is_number(value) and value > 0, "a number of seconds above 0"  # type: ignore[operator]
    else:
        right = isinstance(value, dict) and all(map(_is_gate, value.values()))
        wanted = 'a table of "exact", "ignore" or a number of at least 0 for each metric'
    if not right:
        raise _wrong(path, f"{key} must be {wanted}, not {value!r}")


def _is_gate(value: object) -> bool:
    return value in ("exact", "ignore") or (_is_number(value) and value >= 0)  # type: ignore[operator]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _wrong(path: Path, what: str) -> RequestError:
    return RequestError(f"{shown_path(path)}: [{_TABLE}]: {what}")
