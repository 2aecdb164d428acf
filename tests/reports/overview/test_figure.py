import pytest

from attnbench.errors import RequestError
from attnbench.reports.overview.figure import Panel, draw_panels

MARKS = [(1.0, 2.0, 3.0), None, (4.0, 4.0, 4.0)]


def test_a_row_for_each_module_in_order(texts):
    figure = draw_panels(["se", "my_$x$", "eca"], [Panel("overhead", MARKS)], "title")
    (axes,) = figure.axes
    assert [one.get_text() for one in axes.get_yticklabels()] == ["se", "my_$x$", "eca"]
    low, high = axes.get_ylim()
    assert low > high
    assert {"title", "overhead"} <= set(texts(figure))


def test_marks_stand_where_the_values_are():
    (axes,) = draw_panels(["a", "b", "c"], [Panel("overhead", MARKS)], "title").axes
    drawn = [(list(one.get_xdata()), list(one.get_ydata())) for one in axes.get_lines()[1:]]
    assert drawn == [([1.0, 3.0], [0.0, 0.0]), ([2.0], [0.0]), ([4.0], [2.0])]


def test_the_inference_form_is_hollow_and_explained(texts):
    panel = Panel("overhead", MARKS, second=[None, (0.5, 0.6, 0.7), None])
    figure = draw_panels(["a", "b", "c"], [panel], "title")
    hollow = figure.axes[0].get_lines()[-1]
    assert hollow.get_markerfacecolor() == "white"
    assert list(hollow.get_xdata()) == [0.6]
    assert [text for text in texts(figure) if "hollow" in text]


def test_counts_of_all_sizes_are_told_apart():
    marks = [(0.0,) * 3, (10.0,) * 3, (1e6,) * 3]
    panel = Panel("parameters", marks, linear_up_to=10.0)
    (axes,) = draw_panels(["a", "b", "c"], [panel], "title").axes
    assert axes.get_xscale() == "symlog"


@pytest.mark.parametrize(("modules", "panels"), [([], [Panel("p", [])]), (["a"], [])])
def test_nothing_to_draw(modules, panels):
    with pytest.raises(
        RequestError, match=f"got {len(modules)} modules and {len(panels)} quantities"
    ):
        draw_panels(modules, panels, "title")
