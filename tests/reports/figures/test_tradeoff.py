"""Accuracy against cost: the artists of the figure hold the values, the front is the true one."""

from itertools import product
from math import inf

import numpy as np
import pytest

from attnbench.errors import RequestError
from attnbench.reports.figures.figure_files import SINGLE, SMALL, save
from attnbench.reports.figures.tradeoff import (
    TradeoffPanel,
    TradeoffPoint,
    draw_tradeoff,
    is_beaten,
    pareto_front,
)

PLAIN = TradeoffPoint("plain", "plain", (0.0,) * 3, (0.0,) * 3)


def point(name, cost, gain, family="channel", reach=0.5):
    return TradeoffPoint(
        name, family, (cost - reach, cost, cost + reach), (gain - reach, gain, gain + reach)
    )


POINTS = [
    PLAIN,
    point("se", 3.0, 1.0),
    point("eca", 4.0, 0.5),
    point("cbam", 8.0, 2.0, "mixed"),
    point("lka", 9.0, -3.0, "large-kernel"),
    point("psa", 5.0, -80.0, "mixed"),
    point("w", 6.0, 1.5, "wider"),
]


@pytest.fixture(scope="module")
def figure():
    return draw_tradeoff([TradeoffPanel(POINTS, "overhead", "top-1", limit=5.0)], "t", ["eca"])


def lines_of(figure, label):
    return [line for line in figure.axes[0].get_lines() if line.get_label() == label]


def test_the_front_holds_exactly_the_points_without_a_better_one():
    drawn = np.random.default_rng(0).normal(size=(60, 2)).tolist()
    points = [point(str(at), *pair) for at, pair in enumerate(drawn)]
    better = [any(a <= c and b >= d and (a, b) != (c, d) for a, b in drawn) for c, d in drawn]
    found = {one.name for one in pareto_front(points)}
    assert found == {str(at) for at, other in enumerate(better) if not other}


@pytest.mark.parametrize(("cheaper", "better"), list(product([0.5, 1.5], repeat=2)))
def test_beaten_only_beyond_both_intervals(cheaper, better):
    own, other = point("a", 5.0, 1.0), point("b", 5.0 - cheaper, 1.0 + better)
    assert is_beaten(own, [own, other]) == (cheaper > 1 and better > 1)


def test_points_stand_at_their_values_with_intervals_on_both_axes(figure):
    for one in (POINTS[1], POINTS[3]):
        (mark,) = lines_of(figure, one.name)
        assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (one.cost[1], one.gain[1])
        segments = [
            (tuple(line.get_xdata()), tuple(line.get_ydata()))
            for line in figure.axes[0].get_lines()
        ]
        assert ((one.cost[0], one.cost[2]), (one.gain[1],) * 2) in segments
        assert ((one.cost[1],) * 2, (one.gain[0], one.gain[2])) in segments


def test_plain_wider_and_the_line_at_five_percent_are_marked(figure):
    assert lines_of(figure, "plain")[0].get_marker() == "*"
    (wider,) = lines_of(figure, "w")
    assert (wider.get_marker(), wider.get_markerfacecolor()) == ("s", "white")
    dotted = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == ":"]
    assert [list(line.get_xdata()) for line in dotted] == [[5.0, 5.0]]


def test_the_front_is_drawn_from_plain_to_the_edge(figure):
    (front,) = lines_of(figure, "front")
    edge = figure.axes[0].get_xlim()[1]
    assert list(front.get_xdata()) == [0.0, 3.0, 6.0, 8.0, edge]
    assert list(front.get_ydata()) == [0.0, 1.0, 1.5, 2.0, 2.0]


def test_names_at_the_front_and_where_asked_for(figure, texts):
    names = {one.name for one in POINTS} & set(texts(figure))
    # the legend names the family of plain
    assert names == {"se", "w", "cbam", "eca", "plain"}


def test_an_outlier_stands_at_the_edge_with_its_value(figure, texts):
    assert lines_of(figure, "psa") == []
    low, _ = figure.axes[0].get_ylim()
    assert low > -10
    arrows = [one for one in figure.axes[0].texts if not one.get_text() and one.xy[1] == 0.0]
    assert [arrow.xy[0] for arrow in arrows] == [5.0]
    assert any("psa\u00a0\u221280.0" in text for text in texts(figure))


def test_a_point_that_is_beaten_is_pale(figure):
    assert lines_of(figure, "lka")[0].get_alpha() < 0.5
    assert lines_of(figure, "cbam")[0].get_alpha() == 1.0


def test_it_fits_a_column_and_can_be_read_there(figure):
    from matplotlib.text import Text

    assert figure.get_figwidth() == SINGLE
    written = [one for one in figure.findobj(Text) if one.get_text()]
    assert min(one.get_fontsize() for one in written) >= SMALL >= 6


def test_an_interval_without_an_end_is_cut_by_the_frame():
    endless = TradeoffPoint("se", "channel", (1.0,) * 3, (-inf, 1.0, inf))
    figure = draw_tradeoff([TradeoffPanel([PLAIN, endless], "x", "y")], "t")
    (line,) = (one for one in figure.axes[0].get_lines() if list(one.get_xdata()) == [1.0, 1.0])
    low, high = figure.axes[0].get_ylim()
    assert min(line.get_ydata()) < low < high < max(line.get_ydata())


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_every_kind_of_file(figure, tmp_path, suffix, start):
    data = save(figure, tmp_path / f"a.{suffix}").read_bytes()
    assert data.startswith(start)
    assert b"/Type3" not in data  # fonts that publishers refuse


def test_nothing_but_plain_and_an_unknown_label():
    with pytest.raises(RequestError, match="no network with both a cost and an accuracy"):
        draw_tradeoff([TradeoffPanel([PLAIN], "x", "y")], "t")
    with pytest.raises(RequestError, match=r"--label 'seb'.*se"):
        draw_tradeoff([TradeoffPanel(POINTS, "x", "y")], "t", ["seb"])
