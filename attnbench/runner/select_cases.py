"""Selection of a suite's cases: by name, by kind, by shard."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from attnbench.errors import RequestError, suggestion
from attnbench.suites.case import Case


@dataclass(frozen=True)
class Choice:
    """The selection of cases on the command line."""

    added: Sequence[str] = ()
    globs: Sequence[str] = ()
    shard: str | None = None
    only: Sequence[str] = ()
    fresh: bool = False


def select_cases(cases: Sequence[Case], choice: Choice) -> list[Case]:
    """Return the cases of a choice.

    Raises:
        RequestError: a glob matches nothing, or the shard is malformed.
    """
    found = matching(cases, choice.globs)
    if choice.only:
        found = [case for case in found if case.kind in choice.only]
    return shard(found, choice.shard) if choice.shard else found


def matching(cases: Sequence[Case], globs: Sequence[str]) -> list[Case]:
    """Return the cases whose name equals or matches one of ``globs``; without globs, all cases.

    Raises:
        RequestError: a glob matches nothing.
    """
    if not globs:
        return list(cases)
    for glob in globs:
        if not any(_matches(case, glob) for case in cases):
            names = [case.name for case in cases]
            near = suggestion(glob, names)
            raise RequestError(
                f"--case matches none of the {len(names)} cases: got {glob!r}.{near} "
                f"The first case is {names[0]!r}"
            )
    return [case for case in cases if any(_matches(case, glob) for glob in globs)]


def shard(cases: Sequence[Case], text: str) -> list[Case]:
    """Return the shard of the cases that ``"2/4"`` denotes: every fourth, from the second.

    The latency cases of a session count as one case.

    Raises:
        RequestError: the text is malformed.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise RequestError(
            f"--shard is malformed: got {text!r}. Write I/N, such as 1/4 for the first of four"
        )
    # sessions are not split: their arms are timed against each other
    units: dict[Case, list[Case]] = {}
    for case in cases:
        units.setdefault(case.plain if case.kind == "latency" else case, []).append(case)
    kept = list(units.values())[number - 1 :: count]
    return [case for unit in kept for case in unit]


def _matches(case: Case, glob: str) -> bool:
    return case.name == glob or fnmatchcase(case.name, glob)
