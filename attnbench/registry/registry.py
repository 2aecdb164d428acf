"""A lazy, typed registry of named objects. Imports no torch."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

from attnbench.errors import DuplicateNameError, PluginError, unknown
from attnbench.utils.forked_trial import IMPORT, run_after_trial
from attnbench.utils.process_settings import preserve_from_plugin
from attnbench.utils.text import describe

OWN = "attnbench ("
"""Beginning of the origins of attnbench's own tables, whose targets need no trial."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Entry(Generic[T]):
    """A registered name.

    ``target`` is the object itself or, to avoid imports for listings, ``"package.module:attr"``.
    """

    name: str
    target: T | str
    origin: str
    """Place of the registration: ``file.py:12``, or a distribution and its table."""
    title: str | None = None
    family: str | None = None
    year: int | None = None
    paper: str | None = None


class Registry(Generic[T]):
    """Entries of one kind by name.

    Args:
        kind: name of the kind in error messages, such as ``"module"``.
        validate: called with (entry, loaded object) before the object is returned; raises
            :class:`PluginError` with the reason if the object violates the contract.
        load: resolves a lazy target to the object; the default imports ``package.module:attr``.
    """

    def __init__(
        self,
        kind: str,
        validate: Callable[[Entry[T], Any], None] = lambda entry, target: None,
        load: Callable[[str], Any] = pkgutil.resolve_name,
    ) -> None:
        self.kind = kind
        self._validate = validate
        self._load = load
        self._entries: dict[str, Entry[T]] = {}
        self._conflicts: dict[str, tuple[str, str]] = {}
        self.revision = 0
        """Number of changes so far: lookups with the same revision have the same result."""

    def add(self, entry: Entry[T], *, disputable: bool = False) -> None:
        """Register an entry.

        Args:
            entry: the entry.
            disputable: if the name is taken, neither entry keeps it. For installed plugins, whose
                order is arbitrary; the author of a decorated class can rename it at once.

        Raises:
            DuplicateNameError: the name is taken by another object; the error names both origins.
            PluginError: the target is given as an object and violates the contract.
        """
        existing = self._entries.get(entry.name)
        if existing is not None and not _same(existing, entry):
            if disputable:
                self._conflicts[entry.name] = (existing.origin, entry.origin)
                self.revision += 1
            raise self._duplicate(entry.name, existing.origin, entry.origin)
        if not isinstance(entry.target, str):
            self._validate(entry, entry.target)
        self._entries[entry.name] = entry
        self.revision += 1

    def names(self) -> list[str]:
        """Return all undisputed names, sorted."""
        return sorted(self._entries.keys() - self._conflicts.keys())

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def entry(self, name: str, *, elsewhere: str = "", way_out: str = "") -> Entry[T]:
        """Return the entry of a name.

        Raises:
            UnknownNameError: the name is not registered; the error suggests similar names.
            DuplicateNameError: two plugins claim it.
        """
        if name in self._conflicts:
            raise self._duplicate(name, *self._conflicts[name])
        if name not in self._entries:
            raise unknown(self.kind, name, self.names(), elsewhere=elsewhere, way_out=way_out)
        return self._entries[name]

    def get(self, name: str, *, elsewhere: str = "", way_out: str = "") -> T:
        """Return the object behind a name, importing it on the first call.

        Raises:
            UnknownNameError: the name is not registered.
            PluginError: the target cannot be imported or violates the contract.
        """
        entry = self.entry(name, elsewhere=elsewhere, way_out=way_out)
        if not isinstance(entry.target, str):
            return entry.target
        try:
            with preserve_from_plugin(entry.origin, entry.origin):
                load = partial(self._load, entry.target)
                what = f"{self.kind} {name!r} of {entry.origin}"
                is_own = entry.origin.startswith(OWN)
                loaded: T = load() if is_own else run_after_trial(load, what, IMPORT)
        except (PluginError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            raise PluginError(
                f"{self.kind} {name!r} of {entry.origin} cannot be loaded from "
                f"{entry.target!r}: {describe(error)}"
            ) from error
        self._validate(entry, loaded)
        self._entries[name] = replace(entry, target=loaded)
        return loaded

    def entries(self) -> dict[str, Entry[T]]:
        """Return a copy of all entries, for :meth:`restore`."""
        return dict(self._entries)

    def restore(self, entries: dict[str, Entry[T]]) -> None:
        """Restore earlier entries, so that a failed plugin file leaves no partial state."""
        self._entries = dict(entries)
        self.revision += 1

    def remove(self, names: Iterable[str]) -> None:
        """Remove names; conflicts persist."""
        for name in names:
            self._entries.pop(name, None)
        self.revision += 1

    def _duplicate(self, name: str, first: str, second: str) -> DuplicateNameError:
        return DuplicateNameError(
            f"{self.kind} {name!r} is registered twice: by {first} and by {second}. "
            "Rename one of them or uninstall one."
        )


def _same(existing: Entry[Any], new: Entry[Any]) -> bool:
    """Return whether a registration repeats an earlier one.

    The same target, or the same source executed again: a notebook cell, a reloaded module, a
    script that is both executed and loaded as a plugin.
    """
    if existing.target is new.target or _source_name(existing.target) == _source_name(new.target):
        return True
    return existing.origin == new.origin and re.search(r":\d+$", new.origin) is not None


def _source_name(target: object) -> object:
    """Return ``package.module:Class``, or the target itself if it has no such name."""
    if isinstance(target, str):
        return target
    module = getattr(target, "__module__", None)
    name = getattr(target, "__qualname__", None)
    return f"{module}:{name}" if module and name and "<" not in name else target
