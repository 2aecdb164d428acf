"""Imports that would lead into head's tree lead into this side's own.

An editable install of head stands in the environment of both sides: as a line of a ``.pth`` file,
as a finder that maps package names to folders, or as a variable. For base each of these is sent to
the same place in base's tree; where there is nothing, the name is not found.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Trees:
    """Where a side's code is, and where it must not come from."""

    own: Path
    """The side's tree."""
    head: Path
    """The checkout that an editable install leads to; head's own tree is the same."""
    owned: tuple[Path, ...] = ()
    """Folders of an environment that was built for this side alone."""

    def kind(self, file: str | Path) -> str:
        """Return ``tree``, ``environment`` (its own), ``foreign``, ``installed`` or ``beside``.

        ``foreign`` is a file of head's tree in base's process; ``beside`` one that is neither in a
        tree nor installed.
        """
        path = Path(file).resolve()
        if any(path.is_relative_to(folder) for folder in self.owned):
            return "environment"
        for tree, kind in ((self.own, "tree"), (self.head, "foreign")):
            if path.is_relative_to(tree):
                return "installed" if _in_environment(path, tree) else kind
        return "installed" if _in_environment(path, None) else "beside"

    def mapped(self, place: str) -> str:
        """Return a path with head's tree replaced by the side's own."""
        if not place or self.kind(place) != "foreign":
            return place
        return str(self.own / Path(place).resolve().relative_to(self.head))

    def own_spec(self, spec: ModuleSpec) -> ModuleSpec | None:
        """Return what a finder found, or the same in the side's own tree; None if it lacks it."""
        origin = spec.origin if spec.has_location else None
        folders = list(spec.submodule_search_locations or ())
        if not any(
            self.kind(one) == "foreign" for one in [*folders, *([origin] if origin else [])]
        ):
            return spec
        mapped = [one for one in map(self.mapped, folders) if Path(one).is_dir()]
        if origin is None:  # a namespace package: folders alone
            found = ModuleSpec(spec.name, None, is_package=True)
            found.submodule_search_locations = mapped
            return found if mapped else None
        file = self.mapped(origin)
        if not Path(file).is_file():
            return None
        within = mapped if spec.submodule_search_locations is not None else None
        return importlib.util.spec_from_file_location(
            spec.name, file, submodule_search_locations=within
        )


class Guarded:
    """A finder of ``sys.meta_path`` whose finds are brought home."""

    def __init__(self, finder: Any, trees: Trees) -> None:
        self._finder = finder
        self._trees = trees

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module in the side's own tree, or of one that is in neither."""
        found: ModuleSpec | None = self._finder.find_spec(name, path, target)
        if found is None or _is_ours(name):
            return found
        return self._trees.own_spec(found)


def install(trees: Trees, first: Iterable[str], after: Iterable[str] = ()) -> None:
    """Put the side's own folders on the path, and keep the other tree out.

    Args:
        trees: the side's.
        first: folders that come before all others.
        after: folders that come behind the side's own environment, before what both sides share.
    """
    for name in [name for name, one in sys.modules.items() if _is_foreign(one, trees)]:
        del sys.modules[name]  # a .pth file may have imported it as Python started
    found = [trees.mapped(one) for one in sys.path]
    own = [one for one in found if trees.kind(one) == "environment"] if trees.owned else []
    shared = [one for one in found if one not in own]
    sys.path[:] = list(dict.fromkeys([*first, *own, *after, *shared]))
    finders: list[Any] = sys.meta_path
    finders[:] = [Guarded(one, trees) if hasattr(one, "find_spec") else one for one in finders]
    importlib.invalidate_caches()


def foreign_modules(trees: Trees) -> list[dict[str, str]]:
    """Return the loaded modules that came from head's tree all the same."""
    return [
        {"class": name, "file": str(one.__file__), "kind": "foreign"}
        for name, one in sorted(sys.modules.items())
        if _is_foreign(one, trees)
    ]


def _is_ours(name: str) -> bool:
    """Whether a module is one of these files: head's serve both sides, also where base has them."""
    return bool(__package__) and name.startswith(f"{__package__}.")


def _is_foreign(module: ModuleType, trees: Trees) -> bool:
    if (getattr(module, "__package__", None) or "") == (__package__ or "-"):
        return False  # ourselves: head's script serves both sides
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and module.__name__ != "__main__" and trees.kind(file) == "foreign"


def _in_environment(path: Path, tree: Path | None) -> bool:
    """Whether a path belongs to Python or to an environment, also one that stands in a tree."""
    parts = path.relative_to(tree).parts if tree else path.parts
    prefixes = {Path(one).resolve() / "lib" for one in (sys.prefix, sys.base_prefix)}
    within = [one for one in prefixes if tree is None or one.is_relative_to(tree)]
    return any(one in _INSTALLED for one in parts) or any(map(path.is_relative_to, within))
