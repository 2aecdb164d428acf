"""The centre of differences: its value, its interval, its corner cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attnbench.stats.hodges_lehmann import center, location, mean_variance


def test_centre_is_hodges_and_lehmanns():
    assert center(np.array([[1.0, 2.0, 6.0]])).value == 2.75  # of 1, 1.5, 2, 3.5, 4, 6


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 30, 31, 110, 299, 300])
@pytest.mark.parametrize("rows", [1, 2])
def test_location_is_the_median_over_all_pairs(rounds, rows):
    rng = np.random.default_rng(rounds)
    for values in (rng.gamma(2.0, size=(rows, rounds)), rng.integers(0, 3, (rows, rounds)) * 1.0):
        own = [(row[i] + row[j]) / 2 for row in values for i in range(rounds) for j in range(i + 1)]
        assert location(values) == center(values).value == np.median(own)


def test_location_of_a_series_that_its_sample_misses():
    drift = np.linspace(0, 1, 200) ** 9
    drift[::23] += 5
    means = np.add.outer(drift, drift)[np.triu_indices(200)] / 2
    assert location(drift[None]) == np.median(means)


def test_interval_is_the_signed_rank_tests_where_rounds_are_independent():
    row = np.random.default_rng(0).standard_normal(200) + 0.2
    found = center(row[None])
    exact = stats.wilcoxon(row, method="asymptotic")
    assert found.low < found.value < found.high
    width = 2 * 1.96 / np.sqrt(200) * np.sqrt(np.pi / 3)
    assert width < found.high - found.low < 1.35 * width
    assert (found.p_value < 0.05) == (exact.pvalue < 0.05)


def test_correlation_widens_the_interval():
    rng = np.random.default_rng(1)
    row = rng.standard_normal(60)
    slow = np.sort(row)
    assert center(slow[None]).error > 2.5 * center(row[None]).error


def test_alternation_does_not_narrow_it():
    calm, _ = mean_variance(np.random.default_rng(2).permutation(np.linspace(-0.5, 0.5, 100)))
    alternating, _ = mean_variance(np.tile([0.29, -0.29], 50))
    assert alternating == pytest.approx(0.29**2 / 100, rel=0.02)
    assert calm >= alternating * 0.98


def test_p_value_agrees_with_the_interval():
    rng = np.random.default_rng(3)
    for _ in range(300):
        found = center(rng.standard_normal((2, 12)) + rng.normal())
        assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_spikes_do_not_move_it():
    row = np.random.default_rng(4).standard_normal(40) * 0.01
    spiked = row.copy()
    spiked[::8] += 5.0
    assert center(spiked[None]).value == pytest.approx(center(row[None]).value, abs=0.01)


def test_many_rounds_meet_only_some_others():
    row = np.random.default_rng(5).standard_normal(1200)
    means = np.add.outer(row, row)[np.triu_indices(1200)] / 2
    assert center(row[None]).value == pytest.approx(np.median(means), abs=0.01)


def test_few_rounds():
    for rounds in (1, 2):
        found = center(np.full((1, rounds), 0.5))
        assert (found.value, found.low, found.high, found.p_value) == (0.5, -np.inf, np.inf, 1.0)
    found = center(np.array([[0.1, 0.2, 0.3]]))
    assert -np.inf < found.low < 0.1
    assert 0.3 < found.high < np.inf


def test_equal_differences():
    assert center(np.zeros((2, 9))).p_value == 1.0
    found = center(np.full((2, 9), 0.5))
    assert (found.value, found.low, found.high, found.p_value) == (0.5, 0.5, 0.5, 0.0)
