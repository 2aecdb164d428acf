"""Devices by name, their memory and what is written down about them."""

import subprocess
import sys
from unittest.mock import ANY

import pytest

from attnbench.devices import Device, find_device
from attnbench.devices.clocks import EventClock, SynchronizedClock
from attnbench.devices.tf32 import allow_tf32
from attnbench.errors import DeviceError, MissingExtraError, RequestError
from attnbench.timing.clock import WallClock


def test_the_processor():
    device = find_device("cpu")
    assert (device.name, device.kind, device.throttled) == ("cpu", "cpu", None)
    assert isinstance(device.clock, WallClock)
    assert device.peak_bytes(lambda: None) is None
    assert device.describe()["title"]
    assert str(device.torch_device) == "cpu"


def test_a_number_chooses_and_none_is_the_first(api):
    assert find_device("cuda", api).name == "cuda:0"
    assert find_device("cuda:1", api).index == 1
    assert str(find_device("cuda:1", api).torch_device) == "cuda:1"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cuda:2", "got cuda:2.* cpu, cuda:0, cuda:1"),
        ("mps", "got mps:0.* cpu, cuda:0, cuda:1"),
        (
            "cuad",
            r"^device is unknown: got 'cuad'\. Did you mean 'cuda' or 'cpu'\? Choose from cpu, cuda, cuda:1, mps, xpu\.$",
        ),
        ("cpu:1", "got 'cpu:1'"),
        ("", "got ''"),
        ("cuda:", "got 'cuda:'"),
    ],
)
def test_what_is_not_there_says_what_is(name, says, api):
    with pytest.raises(RequestError, match=says):
        find_device(name, api)


def test_without_an_accelerator(make_torch):
    with pytest.raises(MissingExtraError, match=r"got cuda:0\. .* cpu\.$"):
        find_device("cuda", make_torch(count=0))


def test_clocks_by_kind(api, make_torch, machine):
    assert isinstance(find_device("cuda", api).clock, EventClock)
    other = find_device("xpu", make_torch("xpu"))
    assert isinstance(other.clock, SynchronizedClock)
    other.clock.time(machine.work(1e-3), 1)
    assert ("synchronize", "xpu:0") in machine.log
    assert other.describe() == {"name": "xpu:0", "title": "xpu"}
    assert other.throttled is None


def test_cold_timing_is_for_cuda(api, machine, make_torch):
    find_device("cuda", api).cold_clock.time(machine.work(1e-3), 2)
    assert machine.log.count("flush") == 2
    with pytest.raises(RequestError, match=r"--cold .* xpu:0"):
        find_device("xpu", make_torch("xpu")).cold_clock  # noqa: B018


def test_peak_memory_is_above_what_was_there(api, machine):
    machine.peak = 9000  # of something before
    assert find_device("cuda", api).peak_bytes(machine.work(0, holds=300)) == 300
    assert machine.log.count("work") == 2  # the first warms up
    with pytest.raises(DeviceError, match="out of device memory"):
        find_device("cuda", api).peak_bytes(machine.work(0, holds=30_000))


def test_a_device_without_statistics_has_no_measured_peak(api, machine):
    def unsupported(device):
        raise RuntimeError("not supported on mps")

    api.accelerator.reset_peak_memory_stats = unsupported
    assert Device("mps", 0, api).peak_bytes(machine.work(0)) is None


def test_what_is_recorded_of_a_gpu(api, make_nvml):
    nvml = make_nvml()
    seen = Device("cuda", 1, api, nvml).describe()
    assert nvml.state.asked == "GPU-1234-1"
    assert (seen["title"], seen["capability"]) == ("Card 1", "9.0")
    assert (seen["memory_bytes"], seen["l2_bytes"]) == (80 << 30, 50 << 20)
    assert seen["tf32"] is True  # nothing has forbidden it
    assert seen["clocks"] == {
        "sm_mhz": 1980,
        "memory_mhz": 1980,
        "temperature_c": 41,
        "power_w": 350.5,
        "power_limit_w": 700.0,
        "persistence": True,
        "driver": "570.1",
        "throttle_reasons": [],
    }


def sampled(api, machine, nvml):
    device = Device("cuda", 1, api, nvml)
    device.clock.time(machine.work(1e-3), 2)
    return device.sampling_facts()


def test_a_record_says_who_watched_the_rounds(api, machine, make_nvml, monkeypatch):
    with allow_tf32(False):
        seen = sampled(api, machine, make_nvml())
    assert seen == {"tf32": False, "throttling": "watched", "sm_mhz": [1980, 1980]}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert sampled(api, machine, None)["throttling"].startswith("not watched: no nvidia-ml-py")
    silent = [name for name in vars(make_nvml()) if "Current" in name or "Violation" in name]
    found = sampled(api, machine, make_nvml(unsupported=silent))["throttling"]
    assert found == "not watched: the driver reports no reasons"
    assert Device("xpu", 0, api).sampling_facts() == {"throttling": ANY}
    assert Device("cpu").sampling_facts() == {}


def test_the_share_of_launching_is_known_on_cuda_alone(api, machine):
    assert 0 < Device("cuda", 0, api).launch_share(machine.work(1e-3)) <= 1
    assert Device("xpu", 0, api).launch_share(machine.work(1e-3)) is None
    assert Device("cpu").launch_share(machine.work(1e-3)) is None


def test_importing_devices_imports_no_torch():
    code = "import sys, attnbench.devices; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
