"""Plugin folders: packages that are not installed, loaded as if they were."""

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
    """Path of the ``pyproject.toml``."""
    distribution: str
    points: Mapping[str, str]
    """Entry points of the package: name to ``package:TABLE``."""
    roots: tuple[Path, ...]
    """Folders that may contain its packages, the most likely first."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Return the top-level packages of its entry points."""
        return tuple(dict.fromkeys(map(_top, self.points.values())))

    def root_of(self, top: str) -> Path:
        """Return the folder that would be on Python's path for a package if it were installed.

        Raises:
            PluginError: no folder contains the package.
        """
        for root in self.roots:
            if (root / top).is_dir() or (root / f"{top}.py").is_file():
                return root
        places = " nor in ".join(shown_path(root) for root in self.roots)
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
        """Return the source files of the package by their path below its folder."""
        folder = self.file.parent
        found = {self.file}
        for top in self.packages:
            root = self.root_of(top)
            found |= {path for path in (root / top).rglob("*") if _is_source(path, root)}
            found |= {path for path in [root / f"{top}.py"] if path.is_file()}
        return {path.relative_to(folder).as_posix(): path for path in sorted(found)}


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
    """Return the files of a plugin by their paths relative to each other.

    Raises:
        PluginError: the folder is not a plugin.
    """
    return read_folder(path).sources() if path.is_dir() else {path.name: path}


def same_distribution(one: str, other: str) -> bool:
    """Return whether two names are spellings of the same distribution."""
    return _normal(one) == _normal(other)


def import_from(root: Path, top: str) -> None:
    """Import a top-level package from a folder, even if another copy of it is installed.

    The folder is appended to the path: its other content must not shadow any module.
    """
    importlib.invalidate_caches()  # the package may just have been written
    if str(root) not in sys.path:
        sys.path.append(str(root))
    spec = PathFinder.find_spec(top, [str(root)])
    if spec is None or spec.origin is None or spec.loader is None:
        return  # a namespace package, which several distributions may share
    loaded = sys.modules.get(top)
    if loaded is not None and _file_of(loaded) == Path(spec.origin).resolve():
        return
    for name in _of_package(top):
        del sys.modules[name]  # an installed copy: the folder takes precedence
    module = importlib.util.module_from_spec(spec)
    sys.modules[top] = module
    spec.loader.exec_module(module)


@contextmanager
def undone_on_failure(packages: Collection[str]) -> Iterator[None]:
    """Restore the import path and the loaded packages after an exception in the context.

    Args:
        packages: names of top-level packages.
    """
    path, modules = list(sys.path), dict(sys.modules)
    try:
        yield
    except BaseException:
        sys.path[:] = path
        for name in [name for package in packages for name in _of_package(package)]:
            del sys.modules[name]
            if name in modules:
                sys.modules[name] = modules[name]
        raise


def _roots(folder: Path, content: Any) -> tuple[Path, ...]:
    """Return the possible roots: those of the build backend's settings, ``src``, the folder."""
    setuptools = _get(content, "tool", "setuptools")
    named = [
        *(_get(setuptools, "packages", "find", "where") or []),
        _get(setuptools, "package-dir", ""),
        *(
            Path(path).parent.as_posix()
            for path in _get(content, "tool", "hatch", "build", "targets", "wheel", "packages")
            or []
        ),
    ]
    places = [*(place for place in named if isinstance(place, str)), "src", "."]
    roots = [folder / place for place in places]
    return tuple(dict.fromkeys(root for root in roots if root.is_dir()))


def _get(content: Any, *keys: str) -> Any:
    """Return the value at a path of keys, or None."""
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
