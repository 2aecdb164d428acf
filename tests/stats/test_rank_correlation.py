"""Spearman's rank correlation, against rankings worked out by hand."""

import pytest

from attnbench.stats.rank_correlation import spearman


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(1, 10), (2, 20), (3, 30), (4, 40)], 1.0),
        ([(1, 40), (2, 30), (3, 20), (4, 10)], -1.0),
        ([(1, 10), (2, 20), (3, 40), (4, 30)], 0.8),
        ([(1, 10), (1, 10), (2, 20), (3, 30), (3, 5)], 1.5 / 85.5**0.5),
        ([(1, 1), (2, 2), (3, float("nan")), (4, 4)], None),
        ([(1, 1), (2, 2), (3, 3)], None),
        ([(1, 1), (1, 2), (1, 3), (1, 4)], None),
    ],
)
def test_spearman(pairs, expected):
    assert spearman(pairs) == (None if expected is None else pytest.approx(expected))
