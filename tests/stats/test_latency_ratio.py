"""From rounds to ratios: pairs, copies, processes."""

from __future__ import annotations

import numpy as np
import pytest

from attnbench.errors import RequestError
from attnbench.stats.latency_ratio import distribution, estimate
from attnbench.stats.timing_samples import AGAIN, TimingSamples


def samples_of(**seconds):
    rows = {name.replace("again", AGAIN): tuple(row) for name, row in seconds.items()}
    return TimingSamples("base", rows, dict.fromkeys(rows, 1), 0.0, 1.0, "budget")


def test_what_a_round_shares_falls_out():
    state = np.exp(np.cumsum(np.random.default_rng(0).standard_normal(30)))
    found = estimate([samples_of(base=state, again=state, arm=1.2 * state)], "arm")
    assert found.ratio == pytest.approx(1.2)
    assert found.half_width < 1e-9
    assert (found.pairs, found.processes) == (30, 1)


def test_both_copies_of_the_baseline_count():
    rng = np.random.default_rng(1)
    base, again, arm = np.exp(0.02 * rng.standard_normal((3, 4000)))
    both = estimate([samples_of(base=base, again=again, arm=arm)], "arm").half_width
    one = estimate([samples_of(base=base, again=arm, arm=arm)], AGAIN).half_width
    assert both / one == pytest.approx(np.sqrt(1.5 / 2), abs=0.05)


def test_skewed_noise_does_not_bias_equal_arms(simulate):
    rng = np.random.default_rng(2)
    found = [estimate([simulate("lognormal", rng, 40)], "arm").ratio - 1 for _ in range(500)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(500)


def test_the_baseline_is_itself(simulate):
    found = estimate([simulate("t2", np.random.default_rng(3), 20)], "base")
    assert (found.ratio, found.low, found.high, found.p_value) == (1.0, 1.0, 1.0, 1.0)


def test_processes_are_the_unit():
    """Three processes that agree within, not between: the interval is of the between."""
    one = np.ones(50)
    parts = [
        samples_of(base=one / np.sqrt(copy), again=one * np.sqrt(copy), arm=one * ratio)
        for ratio, copy in ((1.01, 1.03), (1.03, 1.0), (1.05, 0.97))
    ]
    found = estimate(parts, "arm")
    assert found.processes == 3
    assert found.ratio == pytest.approx(1.03, rel=1e-3)
    # the arm's spread is 0.0194, the A/A arm's 0.03; both together have 4 degrees of freedom
    spread = np.sqrt((0.0194**2 + 0.03**2) / 2)
    assert found.half_width == pytest.approx(2.776 * spread / np.sqrt(3), rel=0.01)
    # the A/A arm has itself alone to go by, and 2
    assert estimate(parts, AGAIN).half_width == pytest.approx(4.303 * 0.03 / np.sqrt(3), rel=0.01)


def test_two_processes_that_agree_are_no_surer_than_their_rounds(simulate):
    rng = np.random.default_rng(4)
    parts = [simulate("normal", rng, 25, 1.1)] * 2  # to the digit the same: no spread between
    assert estimate(parts, "arm").half_width > 0.4 * estimate(parts[:1], "arm").half_width


def test_three_processes_are_as_sure_as_they_agree():
    """However noisy their few rounds are: what they differ by has that noise in it."""
    rng = np.random.default_rng(7)
    parts = []
    for ratio in (1.0316, 1.0260, 1.0275, 1.0289):
        noise = 0.05 * rng.standard_normal(9)
        noise -= np.median(np.add.outer(noise, noise)[np.triu_indices(9)]) / 2
        parts.append(samples_of(base=np.ones(9), again=np.ones(9), arm=ratio * np.exp(noise)))
    found = estimate(parts, "arm")
    logs = np.log([1.0316, 1.0260, 1.0275, 1.0289])
    assert np.log(found.ratio) == pytest.approx(logs.mean())
    # 6 degrees of freedom with those of the A/A arm, which has no spread at all
    assert found.half_width == pytest.approx(2.446912 * logs.std(ddof=1) / 2, rel=1e-6)


def test_distribution_pools_the_processes():
    ones, twos = np.ones(50), np.linspace(2, 3, 50)
    parts = [samples_of(base=row, again=row, arm=row) for row in (ones, twos)]
    found = distribution(parts, "arm")
    assert (found.minimum, found.median) == (1.0, 1.5)
    assert 2.5 < found.p90 < found.p99 <= 3


def test_quantiles_are_numpys():
    rounds = np.random.default_rng(0).gamma(2.0, size=37)
    samples = TimingSamples("a", dict.fromkeys(("a", AGAIN), tuple(rounds)), {}, 0.0, 1.0, "budget")
    found = distribution([samples], "a")
    assert [found.median, found.p90, found.p99] == list(np.quantile(rounds, [0.5, 0.9, 0.99]))


def test_bad_requests(simulate):
    with pytest.raises(RequestError, match="at least one process"):
        estimate([], "arm")
    with pytest.raises(RequestError, match=r"arm .*'amr'\. Did you mean 'arm'"):
        estimate([simulate("normal", np.random.default_rng(0), 5)], "amr")
