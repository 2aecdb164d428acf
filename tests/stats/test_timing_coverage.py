"""The interval holds the truth as often as it says: simulated, with seeds.

Nominal 95%, to be measured at 93% or more. Counts pool the noises' rounds so that a binomial
error stays below 1%.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from attnbench.stats.latency_ratio import estimate, shrink_session
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from attnbench.timing.sampler import Sampling, sample

NOISES = ["normal", "correlated", "drifting", "lognormal", "t2", "pareto", "bursts"]


def holds(found, truth):
    return found.low <= truth <= found.high


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize(("rounds", "ratio"), [(15, 1.03), (30, 1.2), (90, 1.0)])
def test_interval_of_one_process(simulate, kind, rounds, ratio):
    rng = np.random.default_rng(1)
    tries = 1000
    found = [estimate([simulate(kind, rng, rounds, ratio)], "arm") for _ in range(tries)]
    assert np.mean([holds(one, ratio) for one in found]) >= 0.93
    # and it is not honest by being useless
    assert np.mean([holds(one, ratio * 3) for one in found]) < 0.5


@pytest.mark.parametrize(
    ("kind", "width"),
    [(kind, 0.03 if kind in ("correlated", "lognormal") else 0.012) for kind in NOISES],
)
def test_interval_through_the_sampler_with_its_early_stop(clock, kind, width):
    found, control, stopped = [], [], []
    for seed in range(200):
        simulated = clock({"base": 1.0, "arm": 1.03, AGAIN: 1.0}, kind, seed)
        sampling = Sampling(budget_s=250.0, width=width, seed=seed, warmup=10)
        samples = sample(
            simulated.arms(), "base", sampling, clock=simulated, again=simulated.call(AGAIN)
        )
        found.append(estimate([samples], "arm"))
        control.append(estimate([samples], AGAIN))
        stopped.append(samples.stopped)
    assert "narrow" in stopped, "the early stop must have had its chance"
    assert np.mean([holds(one, 1.03) for one in found]) >= 0.93
    assert np.mean([holds(one, 1.0) for one in control]) >= 0.93


@pytest.mark.parametrize("processes", [3, 5])
@pytest.mark.parametrize("layout", [0.0, 0.005, 0.02])
def test_interval_of_several_processes(simulate, processes, layout):
    rng = np.random.default_rng(2)
    arm, control = [], []
    for _ in range(400):
        samples = [simulate("normal", rng, 15, 1.05, layout) for _ in range(processes)]
        arm.append(holds(estimate(samples, "arm"), 1.05))
        control.append(holds(estimate(samples, AGAIN), 1.0))
    assert np.mean(arm) >= 0.93
    assert np.mean(control) >= 0.93


def processes_of_a_session(rng, arms, processes, rounds, noise, rho, layout):
    """Samples of each process: networks with a layout of their own and correlated rounds."""
    names = ["base", AGAIN, *(f"arm {number}" for number in range(arms))]
    drawn = {
        "lognormal": lambda shape: rng.lognormal(0, 0.8, shape) / 1.30,
        "t3": lambda shape: rng.standard_t(3, shape) / np.sqrt(3),
    }[noise]
    for _ in range(processes):
        rounds_of = drawn((len(names), 40 + rounds)) * np.sqrt(1 - rho**2)
        own = 0.02 * lfilter([1], [1, -rho], rounds_of, axis=-1)[:, 40:]
        logs = own + layout * rng.standard_normal((len(names), 1))
        seconds = {name: tuple(np.exp(row)) for name, row in zip(names, logs, strict=True)}
        yield TimingSamples("base", seconds, dict.fromkeys(names, 1), 0.0, 1.0, "budget")


@pytest.mark.parametrize("noise", ["lognormal", "t3"])
@pytest.mark.parametrize(
    ("processes", "arms", "tries"), [(1, 1, 300), (2, 1, 300), (3, 3, 100), (4, 12, 30), (8, 5, 40)]
)
def test_interval_of_a_session_of_few_correlated_rounds(noise, processes, arms, tries):
    """A layout is that of other processes: one process has the interval of its own."""
    rng, hits = np.random.default_rng(processes), []
    for number in range(tries):
        rounds, rho = (5, 9, 14, 20)[number % 4], (0.0, 0.4, 0.8)[number % 3]
        layout = 0.005 if processes > 1 else 0.0
        samples = list(processes_of_a_session(rng, arms, processes, rounds, noise, rho, layout))
        found = shrink_session({arm: estimate(samples, f"arm {arm}") for arm in range(arms)})
        hits += [holds(one, 1.0) for one in found.values()]
    least = 0.93 if noise == "t3" else 0.95
    # less two standard errors of a share, of as many tries as there are sessions
    assert np.mean(hits) >= least - 2 * np.sqrt(0.05 * 0.95 / tries / arms**0.5)


def test_processes_as_clusters_are_needed(simulate):
    """Rounds of several processes thrown together would claim far too much."""
    rng = np.random.default_rng(3)
    single = [
        holds(estimate([simulate("normal", rng, 100, 1.05, 0.02)], "arm"), 1.05) for _ in range(200)
    ]
    assert np.mean(single) < 0.5
