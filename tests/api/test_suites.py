"""Suites and accuracies from Python, in real workers, on tiny networks."""

import inspect

import pytest
from torch import nn

import attnbench
from attnbench.errors import RequestError, UnknownNameError
from attnbench.registry.plugins import catalog

from ..tiny_recipe import tiny_recipe

SUITE = """
[suite]
name = "small"
title = "Two modules alone"

[[table]]
columns = ["label", "params"]
[[table.row]]
module = "se"
channels = 16
size = 7
[[table.row]]
module = "eca"
channels = 16
size = 7
"""
OWN = """
from torch import nn


class Doubling(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(__import__("torch").full((channels, 1, 1), 2.0))

    def forward(self, x):
        return x * self.scale
"""
NET = "mobilenet_v2,width=0.1"


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SUITE)
    return path


def test_a_suite_is_run_and_continued(suite, tmp_path):
    seen = []
    run = attnbench.run_suite(suite, out=tmp_path / "runs", report=seen.append)
    assert (run.name, run.path) == ("small", tmp_path / "runs/small/records.jsonl")
    frame = run.to_frame().set_index(["module", "metric"]).value
    assert frame["se", "params"] == 16 * 1 + 1 + 1 * 16 + 16  # reduction 16
    assert (run.path.parent / "table.md").is_file()
    assert seen[0] == "small: 2 cases to measure"
    assert seen[-1].endswith(" ok")
    seen.clear()
    again = attnbench.run_suite(suite, out=tmp_path / "runs", report=seen.append)
    assert seen == ["small: 0 cases to measure"]
    assert again.to_frame().equals(run.to_frame())


def test_chosen_cases_and_added_modules(suite, tmp_path):
    run = attnbench.run_suite(suite, out=tmp_path, add=["simam"], case=["*/simam/*"])
    frame = run.to_frame()
    assert set(frame[frame.status == "ok"].module) == {"simam"}
    assert set(frame[frame.status == "not run"].module) == {"se", "eca"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"suite": "quik"}, UnknownNameError, "'quik'"),
        ({"only": ["costs"]}, UnknownNameError, "'costs'"),
        ({"case": ["cost/none"]}, RequestError, "cost/none"),
        ({"executor": "moon"}, UnknownNameError, "'moon'"),
        ({"plugins": ["nowhere.py"]}, RequestError, "nowhere.py"),
    ],
)
def test_wrong_requests(suite, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        attnbench.run_suite(**{"suite": suite, "out": tmp_path, **options})


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Train with a recipe of a fraction of a second."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(tiny_recipe(epochs=1, stem=True))
    before = catalog().modules.entries()

    def train(*words, **options):
        given = {"dataset": "synthetic,count=64", "recipe": tmp_path / "tiny.toml", "seeds": 1}
        return attnbench.measure_accuracy(*words, **{**given, "out": tmp_path, **options})

    yield train
    catalog().modules.restore(before)


def test_accuracies_are_paired_by_seed(trained, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    run = trained(NET, ["se", f"{tmp_path / 'own.py'}:Doubling"], "after:14")
    frame = run.to_frame()
    assert set(frame.kind) == {"accuracy"}
    top1 = frame[frame.metric == "top1"].set_index("placement", append=True).value
    assert len(top1) == 3
    seeds = frame[frame.metric == "difference"]
    plain = frame[(frame.metric == "top1") & frame.module.isna()].value.item()
    for module, difference in zip(seeds.module, seeds.value, strict=True):
        own = frame[(frame.metric == "top1") & (frame.module == module)].value.item()
        assert difference == pytest.approx(own - plain)


def test_a_class_of_a_file_is_named_by_it(tmp_path):
    from attnbench.api.accuracy import _spec

    path = inspect.getsourcefile(Widening)
    assert _spec(Widening) == f"{path}:Widening"
    assert _spec("se,reduction=8") == "se,reduction=8"


class Widening(nn.Module):
    """A class at the top level of a file."""


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        ((nn.ReLU(),), {}, "backbone must be a spec: got a ReLU"),
        ((NET, "se"), {}, "a module needs a placement.*module se alone"),
        ((NET, (), "after:14"), {}, "placement after:14 alone"),
        ((NET, nn.ReLU(), "after:14"), {}, "a class or a function: got a ReLU"),
        ((NET, lambda channels: nn.ReLU(), "after:14"), {}, "stands in no file at the top level"),
        ((NET, "sse", "after:14"), {}, "'sse'"),
        ((NET, "se", "after:99"), {}, "99"),
        ((NET,), {"seeds": 0}, "seeds"),
        ((NET,), {"dataset": "digit"}, "'digit'"),
        ((NET,), {"executor": "moon"}, "'moon'"),
    ],
)
def test_wrong_accuracies(trained, words, options, message):
    with pytest.raises(RequestError, match=message):
        trained(*words, **options)
