"""Which cases of a suite are run: by name, by shard, by what is already measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from attnbench.errors import RequestError, suggestion
from attnbench.suites.case import Case


@dataclass(frozen=True)
class Choice:
    """What of a suite is run, as the command line says it."""

    added: Sequence[str] = ()
    globs: Sequence[str] = ()
    shard: str | None = None
    only: Sequence[str] = ()
    fresh: bool = False


def chosen(cases: Sequence[Case], choice: Choice) -> list[Case]:
    """Return the cases of a choice.

    Raises:
        RequestError: a glob matches nothing, or the shard is malformed.
    """
    found = matching(cases, choice.globs)
    if choice.only:
        found = [case for case in found if case.kind in choice.only]
    return shard(found, choice.shard) if choice.shard else found


def matching(cases: Sequence[Case], globs: Sequence[str]) -> list[Case]:
    """Return the cases whose name is, or matches, one of ``globs``; all without globs.

    Raises:
        RequestError: a glob matches nothing.
    """
    if not globs:
        return list(cases)
    for glob in globs:
        if not any(_matches(case, glob) for case in cases):
            names = [case.name for case in cases]
            raise RequestError(
                f"--case {glob!r} matches none of the {len(names)} cases, for example "
                f"{names[0]!r}.{suggestion(glob, names)}"
            )
    return [case for case in cases if any(_matches(case, glob) for glob in globs)]


def shard(cases: Sequence[Case], text: str) -> list[Case]:
    """Return the part of the cases that ``"2/4"`` names: every fourth, from the second.

    Latency cases of one session count as one.

    Raises:
        RequestError: the text is not of that form.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise RequestError(f"--shard {text!r} is not like 1/4, the first of four parts")
    # a session stays whole: its arms are timed against each other
    units: dict[Case, list[Case]] = {}
    for case in cases:
        units.setdefault(case.plain if case.kind == "latency" else case, []).append(case)
    kept = list(units.values())[number - 1 :: count]
    return [case for unit in kept for case in unit]


def _matches(case: Case, glob: str) -> bool:
    return case.name == glob or fnmatchcase(case.name, glob)
