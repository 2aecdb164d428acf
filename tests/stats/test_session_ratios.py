"""Errors of arms that were timed together, against Smyth's formulas written out."""

import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from attnbench.stats.latency_ratio import RatioEstimate, shrink_session


def rows_of(centers):
    """The estimates of arms whose processes have these centers, (arms, processes)."""
    return {
        number: RatioEstimate(
            math.exp(np.mean(row)), 0.9, 1.1, 0.5, 90, len(row), 4, tuple(map(float, row))
        )
        for number, row in enumerate(centers)
    }


def drawn(rng, arms, processes, shared=0.0, scales=1.0):
    own = rng.standard_normal((arms, processes)) * np.reshape(scales, (-1, 1))
    return 0.01 * (own + shared * rng.standard_normal(processes))


def freedom_of_the_mean(centers):
    """The Welch-Satterthwaite freedom of the arms' mean variance, with a common part."""
    arms, processes = centers.shape
    scores = stats.zscore(centers, axis=1, ddof=1)
    square = np.var(scores.sum(axis=0), ddof=1)  # of independent arms: as many as there are
    correlation = max((square / arms - 1) / (arms - 1), 1 / 9)
    between, rest = 1 / (processes - 1), 1 / ((arms - 3) * (processes - 1))
    return 1 / (correlation * between + (1 - correlation**0.5) ** 2 * rest)


def moderated(centers):
    """The variances and the freedom of Smyth (2004), section 6.2, none below the arm's own."""
    processes = centers.shape[1]
    own, freedom = np.var(centers, axis=1, ddof=1), processes - 1
    logs = np.log(own) - special.digamma(freedom / 2) + math.log(freedom / 2)
    excess = np.var(logs, ddof=1) - special.polygamma(1, freedom / 2)
    most = freedom_of_the_mean(centers) - freedom
    if excess <= special.polygamma(1, most / 2):
        prior, expected = most, math.exp(np.mean(logs))
    else:
        half = optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-6, 1e6)
        prior = 2 * half
        expected = math.exp(np.mean(logs) + special.digamma(half) - math.log(half))
    pooled = (prior * expected + freedom * own) / (prior + freedom)
    return np.maximum(pooled, own), prior + freedom


@pytest.mark.parametrize("processes", [3, 4, 8])
@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_errors_are_moderated_by_those_of_the_other_arms(processes, shared):
    rng = np.random.default_rng(processes)
    for scales in (1.0, np.exp(rng.standard_normal(12))):
        centers = drawn(rng, 12, processes, shared, scales)
        variances, freedom = moderated(centers)
        for number, row in shrink_session(rows_of(centers)).items():
            error = math.sqrt(variances[number] / processes)
            reach = stats.t(freedom).ppf(0.975) * error
            mean = float(np.mean(centers[number]))
            assert row.freedom == pytest.approx(freedom, rel=1e-6)
            assert row.ratio == pytest.approx(math.exp(mean))
            assert row.low == pytest.approx(math.exp(mean - reach))
            assert row.high == pytest.approx(math.exp(mean + reach))
            assert row.p_value == pytest.approx(2 * stats.t(freedom).sf(abs(mean) / error))


def test_noise_of_the_plain_network_has_the_freedom_of_one_arm():
    centers = drawn(np.random.default_rng(1), 40, 3, shared=30.0)
    assert all(row.freedom < 2.2 for row in shrink_session(rows_of(centers)).values())


@pytest.mark.parametrize(("arms", "processes"), [(0, 3), (3, 3), (9, 2), (9, 1)])
def test_few_arms_or_processes_stand_alone(arms, processes):
    rows = rows_of(drawn(np.random.default_rng(2), arms, processes))
    assert shrink_session(rows) == rows


def test_arms_of_other_numbers_of_processes_were_not_timed_together():
    rng = np.random.default_rng(3)
    rows = rows_of([*drawn(rng, 5, 3), *drawn(rng, 5, 4)])
    assert shrink_session(rows) == rows
