"""What tests have to say besides passing; it travels as properties of their reports."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

NOTE = "attnbench"
NEW = "attnbench new"
RATIO = "attnbench ratio"


@dataclass
class Notes:
    """The notes of one run, each once.

    Attributes:
        said: whole sentences.
        new: cases that the baseline does not know.
        ratios: lines of latency cases.
    """

    said: dict[str, None] = field(default_factory=dict)
    new: dict[str, None] = field(default_factory=dict)
    ratios: dict[str, None] = field(default_factory=dict)

    def take(self, report: pytest.TestReport) -> None:
        """Take the notes of a test that ended."""
        kinds = {NOTE: self.said, NEW: self.new, RATIO: self.ratios}
        for name, value in report.user_properties if report.when == "call" else ():
            if name in kinds:
                kinds[name][str(value)] = None

    def lines(self) -> list[str]:
        """Return what is to be said at the end."""
        known = [f"new, not in the baseline, nothing was compared: {case}" for case in self.new]
        return [*self.ratios, *self.said, *known]
