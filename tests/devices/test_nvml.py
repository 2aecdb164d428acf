"""Throttling, as a simulated driver reports it."""

import pytest

from attnbench.devices.nvml import Throttle, watch_gpu


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (0, ()),
        (1 | 2 | 0x10, ()),  # idle, application clocks, synchronised boost
        (4, ("power cap",)),
        (8 | 0x40, ("hardware slowdown", "thermal slowdown (hardware)")),
        (0x20 | 1, ("thermal slowdown (software)",)),
        (0x80, ("power brake",)),
    ],
)
def test_reasons_that_spoil_a_round(bits, reasons, make_nvml):
    watcher = Throttle(make_nvml(bits), "handle")
    assert watcher.reasons() == reasons
    assert watcher.is_throttled() == bool(reasons)


def test_a_violation_since_the_last_look_counts_once(make_nvml):
    nvml = make_nvml(violations=500)
    watcher = Throttle(nvml, "handle")
    assert not watcher.is_throttled()  # what was before does not matter
    nvml.state.violations = 800  # over again by now, but the counter shows it
    assert watcher.is_throttled()
    assert not watcher.is_throttled()


def test_reasons_that_end_with_the_work_are_seen_while_it_lasts(make_nvml):
    nvml = make_nvml()
    watcher = Throttle(nvml, "handle")
    nvml.state.reasons = 4
    watcher.look()
    nvml.state.reasons = 1  # idle: the round is over
    assert watcher.is_throttled()
    assert not watcher.is_throttled()


def test_a_driver_with_the_old_names(make_nvml):
    nvml = make_nvml(4)
    for name in [one for one in vars(nvml) if "EventReason" in one]:
        setattr(nvml, name.replace("Event", "Throttle"), vars(nvml).pop(name))
    assert Throttle(nvml, "handle").reasons() == ("power cap",)


def test_what_is_not_supported_is_not_told(make_nvml):
    everything = [name for name in vars(make_nvml()) if name.startswith("nvml") and "Get" in name]
    nvml = make_nvml(4, unsupported=everything)
    watcher = Throttle(nvml, "handle")
    assert not watcher.is_throttled()
    assert set(map(str, watcher.facts().values())) == {"None", "[]"}


def test_no_library_no_driver_and_no_such_gpu_give_no_watcher(make_nvml, monkeypatch):
    assert watch_gpu("1", make_nvml(unsupported=["nvmlInit"])) is None
    assert watch_gpu("1", make_nvml(unsupported=["by_uuid"])) is None
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert watch_gpu("1") is None


def test_uuids_with_and_without_their_prefix(make_nvml):
    for uuid in ("GPU-77", "77"):
        nvml = make_nvml()
        assert watch_gpu(uuid, nvml) is not None
        assert nvml.state.asked == "GPU-77"
