"""What the checks found, in one line; the checks themselves are tested with the kit."""

import json
import math

import pytest

from attnbench.conformance.findings import ConformanceReport, failure, success
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


def test_results_of_checks_are_part_of_the_page():
    found = [success(drift=0.25, gain=math.inf, size=[7, 9]).of("drift"), success().of("maps")]
    page = conformance_of(ConformanceReport("se", "SE", "attnbench", tuple(found), 1.5))
    assert set(page["conformance"]) == {"passed", "counts", "findings"}
    assert page["conformance"]["passed"] is True and page["conformance"]["counts"]["ok"] == 2
    assert page["drift"] == 0.25
    values = page["conformance"]["findings"][0]["values"]
    assert values == {"drift": 0.25, "gain": None, "size": [7, 9]}
    json.dumps(page, allow_nan=False)


def test_a_broken_check_shows_and_an_unknown_drift_is_null():
    report = ConformanceReport("x", "X", "x.py", (failure("mixes images", "").of("maps"),))
    page = conformance_of(report)
    assert page["conformance"]["passed"] is False and page["drift"] is None
