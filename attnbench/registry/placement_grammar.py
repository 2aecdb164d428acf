"""Grammar of placements: ``after:11``, ``replace:14,17``, ``after-depthwise:all``. No torch.

A placement is one or more parts joined with ``+``; a part is a position, a colon and a
target: layer numbers (``14,17``), ranges (``8-12``), ``all``, or module path globs
(``blocks.3.*``; ``*`` matches no dot, ``**`` also matches dots, and neither ``nn.Identity``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby, pairwise

from attnbench.errors import PlacementError, suggestion

POSITIONS = ("after", "replace", "after-depthwise", "after-project", "replace-se")
OFFICIAL = "official"
_EXAMPLES = "replace:14,17, after:8-12, after-depthwise:all or after:blocks.3.*"
_LAYERS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_GLOB = re.compile(r"[A-Za-z0-9_.*-]*[A-Za-z_.*][A-Za-z0-9_.*-]*")


@dataclass(frozen=True)
class PlacementPart:
    """A position with its target: exactly one of ``layers``, ``globs`` or all layers."""

    position: str
    layers: tuple[int, ...] = ()
    globs: tuple[str, ...] = ()

    @property
    def everywhere(self) -> bool:
        """Return whether the target is ``all``."""
        return not self.layers and not self.globs

    def __str__(self) -> str:
        """Return the canonical text: sorted, runs of three or more as ranges."""
        if self.layers:
            return f"{self.position}:{_ranges(self.layers)}"
        return f"{self.position}:{','.join(self.globs) or 'all'}"


@dataclass(frozen=True)
class Placement:
    """Positions of inserted modules, always in the order of :data:`POSITIONS`."""

    parts: tuple[PlacementPart, ...]

    def __str__(self) -> str:
        """Return the canonical text."""
        return "+".join(map(str, self.parts))

    @property
    def replaces(self) -> bool:
        """Return whether blocks are replaced; the identity control then is a different network."""
        return any(part.position == "replace" for part in self.parts)


@cache
def parse_placement(text: str) -> Placement:
    """Parse a placement.

    Raises:
        PlacementError: the text is not a placement. ``official`` is not a placement either; it
            refers to the placement on the module's card.
    """
    if not text.strip():
        raise PlacementError(f"the placement is empty. Write one like after:11, {_EXAMPLES}")
    return Placement(_merged([_part(part.strip(), text) for part in text.split("+")], text))


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Compile a module path glob."""
    pieces = re.split(r"(\*\*|\*)", glob)
    meaning = {"**": ".*", "*": "[^.]*"}
    return re.compile("".join(meaning.get(piece, re.escape(piece)) for piece in pieces))


def _part(text: str, whole: str) -> PlacementPart:
    position, colon, about = (piece.strip() for piece in text.partition(":"))
    if position not in POSITIONS:
        near = suggestion(position, POSITIONS)
        raise PlacementError(
            f"placement {whole!r}: unknown position {position!r}. "
            f"Choose from {', '.join(POSITIONS)}, {OFFICIAL}.{near}"
        )
    if not colon or not about:
        raise PlacementError(f"placement {whole!r}: {position} needs layers. Write {_EXAMPLES}")
    compact = re.sub(r"\s*([,-])\s*", r"\1", about)
    if compact == "all":
        return PlacementPart(position)
    if _LAYERS.fullmatch(compact):
        return PlacementPart(position, layers=_layers(compact, whole))
    return PlacementPart(position, globs=_globs(compact, whole))


def _merged(parts: Sequence[PlacementPart], whole: str) -> tuple[PlacementPart, ...]:
    """Return the canonical parts: at most one for each position and kind, in order."""
    merged: list[PlacementPart] = []
    for position in POSITIONS:
        own = [part for part in parts if part.position == position]
        layers = sorted(layer for part in own for layer in part.layers)
        twice = [first for first, second in pairwise(layers) if first == second]
        if twice:
            raise PlacementError(f"placement {whole!r} names layer {twice[0]} twice")
        globs = sorted({glob for part in own for glob in part.globs})
        if any(part.everywhere for part in own):
            merged.append(PlacementPart(position))
        if layers:
            merged.append(PlacementPart(position, layers=tuple(layers)))
        if globs:
            merged.append(PlacementPart(position, globs=tuple(globs)))
    return tuple(merged)


def _layers(text: str, whole: str) -> tuple[int, ...]:
    found: list[int] = []
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        low, high = int(first), int(last or first)
        if high < low or high > 10_000:
            raise PlacementError(f"placement {whole!r}: {piece} is not a range of layers")
        found.extend(range(low, high + 1))
    return tuple(found)


def _globs(text: str, whole: str) -> tuple[str, ...]:
    globs = text.split(",")
    odd = [glob for glob in globs if not _GLOB.fullmatch(glob)]
    for glob in odd:
        if not _LAYERS.fullmatch(glob):
            raise PlacementError(
                f"placement {whole!r}: {glob!r} is neither layer numbers nor a module path. "
                f"Write {_EXAMPLES}"
            )
    if odd:
        raise PlacementError(
            f"placement {whole!r} mixes layer numbers and module paths. Join such parts with +."
        )
    return tuple(globs)


def _ranges(layers: Iterable[int]) -> str:
    pieces: list[str] = []
    # consecutive numbers share the difference between value and rank
    for _, run in groupby(enumerate(sorted(layers)), key=lambda pair: pair[1] - pair[0]):
        members = [str(layer) for _, layer in run]
        pieces += members if len(members) < 3 else [f"{members[0]}-{members[-1]}"]
    return ",".join(pieces)
