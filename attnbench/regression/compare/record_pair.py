"""Records of one case in both runs, and the differences between the two measurements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from attnbench.records.format import Header, Record
from attnbench.regression.compare.comparison import MetricChange, Value, Verdict

Judged = tuple[Verdict, MetricChange]


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

    @property
    def seeds_glob(self) -> str:
        """The glob that matches all seeds of a training; the name of a case without a seed."""
        return self.case if self.new.seed is None else f"{self.new.case_key},seed=*"

    def versions(self, packages: Iterable[str]) -> str:
        """Return the packages that differ, ``"torch 2.9.0, then 2.10.0"``; empty without any."""
        return differing(self.base_header.versions, self.new_header.versions, packages)

    def suite(self) -> str:
        """Return the difference between the suites; empty if there is none."""
        base, new = suite_of(self.base_header), suite_of(self.new_header)
        if base[0] != new[0]:
            return f"suite {base[0]}, then {new[0]}"
        return f"suite version {base[1]}, then {new[1]}" if base[1] != new[1] else ""

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


def suite_of(header: Header) -> tuple[str, str]:
    """Return name and version of a header's suite."""
    head = header.suite.get("suite")
    fields = head if isinstance(head, Mapping) else {}
    return str(fields.get("name", "?")), str(fields.get("version", 1))
