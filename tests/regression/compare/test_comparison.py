import json

import pytest

from attnbench.regression.compare.comparison import MetricChange, RunComparison

ONE = (MetricChange("cost/mobilenet_v2/plain", "params", 1, 2),)


@pytest.mark.parametrize(
    ("found", "options", "failed"),
    [
        ({}, {}, False),
        ({"unchanged": ONE, "improvements": ONE, "incomparable": ONE, "added": ONE}, {}, False),
        ({"regressions": ONE}, {}, True),
        ({"regressions": ONE}, {"allow_missing": True}, True),
        ({"missing": ONE}, {}, True),
        ({"missing": ONE}, {"allow_missing": True}, False),
        ({"inconclusive": ONE}, {}, False),
        ({"inconclusive": ONE}, {"strict": True}, True),
    ],
)
def test_what_fails(found, options, failed):
    assert RunComparison(**found).failed(**options) is failed


def test_all_verdicts_in_turn_and_as_json():
    found = RunComparison(unchanged=ONE, missing=ONE, notes=("another machine",))
    assert [name for name, _ in found.all()] == ["unchanged", "missing"]
    document = json.loads(json.dumps(found.to_json()))
    assert document["unchanged"][0]["case"] == ONE[0].case
    assert set(document) >= {
        "regressions", "improvements", "unchanged", "inconclusive", "incomparable", "added",
        "missing",
    }  # fmt: skip
