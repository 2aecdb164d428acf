"""Source files of a distribution: the modules that a file can import from its own distribution.

The files are located by folders and metadata, without any import. The engine is not part of any
module's own code, not even of that of the shipped modules. Standard library only, as
:mod:`attnbench.regression.ci` uses it in the processes of both sides.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

ENGINE = "attnbench"
# one distribution, two packages: an editable install does not list them in its metadata
OURS = ("attnbench_modules", "attnbench_suites")


@cache
def find_own(module: str, importer: Path) -> Path | None:
    """Return a module of the importer's distribution; None for any other, and for the engine.

    Args:
        module: absolute name, ``package.module``.
        importer: the file that imports it.

    Returns:
        The path without a suffix: ``.../pkg/mod`` for ``mod.py`` and for ``mod/__init__.py``.
    """
    top, *rest = module.split(".")
    if top == ENGINE:
        return None
    folders = [_top_folder(top, importer)]
    # a folder without __init__.py that the importer lies in, too
    above = next((folder for folder in importer.parents if folder.name == top), None)
    folders += [above] if above and _is_loose(top, above.parent) else []
    found = (find_module(folder.joinpath(*rest)) for folder in folders if folder)
    return next(filter(None, found), None)


def absolute_name(node: ast.ImportFrom, package: list[str]) -> str:
    """Return the absolute name of the module that ``from ... import`` in a package names."""
    above = package[: len(package) - node.level + 1] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def package_of(file: Path) -> list[str]:
    """Return the packages that contain a file, from the top; an empty list for a single file."""
    return list(file.relative_to(_root(file)).parts[:-1])


@cache
def _root(file: Path) -> Path:
    """Return the folder that holds the top-level package of a file, or the file itself."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


@cache
def source_of(base: Path) -> Path | None:
    """Return the source file of a module; None for a folder without ``__init__.py``."""
    for candidate in (base / "__init__.py", base.parent / f"{base.name}.py"):
        if candidate.is_file():
            return candidate.resolve()
    return None


@cache
def find_module(base: Path) -> Path | None:
    """Return the path without a suffix of a module or a package; None if there is none."""
    return base if source_of(base) or base.is_dir() else None


def _top_folder(top: str, importer: Path) -> Path | None:
    root = _root(importer)
    package = package_of(importer)
    own = package[0] if package else importer.stem
    if not package or top == own or _is_loose(own, root):
        return root / top  # a plugin that is not installed: any file or folder beside it
    return _package_folder(top) if top in _siblings(own) else None


@cache
def _is_loose(top: str, root: Path) -> bool:
    """Return whether a package belongs to no installed distribution, as a plugin in a folder."""
    installed = {"site-packages", "dist-packages"} & set(root.parts)
    return top not in OURS and not installed and top not in _distributions()


@cache
def _siblings(top: str) -> frozenset[str]:
    """Return the top-level packages of the same distribution."""
    if top in OURS:
        return frozenset(OURS)
    owners = _distributions()
    mine = set(owners.get(top, []))
    return frozenset(name for name, theirs in owners.items() if mine & set(theirs))


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Return the distributions of each top-level package; cached, as the search takes a second."""
    return packages_distributions()


@cache
def _package_folder(top: str) -> Path | None:
    spec = find_spec(top)
    locations = list(spec.submodule_search_locations or []) if spec else []
    return Path(locations[0]).resolve() if locations else None
