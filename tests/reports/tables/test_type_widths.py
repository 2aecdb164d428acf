"""Estimated widths of text are not less than LaTeX's, and not much more."""

import pytest

from attnbench.reports.tables.type_widths import text_width


@pytest.mark.parametrize(
    ("text", "size", "points"),
    [  # \settowidth in cmr10, cmr8, cmr7
        ("261.88", 10, 27.78),
        ("MobileNetV2 + ULSAM", 10, 108.47),
        ("Coordinate attention", 10, 91.69),
        ("Coordinate attention", 8, 77.92),
        ("0.35 MobileNetV2", 7, 63.07),
    ],
)
def test_estimates(text, size, points):
    assert 0.97 * points <= text_width(text, size) <= 1.12 * points
