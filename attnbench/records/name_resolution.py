"""What the names in a source file stand for: definitions of its distribution, or foreign things."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from attnbench.records.definitions import Import, SourceFile, parse_file
from attnbench.records.source_files import ENGINE, OwnModule, find_own

WHOLE = "*"
"""In place of a definition's name: everything that a file defines and imports."""


class Definition(NamedTuple):
    """A name in a file."""

    path: Path
    name: str


class Foreign(NamedTuple):
    """Something of another distribution."""

    origin: str
    rest: tuple[str, ...] = ()
    """Attributes that are taken of it."""

    @property
    def full(self) -> str:
        """The origin with the attributes."""
        return ".".join((self.origin, *self.rest))


Target = Definition | Foreign


@cache
def read_file(path: Path) -> SourceFile:
    """Return the content of a source file."""
    return parse_file(path)


def follow(
    binding: Import,
    rest: tuple[str, ...],
    importer: Path,
    seen: frozenset[Definition] = frozenset(),
) -> list[Target]:
    """Return what ``rest`` of an imported name stands for."""
    names = (binding.name, *rest) if binding.name else rest
    own = find_own(binding.module, importer)
    found = _attribute(own, names, seen) if own else []
    if found or (own and own.file):
        return found
    return [Foreign(".".join((binding.module, *names[: len(names) - len(rest)])), rest)]


def _attribute(
    module: OwnModule, names: tuple[str, ...], seen: frozenset[Definition]
) -> list[Target]:
    """Return what ``module.names[0].names[1]...`` stands for; the whole file if that is unclear."""
    file, child = module.file, module.child(names[0]) if names else None
    found = lookup(read_file(file), names[0], names[1:], seen) if file and names else []
    if not found and child:
        return _attribute(child, names[1:], seen)
    return found or ([Definition(file, WHOLE)] if file else [])


def lookup(
    file: SourceFile,
    name: str,
    rest: tuple[str, ...],
    seen: frozenset[Definition] = frozenset(),
) -> list[Target]:
    """Return what a name stands for in a file; nothing for one that is not found there."""
    place = Definition(file.path, name)
    if place in seen:
        return []
    seen |= {place}
    found: list[Target] = [place] if name in file.definitions else []
    for binding in file.bindings.get(name, []):
        found += follow(binding, rest, file.path, seen)
    if found:
        return found
    for star in file.stars:
        own = find_own(star, file.path)
        if own is None:
            found.append(Foreign(f"{star}.*"))
        elif own.file:
            found += lookup(read_file(own.file), name, rest, seen)
    return found


def is_engines(target: Foreign) -> bool:
    """Return whether something belongs to the engine."""
    return target.origin.split(".")[0] == ENGINE
