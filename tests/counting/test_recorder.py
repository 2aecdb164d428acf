import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnbench.counting.recorder import Recorder


def record(function, *shapes, dtype=torch.float32):
    tensors = [torch.empty(shape, device="meta", dtype=dtype) for shape in shapes]
    with torch.no_grad(), Recorder() as recorder:
        function(*tensors)
    return recorder.ops


BYTES = {
    "read two, write one": (torch.add, [(2, 3), (2, 3)], 3 * 6 * 4),
    "broadcast": (torch.mul, [(2, 3), (3,)], (6 + 3 + 6) * 4),
    "in place reads and writes": (lambda x: x.relu_(), [(2, 3)], 2 * 6 * 4),
    "scalar": (lambda x: x + 1, [(2, 3)], 2 * 6 * 4),
    "list of inputs": (lambda a, b: torch.cat([a, b]), [(2, 3), (1, 3)], 2 * 9 * 4),
    "convolution with bias": (F.conv2d, [(1, 2, 3, 3), (4, 2, 1, 1), (4,)], (18 + 8 + 4 + 36) * 4),
    "two outputs": (lambda x: x.max(1), [(2, 3)], (6 + 2) * 4 + 2 * 8),
    "batch norm": (
        lambda x, m, v: F.batch_norm(x, m, v),
        [(1, 4, 2, 2), (4,), (4,)],
        (16 + 4 + 4 + 16) * 4,
    ),
    "copy": (lambda x: x.t().contiguous(), [(2, 3)], 2 * 6 * 4),
    "out": (lambda a, b: torch.add(a, a, out=b), [(2, 3), (2, 3)], 3 * 6 * 4),
    "view": (lambda x: x.view(6), [(2, 3)], 0),
    "transpose": (lambda x: x.t(), [(2, 3)], 0),
    "expand": (lambda x: x.expand(5, 2, 3), [(2, 3)], 0),
    "slice and chunk": (lambda x: x[:, 1:].chunk(2, 1), [(2, 3)], 0),
    "detach": (lambda x: x.detach(), [(2, 3)], 0),
    "empty": (lambda x: torch.empty_like(x), [(2, 3)], 0),
    "reshape of a view": (lambda x: x.reshape(-1), [(2, 3)], 0),
    "zeros are written": (lambda x: x.new_zeros(4), [(2, 3)], (6 + 4) * 4),
}


@pytest.mark.parametrize(("function", "shapes", "size"), BYTES.values(), ids=BYTES)
def test_bytes(function, shapes, size):
    assert sum(op.bytes for op in record(function, *shapes)) == size


def test_bytes_of_half_precision():
    (op,) = record(torch.add, (2, 3), (2, 3), dtype=torch.bfloat16)
    assert op.bytes == 3 * 6 * 2


def test_batch_norm_costs_the_same_fast_slow_and_for_real():
    args = [torch.zeros(1, 4, 2, 2)] + [torch.zeros(4)] * 4
    sizes = []
    for device, layout in [("meta", 0), ("meta", 1), ("cpu", 0)]:
        image, *rest = (a.to(device) for a in args)
        image = image.to(memory_format=torch.channels_last) if layout else image
        with torch.no_grad(), Recorder() as recorder:
            F.batch_norm(image, *rest)
        sizes.append(sum(op.bytes for op in recorder.ops))
    assert sizes == [(16 + 4 * 4 + 16) * 4] * 3


def test_bias_activations_and_elements():
    with_bias, without = record(
        lambda x, w, b: (F.conv2d(x, w, b), F.conv2d(x, w)), (1, 2, 3, 3), (4, 2, 1, 1), (4,)
    )
    assert (with_bias.bias, without.bias) == (36, 0)
    assert with_bias.activations == without.activations == with_bias.elements == 36
    (pool,) = record(lambda x: F.max_pool2d(x, 2), (1, 2, 4, 4))
    assert (pool.name, pool.activations, pool.elements, pool.bias) == (
        "max_pool2d_with_indices",
        0,
        8,
        0,
    )


def test_bias_of_products():
    ops = record(F.linear, (2, 3), (5, 3), (5,))
    assert [op.bias for op in ops if op.macs] == [10]
    (op,) = record(lambda a, b, c: torch.addmm(a, b, c, beta=0), (2, 5), (2, 3), (3, 5))
    assert op.bias == 0


def test_paths_survive_what_a_model_catches():
    class Catching(nn.Module):
        def __init__(self):
            super().__init__()
            self.bad, self.good = nn.Linear(3, 3), nn.Linear(2, 2)

        def forward(self, x):
            try:
                self.bad(x)
            except RuntimeError:
                x = self.good(x)
            return x + 1

    model = Catching().to("meta")
    recorder = Recorder()
    recorder.watch(model)
    with torch.no_grad(), recorder:
        model(torch.empty(1, 2, device="meta"))
    assert [(call.path, call.output) for call in recorder.calls] == [
        ("", (1, 2)),
        ("bad", None),
        ("good", (1, 2)),
    ]
    assert [(op.name, op.path) for op in recorder.ops if op.bytes][-1] == ("add", "")


def test_calls_of_unusual_signatures():
    class Odd(nn.Module):
        def forward(self, x, scale, *, y=None, flag=True):
            return x, y

    model = nn.ModuleDict({"odd": Odd()})
    recorder = Recorder()
    recorder.watch(model)
    with recorder:
        model["odd"](torch.zeros(1, 2), 3.0, y=torch.zeros(4), flag=False)
    (call,) = recorder.calls
    assert call.inputs == ((1, 2), None, (4,))
    assert (call.path, call.kind, call.output) == ("odd", "Odd", None)
