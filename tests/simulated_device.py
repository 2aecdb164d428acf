"""A simulated accelerator: Python's time and the device's, and what the documentation demands."""

from contextlib import contextmanager
from types import SimpleNamespace

import torch

LAUNCH = 10e-6


class Machine:
    """Work is launched in ``LAUNCH`` seconds of Python and runs in order on the device."""

    def __init__(self):
        self.python = 0.0  # seconds
        self.device = 0.0  # when the device will be done with what it was given
        self.allocated, self.peak, self.limit = 1000, 1000, 10_000
        self.log = []
        self.capturing = None  # the graph that is being captured
        self.current = 0  # device

    def work(self, seconds, holds=0):
        """Return a call that keeps the device busy, and holds some bytes meanwhile."""

        def call():
            self.python += LAUNCH
            if self.allocated + holds > self.limit:
                raise torch.OutOfMemoryError(
                    "CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has a total of 1\nmore"
                )
            self.peak = max(self.peak, self.allocated + holds)
            self.log.append("captured" if self.capturing is not None else "work")
            self.device = max(self.device, self.python) + seconds

        return call

    def network(self, values, device=0, seconds=1e-3):
        """Return a call that writes values into a tensor on the device, and returns it."""
        output = torch.zeros(len(values))
        work = self.work(seconds)

        def call():
            work()
            if self.capturing is None:
                return output.copy_(torch.tensor(values))
            if self.capturing.device == device:  # otherwise an empty graph, and no error
                self.capturing.calls.append(lambda: output.copy_(torch.tensor(values)))
            return output

        return call

    def synchronize(self, device=None):
        self.log.append(("synchronize", device))
        self.python = max(self.python, self.device)


class Event:
    def __init__(self, machine, enable_timing=False):
        assert enable_timing, "events without timing have no elapsed time"
        self.machine, self.at = machine, None

    def record(self):
        self.at = max(self.machine.device, self.machine.python)
        self.machine.log.append("event")

    def synchronize(self):
        assert self.at is not None
        self.machine.python = max(self.machine.python, self.at)

    def elapsed_time(self, end):
        assert self.at is not None and end.at is not None
        assert self.machine.python >= end.at, "asked before the device was there"
        return (end.at - self.at) * 1e3


class Graph:
    """Replays what was called while it was captured, if that was on the device of the stream."""

    def __init__(self, machine):
        self.machine, self.calls = machine, None

    def replay(self):
        assert self.calls is not None
        self.machine.log.append("replay")
        for call in self.calls:
            call()


class Stream:
    def __init__(self, machine, name="side", device=0):
        self.machine, self.name, self.device = machine, name, device

    def wait_stream(self, other):
        self.machine.log.append((self.name, "waits for", other.name))


def fake_properties(index):
    """Return what torch says of a card."""
    return SimpleNamespace(
        name=f"Card {index}",
        uuid=f"1234-{index}",
        major=9,
        minor=0,
        total_memory=80 << 30,
        L2_cache_size=50 << 20,
    )


def fake_accelerator(machine, kind, count):
    """Return what the code uses of ``torch.accelerator``."""

    def reset_peak_memory_stats(device):
        machine.peak = machine.allocated

    return SimpleNamespace(
        is_available=lambda: count > 0,
        current_accelerator=lambda: SimpleNamespace(type=kind),
        device_count=lambda: count,
        synchronize=machine.synchronize,
        empty_cache=lambda: machine.log.append("emptied"),
        reset_peak_memory_stats=reset_peak_memory_stats,
        memory_allocated=lambda device: machine.allocated,
        max_memory_allocated=lambda device: machine.peak,
    )


def fake_torch(machine, kind="cuda", count=2):
    """Return what the code uses of ``torch``."""

    @contextmanager
    def entered(what):
        before, machine.current = machine.current, getattr(what, "device", what)
        machine.log.append(("enter", getattr(what, "name", what)))
        yield
        machine.log.append(("leave", getattr(what, "name", what)))
        machine.current = before

    @contextmanager
    def capture(graph, stream=None):
        assert "work" in machine.log, "capture without warm-up"
        machine.capturing, graph.calls = graph, []
        graph.device = 0 if stream is None else stream.device
        try:
            yield
        finally:
            machine.capturing = None

    def empty(size, dtype, device):
        machine.log.append(("empty", size, dtype, device))

        def zero():
            machine.log.append("flush")
            machine.device = max(machine.device, machine.python) + 1e-3

        return SimpleNamespace(zero_=zero)

    return SimpleNamespace(
        uint8="uint8",
        empty=empty,
        backends=torch.backends,
        cuda=SimpleNamespace(
            device=entered,
            synchronize=machine.synchronize,
            Event=lambda enable_timing=False: Event(machine, enable_timing),
            Stream=lambda device=None: Stream(
                machine, "side", machine.current if device is None else device
            ),
            current_stream=lambda device=None: Stream(machine, "main"),
            stream=entered,
            CUDAGraph=lambda: Graph(machine),
            graph=capture,
            get_device_properties=fake_properties,
        ),
        accelerator=fake_accelerator(machine, kind, count),
    )


class NVMLError(Exception):
    pass


def fake_nvml(reasons=0, violations=0, unsupported=()):
    """Return what the code uses of ``pynvml``; ``state`` is what the driver sees."""
    state = SimpleNamespace(reasons=reasons, violations=violations, asked=None)

    def told(name, value):
        def read(*_):
            if name in unsupported:
                raise NVMLError(name)
            return value() if callable(value) else value

        return read

    def by_uuid(uuid):
        state.asked = uuid
        if "by_uuid" in unsupported:
            raise NVMLError("not found")
        return "handle"

    names = {
        "nvmlInit": None,
        "nvmlSystemGetDriverVersion": "570.1",
        "nvmlDeviceGetCurrentClocksEventReasons": lambda: state.reasons,
        "nvmlDeviceGetViolationStatus": lambda: SimpleNamespace(violationTime=state.violations),
        "nvmlDeviceGetPersistenceMode": 1,
        "nvmlDeviceGetClockInfo": 1980,
        "nvmlDeviceGetTemperature": 41,
        "nvmlDeviceGetPowerUsage": 350_500,
        "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    }
    return SimpleNamespace(
        state=state,
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        NVML_TEMPERATURE_GPU=0,
        NVML_PERF_POLICY_POWER=0,
        NVML_PERF_POLICY_THERMAL=1,
        nvmlClocksEventReasonGpuIdle=1,
        nvmlClocksEventReasonApplicationsClocksSetting=2,
        nvmlClocksEventReasonSwPowerCap=4,
        nvmlClocksEventReasonHwSlowdown=8,
        nvmlClocksEventReasonSyncBoost=0x10,
        nvmlClocksEventReasonSwThermalSlowdown=0x20,
        nvmlClocksEventReasonHwThermalSlowdown=0x40,
        nvmlClocksEventReasonHwPowerBrakeSlowdown=0x80,
        nvmlDeviceGetHandleByUUID=by_uuid,
        **{name: told(name, value) for name, value in names.items()},
    )
