"""Plugin folders: packages that are not installed, taken in as if they were."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.machinery import PathFinder
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from attnbench.errors import PluginError
from attnbench.registry.plugin_files import failing_line
from attnbench.utils.text import describe, shown_path

GROUP = "attnbench.plugins"
PROJECT = "pyproject.toml"
_TABLE = f'[project.entry-points."{GROUP}"]'
_NO_SOURCES = ("__pycache__", "*.pyc", "*.egg-info", ".*")


@dataclass(frozen=True)
class PluginFolder:
    """A package that is not installed, as its ``pyproject.toml`` describes it."""

    file: Path
    """The ``pyproject.toml``."""
    distribution: str
    points: Mapping[str, str]
    """Its entry points: name to ``package:TABLE``."""
    roots: tuple[Path, ...]
    """Folders that may hold its packages, the likeliest first."""

    @property
    def packages(self) -> tuple[str, ...]:
        """The top-level packages of its entry points."""
        return tuple(dict.fromkeys(map(_top, self.points.values())))

    def root_of(self, top: str) -> Path:
        """Return the folder that would be on Python's path for a package if it were installed.

        Raises:
            PluginError: none holds the package.
        """
        for root in self.roots:
            if (root / top).is_dir() or (root / f"{top}.py").is_file():
                return root
        places = " nor in ".join(shown_path(one) for one in self.roots)
        raise PluginError(
            f"{shown_path(self.file)}: the package {top!r} of {_TABLE} is not in {places}; "
            "correct its name"
        )

    def tables(self) -> Iterator[tuple[str, Any]]:
        """Import its tables; yield each with its origin.

        Raises:
            PluginError: a package is not there, or cannot be imported.
        """
        for name, value in self.points.items():
            module, _, attribute = value.partition(":")
            root = self.root_of(_top(value))
            try:
                import_from(root, _top(value))
                table = attrgetter(attribute)(importlib.import_module(module))
            except (Exception, SystemExit) as error:
                place = failing_line(error, partial(_is_below, root))
                raise PluginError(
                    f"{shown_path(self.file)}: entry point {name} = {value!r} cannot be loaded: "
                    f"{f'{place}: ' if place else ''}{describe(error)}"
                ) from error
            yield f"{self.distribution} ({shown_path(self.file)})", table

    def sources(self) -> dict[str, Path]:
        """Return the files that it consists of, by their path below its folder."""
        folder = self.file.parent
        found = {self.file}
        for top in self.packages:
            root = self.root_of(top)
            found |= {one for one in (root / top).rglob("*") if _is_source(one, root)}
            found |= {one for one in [root / f"{top}.py"] if one.is_file()}
        return {one.relative_to(folder).as_posix(): one for one in sorted(found)}


def read_folder(folder: Path) -> PluginFolder:
    """Read the folder of a package.

    Raises:
        PluginError: there is no ``pyproject.toml``, or it names no plugins.
    """
    file = folder / PROJECT
    if not file.is_file():
        raise PluginError(
            f"plugin folder {shown_path(folder)} has no {PROJECT}; name a .py file, or make a "
            "package: attnbench new NAME"
        )
    try:
        content: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PluginError(f"{shown_path(file)} cannot be read: {error}") from error
    points = _get(content, "project", "entry-points", GROUP)
    if not isinstance(points, dict) or not points:
        raise PluginError(
            f'{shown_path(file)} names no plugins; add {_TABLE} with mine = "my_package:MODULES"'
        )
    for name, value in points.items():
        if not isinstance(value, str) or not re.fullmatch(r"[\w.]+:[\w.]+", value):
            raise PluginError(
                f"{shown_path(file)}: {_TABLE}: {name} must be a text like "
                f"'my_package:MODULES', not {value!r}"
            )
    distribution = _get(content, "project", "name") or folder.name
    return PluginFolder(file, str(distribution), points, _roots(folder, content))


def plugin_sources(path: Path) -> dict[str, Path]:
    """Return the files of a plugin by the names that they need beside each other.

    Raises:
        PluginError: it is a folder that is no plugin.
    """
    return read_folder(path).sources() if path.is_dir() else {path.name: path}


def same_distribution(one: str, other: str) -> bool:
    """Whether two names are spellings of one distribution."""
    return _normal(one) == _normal(other)


def import_from(root: Path, top: str) -> None:
    """Import a top-level package from a folder, also where another copy of it is installed.

    The folder goes to the end of the path: what else lies in it must hide nothing.
    """
    importlib.invalidate_caches()  # it may just have been written
    if str(root) not in sys.path:
        sys.path.append(str(root))
    spec = PathFinder.find_spec(top, [str(root)])
    if spec is None or spec.origin is None or spec.loader is None:
        return  # a namespace package, which others may share
    known = sys.modules.get(top)
    if known is not None and _file_of(known) == Path(spec.origin).resolve():
        return
    for name in _of_package(top):
        del sys.modules[name]  # an installed copy: what is being worked on counts
    module = importlib.util.module_from_spec(spec)
    sys.modules[top] = module
    spec.loader.exec_module(module)


@contextmanager
def undone_on_failure(packages: Collection[str]) -> Iterator[None]:
    """While entered, an exception leaves path and loaded packages as they were.

    Args:
        packages: names of top-level packages.
    """
    path, modules = list(sys.path), dict(sys.modules)
    try:
        yield
    except BaseException:
        sys.path[:] = path
        for name in [name for one in packages for name in _of_package(one)]:
            del sys.modules[name]
            if name in modules:
                sys.modules[name] = modules[name]
        raise


def _roots(folder: Path, content: Any) -> tuple[Path, ...]:
    """Where its packages may be: where its build backend is told to look, ``src``, the folder."""
    setuptools = _get(content, "tool", "setuptools")
    named = [
        *(_get(setuptools, "packages", "find", "where") or []),
        _get(setuptools, "package-dir", ""),
        *(
            Path(one).parent.as_posix()
            for one in _get(content, "tool", "hatch", "build", "targets", "wheel", "packages") or []
        ),
    ]
    places = [*(one for one in named if isinstance(one, str)), "src", "."]
    return tuple(dict.fromkeys(one for one in (folder / each for each in places) if one.is_dir()))


def _get(content: Any, *keys: str) -> Any:
    """The value at a path of keys; None where there is none."""
    for key in keys:
        if not isinstance(content, dict):
            return None
        content = content.get(key)
    return content


def _is_below(root: Path, path: Path) -> bool:
    return path.is_relative_to(root)


def _top(value: str) -> str:
    return re.split(r"[.:]", value)[0]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_source(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    skipped = any(Path(part).match(glob) for part in parts for glob in _NO_SOURCES)
    return path.is_file() and not skipped


def _of_package(top: str) -> list[str]:
    return [name for name in sys.modules if name == top or name.startswith(f"{top}.")]


def _file_of(module: ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None
