"""What the machine is, and the floor that it measures of itself."""

from types import SimpleNamespace

import pytest
import torch

from attnbench.doctor.host import this_host
from attnbench.doctor.noise_floor import measure_floor
from attnbench.system.cpu import isa, processor
from attnbench.system.provenance import machine


def test_the_processors_name(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Some  Chip @ 3 GHz\n")
    assert processor(tmp_path) == "Some Chip @ 3 GHz"
    (tmp_path / "cpuinfo").unlink()
    for name, answers in {"processor": "", "machine": "aarch64"}.items():
        monkeypatch.setattr(f"platform.{name}", lambda answers=answers: answers)
    assert processor(tmp_path) == "aarch64"
    monkeypatch.setattr("platform.machine", lambda: "")
    assert processor(tmp_path) == "unknown"


def test_the_instruction_set(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert isa() == "NEON"
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert isa() == "DEFAULT"
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert isa() == "AVX512"


def test_this_machine():
    facts = machine()
    assert facts["cores"] >= 1
    assert all(facts.values())
    host = this_host(watch_s=0.01)
    assert 1 <= host.usable <= host.cores
    assert host.threads == torch.get_num_threads()


def found(**options):
    values = {
        "pairs": 40, "median_ms": 30.0, "ratio": 1.001, "ratio_low": 0.996, "ratio_high": 1.004,
        "floor": 0.003, "trust": "ok",
    }  # fmt: skip
    return {"copy": SimpleNamespace(**values | options)}


def floor_of(**options):
    calls = dict.fromkeys(("model", "copy", "control"), int)
    return measure_floor(2, lambda arms, **_: found(**options), calls)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0.004),  # its own interval is the widest
        ({"ratio_low": 0.98}, 0.02),
        ({"floor": 0.05}, 0.05),  # the sampler's own A/A arm was worse
    ],
)
def test_the_floor_is_what_the_noise_allows(options, expected):
    floor = floor_of(**options)
    assert floor.floor == pytest.approx(expected)
    assert f"differences above {expected:.1%} can be detected" in floor.verdict
    assert floor.to_dict()["verdict"] == floor.verdict


def test_a_floor_that_cannot_be_trusted_says_so():
    assert floor_of(trust="Too noisy.").verdict == "timing cannot be trusted here. Too noisy."


def test_the_floor_times_a_model_and_its_copy_on_one_thread():
    seen = {}

    def compare(arms, *, baseline, budget_s, again, threads):
        seen.update(threads=torch.get_num_threads(), budget=budget_s, baseline=baseline)
        seen["outputs"] = [arms["model"](), arms["copy"](), again()]
        return found()

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        measure_floor(3, compare)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert (seen["threads"], seen["budget"], seen["baseline"]) == (1, 3, "model")
    model, twin, control = seen["outputs"]
    assert torch.equal(model, twin)
    assert torch.equal(model, control)
    assert not seen["outputs"][0].requires_grad
