"""False alarms and found steps over simulated series; intervals against plain statistics."""

import math

import numpy as np
import pytest
from scipy import stats

from attnbench.stats.changepoints import segment

ERROR = 0.006
"""Standard error of a ratio from three processes of a quiet machine."""
STEP = math.log(1.05)


def errors(draw, count, error=ERROR):
    """What three processes say of an error: right on average, and off by a third."""
    return error * np.sqrt(draw.chisquare(4, count) / 4)


def cuts(values, given):
    return segment(values, given, resolution=1e-4).cuts


NOISE = {
    "normal": lambda draw, n: draw.normal(size=n),
    "heavy tails": lambda draw, n: draw.standard_t(3, size=n),
    "a bad run now and then": lambda draw, n: draw.normal(size=n) * np.where(draw.random(n) < 0.07, 6, 1),
    "three times what the errors say": lambda draw, n: 3 * draw.normal(size=n),
}  # fmt: skip


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_a_series_without_a_change_has_none_in_99_of_100(noise):
    draw = np.random.default_rng(1)
    found = sum(bool(cuts(ERROR * noise(draw, 30), errors(draw, 30))) for _ in range(300))
    assert found < 3


@pytest.mark.parametrize("count", [4, 5, 7, 12, 60])
def test_nor_has_a_shorter_or_longer_one(count):
    draw = np.random.default_rng(2)
    noise = NOISE["three times what the errors say"]
    found = sum(bool(cuts(ERROR * noise(draw, count), errors(draw, count))) for _ in range(200))
    assert found < 2


@pytest.mark.parametrize("at", [4, 15, 27])
def test_a_step_of_5_percent_is_found_where_it_is(at):
    draw = np.random.default_rng(at)
    found = covered = placed = 0
    for _ in range(200):
        values = ERROR * draw.normal(size=30)
        values[at:] += STEP
        own = cuts(values, errors(draw, 30))
        if len(own) == 1 and abs(own[0].at - at) <= 1:
            found += 1
            covered += own[0].low <= STEP <= own[0].high
            placed += own[0].earliest <= at <= own[0].latest
    assert found >= 190
    assert covered >= 0.9 * found and placed >= 0.95 * found


def test_what_comes_and_goes_is_found_twice():
    """A single best cut of the whole series would see neither."""
    draw = np.random.default_rng(5)
    found = 0
    for _ in range(100):
        values = ERROR * draw.normal(size=30)
        values[12:17] += STEP
        found += [one.at for one in cuts(values, errors(draw, 30))] == [12, 17]
    assert found >= 95


@pytest.mark.parametrize("at", [0, 15, 29])
def test_one_bad_run_is_no_change(at):
    values = ERROR * np.random.default_rng(6).normal(size=30)
    values[at] += 0.5
    assert not cuts(values, [ERROR] * 30)


def test_the_interval_is_that_of_two_means():
    draw = np.random.default_rng(7)
    values = np.concatenate([draw.normal(0, 1, 40), draw.normal(8, 1, 60)])
    (cut,) = segment(values, [0.001] * 100, resolution=1e-4).cuts
    expected = stats.ttest_ind(values[40:], values[:40]).confidence_interval()
    assert cut.at == 40
    assert cut.difference == pytest.approx(values[40:].mean() - values[:40].mean(), abs=0.02)
    # the noise comes from neighbours, not from the residuals: within a quarter
    assert cut.high - cut.low == pytest.approx(expected.high - expected.low, rel=0.25)


def test_a_value_of_little_certainty_weighs_little():
    values = [0.0] * 10 + [0.05, -0.04, 0.06]
    assert not cuts(values, [0.001] * 10 + [0.05] * 3)
    assert cuts([0.0] * 10 + [0.05] * 3, [0.001] * 13)


def test_a_step_too_small_for_a_word():
    values = [0.0] * 20 + [0.005] * 20
    assert segment(values, [1e-4] * 40, resolution=1e-4).cuts
    assert not segment(values, [1e-4] * 40, resolution=1e-4, least=0.01).cuts


def test_shared_error_is_not_averaged_away():
    """The same three seeds in forty runs are three seeds."""
    values = [0.0] * 20 + [1.0] * 20
    assert segment(values, [0.5] * 40, resolution=1e-3).cuts
    assert not segment(values, [0.5] * 40, resolution=1e-3, shared=True).cuts
    (cut,) = segment(values, [0.2] * 40, resolution=1e-3, shared=True).cuts
    reach = stats.t.ppf(0.975, 38) * 0.2 * math.sqrt(2)
    assert (cut.low, cut.high) == pytest.approx((1 - reach, 1 + reach), rel=1e-3)


@pytest.mark.parametrize("count", range(1, 4))
def test_too_few_values_are_one_level(count):
    found = segment([1.0] * count, [0.1] * count, resolution=1e-4)
    assert not found.cuts
    assert [one.last for one in found.levels] == [count - 1]


def test_equal_values_without_errors():
    found = segment([2.0] * 9, [0.0] * 9, resolution=1e-4)
    assert not found.cuts and found.levels[0].mean == 2.0
