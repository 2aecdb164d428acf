"""Changes of a ratio between two runs, against hand-worked errors and quantiles."""

import math

import pytest

from attnbench.stats.latency_ratio import (
    RatioEstimate,
    RatioShift,
    estimate_shift,
    shrink_shifts,
)


def estimate_of(ratio, error, freedom):
    reach = {4: 2.776445, 8: 2.306004}[freedom] * error
    low, high = ratio * math.exp(-reach), ratio * math.exp(reach)
    return RatioEstimate(ratio, low, high, 0.5, 90, 3, freedom)


def test_two_equal_errors_add_as_squares_and_so_do_their_freedoms():
    found = estimate_shift(estimate_of(1.0, 0.01, 4), estimate_of(1.1, 0.01, 4))
    assert found.value == pytest.approx(math.log(1.1))
    assert found.error == pytest.approx(0.01 * math.sqrt(2), rel=1e-5)
    assert found.freedom == pytest.approx(8)


def test_an_error_that_is_alone_keeps_its_freedom():
    found = estimate_shift(estimate_of(1.0, 0.01, 4), estimate_of(1.0, 1e-9, 8))
    assert found.freedom == pytest.approx(4, rel=1e-3)


def test_the_p_value_is_of_what_lies_beyond_the_effect():
    moved = RatioShift(math.log1p(0.01) + 2.306004 * 0.01, 0.01, 8)
    assert moved.beyond(0.01) == pytest.approx(0.05, abs=1e-6)
    assert RatioShift(0.009, 0.001, 8).beyond(0.01) == 1
    assert RatioShift(0.02, 0.0, 8).beyond(0.01) == 0


def test_a_change_of_the_detectable_size_is_found_with_the_power():
    moved = RatioShift(0.0, 0.01, 8)
    found = moved.detectable(0.01, level=0.01, power=0.8)
    # Student's quantiles with 8 degrees of freedom: 99% one-sided 2.896459, 80% 0.888890
    assert found == pytest.approx(1.01 * math.exp(0.01 * (2.896459 + 0.888890)) - 1, rel=1e-5)


def test_shrinking_raises_the_freedom_and_keeps_the_values():
    shifts = {key: RatioShift(0.01 * key, 0.01 + 0.0001 * key, 4) for key in range(6)}
    found = shrink_shifts(shifts)
    assert {key: moved.value for key, moved in found.items()} == {
        key: moved.value for key, moved in shifts.items()
    }
    assert all(moved.freedom > 4 for moved in found.values())
    assert all(found[key].error >= moved.error for key, moved in shifts.items())
