"""The intervals against hand-written formulas, SciPy's own tests and brute force."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from attnbench.errors import RequestError
from attnbench.stats.paired_difference import estimate, sign_flip

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


@pytest.mark.parametrize("by", [estimate, sign_flip])
def test_one_value_bounds_nothing(by):
    found = by([0.7])
    assert (found.mean, found.low, found.high, found.p_value) == (0.7, -math.inf, math.inf, 1.0)
    assert math.isnan(found.sd)


@pytest.mark.parametrize("resolution", [0.0, 100 / 360])
def test_no_difference_at_all(resolution):
    found = estimate([0.0, 0.0, 1e-14], resolution=resolution)
    assert (found.mean, found.low, found.high, found.sd, found.p_value) == (0, 0, 0, 0, 1)
    found = sign_flip([0.0] * 6, resolution=resolution)
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


def flips_p_value(values, null):
    """All flips, one by one."""
    centred = np.asarray(values) - null
    sums = [abs(np.dot(signs, centred)) for signs in product((1, -1), repeat=len(values))]
    return np.mean(np.asarray(sums) >= abs(centred.sum()) - 1e-9)


@pytest.mark.parametrize("null", [-2.0, 0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("count", [2, 5, 6, 7])
def test_flips_one_by_one(count, null):
    assert sign_flip(VALUES[:count], null).p_value == pytest.approx(
        flips_p_value(VALUES[:count], null)
    )


def test_the_interval_is_where_the_test_does_not_reject():
    found = sign_flip(VALUES)
    for end, outwards in ((found.low, -1e-6), (found.high, 1e-6)):
        assert flips_p_value(VALUES, end + outwards) <= 0.05
        assert flips_p_value(VALUES, end - outwards) > 0.05


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_few_signs_do_not_bound(count):
    found = sign_flip(VALUES[:count])
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert found.p_value >= 2 / 2**count > 0.05


def test_six_signs_bound_by_the_extremes():
    found = sign_flip(VALUES[:6])
    assert (found.low, found.high) == (-0.3, 1.1)


def test_drawn_flips_resemble_all_flips():
    values = np.random.default_rng(4).normal(0.3, 1, 13)
    found = sign_flip(values)
    assert found.p_value == pytest.approx(flips_p_value(values, 0), abs=0.015)
    assert flips_p_value(values, found.low) == pytest.approx(0.05, abs=0.01)
    assert flips_p_value(values, found.high) == pytest.approx(0.05, abs=0.01)
    assert sign_flip(values) == found


def test_many_seeds():
    values = np.random.default_rng(4).normal(1.0, 1, 100)
    flipped, t = sign_flip(values), estimate(values)
    assert (flipped.low, flipped.high) == pytest.approx((t.low, t.high), abs=0.03)
    assert flipped.p_value == pytest.approx(2 / 10_000)


def test_resolution_widens_the_flips_and_agrees_with_their_p_value():
    values = [0.1, 0.2, 0.1, 0.3, 0.1, 0.2]
    bare, wide = sign_flip(values), sign_flip(values, resolution=0.4)
    assert (wide.low, wide.high) == pytest.approx((bare.low - 0.2, bare.high + 0.2))
    assert bare.p_value == 2 / 64
    assert wide.low < 0
    assert wide.p_value > 0.05


@pytest.mark.parametrize("by", [estimate, sign_flip])
@pytest.mark.parametrize(
    ("values", "message"),
    [([], "one or more"), ([[1.0, 2.0]], "one or more"), ([1.0, math.nan], "difference 1 is nan")],
)
def test_what_is_no_row_of_numbers(by, values, message):
    with pytest.raises(RequestError, match=message):
        by(values)
