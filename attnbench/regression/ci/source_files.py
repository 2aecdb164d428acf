"""Classes of a model, their files, and all source files that those depend on.

Runs in a side's process.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from attnbench.records.source_files import absolute_name, package_of
from attnbench.regression.ci.launcher import SourceTrees

_LIBRARIES = frozenset({"torch", "torchvision", "timm", "numpy", "builtins"})
"""Libraries that are the same on both sides and too large to follow beyond a class's file."""
_PLUGIN = re.compile(r"attnbench_plugin_(\w+)_[0-9a-f]{8}")
"""Module name of a plugin file in attnbench; the hash is of its path."""


def classes_of(objects: Iterable[Any], trees: SourceTrees) -> list[dict[str, str]]:
    """Return class, file, kind of place and hash of the classes of some objects.

    The objects are modules of a model, classes or functions; base classes are included.
    """
    found: dict[str, dict[str, str]] = {}
    for value in objects:
        is_function = callable(value) and hasattr(value, "__code__")
        origin = value if isinstance(value, type) or is_function else type(value)
        for part in origin.__mro__ if isinstance(origin, type) else (origin,):
            place = _PLUGIN.sub(r"\1.py", part.__module__)
            name = f"{place}:{part.__qualname__}"
            if name not in found and part.__module__.partition(".")[0] not in ("torch", "builtins"):
                found[name] = _class_facts(name, part.__module__, trees)
    return list(found.values())


def _class_facts(name: str, module: str, trees: SourceTrees) -> dict[str, str]:
    file = getattr(sys.modules.get(module), "__file__", None)
    if not isinstance(file, str):
        return {"class": name, "file": "", "kind": "beside", "hash": ""}
    path = Path(file).resolve()
    return {"class": name, "file": str(path), "kind": trees.kind(path), "hash": hash_file(path)}


def source_hashes_of(files: Iterable[str | Path], trees: SourceTrees) -> dict[str, str]:
    """Return the hash of each file, and of the files that those import, libraries excluded.

    Keys are the same on both sides: relative to the tree, or to where packages are installed.
    """
    seen: set[Path] = set()
    waiting = [Path(file) for file in files if file]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += [file for file in imported_files(path) if _is_followed(file, path, trees)]
    return {source_key(path, trees): hash_file(path) for path in sorted(seen)}


@cache
def hash_file(path: Path) -> str:
    """Return a short hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@cache
def imported_files(path: Path) -> tuple[Path, ...]:
    """Return the files of the modules that a source file imports, anywhere in it."""
    if path.suffix != ".py":
        return ()
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return ()
    names = dict.fromkeys(_imports(tree, _package(path)))
    return tuple(dict.fromkeys(file for file in map(_file, names) if file is not None))


def source_key(path: Path, trees: SourceTrees) -> str:
    """Return the name of a source file that is the same on both sides."""
    if path.is_relative_to(trees.own):
        return path.relative_to(trees.own).as_posix()
    parts = path.parts
    for folder in ("site-packages", "dist-packages"):
        if folder in parts:
            return Path(*parts[parts.index(folder) + 1 :]).as_posix()
    return path.as_posix()


def _imports(tree: ast.AST, package: list[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute_name(node, package)
            within = [f"{base}.{alias.name}" for alias in node.names]
            yield from (found := [name for name in within if _file(name) is not None])
            if len(found) < len(within):  # a name that the package itself defines
                yield base


@cache
def _file(name: str) -> Path | None:
    """Return the file of a module; None if it is not a module, or a library's."""
    if not name or name.partition(".")[0] in {*_LIBRARIES, *sys.stdlib_module_names}:
        return None
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        try:
            spec = importlib.util.find_spec(name)
        except Exception:  # its package cannot be imported here, or is not a package
            return None
        file = spec.origin if spec is not None and spec.has_location else None
    return Path(file).resolve() if file else None


def _package(path: Path) -> list[str]:
    """Return the package of a file, by the name it was imported under, else by its folders."""
    name = _loaded_names(len(sys.modules)).get(str(path))
    if name is None:
        return package_of(path)
    return name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]


@lru_cache(maxsize=1)
def _loaded_names(count: int) -> dict[str, str]:
    """Return the first name of each loaded file; ``count`` modules are loaded."""
    found: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and name != "__main__":
            found.setdefault(file, name)
    return found


def _is_followed(path: Path, importer: Path, trees: SourceTrees) -> bool:
    """Return whether to follow a file: own code always, a plugin's within its package and tree.

    An attnbench outside the trees is the same on both sides, and imports nothing of theirs.
    """
    kind, package = trees.kind(path), _package(path)[:1]
    if kind in ("tree", "environment"):
        return True
    if package == ["attnbench"]:
        return False
    return kind == "beside" or (bool(package) and package == _package(importer)[:1])
