"""Notes of tests besides their outcome, transferred as properties of their reports."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

NOTE = "attnbench"
NEW = "attnbench new"
RATIO = "attnbench ratio"


@dataclass
class Notes:
    """The notes of one run, without duplicates.

    Attributes:
        said: whole sentences.
        new: cases that are not in the baseline.
        ratios: lines of latency cases.
    """

    said: dict[str, None] = field(default_factory=dict)
    new: dict[str, None] = field(default_factory=dict)
    ratios: dict[str, None] = field(default_factory=dict)

    def take(self, report: pytest.TestReport) -> None:
        """Collect the notes of a completed test."""
        kinds = {NOTE: self.said, NEW: self.new, RATIO: self.ratios}
        for name, value in report.user_properties if report.when == "call" else ():
            if name in kinds:
                kinds[name][str(value)] = None

    def lines(self) -> list[str]:
        """Return the lines of the final summary."""
        fresh = [f"new, not in the baseline, nothing was compared: {case}" for case in self.new]
        return [*self.ratios, *self.said, *fresh]
