"""Figures of ablations: what varies in a run, and overhead and accuracy against it."""

import numpy as np
import pytest

from attnbench.reports.overview.ablation import draw_ablation, read_arms, series_of, variables_of

from . import made
from .test_build_overview import ACCURACY, planned

LATENCY = {"runtimes": ["eager"]}
MODULES = ["identity", "ulsam,groups=1", "ulsam", "ulsam,groups=8"]
POINTS = {"ulsam,groups=1": 0.5, "ulsam": 1.0, "ulsam,groups=8": -1.0, "identity": -2.0}
RATIOS = {"ulsam,groups=1": 1.02, "ulsam": 1.05, "ulsam,groups=8": 1.10, "identity": 0.95}


def arms(rows, **more):
    content = made.suite(rows, latency=LATENCY, accuracy=ACCURACY, **more)
    content["table"][0] |= {"latency": {"columns": ["overhead"]}, "accuracy": {}}
    suite, tables, records = planned(content)
    for name, record in records.items():
        place = next((part for part in name.split("/") if part.startswith("replace:")), "")
        record["slots"] = [{"path": layer} for layer in place.split(",") if place]
    return read_arms(suite, tables, records)


@pytest.fixture
def values(monkeypatch):
    for module in MODULES:
        monkeypatch.setitem(made.POINTS, module, POINTS[module])
        monkeypatch.setitem(made.RATIOS, module, RATIOS[module])


@pytest.fixture
def groups(values):
    return arms(made.rows("mobilenet_v2", MODULES, "replace:14,17"))


@pytest.fixture
def sites(values):
    rows = made.rows("mobilenet_v2", ["ulsam", "identity"], ["replace:17", "replace:13,14,16,17"])
    return arms(rows)


def dots(axes, marker):
    lines = [line for line in axes.get_lines() if line.get_marker() == marker]
    ends = [(line.get_xdata(), line.get_ydata()) for line in lines]
    return [(float(x[0]), float(y[0])) for x, y in ends if len(x) == 1]


def test_a_default_has_its_place_among_the_values(groups):
    (series,) = series_of(groups, "groups")
    assert [value for value, _ in series.arms] == [1, 4, 8]
    assert variables_of(groups) == ["groups"]


def test_overhead_and_accuracy_against_the_groups(groups):
    overhead, accuracy = draw_ablation(groups, "groups", "t").axes
    assert dots(overhead, "o") == [
        (1, pytest.approx(2, abs=0.3)),
        (4, pytest.approx(5, abs=0.3)),
        (8, pytest.approx(10, abs=0.3)),
    ]
    assert dots(accuracy, "o") == [(1, 0.5), (4, 1.0), (8, pytest.approx(-1.0))]
    assert overhead.get_xscale() == "log"
    assert [tick.get_text() for tick in overhead.get_xticklabels()] == ["1", "4", "8"]


def test_controls_are_lines_at_the_place(groups):
    _, accuracy = draw_ablation(groups, "groups", "t").axes
    heights = {line.get_label(): np.ravel(line.get_ydata()) for line in accuracy.get_lines()}
    levels = {label: found[0] for label, found in heights.items() if len(found)}
    assert (levels["plain"], levels["identity"]) == (0, pytest.approx(-2.0))


def test_against_the_number_of_replaced_blocks(sites):
    assert variables_of(sites) == ["sites"]
    figure = draw_ablation(sites, "sites", "t")
    overhead, accuracy = figure.axes
    assert accuracy.get_xlabel() == "replaced blocks"
    assert dots(accuracy, "o") == [(1, 1.0), (4, 1.0)]
    assert [x for x, _ in dots(overhead, "D")] == [1, 4]
    assert dots(overhead, "*") == [(0, 0)]
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        "plain",
        "ulsam",
        "identity",
    }


def test_other_options_and_places_are_series_of_their_own(values):
    places = ["replace:14", "replace:17"]
    found = series_of(arms(made.rows("mobilenet_v2", MODULES[1:], places)), "groups")
    assert [(one.name[0], one.name[-1]) for one in found] == [("ulsam", place) for place in places]


def test_nothing_varies(values):
    assert variables_of(arms(made.rows("mobilenet_v2", ["se", "cbam"]))) == []
