"""What the checks found, in one line; the checks themselves are tested with the kit."""

import json
import math

import pytest

from attnbench.conformance import examine
from attnbench.conformance.checks import CHECKS
from attnbench.conformance.findings import success
from attnbench.registry.attention import find_attention, from_callable
from attnbench.reports.module_page import document
from attnbench.reports.module_page.document import conformance_of
from attnbench.reports.module_page.sections import drift_text, summary


def findings(**statuses):
    return [
        {"check": check, "status": status}
        for check, several in statuses.items()
        for status in several.split()
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (findings(maps="ok"), "1 check holds"),
        (findings(maps="ok", nan="ok"), "2 checks hold"),
        (findings(maps="note note", nan="ok"), "2 checks hold, 2 notes"),
        (findings(maps="note declared", nan="ok"), "1 check holds, 1 declared, 1 note"),
        (findings(maps="ok broken broken", nan="skipped"), "0 checks hold, 1 broken, 1 skipped"),
    ],
)
def test_a_check_counts_as_its_most_pressing_finding(found, said):
    assert summary(found) == said


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        (0.005079, " 0.51% "),
        (0.0000123, " 0.0012% "),
        (0.4961, " 50% "),
        (1.4, " 140% "),
        (0.0, "leaves every map as it is"),
        (None, "not known"),
    ],
)
def test_drift_is_told_with_two_digits(drift, said):
    assert said in drift_text(drift)


def run(monkeypatch, attention, *checks, **functions):
    """Run these checks alone, each with the function given for it."""
    chosen = [CHECKS[name] for name in checks]
    monkeypatch.setattr(document, "default_checks", lambda: chosen)
    found = lambda check, subject: [one.of(check.name) for one in functions[check.name]]  # noqa: E731
    if functions:
        monkeypatch.setattr(examine, "run_check", found)
    told = []
    return conformance_of(attention, told.append), told, chosen


def test_checks_are_run_and_told(monkeypatch):
    found, told, chosen = run(monkeypatch, find_attention("se"), "batch_independence", "batch_one")
    assert told == chosen
    assert found["conformance"]["passed"] is True
    assert [one["status"] for one in found["conformance"]["findings"]] == ["ok", "ok"]
    assert found["conformance"]["counts"]["ok"] == 2
    assert found["drift"] is None


def test_what_is_broken_is_found(monkeypatch):
    from torch import nn

    class OverTheBatch(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.scale = nn.Conv2d(channels, channels, 1)

        def forward(self, x):
            return self.scale(x) * x.mean(0, keepdim=True)

    found, _, _ = run(monkeypatch, from_callable(OverTheBatch, {}), "batch_independence")
    assert found["conformance"]["passed"] is False


def test_drift_is_what_its_check_measured(monkeypatch):
    one = success(drift=0.25, gain=math.inf, size=[7, 9])
    found, _, _ = run(monkeypatch, find_attention("se"), "drift", drift=[one])
    assert found["drift"] == 0.25
    values = found["conformance"]["findings"][0]["values"]
    assert values == {"drift": 0.25, "gain": None, "size": [7, 9]}
    json.dumps(found, allow_nan=False)
