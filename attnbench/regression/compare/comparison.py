"""Result of comparing two runs, and the pairs of records that it is made of."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from attnbench.records.format import Header, Record

Verdict = Literal[
    "regressions", "improvements", "unchanged", "inconclusive", "incomparable", "added", "missing"
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
OUTCOMES: Mapping[str, Verdict] = {
    **dict.fromkeys(("slower", "worse"), "regressions"),
    **dict.fromkeys(("faster", "better"), "improvements"),
    "same": "unchanged",
    **dict.fromkeys(("inconclusive", "none"), "inconclusive"),
}
"""Statistical verdict on NEW against BASE -> verdict of the comparison."""
Value = int | float | str | None


@dataclass(frozen=True)
class MetricChange:
    """One metric of one case, in both runs."""

    case: str
    metric: str
    """``status`` for the case as a whole, else ``params``, ``overhead``, ``top1`` ..."""
    base: Value
    new: Value
    low: float | None = None
    """Lower end of the 95% interval of the change; None for an exact metric. A fraction of BASE's
    overhead for ``overhead`` (0.05 is 5% slower), points for ``top1``."""
    high: float | None = None
    reason: str = ""
    """Reason for the verdict, in words for the author of the change."""
    smallest: float | None = None
    """Smallest detectable change of an inconclusive metric, in the unit of ``low``."""
    change: float | None = None
    """Change from BASE to NEW: a fraction of BASE, points for ``top1``; None without a number."""


Judged = tuple[Verdict, MetricChange]


@dataclass(frozen=True)
class RunComparison:
    """All changes between two runs, by verdict."""

    regressions: tuple[MetricChange, ...] = ()
    improvements: tuple[MetricChange, ...] = ()
    unchanged: tuple[MetricChange, ...] = ()
    inconclusive: tuple[MetricChange, ...] = ()
    incomparable: tuple[MetricChange, ...] = ()
    added: tuple[MetricChange, ...] = ()
    missing: tuple[MetricChange, ...] = ()
    """Cases that NEW does not have, or newly skips, or whose record in either is damaged."""
    notes: tuple[str, ...] = ()
    """Notes on the runs as a whole: other machine, other versions, what is not compared."""
    base: str = "BASE"
    """Path of the base run, as a command takes it; empty where there is no such file, and nothing
    to accept."""
    new: str = "NEW"

    @classmethod
    def of(cls, found: Iterable[Judged], **more: Any) -> RunComparison:
        """Return the comparison with these changes; ``more`` are its other fields."""
        groups: dict[str, list[MetricChange]] = {}
        for verdict, change in found:
            groups.setdefault(verdict, []).append(change)
        changes: dict[str, Any] = {verdict: tuple(group) for verdict, group in groups.items()}
        return cls(**changes, **more)

    def failed(self, *, strict: bool = False, allow_missing: bool = False) -> bool:
        """Return whether a gate fails.

        Args:
            strict: an inconclusive metric fails, too.
            allow_missing: a missing case does not fail.
        """
        missing = self.missing and not allow_missing
        return bool(self.regressions or missing or (strict and self.inconclusive))

    def all(self) -> Iterator[tuple[str, MetricChange]]:
        """Yield every change with the name of its verdict."""
        for name in VERDICTS:
            yield from ((name, change) for change in getattr(self, name))

    def accept_command(self, case: str) -> str:
        """Return the command that takes a case of the new run into the baseline."""
        words = ["attnbench", "accept", self.base, self.new, case]
        return f'{shlex.join(words)} --reason "..."'

    def to_json(self, *, strict: bool = False, allow_missing: bool = False) -> dict[str, Any]:
        """Return the document that ``compare --json`` prints; the options are those of ``failed``.

        Beside the verdicts it has ``ok``, ``notes``, ``base`` and ``new``, and each regression and
        missing case has ``accept``, the command that accepts it.
        """
        document = asdict(self)
        named = (*document["regressions"], *document["missing"]) if self.base else ()
        for entry in named:
            entry["accept"] = self.accept_command(entry["case"])
        ok = not self.failed(strict=strict, allow_missing=allow_missing)
        return {"ok": ok, **document}


@dataclass(frozen=True)
class RecordPair:
    """Two ``ok`` records of one case, with the headers above them."""

    base: Record
    new: Record
    base_header: Header
    new_header: Header

    @property
    def case(self) -> str:
        """The case's canonical name."""
        return self.new.case

    def versions(self, packages: Iterable[str]) -> str:
        """Return the packages that differ, ``"torch 2.9.0, then 2.10.0"``; empty without any."""
        return differing(self.base_header.versions, self.new_header.versions, packages)

    def suite(self) -> str:
        """Return the difference between the suites; empty if there is none."""
        base, new = suite_of(self.base_header), suite_of(self.new_header)
        if base[0] != new[0]:
            return f"suite {base[0]}, then {new[0]}"
        return f"suite version {base[1]}, then {new[1]}" if base[1] != new[1] else ""

    def runtime_versions(self) -> str:
        """Return the packages of the runtime that differ; empty if there are none."""
        base, new = (
            (record.runtime or {}).get("versions") or {} for record in (self.base, self.new)
        )
        return differing(base, new)

    def machines(self) -> str:
        """Return the differences between the machines; empty if there are none."""
        headers = differing(self.base_header.machine, self.new_header.machine)
        facts = [_hardware(record.runtime or {}) for record in (self.base, self.new)]
        both = set(facts[0]) & set(facts[1])  # older records have fewer facts
        return headers or differing(facts[0], facts[1], [key for key in _HARDWARE if key in both])

    def of(
        self,
        metric: str,
        base: Value = None,
        new: Value = None,
        reason: str = "",
        **more: float | None,
    ) -> MetricChange:
        """Return a change of this case."""
        return MetricChange(self.case, metric, base, new, reason=reason, **more)


def differing(
    base: Mapping[str, Any], new: Mapping[str, Any], keys: Iterable[str] | None = None
) -> str:
    """Return the entries that differ, ``"torch 2.9.0, then 2.10.0; onnx 1.22, then none"``."""
    names = dict.fromkeys([*base, *new] if keys is None else keys)
    entries = [
        f"{key} {base.get(key, 'none')}, then {new.get(key, 'none')}"
        for key in names
        if base.get(key) != new.get(key)
    ]
    return "; ".join(entries)


_HARDWARE = ("processor", "isa", "device")


def _hardware(runtime: Mapping[str, Any]) -> dict[str, str]:
    found = {key: runtime[key] for key in _HARDWARE if runtime.get(key) is not None}
    return {
        key: str(fact.get("title") or fact.get("name")) if isinstance(fact, Mapping) else str(fact)
        for key, fact in found.items()
    }


def suite_of(header: Header) -> tuple[str, str]:
    """Return name and version of a header's suite."""
    head = header.suite.get("suite")
    fields = head if isinstance(head, Mapping) else {}
    return header.suite_name, str(fields.get("version", 1))
