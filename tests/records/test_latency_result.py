"""Figures of a latency record are derived from its samples when it is read."""

import numpy as np
import pytest

from attnbench.records.latency_result import judge_timings, pool_sessions, timing_of
from attnbench.stats.timing_samples import AGAIN, TimingSamples

BASE = "latency/net/plain/eager"


def samples(ratio=None, rounds=60, noise=0.01, seed=0, **fields):
    """The JSON of one process: an arm of a known ratio, or the plain network alone."""
    drawn = np.random.default_rng(seed)
    weather = 0.010 * np.exp(0.2 * np.sin(np.arange(rounds) / 9))

    def arm(factor):
        return tuple(factor * weather * np.exp(noise * drawn.standard_normal(rounds)))

    seconds = {BASE: arm(1.0), AGAIN: arm(1.0)}
    if ratio is not None:
        seconds["arm"] = arm(ratio)
    calls = dict.fromkeys(seconds, 1)
    made = TimingSamples(BASE, seconds, calls, 0.5, 2.0, "budget", **fields)
    return made.to_json()


def test_the_ratio_is_the_arms_and_the_times_are_its_own():
    found = timing_of([samples(1.1)], batch=4)
    assert found.arm.ratio == pytest.approx(1.1, rel=0.01)
    assert found.arm.low < 1.1 < found.arm.high
    assert found.again.ratio == pytest.approx(1.0, rel=0.01)
    assert found.own.median == pytest.approx(1.1 * found.plain.median, rel=0.02)
    assert found.throughput == pytest.approx(4 / found.own.median)
    assert not found.is_plain


def test_a_plain_network_has_the_ratio_of_its_copy_and_its_own_times():
    found = timing_of([samples()], batch=1)
    assert found.is_plain
    assert found.arm == found.again
    assert found.own == found.plain


def test_processes_are_pooled():
    found = timing_of([samples(1.1, seed=seed, dropped=seed) for seed in range(3)], batch=1)
    assert found.arm.processes == 3
    assert found.arm.pairs == 180
    assert found.sampling_s == 6.0
    assert found.dropped == 3


def test_without_samples_there_is_no_timing():
    assert timing_of([], batch=1) is None


def test_plain_networks_are_no_claims_among_which_false_ones_are_controlled():
    arms = {number: timing_of([samples(1.0, seed=number)], 1) for number in range(5)}
    arms["slow"] = timing_of([samples(1.1, seed=99)], 1)
    plain = {f"plain {number}": timing_of([samples(seed=50 + number)], 1) for number in range(40)}
    alone, together = judge_timings(arms), judge_timings(arms | plain)
    assert {key: together[key] for key in arms} == alone
    assert alone["slow"].verdict == "slower"
    assert all(together[key].verdict in ("same", "inconclusive") for key in plain)


def test_arms_are_moderated_with_those_of_their_own_session():
    """Sessions are told apart by their plain network's seconds, which all their arms have."""
    plain = [samples(seed=seed)["seconds"] for seed in range(3)]

    def timed(seed, *, shared):
        made = [samples(1.1, seed=seed + number) for number in range(3)]
        for process, seconds in zip(made, plain, strict=True):
            if shared:
                process["seconds"] |= {key: seconds[key] for key in (BASE, AGAIN)}
        return timing_of(made, 1)

    together = {name: timed(10 * name, shared=True) for name in range(1, 7)}
    apart = {f"alone {name}": timed(10 * name, shared=False) for name in range(1, 7)}
    found = pool_sessions(together | apart)
    assert {key: found[key] for key in apart} == apart
    freedoms = {found[key].arm.freedom for key in together}
    assert len(freedoms) == 1 and freedoms != {4}
    assert [found[key].arm.ratio for key in together] == [
        together[key].arm.ratio for key in together
    ]


def test_a_plain_network_is_no_arm_of_its_session():
    made = [samples(seed=seed) for seed in range(3)]
    plain = {number: timing_of(made, 1) for number in range(6)}
    assert pool_sessions(plain) == plain
