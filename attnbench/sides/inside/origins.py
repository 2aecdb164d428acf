"""What a model is made of: its classes, their files, and all sources that those depend on."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from .guard import Trees

_LIBRARIES = frozenset({"torch", "torchvision", "timm", "numpy", "builtins"})
"""Installed, the same on both sides, and too large to follow: their own file stands for them."""
_PLUGIN = re.compile(r"attnbench_plugin_(\w+)_[0-9a-f]{8}")
"""What attnbench calls a plugin file's module; the hash is of its path."""
_FILE = r"\1.py"
_OWN_KINDS = ("tree", "environment", "beside")


def classes_of(objects: Iterable[Any], trees: Trees) -> list[dict[str, str]]:
    """Return class, file, kind of place and hash of all classes behind some objects.

    Args:
        objects: modules of a model, classes or functions; base classes count.
        trees: tell what lies where.
    """
    found: dict[str, dict[str, str]] = {}
    for one in objects:
        own = (
            one
            if isinstance(one, type) or (callable(one) and hasattr(one, "__code__"))
            else type(one)
        )
        for each in own.__mro__ if isinstance(own, type) else (own,):
            name = f"{_PLUGIN.sub(_FILE, each.__module__)}:{each.__qualname__}"
            if name not in found and each.__module__.partition(".")[0] not in ("torch", "builtins"):
                found[name] = _facts(name, each.__module__, trees)
    return list(found.values())


def _facts(name: str, module: str, trees: Trees) -> dict[str, str]:
    file = getattr(sys.modules.get(module), "__file__", None)
    if not isinstance(file, str):
        return {"class": name, "file": "", "kind": "beside", "hash": ""}
    path = Path(file).resolve()
    return {"class": name, "file": str(path), "kind": trees.kind(path), "hash": hashed(path)}


def sources_of(files: Iterable[str], trees: Trees) -> dict[str, str]:
    """Return the hash of each file, and of what those import that is not a library's.

    Keys are the same on both sides: relative to the tree, or to where packages are installed.
    """
    seen: set[Path] = set()
    waiting = [Path(one) for one in files if one]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += [one for one in imported(path) if _is_followed(one, path, trees)]
    return {_key(path, trees): hashed(path) for path in sorted(seen)}


@cache
def hashed(path: Path) -> str:
    """Return a short hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@cache
def imported(path: Path) -> tuple[Path, ...]:
    """Return the files of the modules that a source file imports, wherever in it."""
    if path.suffix != ".py":
        return ()
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return ()
    names = dict.fromkeys(_imports(tree, _package(path)))
    return tuple(dict.fromkeys(one for one in map(_file, names) if one is not None))


def _imports(tree: ast.AST, package: list[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            within = [f"{base}.{alias.name}" for alias in node.names]
            yield from (found := [one for one in within if _file(one) is not None])
            if len(found) < len(within):  # something that the package itself defines
                yield base


@cache
def _file(name: str) -> Path | None:
    """The file of a module; None for what is no module, or of a library."""
    if not name or name.partition(".")[0] in {*_LIBRARIES, *sys.stdlib_module_names}:
        return None
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        try:
            spec = importlib.util.find_spec(name)
        except Exception:  # its package cannot be imported here, or is no package
            return None
        file = spec.origin if spec is not None and spec.has_location else None
    return Path(file).resolve() if file else None


def _package(path: Path) -> list[str]:
    """The package that a file is in, by the name it was imported under, else by its folders."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) == str(path) and name != "__main__":
            return name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    parts: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return parts


def _is_followed(path: Path, importer: Path, trees: Trees) -> bool:
    """Own code always; an installed plugin's within its package, and from there into the tree."""
    if trees.kind(path) in _OWN_KINDS:
        return True
    package, other = _package(path)[:1], _package(importer)[:1]
    return bool(package) and package == other and package != ["attnbench"]


def _key(path: Path, trees: Trees) -> str:
    if path.is_relative_to(trees.own):
        return path.relative_to(trees.own).as_posix()
    parts = path.parts
    for folder in ("site-packages", "dist-packages"):
        if folder in parts:
            return Path(*parts[parts.index(folder) + 1 :]).as_posix()
    return path.as_posix()
