"""The dot plots of a place: marks at their values, families, skewed axes, outliers."""

import pytest

from attnbench.errors import RequestError
from attnbench.reports.overview.figure import Panel, draw_panels

MARKS = [(1.0, 2.0, 3.0), None, (4.0, 4.0, 4.0)]
FAMILIES = ["channel", "mixed", "channel"]


def draw(panel, names=("a", "b", "c"), families=FAMILIES):
    return draw_panels(list(names), [panel], "title", families)


def test_a_row_for_each_module_in_order(texts):
    figure = draw(Panel("overhead", MARKS), ["se", "my_$x$", "eca"])
    (axes,) = figure.axes
    assert [one.get_text() for one in axes.get_yticklabels()] == ["se", "my_$x$", "eca"]
    low, high = axes.get_ylim()
    assert low > high
    assert {"title", "overhead", "channel", "mixed"} <= set(texts(figure))


def test_marks_stand_where_the_values_are():
    (axes,) = draw(Panel("overhead", MARKS)).axes
    drawn = [(list(one.get_xdata()), list(one.get_ydata())) for one in axes.get_lines()[1:]]
    assert drawn == [([1.0, 3.0], [0.0, 0.0]), ([2.0], [0.0]), ([4.0], [2.0])]


def test_the_inference_form_is_hollow_and_explained(texts):
    figure = draw(Panel("overhead", MARKS, second=[None, (0.5, 0.6, 0.7), None]))
    hollow = figure.axes[0].get_lines()[-1]
    assert hollow.get_markerfacecolor() == "white"
    assert list(hollow.get_xdata()) == [0.6]
    assert [text for text in texts(figure) if "hollow" in text]


def test_skewed_values_are_told_apart():
    marks = [(0.0,) * 3, (10.0,) * 3, (20.0,) * 3, (1e6,) * 3]
    (axes,) = draw(Panel("parameters", marks), "abcd", [*FAMILIES, "mixed"]).axes
    assert axes.get_xscale() == "symlog"


def test_a_module_that_did_not_learn_stands_at_the_edge():
    marks = [(value - 1, value, value + 1) for value in (-1.0, 0.0, 1.0, 2.0, -80.4)]
    (axes,) = draw(Panel("top-1", marks, outliers=True), "abcde", ["mixed"] * 5).axes
    assert axes.get_xlim()[0] > -10
    assert [one.get_text() for one in axes.texts] == ["\u221280"]
    assert axes.texts[0].xy == (0.0, 4.0)


@pytest.mark.parametrize(("modules", "panels"), [([], [Panel("p", [])]), (["a"], [])])
def test_nothing_to_draw(modules, panels):
    with pytest.raises(
        RequestError, match=f"got {len(modules)} modules and {len(panels)} quantities"
    ):
        draw_panels(modules, panels, "title", [])
