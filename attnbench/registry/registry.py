"""Names and what they stand for: one small, lazy, typed registry. Imports no torch."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from attnbench.errors import DuplicateNameError, PluginError, unknown
from attnbench.utils.text import describe

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Entry(Generic[T]):
    """One registered name.

    ``target`` is the object itself or, so that listing imports nothing, ``"package.module:attr"``.
    """

    name: str
    target: T | str
    origin: str
    """Where the name was registered: ``file.py:12``, or a distribution and its table."""
    title: str | None = None
    family: str | None = None
    year: int | None = None
    paper: str | None = None


class Registry(Generic[T]):
    """Entries of one kind by name.

    Args:
        kind: what is registered, as errors call it: ``"module"``.
        validate: called with (entry, loaded object) before the object is handed out; raises
            :class:`PluginError` with the reason when the object breaks the contract.
        load: turns a lazy target into the object; the default imports ``package.module:attr``.
    """

    def __init__(
        self,
        kind: str,
        validate: Callable[[Entry[T], Any], None] = lambda entry, target: None,
        load: Callable[[str], Any] | None = None,
    ) -> None:
        self.kind = kind
        self._validate = validate
        self._load = load or import_target
        self._entries: dict[str, Entry[T]] = {}
        self._conflicts: dict[str, tuple[str, str]] = {}

    def add(self, entry: Entry[T], *, disputable: bool = False) -> None:
        """Register an entry.

        Args:
            entry: the entry.
            disputable: when the name is taken, neither side keeps it. For installed plugins, whose
                order means nothing; a decorator's author can rename at once.

        Raises:
            DuplicateNameError: the name is taken by another object; both origins are named.
            PluginError: the target is given as an object and breaks the contract.
        """
        known = self._entries.get(entry.name)
        if known is not None and not _same(known, entry):
            if disputable:
                self._conflicts[entry.name] = (known.origin, entry.origin)
            raise self._duplicate(entry.name, known.origin, entry.origin)
        if not isinstance(entry.target, str):
            self._validate(entry, entry.target)
        self._entries[entry.name] = entry

    def names(self) -> list[str]:
        """Return all names that stand for something, sorted."""
        return sorted(self._entries.keys() - self._conflicts.keys())

    def is_disputed(self, name: str) -> bool:
        """Whether two plugins claim the name, so that it stands for neither."""
        return name in self._conflicts

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def entry(self, name: str, *, elsewhere: str = "", way_out: str = "") -> Entry[T]:
        """Return the entry of a name.

        Raises:
            UnknownNameError: nothing has that name; near misses are suggested.
            DuplicateNameError: two plugins claim it.
        """
        if name in self._conflicts:
            raise self._duplicate(name, *self._conflicts[name])
        if name not in self._entries:
            raise unknown(self.kind, name, self.names(), elsewhere=elsewhere, way_out=way_out)
        return self._entries[name]

    def get(self, name: str, *, elsewhere: str = "", way_out: str = "") -> T:
        """Return the object behind a name, importing it at the first call.

        Raises:
            UnknownNameError: nothing has that name.
            PluginError: the target cannot be imported or breaks the contract.
        """
        entry = self.entry(name, elsewhere=elsewhere, way_out=way_out)
        if not isinstance(entry.target, str):
            return entry.target
        loaded: T = self._resolve(entry, entry.target)
        self._entries[name] = replace(entry, target=loaded)
        return loaded

    def entries(self) -> dict[str, Entry[T]]:
        """Return a copy of all entries, for :meth:`restore`."""
        return dict(self._entries)

    def restore(self, entries: dict[str, Entry[T]]) -> None:
        """Go back to earlier entries; a plugin file that fails half-way leaves nothing behind."""
        self._entries = dict(entries)

    def snapshot(self) -> Callable[[], None]:
        """Return what brings back the entries of now."""
        entries = self.entries()
        return lambda: self.restore(entries)

    def remove(self, names: Iterable[str]) -> None:
        """Forget names; who disputes one goes on disputing it."""
        for name in names:
            self._entries.pop(name, None)

    def _resolve(self, entry: Entry[T], target: str) -> Any:
        try:
            loaded = self._load(target)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{self.kind} {entry.name!r} of {entry.origin} cannot be loaded from "
                f"{target!r}: {describe(error)}"
            ) from error
        self._validate(entry, loaded)
        return loaded

    def _duplicate(self, name: str, first: str, second: str) -> DuplicateNameError:
        return DuplicateNameError(
            f"{self.kind} {name!r} is registered twice: by {first} and by {second}. "
            "Rename one of them or uninstall one."
        )


def import_target(target: str) -> Any:
    """Return the object that ``"package.module:attr"`` names."""
    module, _, attribute = target.partition(":")
    found = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def _same(known: Entry[Any], new: Entry[Any]) -> bool:
    """Whether a registration repeats an earlier one.

    The same target, or the same source executed again: a notebook cell, a reloaded module, a
    script that is run and loaded as a plugin.
    """
    if known.target is new.target or _source_name(known.target) == _source_name(new.target):
        return True
    return known.origin == new.origin and re.search(r":\d+$", new.origin) is not None


def _source_name(target: object) -> object:
    """Return ``package.module:Class``; for a target without such a name, itself."""
    if isinstance(target, str):
        return target
    module = getattr(target, "__module__", None)
    name = getattr(target, "__qualname__", None)
    return f"{module}:{name}" if module and name and "<" not in name else target
