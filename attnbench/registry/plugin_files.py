"""Plugins that are not installed: files, which are executed, and folders of packages.

A folder behaves as after an editable install, but nothing is written to the environment: what
``attnbench new`` makes works at once, and on a worker of another machine. Its ``pyproject.toml``
names the entry points. The packages are found by name, in ``src``, in the folder or up to two
levels below; the build backend's own tables are not read, since each backend has different ones.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from attnbench.errors import AttnbenchError, PluginError, RequestError
from attnbench.utils.text import describe, import_problem, shown_path
from attnbench.utils.toml import read_toml

GROUP = "attnbench.plugins"
PROJECT = "pyproject.toml"
_TABLE = f'[project.entry-points."{GROUP}"]'
_OUT_OF_SPACE = "failed to map segment"
"""The loader's reason under a limit of the address space, ``ulimit -v``."""
_MANY = 12
"""Number of classes of a file that an error lists."""
_NO_SOURCES = ("__pycache__", "*.pyc", "*.egg-info", ".*")


def run_file(path: Path) -> ModuleType:
    """Run a plugin file and return the resulting module.

    Raises:
        PluginError: it is not a Python file; exceptions of the file itself propagate.
    """
    # a unique name for each file: two files called my.py must not replace each other
    stem = re.sub(r"\W", "_", path.stem)
    name = f"attnbench_plugin_{stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError("its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.parent)
    is_new = folder not in sys.path
    if is_new:
        sys.path.append(folder)  # sibling files are importable, with the lowest priority
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        if is_new:
            sys.path.remove(folder)
        raise
    return module


def classes_in(path: Path, *, functions: bool = False) -> list[str]:
    """Return the classes of a file that are modules by their bases, or all if none is; not run.

    Args:
        path: the file.
        functions: whether its functions are returned, too, before the classes.

    Raises:
        PluginError: the file cannot be read, or is no Python.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PluginError(f"{shown_path(path)} cannot be read: {describe(error)}") from error
    except SyntaxError as error:
        place = f"{shown_path(path)}:{error.lineno}"
        raise PluginError(f"{place} is no Python: {describe(error)}") from error
    found: dict[str, bool] = {}
    made = [node.name for node in tree.body if functions and isinstance(node, ast.FunctionDef)]
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
            found[node.name] = any(found.get(base, base.endswith("Module")) for base in bases)
    modules = [*made, *([name for name, is_module in found.items() if is_module] or found)]
    return [name for name in modules if not name.startswith("_")] or modules


def missing_class(name: str, kind: str = "module") -> RequestError:
    """Return the error for a file in place of a module or backbone, with the names to choose."""
    path, is_backbone = Path(name), kind == "backbone"
    if not path.is_file():
        return RequestError(f"{kind} file {name!r} does not exist")
    names = classes_in(path, functions=is_backbone)
    what = "function or class" if is_backbone else "class"
    if not names:
        return RequestError(f"{name} has no {what}. Write FILE.py:NAME of a class or factory")
    first, *others = names[:_MANY]
    shown = "".join([f"{name}:{first}", *(f", or :{other}" for other in others)])
    return RequestError(f"{name} is a file, and a {kind} is a {what} in it. Write {shown}")


def file_reason(path: Path, error: BaseException) -> str:
    """Return why a plugin failed to load: the place and the first line of the error."""
    if isinstance(error, AttnbenchError):
        # errors of a folder already name their file
        return str(error) if path.is_dir() else f"plugin file {shown_path(path)}: {error}"
    if isinstance(error, ImportError) and _OUT_OF_SPACE in str(error):
        return import_problem(error)
    place = _failing_line(error, path) or shown_path(path)
    return f"plugin file {place} fails: {describe(error)}"


def _failing_line(error: BaseException, root: Path) -> str:
    """Return the last ``file:line`` of a traceback in a file or folder, or an empty text."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(Path(frame.filename), frame.lineno) for frame in frames]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((Path(error.filename), error.lineno))
    own = [(path, line) for path, line in places if line and path.is_relative_to(root)]
    return f"{shown_path(own[-1][0])}:{own[-1][1]}" if own else ""


@dataclass(frozen=True)
class PluginFolder:
    """A package that is not installed, as its ``pyproject.toml`` describes it."""

    file: Path
    """Path of the ``pyproject.toml``."""
    distribution: str
    points: Mapping[str, str]
    """Entry points of the package: name to ``package:TABLE``."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Return the top-level packages of its entry points."""
        return tuple(dict.fromkeys(map(_top, self.points.values())))

    def root_of(self, top: str) -> Path:
        """Return the folder that would be on Python's path for a package if it were installed.

        Raises:
            PluginError: no folder contains the package.
        """
        folder = self.file.parent
        deeper = [
            inner
            for inner in (*folder.glob("*/"), *folder.glob("*/*/"))
            if not any(part.startswith(".") or part == "build" for part in inner.parts[-2:])
        ]
        for root in [folder / "src", folder, *sorted(deeper)]:
            if (root / top).is_dir() or (root / f"{top}.py").is_file():
                return root
        raise PluginError(
            f"{shown_path(self.file)}: the package {top!r} of {_TABLE} is not in "
            f"{shown_path(folder)} nor in its folders. Correct its name."
        )

    def tables(self) -> Iterator[tuple[str, Any]]:
        """Import its tables; yield each with its origin.

        Raises:
            PluginError: a package is not there, or cannot be imported.
        """
        for name, value in self.points.items():
            root = self.root_of(_top(value))
            try:
                _import_from(root, _top(value))
                table = pkgutil.resolve_name(value)
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:
                place = _failing_line(error, root)
                raise PluginError(
                    f"{shown_path(self.file)}: entry point {name} = {value!r} cannot be loaded: "
                    f"{f'{place}: ' if place else ''}{describe(error)}"
                ) from error
            yield f"{self.distribution} ({shown_path(self.file)})", table

    def sources(self) -> dict[str, Path]:
        """Return the source files of the package by their path below its folder."""
        found = {self.file}
        for top in self.packages:
            root = self.root_of(top)
            for path in (root / f"{top}.py", *(root / top).rglob("*")):
                parts = map(Path, path.relative_to(root).parts)
                is_skipped = any(part.match(glob) for part in parts for glob in _NO_SOURCES)
                found |= {path} if path.is_file() and not is_skipped else set()
        return {path.relative_to(self.file.parent).as_posix(): path for path in sorted(found)}


def read_folder(folder: Path) -> PluginFolder:
    """Read the folder of a package.

    Raises:
        PluginError: there is no ``pyproject.toml``, or it names no plugins.
    """
    file = folder / PROJECT
    shown = shown_path(file)
    if not file.is_file():
        raise PluginError(
            f"plugin folder {shown_path(folder)} has no {PROJECT}. Name a .py file, or make a "
            "package: attnbench new NAME"
        )
    try:
        content: Any = read_toml(file)
    except (OSError, ValueError) as error:
        raise PluginError(f"{shown} cannot be read: {error}") from error
    project, points = content.get("project", {}), None
    with suppress(KeyError, TypeError):
        points = project["entry-points"][GROUP]
    if not isinstance(points, dict) or not points:
        raise PluginError(
            f'{shown} names no plugins. Add {_TABLE} with mine = "my_package:MODULES"'
        )
    for name, value in points.items():
        if not isinstance(value, str) or not re.fullmatch(r"[\w.]+:[\w.]+", value):
            raise PluginError(
                f"{shown}: {_TABLE}: {name} must be a text like 'my_package:MODULES': got {value!r}"
            )
    return PluginFolder(file, str(project.get("name") or folder.name), points)


def plugin_sources(path: Path) -> dict[str, Path]:
    """Return the files of a plugin by their paths relative to each other.

    Raises:
        PluginError: the folder is not a plugin.
    """
    return read_folder(path).sources() if path.is_dir() else {path.name: path}


@contextmanager
def undone_on_failure(packages: Collection[str]) -> Iterator[None]:
    """Restore the import path and the loaded top-level packages after an exception."""
    path, modules = list(sys.path), dict(sys.modules)
    try:
        yield
    except BaseException:
        sys.path[:] = path
        for name in [name for package in packages for name in _loaded_of(package)]:
            del sys.modules[name]
            if name in modules:
                sys.modules[name] = modules[name]
        raise


def _import_from(root: Path, top: str) -> None:
    """Import a top-level package from a folder, even if another copy of it is installed.

    The folder is appended to the path: its other content must not shadow any module.
    """
    importlib.invalidate_caches()  # the package may just have been written
    if str(root) not in sys.path:
        sys.path.append(str(root))
    spec = PathFinder.find_spec(top, [str(root)])
    if spec is None or spec.origin is None or spec.loader is None:
        return  # a namespace package, which several distributions may share
    loaded = getattr(sys.modules.get(top), "__file__", None)
    if loaded and Path(loaded).resolve() == Path(spec.origin).resolve():
        return
    for name in _loaded_of(top):
        del sys.modules[name]  # an installed copy: the folder takes precedence
    module = importlib.util.module_from_spec(spec)
    sys.modules[top] = module
    spec.loader.exec_module(module)


def _top(value: str) -> str:
    return re.split(r"[.:]", value)[0]


def _loaded_of(top: str) -> list[str]:
    return [name for name in sys.modules if name == top or name.startswith(f"{top}.")]
