"""The exceptions of attnbench; each message names the value, its place and a remedy."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_MANY = 30
"""Maximum number of names that an error lists when it also has a suggestion."""


class AttnbenchError(Exception):
    """Base class of all deliberate errors of attnbench; its message is for the user."""


class RequestError(AttnbenchError):
    """An invalid request: a name, an option, a placement, a file. Exit status 2."""


class OutputError(RequestError, OSError):
    """A file that cannot be written: no space, no permission, no such folder."""


class UnknownNameError(RequestError, LookupError):
    """A name that is not registered."""


class DuplicateNameError(RequestError):
    """A name registered by two origins."""


class PluginError(RequestError):
    """A plugin that cannot be loaded or that breaks the module contract."""


class PlacementError(RequestError):
    """A placement that is impossible on this backbone or with this module."""


class MissingExtraError(RequestError):
    """An optional extra, data or a device that is missing here; in a suite the case is skipped."""


class CountingError(AttnbenchError):
    """A model whose forward pass could not be traced."""


class RecordError(AttnbenchError):
    """A record file that cannot be read or written."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'cbam'?"`` for a near miss, else the empty string."""
    names = list(known)
    # 0.5, not difflib's 0.6, and anagrams first: transposed letters (cmab for cbam) score low
    same = [candidate for candidate in names if sorted(candidate) == sorted(name)]
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
    """Return the error for a misspelled name or a name of another kind.

    Args:
        kind: kind of the name, ``"module"``.
        name: the name as the user gave it.
        known: all names of that kind, searched for near misses.
        listed: the names to list, where ``known`` has too many.
        way_out: a sentence on how to add a name or to see all of them.
        elsewhere: the kind that has this name, ``"backbone (-b mobilenet_v2)"``.
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
    """A failure of the device: out of memory, or a graph that cannot be captured."""
