"""The anytime-valid interval and e-value against numerical integration, and their coverage."""

import math

import numpy as np
import pytest
from scipy import integrate

from attnbench.stats.confidence_sequence import anytime_estimate, half_width, log_e_value
from attnbench.stats.verdict import AccuracyRule, adjust_familywise, judge_accuracy

VALUES = [0.9, 1.7, 1.2, 0.4, 1.5]
PRECISION = 0.25


def integrated(values):
    """Ratio of the densities of the scale-free values: effects mixed over N(0, 4), and none."""
    total, squares, count = sum(values), sum(x * x for x in values), len(values)

    def density(effect):
        # scale integrated out with the measure d sigma / sigma
        def over_scale(log_sigma):
            sigma = math.exp(log_sigma)
            distance = squares / sigma**2 - 2 * total * effect / sigma + count * effect**2
            return sigma**-count * math.exp(-distance / 2)

        return integrate.quad(over_scale, -6, 8, limit=200)[0]

    def mixed(effect):
        prior = math.sqrt(PRECISION / (2 * math.pi)) * math.exp(-PRECISION * effect**2 / 2)
        return prior * density(effect)

    return integrate.quad(mixed, -15, 15, limit=200)[0] / density(0)


@pytest.mark.parametrize("values", [VALUES, [-0.3, 0.2, 0.5], [2.0, 2.1]])
def test_the_e_value_is_the_mixture_of_likelihood_ratios(values):
    mean, sd = np.mean(values), np.std(values, ddof=1)
    found = math.exp(log_e_value(mean, sd, len(values)))
    assert found == pytest.approx(integrated(values), rel=1e-5)


def test_the_interval_is_where_the_shifted_e_value_stays_below_20():
    found = anytime_estimate(VALUES)
    for end in (found.low, found.high):
        assert integrated([value - end for value in VALUES]) == pytest.approx(20, rel=1e-4)
    assert found.p_value == pytest.approx(min(1, 1 / integrated(VALUES)), rel=1e-5)
    assert found.anytime


@pytest.mark.parametrize(
    ("values", "bounds"), [([0.4], (-math.inf, math.inf)), ([0.0, 0.0, 0.0], (0.0, 0.0))]
)
def test_a_value_alone_and_no_difference_at_all(values, bounds):
    found = anytime_estimate(values)
    assert (found.low, found.high) == bounds
    assert found.p_value == 1


def test_it_holds_at_all_times_at_once():
    values = np.random.default_rng(3).standard_normal((3000, 40))
    counts = np.arange(1, 41)
    means = values.cumsum(axis=1) / counts
    squares = (values**2).cumsum(axis=1) - counts * means**2
    sds = np.sqrt(squares[:, 1:] / (counts[1:] - 1))
    held = np.abs(means[:, 1:]) <= half_width(sds, counts[1:])
    assert held.all(axis=1).mean() >= 0.95


def test_any_wrong_verdict_is_controlled_as_by_holm():
    assert adjust_familywise([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])


def test_an_undecided_arm_says_what_it_would_take():
    found = anytime_estimate([0.9, -0.4, 1.6, 0.1])
    (verdict,) = judge_accuracy({"arm": found}, AccuracyRule(familywise=True)).values()
    assert verdict.verdict == "inconclusive"
    more = 4 + verdict.more_seeds

    def is_decided(count):
        e_value = math.exp(log_e_value(found.mean, found.sd, count))
        return e_value >= 20 or found.mean + half_width(found.sd, count) <= 0.5

    assert is_decided(more)
    assert not is_decided(more - 1)
