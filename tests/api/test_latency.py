"""Latency of models given as objects: real runtimes on tiny networks, and every wrong argument."""

import pytest
import torch
from torch import nn

import attnbench
from attnbench.errors import MissingExtraError, RequestError, UnknownNameError
from attnbench.timing.isolation import allowed_cores

SIZE = (1, 3, 8, 8)


class Slow(nn.Module):
    """The same network, done ten times."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        for _ in range(9):
            self.net(x)
        return self.net(x)


class Crooked(nn.Module):
    def forward(self, x):
        return x.view(7, -1)


class Overwriting(nn.Module):
    def forward(self, x):
        return x.mul_(2)


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())


def measure(models, **options):
    given = {"baseline": "plain", "input_size": SIZE, "budget_s": 0.02, **options}
    return attnbench.measure_latency(models, **given)


@pytest.fixture(scope="module")
def compared():
    plain = net()
    models = {"slow": Slow(plain), "plain": plain, "crooked": Crooked()}
    return models, measure(models, budget_s=0.1)


def test_arms_are_compared_with_the_baseline(compared):
    _, found = compared
    assert list(found) == ["slow", "plain"]
    assert (found["plain"].ratio, found["plain"].verdict) == (1.0, "same")
    slow = found["slow"]
    assert 2 < slow.ratio_low < slow.ratio < slow.ratio_high
    assert slow.pairs >= 10


def test_a_broken_model_costs_no_other_its_result(compared):
    _, found = compared
    assert list(found.failed) == ["crooked"]
    assert "[7, -1]" in found.failed["crooked"]
    assert "crooked failed: " in str(found)


def test_models_and_settings_stay_as_they_were(compared):
    models, _ = compared
    assert all(model.training for model in models.values())
    assert models["plain"][1].num_batches_tracked == 0
    assert torch.is_grad_enabled()


def test_conditions_say_where_and_how_it_was_timed(compared):
    conditions = compared[1].conditions
    assert conditions["runtime"] == "eager"
    assert conditions["input_size"] == SIZE
    assert "this one" in conditions["process"]
    assert conditions["heap_kept"] is False


def test_outputs_were_compared_with_eager_mode(compared):
    facts = compared[1]["slow"].facts
    assert facts["max_error"] <= facts["tolerance"]
    assert facts["peak_bytes"] > 0


def test_a_frame_has_a_row_for_each_arm(compared):
    frame = compared[1].to_frame().set_index("arm")
    assert list(frame.index) == ["slow", "plain", "crooked"]
    assert list(frame.status) == ["ok", "ok", "failed"]
    assert frame.ratio["slow"] == compared[1]["slow"].ratio
    assert "[7, -1]" in frame.reason["crooked"]


def test_forms_for_notebooks_have_the_numbers(compared):
    _, found = compared
    ratio = f"{found['slow'].ratio:.4g}"
    assert ratio in repr(found)
    assert ratio in found._repr_html_()
    assert "crooked" in found._repr_html_()


def test_names_are_escaped():
    found = measure({"plain": net(), "<b>": Slow(net())})
    assert "&lt;b&gt;" in found._repr_html_()
    assert "<b>" not in found._repr_html_()


def test_one_model_alone_has_its_times():
    found = measure({"plain": net()}, batch=2)
    assert found.conditions["input_size"] == (2, 3, 8, 8)
    assert found["plain"].median_ms > 0


def test_an_exporting_runtime():
    found = measure({"plain": net(), "slow": Slow(net())}, runtime="onnxruntime")
    assert found["plain"].facts["artefact_bytes"] > 0
    assert "onnxruntime" in found.conditions["versions"]


def test_a_model_that_fails_later_leaves_the_others(monkeypatch):
    from attnbench.measure.given_models import GivenModels
    from attnbench.timing.sampler import ArmError

    sample, timed = GivenModels.sample, []

    def failing(self, cases, *options):
        timed.append(len(cases))
        if len(timed) == 1:
            cause = RuntimeError("out of breath")
            raise ArmError(self.cases["slow"].name, cause) from cause
        return sample(self, cases, *options)

    monkeypatch.setattr(GivenModels, "sample", failing)
    found = measure({"plain": net(), "slow": Slow(net()), "twin": net()})
    assert list(found) == ["plain", "twin"]
    assert timed == [3, 2]
    assert found.failed == {"slow": "while timing: RuntimeError: out of breath"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"baseline": "plian"}, RequestError, "baseline .* 'plian'. Did you mean 'plain'"),
        ({"runtime": "onnx"}, UnknownNameError, "'onnx'"),
        ({"precision": "fp23"}, UnknownNameError, "'fp23'"),
        ({"precision": "tf32"}, MissingExtraError, "tf32"),
        ({"device": "cuda:77"}, RequestError, "cuda:77"),
        ({"threads": 0}, RequestError, "got 0"),
        ({"threads": len(allowed_cores()) + 1}, RequestError, "cores"),
        ({"budget_s": -1}, RequestError, "got -1"),
        ({"batch": 0}, RequestError, "0, 3, 8, 8"),
        ({"input_size": "224"}, RequestError, "'224'"),
        ({"graph": True}, RequestError, "CUDA graphs"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        measure({"plain": net()}, **options)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({}, "an empty one"),
        ([net()], "got a list"),
        ({"plain": "mobilenet_v2"}, "'plain' must be a nn.Module: got a str"),
        ({"plain": nn.ReLU}, "got a type"),
        ({"plain": Crooked()}, r"baseline 'plain' failed: .*\[7, -1\]"),
        ({"plain": Overwriting()}, "baseline 'plain' failed: .* changes its input in place"),
        ({"plain": net(), 3: net()}, "got 3"),
        ({"plain": net(), "baseline again": net()}, "baseline again"),
    ],
)
def test_wrong_models(models, message):
    with pytest.raises(RequestError, match=message):
        measure(models)
