"""torch.compile: many models side by side, graph breaks named."""

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from attnbench.runtimes import torch_compile
from attnbench.runtimes.output_check import agreement
from attnbench.runtimes.registry import runtime
from attnbench.runtimes.runtime import RuntimeSettings

SKIPPED = "CUDA graph skipped by Inductor"


class Scaling(nn.Module):
    """Models of one class that differ in what is compiled into the graph."""

    def __init__(self, factor, *, breaks=False):
        super().__init__()
        self.factor, self.breaks = factor, breaks

    def forward(self, x):
        x = x * self.factor
        if self.breaks:
            torch._dynamo.graph_break()
        return (x + self.factor).mean((2, 3))


@pytest.fixture(autouse=True)
def forget():
    yield
    torch._dynamo.reset()


@pytest.fixture
def without_inductor(monkeypatch):
    """Dynamo as it is, behind it nothing: twelve models in a second."""
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *a, **k: real(*a, **k, backend="eager"))


@pytest.mark.parametrize("breaks", [False, True])
def test_twelve_models_of_one_class_are_all_compiled_and_stay_so(
    breaks, example, tmp_path, without_inductor
):
    models = [Scaling(factor, breaks=breaks) for factor in range(2, 14)]
    every = [runtime("compile").build(one, example, RuntimeSettings(), tmp_path) for one in models]
    graphs = 2 if breaks else 1
    assert [one.notes for one in every] == [(f"{graphs} compiled graph{'s' * breaks}",)] * 12
    before = counters["stats"]["unique_graphs"]
    for model, built in zip(models, every, strict=True):
        built.run()
        assert agreement(built, model, example, RuntimeSettings()).equal
    assert counters["stats"]["unique_graphs"] == before  # none was compiled again


def test_without_the_precautions_the_twelfth_would_not_be(
    example, tmp_path, without_inductor, monkeypatch
):
    monkeypatch.setattr(
        torch_compile.Compiled, "_compile", lambda self, model, settings: torch.compile(model)
    )
    models = [Scaling(factor) for factor in range(2, 14)]
    with torch._dynamo.config.patch(recompile_limit=8):
        every = [
            runtime("compile").build(one, example, RuntimeSettings(), tmp_path) for one in models
        ]
    assert every[-1].notes == ("0 compiled graphs",)


def test_graph_breaks_are_named(example, tmp_path, without_inductor):
    built = runtime("compile").build(Scaling(3, breaks=True), example, RuntimeSettings(), tmp_path)
    assert list(built.fallbacks) == ["graph break: Call to `torch._dynamo.graph_break()`"]
    whole = runtime("compile").build(Scaling(3), example, RuntimeSettings(), tmp_path)
    assert whole.fallbacks == {}


@pytest.mark.parametrize(("skipped", "fallbacks"), [(0, {}), (2, {SKIPPED: 2})])
def test_graphs_that_inductor_does_not_replay_are_named(
    skipped, fallbacks, example, tmp_path, monkeypatch
):
    """A simulated CUDA device; Inductor records, or skips, a CUDA graph at the second call."""
    calls = []

    def compiled(model, **options):
        assert options["mode"] == "reduce-overhead"

        def call(x):
            calls.append(x)
            if len(calls) == 2:
                counters["inductor"]["cudagraph_skips"] += skipped
            return model(x)

        return call

    monkeypatch.setattr(torch_compile, "_has_graphs", lambda settings: True)
    monkeypatch.setattr(torch, "compile", compiled)
    built = runtime("compile").build(Scaling(3), example, RuntimeSettings(), tmp_path)
    assert built.fallbacks == fallbacks
    assert not built.allocates_in_torch  # a replayed graph allocates nothing


def test_inductor_itself(small, example, pictures, tmp_path, capfd):
    built = runtime("compile").build(small, example, RuntimeSettings(), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert agreement(built, small, pictures, RuntimeSettings()).equal
    assert built.export_s is None and built.artifact is None and built.load_s > 0
    assert built.allocates_in_torch
