"""Scales: the fence against a direct computation, skewed axes, infinite intervals."""

from math import inf

import pytest
from matplotlib.figure import Figure

from attnbench.reports.figures.axis_scales import (
    clip_interval,
    limits_of,
    lower_fence,
    scale_axis,
    split_at_fence,
)


def test_the_fence_is_three_scaled_mads_below_the_median():
    # median 1, absolute deviations 2, 1, 0, 1, 81: their median is 1
    assert lower_fence([-1.0, 0.0, 1.0, 2.0, -80.0]) == pytest.approx(0 - 3 * 1.4826 * 1.0)


@pytest.mark.parametrize("values", [[], [1.0, -80.0], [0.0, 0.0, 0.0, 0.0, -80.0]])
def test_no_fence_for_few_or_equal_values(values):
    assert lower_fence(values) == -inf


def test_outliers_do_not_set_the_limits():
    marks = [(value - 1, value, value + 1) for value in (-1.0, 0.0, 1.0, 2.0, -80.0)]
    inside, below = split_at_fence(marks)
    assert below == [(-81.0, -80.0, -79.0)]
    assert limits_of(inside) == pytest.approx((-1 - 1.1, 2 + 1.1))


def test_infinite_ends_reach_out_of_the_frame():
    assert clip_interval((-inf, 0.0, inf), (-1.0, 3.0)) == (-5.0, 7.0)
    assert clip_interval((-0.5, 0.0, 2.0), (-1.0, 3.0)) == (-0.5, 2.0)


@pytest.mark.parametrize(
    ("values", "scale"), [([1, 2, 3, 4], "linear"), ([1, 2, 3, 600], "symlog"), ([], "linear")]
)
def test_skewed_values_have_a_logarithmic_axis(values, scale):
    axes = Figure().subplots()
    scale_axis(axes, "x", values)
    assert axes.get_xscale() == scale


def test_powers_of_ten_are_written_no_more_than_asked_for():
    axes = Figure().subplots()
    scale_axis(axes, "x", [0, 20, 3_000, 40_000, 5_000_000], ticks=3)
    form = axes.xaxis.get_major_formatter()
    powers = [tick for tick in axes.get_xticks() if tick >= 0]
    assert [form(tick) for tick in powers] == ["0", "10M", "100k", "1k"]
    assert form(-2000.0) == "\u22122k"
