"""When a difference is named, when its absence, and when nothing is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from attnbench.stats.latency_ratio import RatioEstimate, estimate
from attnbench.stats.timing_samples import AGAIN
from attnbench.stats.verdict import LatencyRule, adjust_p_values
from attnbench.stats.verdict import judge_latency as judge


def found(low, high, p_value=None, pairs=50):
    ratio = (low + high) / 2
    if p_value is None:
        p_value = 0.5 if low <= 1 <= high else 1e-4
    return RatioEstimate(ratio, low, high, p_value, pairs, 1)


GOOD = found(0.996, 1.005)


@pytest.mark.parametrize(
    ("low", "high", "verdict", "within"),
    [
        (1.02, 1.04, "slower", None),
        (0.95, 0.97, "faster", None),
        (30.0, 31.0, "slower", None),
        (1.001, 1.009, "same", 0.009),  # significant, but below the minimum effect
        (0.9881, 1.009, "same", 0.012),  # rounded up
        (0.99, 1.028, "same", 0.028),
        (0.96, 1.02, "inconclusive", None),
        (0.9, 1.3, "inconclusive", None),
        (1.001, 1.06, "slower", None),
    ],
)
def test_verdict(low, high, verdict, within):
    judged = judge({"row": (found(low, high), GOOD)})["row"]
    assert (judged.verdict, judged.within, judged.trust) == (verdict, within, "ok")
    assert judged.floor == pytest.approx(0.005)


def test_a_difference_within_the_floor_is_none():
    noisy = found(0.975, 1.02)
    assert judge({"row": (found(1.015, 1.027), noisy)})["row"].verdict == "same"
    assert judge({"row": (found(1.005, 1.036), noisy)})["row"].verdict == "inconclusive"
    assert judge({"row": (found(1.03, 1.05), noisy)})["row"].verdict == "slower"


@pytest.mark.parametrize(
    ("again", "why"),
    [
        (found(1.011, 1.02), "differs from its own copy by +1.5% [+1.1%, +2.0%]"),
        (found(0.95, 0.985), "differs from its own copy by -3.2%"),
        (found(0.9, 1.2), "may differ from its own copy by 20%"),
        (found(0.999, 1.001, pairs=4), "Only 4 rounds"),
        (RatioEstimate(1.0, 0.0, math.inf, 1.0, 9, 1), "by any amount"),
    ],
)
def test_a_failed_control_withholds_every_verdict(again, why):
    rows = {"slow": (found(1.5, 1.6), again), "same": (found(0.999, 1.001), again)}
    for judged in judge(rows).values():
        assert (judged.verdict, judged.within) == ("inconclusive", None)
        assert why in judged.trust
        assert judged.trust.endswith(".")


def test_a_copy_that_differs_by_less_than_matters_is_in_order():
    assert judge({"row": (found(1.1, 1.2), found(1.002, 1.009))})["row"].verdict == "slower"


def test_many_rows_need_stronger_evidence():
    one = found(1.012, 1.05, p_value=0.03)
    assert judge({"row": (one, GOOD)})["row"].verdict == "slower"
    others = {number: (found(0.96, 1.04), GOOD) for number in range(20)}
    assert judge({"row": (one, GOOD), **others})["row"].verdict == "inconclusive"


def test_rule_can_be_another():
    rule = LatencyRule(minimum_effect=0.05, same_margin=0.06, worst_floor=0.5)
    noisy = found(0.8, 1.2)
    assert judge({"row": (found(1.02, 1.04), GOOD)}, rule)["row"].within == 0.04
    assert judge({"row": (found(1.3, 1.4), noisy)}, rule)["row"].verdict == "slower"


def test_no_rows():
    assert judge({}) == {}


@pytest.mark.parametrize("kind", ["correlated", "lognormal", "bursts"])
def test_equal_arms_are_seldom_called_different(simulate, kind):
    """False alarms of the verdict and of the guard, on short noisy runs."""
    rng = np.random.default_rng(5)
    judged = []
    for _ in range(500):
        samples = simulate(kind, rng, 40)
        row = (estimate([samples], "arm"), estimate([samples], AGAIN))
        judged.append(judge({"row": row}, LatencyRule(worst_floor=1.0))["row"])
    assert np.mean([one.verdict in ("slower", "faster") for one in judged]) < 0.025
    assert np.mean([one.trust != "ok" for one in judged]) < 0.025


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_p_values_are_adjusted_as_benjamini_and_hochberg_do(count):
    values = np.random.default_rng(count).beta(0.3, 1, count).round(2)
    expected = stats.false_discovery_control(values) if count else []
    assert adjust_p_values(list(values)) == pytest.approx(list(expected))
