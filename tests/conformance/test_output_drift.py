"""How far untrained modules move a map, next to figures measured elsewhere."""

import pytest
from torch import nn

from attnbench.conformance.checks import CHECKS
from attnbench.conformance.examine import run_check
from attnbench.conformance.module_under_test import Subject
from attnbench.registry.attention import find_attention

from .clean import Clean, findings

# Measured on the original classes, one draw of weights each: ||y - x|| / ||x|| and <y, x> / <x, x>.
# CBAM's gates differ much from draw to draw (0.66 to 0.82 and 0.18 to 0.36 in twelve); the figures
# of the double attention and non-local blocks in circulation are of variants that ours is not.
MEASURED = {
    "identity": (0.0, 1.0, 1e-9),
    "ulsam": (0.005, 1.005, 0.001),
    "non_local": (0.0, 1.0, 1e-6),
    "se": (0.50, 0.49, 0.03),
    "bam": (0.48, 1.50, 0.03),
    "cbam": (0.74, 0.16, 0.16),
    "double_attention": (0.20, 1.0, 0.12),
}


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_drift_is_as_measured(name):
    moved, gain, tolerance = MEASURED[name]
    (found,) = run_check(CHECKS["drift"], Subject(find_attention(name)))
    assert found.status == "ok"
    assert found.values["drift"] == pytest.approx(moved, abs=tolerance)
    assert found.values["gain"] == pytest.approx(gain, abs=tolerance)
    assert (found.values["channels"], found.values["size"]) == (64, [14, 14])


def test_plain_factors():
    class Doubles(Clean):
        def forward(self, x):
            return 2 * x

    (found,) = findings(Doubles, "drift")
    assert found.values["drift"] == pytest.approx(1)
    assert found.values["gain"] == pytest.approx(2)
    assert found.reason == "100.0% of its norm, gain 2.00"


def test_where_64_channels_do_not_work_others_are_taken():
    class Only96(Clean):
        def __init__(self, channels):
            assert channels == 96
            super().__init__(channels)

    (found,) = findings(Only96, "drift")
    assert (found.values["channels"], found.values["size"]) == (96, [7, 9])


def test_what_is_no_map_is_not_measured():
    class Halves(Clean):
        def __init__(self, channels):
            super().__init__(channels)
            self.pool = nn.AvgPool2d(2)

        def forward(self, x):
            return self.pool(super().forward(x))

    assert [one.status for one in findings(Halves, "drift")] == ["skipped"]
