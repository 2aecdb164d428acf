"""Accuracy against cost at a place: points from made-up records, computed again here."""

from statistics import fmean

import pytest

from attnbench.errors import RequestError
from attnbench.reports.overview.entries import collect
from attnbench.reports.overview.figure import draw_figure

from .made import COSTS, POINTS, RATIOS
from .test_build_overview import planned, timed_suite, trained_suite

SPREAD = fmean((0.0, 0.01, -0.01))


@pytest.fixture(scope="module")
def place():
    (found,) = collect([planned(timed_suite()), planned(trained_suite())])
    return found


def marks(axes):
    return {
        line.get_label(): (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.get_lines()
        if line.get_label() in RATIOS
    }


def test_overheads_of_both_runtimes_against_accuracies(place):
    figure = draw_figure(place, "overhead")
    assert len(figure.axes) == 2
    for axes in figure.axes:
        found = marks(axes)
        for module, ratio in RATIOS.items():
            assert found[module] == pytest.approx(
                (100 * (ratio - 1), POINTS[module] + SPREAD), abs=0.3
            )


@pytest.mark.parametrize("key", ["macs", "params"])
def test_added_cost_of_the_network_that_was_trained(place, key):
    costs = {
        module: place.entries[module].costs["mobilenet_v2,width=0.35"].values for module in RATIOS
    }
    found = marks(draw_figure(place, key).axes[0])
    for module in RATIOS:
        percent = 100 * (costs[module][key] - COSTS[key]) / COSTS[key]
        assert found[module] == pytest.approx((percent, POINTS[module] + SPREAD))


def test_all_modules_are_the_figure_without_a_name(place):
    assert len(draw_figure(place).axes) == 5  # parameters, MACs, two overheads, accuracy


def test_what_the_runs_lack_is_named():
    (timed,) = collect([planned(timed_suite())])
    with pytest.raises(RequestError, match="no accuracy of most modules at after:14"):
        draw_figure(timed, "overhead")
    (trained,) = collect([planned(trained_suite())])
    with pytest.raises(RequestError, match="no latency of most modules at after:14"):
        draw_figure(trained, "overhead")


def test_requests_that_no_figure_answers(place):
    with pytest.raises(RequestError, match=r"--figure 'mac'.*macs"):
        draw_figure(place, "mac")
    with pytest.raises(RequestError, match="got se"):
        draw_figure(place, "modules", ["se"])
