"""CUDA graphs on a simulated device: captured on the right one, and known to compute something."""

import gc
import weakref

import pytest

from attnbench.devices.cuda_graph import capture_graph
from attnbench.errors import DeviceError

VALUES = [1.0, -2.0, float("nan")]


@pytest.mark.parametrize("index", [0, 1])
def test_a_graph_is_warmed_up_captured_and_replayed_on_its_device(machine, api, index):
    replay = capture_graph(machine.network(VALUES, device=index), index, api.cuda)
    assert machine.log == [
        ("enter", index),
        ("side", "waits for", "main"),
        ("enter", "side"), "work", "work", "work", ("leave", "side"),
        ("main", "waits for", "side"),
        "captured",
        ("leave", index),
        "replay", ("synchronize", index),
    ]  # fmt: skip
    assert replay()[:2].tolist() == VALUES[:2]
    assert machine.log[-1] == "replay"


def test_a_replay_keeps_weights_and_input_alive(machine, api):
    """A graph holds addresses: memory that is freed would be overwritten by the next arm."""

    class Weights:
        pass

    weights = Weights()
    call = machine.network(VALUES)
    replay = capture_graph(lambda weights=weights: call(), 0, api.cuda)
    alive = weakref.ref(weights)
    del weights
    gc.collect()
    assert alive() is not None
    replay()


def test_a_capture_on_another_device_is_found_although_it_raises_nothing(machine, api):
    with pytest.raises(DeviceError, match=r"replay does not compute .* empty.* cuda:0"):
        capture_graph(machine.network(VALUES, device=1), 0, api.cuda)


def test_a_replay_that_computes_something_else_is_found(machine, api):
    call = machine.network(VALUES)

    def changes():
        output = call()
        if machine.capturing is not None:
            machine.capturing.calls.append(lambda: output.mul_(1.1))
        return output

    with pytest.raises(DeviceError, match="does not compute"):
        capture_graph(changes, 0, api.cuda)


def test_what_cannot_be_captured_says_why(machine, api):
    call = machine.network(VALUES)

    def looks_at_values():
        if machine.capturing is not None:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        return call()

    with pytest.raises(DeviceError, match=r"captured: operation not permitted .* capturing$"):
        capture_graph(looks_at_values, 0, api.cuda)
