"""Source files of a distribution: the modules that a file can import from its own distribution.

The files are located by folders and metadata, without any import. The engine is not part of any
module's own code, not even of that of the shipped modules. Standard library only, as
:mod:`attnbench.regression.ci` uses it in the processes of both sides.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

ENGINE = "attnbench"
# one distribution, two packages: an editable install does not list them in its metadata
OURS = ("attnbench_modules", "attnbench_suites")


@dataclass(frozen=True)
class OwnModule:
    """A module or package of the importer's own distribution.

    Args:
        base: the path without a suffix: ``.../pkg/mod`` for ``mod.py`` and for ``mod/__init__.py``.
    """

    base: Path

    @property
    def file(self) -> Path | None:
        """The source file; None for a folder without ``__init__.py``."""
        return _source_of(self.base)

    def child(self, name: str) -> OwnModule | None:
        """Return the submodule of a name; None if there is none."""
        return _existing(self.base / name)


def find_own(module: str, importer: Path) -> OwnModule | None:
    """Return a module of the importer's distribution; None for any other, and for the engine.

    Args:
        module: absolute name, ``package.module``.
        importer: the file that imports it.
    """
    top, *rest = module.split(".")
    folder = None if top == ENGINE else _top_folder(top, importer)
    found = _existing(folder.joinpath(*rest)) if folder else None
    return found or _find_in_namespace(module, importer)


@cache
def _find_in_namespace(module: str, importer: Path) -> OwnModule | None:
    """Return a module of a folder without ``__init__.py`` that the importer lies in, too."""
    top, *rest = module.split(".")
    above = [folder for folder in importer.parents if folder.name == top]
    if top == ENGINE or not above or not _is_loose(top, above[0].parent):
        return None
    return _existing(above[0].joinpath(*rest))


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
def _source_of(base: Path) -> Path | None:
    for candidate in (base / "__init__.py", base.parent / f"{base.name}.py"):
        if candidate.is_file():
            return candidate.resolve()
    return None


@cache
def _existing(base: Path) -> OwnModule | None:
    return OwnModule(base) if _source_of(base) or base.is_dir() else None


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
