"""Latency cases built, proved and sampled for real, on small networks."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from attnbench import register
from attnbench.errors import MissingExtraError, RequestError
from attnbench.measure.cost import CostMeter
from attnbench.measure.latency import LatencyMeter, artifacts
from attnbench.measure.network import OnePass, network
from attnbench.registry.plugins import catalog
from attnbench.runtimes.registry import runtime
from attnbench.runtimes.runtime import RuntimeFailure
from attnbench.stats.timing_samples import AGAIN
from attnbench.suites.case import Conditions, case_from_json
from attnbench.suites.plan import make_case

NET = "mobilenet_v1,width=0.25"


def case(module="se", fused=False, **conditions):
    placement = "after:9" if module else None
    made = make_case(
        catalog(), backbone=NET, module=module, placement=placement, size=32, fused=fused
    )
    return made.for_latency(Conditions(**{"runtime": "eager", **conditions}))


def alone(module, **conditions):
    made = make_case(catalog(), backbone=None, module=module, placement=None, channels=16, size=7)
    return made.for_latency(Conditions(**{"runtime": "eager", **conditions}))


@pytest.fixture(scope="module")
def meter():
    return LatencyMeter(CostMeter(catalog()))


@pytest.fixture(scope="module")
def plain_output(meter):
    """An input, and what the plain network makes of it."""
    x = meter.inputs(case())[0]
    with torch.inference_mode():
        return x, network(case(None), meter.cost)(x)


@pytest.mark.parametrize("module", catalog().modules.names())
def test_every_module_is_proved_and_matters(meter, plain_output, tmp_path, module):
    check_proof(meter.validate(alone(module), tmp_path))
    x, plain = plain_output
    with torch.inference_mode():
        difference = (network(case(module), meter.cost)(x) - plain).abs().max()
    assert (difference > 1e-3) == (module != "identity")


def test_a_network_is_proved(meter, tmp_path):
    proof = meter.validate(case(), tmp_path)
    check_proof(proof)
    assert [slot["layer"] for slot in proof["slots"]] == [9]


def check_proof(proof):
    assert proof["values"]["max_error"] <= proof["values"]["tolerance"]
    assert proof["values"]["peak_bytes"] > 0


def test_weights_are_the_same_in_every_process_that_builds_them(meter):
    once, again = (network(case("bam"), meter.cost).state_dict() for _ in range(2))
    assert all(torch.equal(once[key], again[key]) for key in once)


def test_inputs_have_the_batch_of_the_case(meter):
    assert [tuple(x.shape) for x in meter.inputs(case(batch=3), 7)] == [(3, 3, 32, 32)] * 3
    assert meter.inputs(alone("se", batch=2))[0].shape == (2, 16, 7, 7)


def test_a_section_is_a_part_of_the_network_with_its_own_input_and_baseline(meter, tmp_path):
    paths = "features.3+features.4"
    section = replace(case("se"), placement="after:features.3", section=paths)
    built = network(section, meter.cost)
    whole = network(replace(section, section=None), meter.cost)
    blocks = (whole.features[3], whole.features[4])
    assert [type(block) for block in built] == [type(block) for block in blocks]
    count = sum(p.numel() for block in blocks for p in block.parameters())
    assert sum(p.numel() for p in built.parameters()) == count
    x = meter.inputs(section)[0]
    survey = meter.cost.backbone_cost(section.backbone, section.size).survey
    assert tuple(x.shape) == (1, *survey.shape("features.3", before=True))
    assert section.plain == replace(case(None), section=paths)
    assert section.plain.plain == case(None)
    assert case_from_json(section.to_json()) == section
    assert "section" not in case("se").to_json()
    check_proof(meter.validate(section, tmp_path))


def test_the_fused_form_computes_the_same(meter):
    x = meter.inputs(case())[0]
    with torch.inference_mode():
        plain, fused = (network(case("ulsam", fused=one), meter.cost)(x) for one in (False, True))
    assert torch.allclose(plain, fused, rtol=1e-4, atol=1e-5)


def test_sessions_hold_the_plain_network_its_copy_and_all_arms(meter, tmp_path):
    cases = [case(None), case("se"), case("cbam")]
    for one in cases:
        meter.validate(one, tmp_path)
    found = meter.sample(cases, tmp_path, {"budget_s": 0.1, "seed": 0})
    base = case(None).name
    assert set(found[base]["seconds"]) == {base, AGAIN}
    assert set(found[case("se").name]["seconds"]) == {base, AGAIN, case("se").name}
    fixed = found[base]["conditions"]
    assert fixed["gc"] == "off"
    assert fixed["threads"] == 1


def test_one_pass_is_the_baseline_of_a_module_alone(meter, tmp_path):
    assert isinstance(network(alone("se").plain, meter.cost), OnePass)
    meter.validate(alone("se").plain, tmp_path)
    found = meter.sample([alone("se")], tmp_path, {"budget_s": 0.1})
    assert alone("se").plain.name in found[alone("se").name]["seconds"]


def test_an_output_that_differs_is_a_failure(meter, tmp_path, monkeypatch):
    eager = type(runtime("eager"))
    right = eager.build

    def wrong(self, *args):
        built = right(self, *args)
        return replace(built, output=lambda x: 1.01 * built.output(x))

    monkeypatch.setattr(eager, "build", wrong)
    with pytest.raises(RuntimeFailure, match=r"eager.*0\.01"):
        meter.validate(case(), tmp_path)


def test_a_network_that_cannot_be_exported_has_no_analytic_peak(meter, tmp_path, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no graph")

    monkeypatch.setattr("attnbench.measure.latency.peak_activations", refuse)
    assert meter.validate(case(), tmp_path)["values"]["peak_bytes"] is None


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"runtime": "eagre"}, RequestError, "'eager'"),
        ({"precision": "int8"}, MissingExtraError, "fp32, bf16, fp16"),
        ({"precision": "tf32"}, MissingExtraError, "On cpu it supports fp32, bf16, fp16"),
        ({"threads": 500}, MissingExtraError, "500"),
        ({"device": "cuda"}, MissingExtraError, "cuda:0"),
        ({"cold": True}, RequestError, "cold.*CUDA"),
        ({"graph": True}, RequestError, "graph.*CUDA"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_built(meter, wrong, error, text):
    if wrong.get("device") and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(error, match=text):
        meter.check(case(**wrong))


def test_artefacts_are_shared_by_runtimes_and_by_nothing_else(tmp_path):
    base = artifacts(case(), tmp_path)
    assert artifacts(case(runtime="openvino", precision="int8"), tmp_path) == base
    others = [case("cbam"), case(None), case(batch=2), case("ulsam"), case("ulsam", fused=True)]
    assert len({base, *(artifacts(one, tmp_path) for one in others)}) == 6


class Wrong(nn.Module):
    """Doubles its input; what it does besides is for each test."""

    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return x * 2

    def fuse(self):
        return nn.Identity()


class InPlace(Wrong):
    def forward(self, x):
        return x.mul_(0.5)


class NoNumber(Wrong):
    def forward(self, x):
        return x * float("nan")


@pytest.fixture
def plugin():
    before = catalog().modules.entries()
    for name, module in (("wrong", Wrong), ("in_place", InPlace), ("no_number", NoNumber)):
        register(name)(module)
    yield
    catalog().modules.restore(before)


@pytest.mark.usefixtures("plugin")
class TestModulesThatAreWrong:
    def test_a_fused_form_is_compared_with_the_plain_one(self, meter, tmp_path):
        meter.validate(case("wrong"), tmp_path)
        with pytest.raises(RuntimeFailure, match=r"eager.*0\.74"):
            meter.validate(case("wrong", fused=True), tmp_path)

    def test_a_module_alone_must_not_overwrite_its_input(self, meter, tmp_path):
        with pytest.raises(RuntimeFailure, match="in_place"):
            meter.validate(alone("in_place"), tmp_path)
        assert meter.validate(case("in_place"), tmp_path)["values"]["max_error"] == 0

    def test_an_output_that_is_no_number_is_noted(self, meter, tmp_path):
        assert (
            "the output is not finite"
            in meter.validate(alone("no_number"), tmp_path)["runtime"]["notes"]
        )
        assert meter.validate(alone("se"), tmp_path)["runtime"]["notes"] == []
