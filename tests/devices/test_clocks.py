"""Clocks on a simulated device, whose time is known exactly."""

import pytest
import torch

from attnbench.devices.clocks import EventClock, SynchronizedClock, l2_flush
from attnbench.errors import DeviceError

MS = 1e-3
LAUNCH = 10e-6


def test_long_work_takes_the_devices_time(machine, api):
    # the first launch, then the device is never idle
    took = EventClock(api.cuda, 0).time(machine.work(2 * MS), 5)
    assert took == pytest.approx(5 * 2 * MS + LAUNCH)


def test_short_work_takes_the_launching_time(machine, api):
    took = EventClock(api.cuda, 0).time(machine.work(1e-6), 100)
    assert took == pytest.approx(100 * LAUNCH + 1e-6)


def test_work_from_before_is_not_counted(machine, api):
    machine.work(1.0)()
    took = EventClock(api.cuda, 0).time(machine.work(MS), 1)
    assert took == pytest.approx(MS + LAUNCH)


def test_events_are_recorded_on_the_device_that_is_timed(machine, api):
    EventClock(api.cuda, 1).time(machine.work(MS), 1)
    assert machine.log == [
        ("enter", 1), ("synchronize", 1), "event", "work", "event", ("leave", 1)
    ]  # fmt: skip


def test_cold_flushes_before_each_call_outside_the_events(machine, api):
    clock = EventClock(api.cuda, 0, flush=l2_flush(api, 0))
    took = clock.time(machine.work(2 * MS), 3)
    # the flush hides the launch: the device is still writing when the work arrives
    assert took == pytest.approx(3 * 2 * MS)
    assert machine.log[0] == ("empty", 2 * (50 << 20), "uint8", "cuda:0")
    assert machine.log[3:-2] == ["flush", "event", "work", "event"] * 3


def test_the_synchronised_clock_waits_for_the_device(machine):
    clock = SynchronizedClock(machine.synchronize, now=lambda: machine.python)
    machine.work(1.0)()
    assert clock.time(machine.work(2 * MS), 5) == pytest.approx(5 * 2 * MS + LAUNCH)


@pytest.mark.parametrize("kind", ["events", "synchronised"])
def test_out_of_memory_is_one_line_and_the_cache_is_returned(kind, machine, api):
    empty = api.accelerator.empty_cache
    clock = {
        "events": EventClock(api.cuda, 0, empty_cache=empty),
        "synchronised": SynchronizedClock(machine.synchronize, empty),
    }[kind]
    with pytest.raises(DeviceError, match="CUDA out of memory") as caught:
        clock.time(machine.work(MS, holds=100_000), 1)
    assert str(caught.value) == (
        "out of device memory: CUDA out of memory. Tried to allocate 2 GiB.; "
        "a smaller batch needs less"
    )
    assert "emptied" in machine.log
    # the error that holds the frames, and so the tensors, is gone
    assert caught.value.__context__ is None


def test_other_errors_stay_what_they_are(machine, api):
    def fails():
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        EventClock(api.cuda, 0).time(fails, 1)
    assert "emptied" not in machine.log


@pytest.mark.parametrize(
    ("launch", "seconds", "share"),
    [(LAUNCH, 2 * MS, 0.005), (LAUNCH, 1e-6, 1.0), (LAUNCH, 2 * LAUNCH, 5 / 11)],
)
def test_the_share_of_launching(machine, api, launch, seconds, share):
    # five calls; the device waits for the first launch alone, or for each
    clock = EventClock(api.cuda, 0)
    found = clock.launch_share(machine.work(seconds), now=lambda: machine.python)
    assert found == pytest.approx(share, rel=0.02)


@pytest.mark.parametrize("flush", [None, lambda: None])
def test_the_device_is_looked_at_while_it_works(machine, api, flush):
    def look():
        assert machine.python < machine.device
        machine.log.append("look")

    EventClock(api.cuda, 0, flush, look=look).time(machine.work(MS), 3)
    assert machine.log.count("look") == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_real_device():
    from attnbench.devices import find_device

    device = find_device("cuda")
    matrix = torch.randn(2048, 2048, device="cuda")

    def call():
        return matrix @ matrix

    warm, cold = device.clock.time(call, 20), device.cold_clock.time(call, 20)
    assert 0 < warm < 10
    assert 0 < cold < 10
    assert device.peak_bytes(call) == 2048 * 2048 * 4
    assert device.clock.time(device.capture_graph(call), 20) > 0
    assert device.describe()["memory_bytes"] > 0
