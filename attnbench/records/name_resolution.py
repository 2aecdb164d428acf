"""Resolution of the names in a source file: definitions of its distribution, or foreign objects."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from attnbench.records.definitions import Import, SourceFile, read_file
from attnbench.records.source_files import ENGINE, find_module, find_own, source_of

WHOLE = "*"
"""Name of the pseudo-definition for everything that a file defines and imports."""


class Definition(NamedTuple):
    """A name in a file."""

    path: Path
    name: str


class Foreign(NamedTuple):
    """An object of another distribution."""

    origin: str
    rest: tuple[str, ...] = ()
    """Attributes accessed on it."""

    @property
    def full(self) -> str:
        """The origin with the attributes."""
        return ".".join((self.origin, *self.rest))


Target = Definition | Foreign


def follow(
    binding: Import,
    rest: tuple[str, ...],
    importer: Path,
    seen: frozenset[Definition] = frozenset(),
) -> list[Target]:
    """Return the referents of an imported name with the attributes ``rest``."""
    names = (binding.name, *rest) if binding.name else rest
    own = find_own(binding.module, importer)
    found = _attribute(own, names, seen) if own else []
    if found or (own and source_of(own)):
        return found
    return [Foreign(".".join((binding.module, *names[: len(names) - len(rest)])), rest)]


def _attribute(module: Path, names: tuple[str, ...], seen: frozenset[Definition]) -> list[Target]:
    """Return the referents of ``module.names[0].names[1]...``; the whole file if unresolved."""
    file, child = source_of(module), find_module(module / names[0]) if names else None
    found = lookup(read_file(file), names[0], names[1:], seen) if file and names else []
    if not found and child:
        return _attribute(child, names[1:], seen)
    return found or ([Definition(file, WHOLE)] if file else [])


def lookup(
    file: SourceFile, name: str, rest: tuple[str, ...], seen: frozenset[Definition] = frozenset()
) -> list[Target]:
    """Return the referents of a name in a file; an empty list if it is not found."""
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
        elif file_of_star := source_of(own):
            found += lookup(read_file(file_of_star), name, rest, seen)
    return found


def is_engines(target: Foreign) -> bool:
    """Return whether a foreign object is part of the engine."""
    return target.origin.split(".")[0] == ENGINE
