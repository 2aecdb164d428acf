import copy
import subprocess
import sys
from math import inf, nan
from typing import ClassVar

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.text import Annotation

from attnbench.errors import RequestError
from attnbench.records.format import FORMAT, Header, Record
from attnbench.records.store import Run
from attnbench.registry.plugins import catalog
from attnbench.reports.figures.training_curves import (
    draw_accuracies,
    draw_curves,
    draw_differences,
    draw_family_curves,
)
from attnbench.reports.run_report import planned_of
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import plan
from attnbench.suites.planned import tables_to_json


def seed(*losses):
    return [{"epoch": at, "loss": loss, "lr": 0.1} for at, loss in enumerate(losses, 1)]


def points(line):
    return list(zip(*(part.tolist() for part in map(np.asarray, line.get_data())), strict=True))


class TestCurves:
    def test_seeds_and_their_mean(self):
        figure = draw_curves(
            {"plain": [seed(2.0, 1.0), seed(4.0, 2.0)], "se": [seed(1.0, 0.5)]}, "t"
        )
        (axes,) = figure.axes
        one, two, mean, single, alone = axes.get_lines()
        assert points(one) == [(1, 2.0), (2, 1.0)]
        assert points(two) == [(1, 4.0), (2, 2.0)]
        assert points(mean) == [(1, 3.0), (2, 1.5)]
        assert points(alone) == points(single)
        assert mean.get_linewidth() > 2 * one.get_linewidth()
        assert same_color(mean.get_color(), one.get_color())
        assert not same_color(mean.get_color(), alone.get_color())

    def test_the_mean_stops_where_a_seed_does(self):
        (axes,) = draw_curves({"plain": [seed(2.0, 1.0, 0.5), seed(4.0, 2.0)]}, "t").axes
        assert points(axes.get_lines()[-1]) == [(1, 3.0), (2, 1.5)]

    def test_top1_where_it_was_tested(self):
        epochs = [{"epoch": at, "loss": 1.0 / at} for at in range(1, 5)]
        epochs[1]["top1"], epochs[3]["top1"] = 50.0, 70.0
        left, right = draw_curves({"plain": [epochs], "untested": [seed(1.0)]}, "t").axes
        assert (left.get_title(), right.get_title()) == ("training loss", "test top-1, %")
        assert points(right.get_lines()[0]) == [(2, 50.0), (4, 70.0)]
        assert points(right.get_lines()[2]) == []

    def test_a_run_that_diverged(self, colours):
        figure = draw_curves({"plain": [seed(2.0, inf, nan), seed(1.0, 0.5, 0.2)]}, "t")
        (axes,) = figure.axes
        assert np.isnan(axes.get_lines()[0].get_ydata()).tolist() == [False, True, True]
        assert np.isnan(axes.get_lines()[2].get_ydata()).tolist() == [False, True, True]
        assert colours(figure) > 20

    def test_a_single_epoch_is_seen(self, colours):
        (axes,) = draw_curves({"plain": [seed(2.0)]}, "t").axes
        assert all(line.get_marker() == "o" for line in axes.get_lines())

    def test_many_arms_have_a_colour_each(self, texts):
        names = [f"mobilenet_v2 + module,option={at} after:14,17" for at in range(14)]
        figure = draw_curves({name: [seed(1.0, at / 14)] for at, name in enumerate(names)}, "t")
        (axes,) = figure.axes
        assert len({line.get_color() for line in axes.get_lines()}) == 14
        assert set(names) <= set(texts(figure))

    def test_the_legend_stands_outside(self):
        figure = draw_curves({"plain": [seed(2.0, 1.0)], "a $b^ c$": [seed(2.0, 1.0)]}, "a $b^ c$")
        figure.canvas.draw()
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert not any(box.overlaps(axes.get_tightbbox()) for axes in figure.axes)

    @pytest.mark.parametrize("curves", [{}, {"plain": []}, {"plain": [[]]}])
    def test_nothing_to_draw(self, curves):
        with pytest.raises(RequestError, match="at least one epoch: got none"):
            draw_curves(curves, "t")

    def test_an_epoch_without_its_loss(self):
        with pytest.raises(RequestError, match=r"plain, seed 1: .* got epoch, lr"):
            draw_curves({"plain": [seed(1.0), [{"epoch": 1, "lr": 0.1}]]}, "t")

    def test_an_arm_without_history_beside_one_that_has(self, colours):
        assert (
            colours(draw_curves({"plain": [seed(2.0, 1.0)], "failed": [], "new": [[]]}, "t")) > 20
        )


class TestDifferences:
    def arrows(self, figure):
        (axes,) = figure.axes
        return [(one.xyann, one.xy) for one in axes.texts if isinstance(one, Annotation)]

    def test_a_row(self, texts):
        figure = draw_differences([("se", [0.5, 1.5], 1.0, -0.25, 2.25)], "t")
        (axes,) = figure.axes
        assert axes.collections[0].get_offsets()[:, 0].tolist() == [0.5, 1.5]
        lines = [line.get_xdata() for line in axes.get_lines()]
        assert [list(line) for line in lines] == [
            [1.0, -0.25], [-0.25], [1.0, 2.25], [2.25], [1.0], [0.0, 0.0],
        ]  # fmt: skip
        assert self.arrows(figure) == []
        assert {"se", "+1.00 [−0.25, +2.25]"} <= set(texts(figure))

    def test_infinite_bounds_are_arrows_to_the_edge(self, texts):
        figure = draw_differences(
            [("two", [1.0], 1.0, -inf, inf), ("one", [1.0], 2.0, 0.5, inf)], "t"
        )
        low, high = figure.axes[0].get_xlim()
        assert self.arrows(figure) == [
            ((1.0, 0), (low, 0)),
            ((1.0, 0), (high, 0)),
            ((2.0, 1), (high, 1)),
        ]
        assert low < 0 < 2 < high
        assert {"+1.00 [−∞, +∞]", "+2.00 [+0.50, +∞]"} <= set(texts(figure))

    def test_the_first_row_is_on_top(self):
        (axes,) = draw_differences([("a", [], 1.0, 0.0, 2.0), ("b", [], 1.0, 0.0, 2.0)], "t").axes
        bottom, top = axes.get_ylim()
        assert bottom > 1 > 0 > top
        assert [one.get_text() for one in axes.get_yticklabels()] == ["a", "b"]

    def test_no_estimate(self, texts, colours):
        figure = draw_differences([("a $x^ y$", [nan], nan, nan, nan)], "a $x^ y$")
        assert {"a $x^ y$", "no estimate"} <= set(texts(figure))
        assert colours(figure) > 5

    def test_an_outlier_does_not_stretch_the_axis(self, texts):
        rows = [(f"m{at}", [0.1 * at], 0.1 * at, 0.1 * at - 1, 0.1 * at + 1) for at in range(8)]
        figure = draw_differences([*rows, ("lost", [-81.0], -80.0, -90.0, -70.0)], "t")
        low, high = figure.axes[0].get_xlim()
        assert -3 < low < -0.9 and 1.6 < high < 3
        (arrow,) = self.arrows(figure)
        assert arrow[1] == (low, 8) and low < arrow[0][0] < low + 0.1 * (high - low)
        assert "−80.00 [−90.00, −70.00]" in texts(figure)

    @pytest.mark.parametrize("value", [0.0, -3.0])
    def test_all_the_same(self, value):
        (axes,) = draw_differences([("a", [value], value, value, value)], "t").axes
        low, high = axes.get_xlim()
        assert low < min(value, 0) <= 0 < high

    def test_no_row(self):
        with pytest.raises(RequestError, match="at least one row: got none"):
            draw_differences([], "t")


class TestFamilies:
    CURVES: ClassVar = {
        f"m{at}": [seed(2.0, 0.5 + 0.1 * at), seed(4.0, 0.7 + 0.1 * at)] for at in range(6)
    }
    FAMILIES: ClassVar = dict.fromkeys(CURVES, "channel") | {
        "m5": "mixed",
        "plain": "plain",
        "lost": "mixed",
    }

    @pytest.fixture
    def figure(self):
        curves = self.CURVES | {"plain": [seed(3.0, 1.0)], "lost": [seed(2.0, 9.0)]}
        return draw_family_curves(curves, self.FAMILIES, "t")

    def test_a_panel_for_each_family_with_all_means(self, figure):
        assert [axes.get_title() for axes in figure.axes if axes.axison] == ["channel", "mixed"]
        for axes in figure.axes:
            found = {line.get_label(): points(line) for line in axes.get_lines()}
            assert found["m1"] == [(1, 3.0), (2, pytest.approx(0.7))]
            assert len(found) == 8

    def test_color_for_its_own_and_plain_gray_for_others(self, figure):
        left, right = figure.axes
        gray = {
            axes: {line.get_label() for line in axes.get_lines() if line.get_color() == "0.85"}
            for axes in (left, right)
        }
        assert gray[left] == {"m5", "lost"}
        assert gray[right] == {f"m{at}" for at in range(5)}

    def test_an_outlier_is_named(self, figure):
        assert [[one.get_text() for one in axes.texts] for axes in figure.axes] == [[""], ["lost"]]


def test_curves_need_neither_torch_nor_pyplot():
    code = (
        "import sys; from attnbench.reports.figures.training_curves import draw_differences as draw\n"
        "draw([('a', [1.0], 1.0, 0.0, 2.0)], 't').canvas.draw()\n"
        "assert not {'torch', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


SUITE = {
    "suite": {"name": "mine", "title": "Mine"},
    "accuracy": {"dataset": "digits", "seeds": 3},
    "table": [
        {
            "columns": ["label"],
            "accuracy": {},
            "row": [
                {"backbone": "mobilenet_v2"},
                {"backbone": "mobilenet_v2", "module": "se", "placement": "after:14"},
            ],
        }
    ],
}


def run_of(tmp_path, top1):
    suite = parse_suite(SUITE, "here")
    tables = plan(suite, catalog())
    header = Header(
        format=FORMAT,
        suite=suite.model_dump(mode="json"),
        suite_hash="",
        tables=tables_to_json(suite, tables),
        versions={},
        machine={},
    )
    rows = [row for table in tables for row in table.rows]
    cases = [case for row in rows for cases in row.accuracy for case in cases]
    records = [
        Record(
            case=case.name,
            kind="accuracy",
            status="ok",
            hash="",
            conditions=case.to_json(),
            values={"top1": top1(case)},
            training={"curve": [{"epoch": 1, "loss": 1.0, "lr": 0.1}], "images": [10, 100]},
        )
        for case in cases
        if top1(case) is not None
    ]
    return Run(tmp_path / "records.jsonl", [header], {one.case: one for one in records})


def test_figures_of_a_run(tmp_path, colours):
    run = run_of(tmp_path, lambda case: 90.0 + case.training.seed + (1 if case.module else 0))
    drawn = draw_accuracies(*planned_of(run))
    assert list(drawn) == ["differences", "curves"]
    assert all(colours(figure) > 5 for figure in drawn.values())


def test_a_plain_backbone_alone_has_no_difference(tmp_path):
    run = run_of(tmp_path, lambda case: None if case.module else 90.0)
    assert list(draw_accuracies(*planned_of(run))) == ["curves"]


def test_nothing_measured_nothing_drawn(tmp_path):
    assert draw_accuracies(*planned_of(run_of(tmp_path, lambda case: None))) == {}


def test_rows_of_one_label_in_two_tables_are_all_drawn(monkeypatch, tmp_path):
    content = copy.deepcopy(SUITE)
    for place in ("after:14", "official"):
        table = copy.deepcopy(SUITE["table"][0])
        table["row"][1] |= {"label": "{module}", "placement": place}
        content["table"] = [*(content["table"] if place == "official" else []), table]
    monkeypatch.setattr(sys.modules[__name__], "SUITE", content)
    run = run_of(tmp_path, lambda case: 90.0 + case.training.seed)
    (axes,) = draw_accuracies(*planned_of(run))["differences"].axes
    labels = [one.get_text() for one in axes.get_yticklabels()]
    assert labels == ["se (after:14)", "se (official)"]
