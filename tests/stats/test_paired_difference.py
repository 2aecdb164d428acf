"""The intervals against hand-written formulas and SciPy's own tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from attnbench.errors import RequestError
from attnbench.stats.paired_difference import estimate

VALUES = [0.8, -0.3, 1.1, 0.4, 0.2, 0.9, 1.4]


@pytest.mark.parametrize("null", [0.0, 0.5])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_t_interval_is_scipys(count, null):
    found = estimate(VALUES[:count], null)
    expected = stats.ttest_1samp(VALUES[:count], null)
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (found.sd, found.count) == (pytest.approx(np.std(VALUES[:count], ddof=1)), count)


def test_t_interval_by_hand():
    found = estimate([1.0, 2.0, 3.0])
    assert (found.mean, found.sd) == (2.0, 1.0)
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_one_value_bounds_nothing():
    found = estimate([0.7])
    assert (found.mean, found.low, found.high, found.p_value) == (0.7, -math.inf, math.inf, 1.0)
    assert math.isnan(found.sd)


@pytest.mark.parametrize("resolution", [0.0, 100 / 360])
def test_no_difference_at_all(resolution):
    found = estimate([0.0, 0.0, 1e-14], resolution=resolution)
    assert (found.mean, found.low, found.high, found.sd, found.p_value) == (0, 0, 0, 0, 1)


def test_equal_differences_have_the_spread_of_a_step():
    found = estimate([0.6, 0.6, 0.6 + 1e-14], resolution=0.2)
    assert found.sd == pytest.approx(0.2 / math.sqrt(12))
    assert found.high - 0.6 == pytest.approx(4.302653 * 0.2 / 6, rel=1e-6)
    widest = estimate([0.6, 0.6, 0.6])
    assert widest.sd == pytest.approx(0.6 / math.sqrt(12))
    assert 0 < widest.p_value < 0.05
    assert estimate([-0.6, -0.6]).p_value > 0.05


def test_resolution_is_a_floor_of_the_spread():
    assert estimate([0.1, 0.11, 0.1], resolution=1.0).sd == pytest.approx(1 / math.sqrt(12))
    assert estimate([1.0, 3.0, 8.0], resolution=1.0) == estimate([1.0, 3.0, 8.0])


@pytest.mark.parametrize(
    ("values", "message"),
    [([], "got shape"), ([[1.0, 2.0]], "got shape"), ([1.0, math.nan], "difference 1 is nan")],
)
def test_what_is_no_row_of_numbers(values, message):
    with pytest.raises(RequestError, match=message):
        estimate(values)
