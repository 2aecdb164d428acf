"""What can go wrong, as the user is told it: the value, the place and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_MANY = 30
"""Names that an error lists even though it has a suggestion."""


class AttnbenchError(Exception):
    """Base of every error that attnbench raises on purpose; its text is for the user."""


class RequestError(AttnbenchError):
    """The request was wrong: a name, an option, a placement, a file. Exit status 2."""


class UnknownNameError(RequestError, LookupError):
    """A name that nothing is registered under."""


class DuplicateNameError(RequestError):
    """One name from two origins."""


class PluginError(RequestError):
    """A plugin that cannot be loaded or that breaks the module contract."""


class PlacementError(RequestError):
    """A placement that cannot be, on this backbone or with this module."""


class MissingExtraError(RequestError):
    """Something that an optional extra would bring; in a suite such a case is skipped."""


class CountingError(AttnbenchError):
    """A model whose forward pass could not be traced."""


class RecordError(AttnbenchError):
    """A record file that cannot be read or written."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'cbam'?"`` for a near miss, else the empty string."""
    names = list(known)
    # 0.5, not difflib's 0.6, and the same letters first: transposed ones (cmab for cbam) score low
    same = [one for one in names if sorted(one) == sorted(name)]
    near = list(dict.fromkeys([*same, *get_close_matches(name, names, n=3, cutoff=0.5)]))[:3]
    if not near:
        return ""
    return f" Did you mean {' or '.join(repr(match) for match in near)}?"


def unknown(
    kind: str,
    name: str,
    known: Iterable[str],
    *,
    listed: Iterable[str] | None = None,
    way_out: str = "",
    elsewhere: str = "",
) -> UnknownNameError:
    """Build the error for a name of the wrong spelling or of another kind.

    Args:
        kind: what was looked for, ``"module"``.
        name: the name as given.
        known: all names of that kind; near misses are looked for among them.
        listed: the ones to list, where ``known`` are too many.
        way_out: how to add one or to see them all; a sentence.
        elsewhere: the kind that does have this name, ``"backbone (-b mobilenet_v2)"``.
    """
    known = sorted(known)
    if elsewhere:
        return UnknownNameError(f"unknown {kind} {name!r}: it is a {elsewhere}")
    shown = known if listed is None else sorted(listed)
    near = suggestion(name, known)
    parts = [f"unknown {kind} {name!r}.{near}"]
    if near and len(shown) > _MANY:
        parts.append(f"There are {len(shown)}: attnbench list shows them.")
    elif shown:
        parts.append(f"Known: {', '.join(shown)}.")
    return UnknownNameError(" ".join([*parts, *([way_out] if way_out else [])]))


class DeviceError(AttnbenchError):
    """The device could not do it: out of memory, or a graph that cannot be captured."""
