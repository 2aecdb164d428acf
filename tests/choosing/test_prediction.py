"""Predictions by addition, against closed forms."""

import math

import pytest
from scipy import stats

from attnbench.choosing.prediction import Deviations, SiteEffect, known_part, predict
from attnbench.stats.latency_ratio import RatioEstimate


def ratio(value, error=0.0):
    half = stats.norm.ppf(0.975) * error
    return RatioEstimate(value, value * math.exp(-half), value * math.exp(half), 0.5, 100, 1)


def test_an_effect_is_the_added_time_in_a_section_times_its_share():
    effect = SiteEffect.of(ratio(1.2, 0.01), ratio(0.1, 0.02))
    assert effect.value == pytest.approx(0.02)
    assert effect.error == pytest.approx(math.hypot(0.1 * 1.2 * 0.01, 0.2 * 0.1 * 0.02))


def test_effects_add_and_one_measurement_is_one_error():
    effects = {"a": SiteEffect(0.01, 0.001), "b": SiteEffect(0.02, 0.002)}
    found = predict({"a": 3, "b": 1}, effects, Deviations())
    assert found.value == found.summed == pytest.approx(0.05)
    error = math.hypot(3 * 0.001, 0.002, 0.1 * 0.06)  # the prior: a tenth of 5% and a point
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 4) * error)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_verified_networks_correct_predictions_and_narrow_them():
    effects, deviations = {"a": SiteEffect(0.05, 0.0)}, Deviations()
    before = predict({"a": 1}, effects, deviations)
    for _ in range(99):  # whole networks take half as much again as a point more than the sum
        deviations.add(0.05, 0.05 + 0.5 * 0.06)
    after = predict({"a": 1}, effects, deviations)
    assert after.value == pytest.approx(0.05 + 0.99 * 0.5 * 0.06)
    assert after.high - after.low < 0.5 * (before.high - before.low)
    assert after.low < 0.08 < after.high


def test_a_partial_sum_ends_low():
    effects = {"a": SiteEffect(0.03, 0.001)}
    assert known_part({"a": 2, "b": 5}, effects) == pytest.approx(0.06 - 2 * 0.002)
    assert known_part({"b": 5}, effects) == 0
