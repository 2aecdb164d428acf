"""A sound module without a card, and how a mutant of it is shown to a check."""

from torch import nn

from attnbench.conformance.checks import CHECKS
from attnbench.conformance.examine import run_check
from attnbench.conformance.findings import BROKEN
from attnbench.conformance.module_under_test import Subject
from attnbench.registry.attention import from_callable


class Clean(nn.Module):
    """Squeeze and excitation, plainly: the module that every mutant spoils in one respect."""

    def __init__(self, channels, *, reduction=4):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.relu = nn.ReLU()
        self.excite = nn.Conv2d(hidden, channels, 1)

    def gate(self, x):
        pooled = x.mean((2, 3), keepdim=True)
        return self.excite(self.relu(self.squeeze(pooled))).sigmoid()

    def forward(self, x):
        return x * self.gate(x)


def findings(cls, check, **options):
    """What a check finds in a class."""
    return run_check(CHECKS[check], Subject(from_callable(cls, options)))


def statuses(cls, check, **options):
    return [one.status for one in findings(cls, check, **options)]


def assert_found(cls, check, text=""):
    """The check finds the contract broken, says why with ``text`` in it, and names a way out."""
    bad = [one for one in findings(cls, check) if one.status == BROKEN]
    assert bad, f"{cls.__name__} survives {check}"
    assert any(text in one.reason for one in bad), [one.reason for one in bad]
    assert all(one.remedy for one in bad)
