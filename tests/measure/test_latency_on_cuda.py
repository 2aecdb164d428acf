"""Latency cases on a simulated CUDA device, whose kernels run in TF32 where the flags allow it."""

from dataclasses import replace
from itertools import count

import pytest
import torch

from attnbench.devices import Device
from attnbench.devices.tf32 import is_tf32_allowed
from attnbench.errors import DeviceError, MissingExtraError
from attnbench.measure import latency
from attnbench.measure.cost import CostMeter
from attnbench.measure.latency import LatencyMeter
from attnbench.registry.plugins import catalog
from attnbench.runtimes.eager import Eager
from attnbench.runtimes.runtime import RuntimeFailure
from attnbench.suites.case import Conditions
from attnbench.suites.plan import make_case

from ..simulated_device import Machine, fake_nvml, fake_torch

TF32_ERROR = 8e-4  # what rounding the operands of MobileNetV2's convolutions to TF32 gives


def case(module="se", **conditions):
    made = make_case(catalog(), backbone=None, module=module, placement=None, channels=16, size=7)
    return made.for_latency(Conditions(**{"runtime": "eager", "device": "cuda:1", **conditions}))


@pytest.fixture
def machine():
    return Machine()


class Simulated:
    """A device, and a build on the processor in its place, with the errors of its kernels."""

    def __init__(self, machine):
        self.machine = machine
        self.device = Device("cuda", 1, fake_torch(machine), fake_nvml())
        self.error, self.obeys = TF32_ERROR, True
        """Whether its kernels leave TF32 alone where the flags forbid it."""
        self.settings = []
        self.right = Eager._build

    def build(self, runtime, model, example, settings):
        self.settings.append(settings)
        built = self.right(runtime, model, example, replace(settings, device="cpu"))
        work = self.machine.work(1e-3, holds=700)

        def output(x):
            found = built.output(x)
            wrong = self.error if is_tf32_allowed() or not self.obeys else 1e-6
            return found + wrong * found.abs().max()

        values = built.run().clone()  # no inference tensor, so that it can be overwritten

        def run():
            work()
            if self.machine.capturing is not None:
                self.machine.capturing.calls.append(lambda: values.copy_(built.run()))
            return values

        return replace(built, run=run, output=output)


@pytest.fixture
def simulated(machine, monkeypatch):
    made = Simulated(machine)
    real = latency.find_device
    monkeypatch.setattr(
        latency, "find_device", lambda name: made.device if "cuda" in name else real(name)
    )
    monkeypatch.setattr(Eager, "_build", lambda *arguments: made.build(*arguments))
    return made


@pytest.fixture(scope="module")
def meter():
    return LatencyMeter(CostMeter(catalog()))


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("tf32", True)])
def test_tf32_is_off_unless_it_is_requested(simulated, meter, tmp_path, precision, tf32):
    before = is_tf32_allowed()
    proof = meter.validate(case(precision=precision), tmp_path)
    assert proof["values"]["max_error"] == pytest.approx(TF32_ERROR if tf32 else 1e-6, rel=0.2)
    assert proof["values"]["tolerance"] == (5e-3 if tf32 else 2e-4)
    assert proof["runtime"]["device"]["tf32"] is tf32
    assert is_tf32_allowed() == before
    assert simulated.settings[0].device == "cuda:1"


def test_a_device_that_runs_fp32_in_tf32_is_refused_and_the_reason_names_it(
    simulated, meter, tmp_path
):
    simulated.obeys = False
    with pytest.raises(RuntimeFailure) as caught:
        meter.validate(case(), tmp_path)
    assert str(caught.value) == (
        "PyTorch eager's output differs from eager's by 0.0008 of its scale; the tolerance is "
        "0.0002. This is the error of TF32, which fp32 excludes: request the precision tf32"
    )
    assert meter.validate(case(precision="tf32"), tmp_path)["values"]["max_error"] < 1e-3


def test_an_error_beyond_tf32_is_refused_in_both(simulated, meter, tmp_path):
    simulated.error, simulated.obeys = 0.1, False
    for precision in ("fp32", "tf32"):
        with pytest.raises(RuntimeFailure) as caught:
            meter.validate(case(precision=precision), tmp_path)
        assert "TF32" not in str(caught.value) and "0.1 of its scale" in str(caught.value)


def test_reduced_precision_is_described(simulated, meter, tmp_path):
    found = meter.validate(case(precision="fp16"), tmp_path)["values"]
    assert 40 < found["sqnr_db"] < 90


def test_samples_say_what_the_device_did(simulated, meter, tmp_path):
    cases = [case().plain, case()]
    found = meter.sample(cases, tmp_path, {"budget_s": 0.1, "seed": 0})
    conditions = found[case().name]["conditions"]
    assert conditions["tf32"] is False
    assert conditions["throttling"] == "watched"
    assert conditions["sm_mhz"] == [1980, 1980]
    assert is_tf32_allowed()
    assert {("enter", 1), "event"} < set(simulated.machine.log)


def test_rounds_of_a_throttled_device_are_dropped(simulated, meter, tmp_path):
    looks = count()

    def reasons(handle):
        return 4 * (next(looks) % 20 == 0)  # a power cap, now and then, while the device works

    simulated.device._nvml.nvmlDeviceGetCurrentClocksEventReasons = reasons
    found = meter.sample([case()], tmp_path, {"budget_s": 0.3, "seed": 0, "width": 0.0})
    assert found[case().name]["dropped"] > 0
    assert found[case().name]["seconds"][case().name]


@pytest.mark.parametrize("graph", [False, True])
def test_the_share_of_launching_and_the_peak_are_recorded(simulated, meter, tmp_path, graph):
    values = meter.validate(case(graph=graph), tmp_path)["values"]
    assert 0 < values["launch_share"] <= 1
    assert values["peak_bytes"] == 700  # of the call, also where it is replayed


def test_memory_that_torch_does_not_see_has_no_peak(simulated, meter, tmp_path, monkeypatch):
    build = simulated.build
    monkeypatch.setattr(
        simulated, "build", lambda *given: replace(build(*given), allocates_in_torch=False)
    )
    assert meter.validate(case(), tmp_path)["values"]["peak_bytes"] is None


def test_an_empty_graph_is_a_failure(simulated, meter, tmp_path, monkeypatch):
    monkeypatch.setattr(simulated.device, "index", 0)  # the tensors stay where they are
    build = simulated.build

    def elsewhere(*given):
        built = build(*given)
        values = torch.ones(3)
        return replace(built, run=simulated.machine.network(values.tolist(), device=1))

    monkeypatch.setattr(simulated, "build", elsewhere)
    with pytest.raises(DeviceError, match=r"empty, or of another device than cuda:0"):
        meter.validate(case(graph=True), tmp_path)


def test_a_call_that_is_handed_out_runs_without_tf32_too(simulated, meter, tmp_path):
    seen = []
    call = meter.ready(case(), tmp_path)
    simulated.device._given.accelerator.synchronize = lambda name: seen.append(
        (name, is_tf32_allowed())
    )
    call()
    assert seen == [("cuda:1", False)]
    assert is_tf32_allowed()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_the_case_is_skipped(meter):
    with pytest.raises(MissingExtraError, match=r"got cuda:1\. Choose from cpu"):
        meter.check(case())
