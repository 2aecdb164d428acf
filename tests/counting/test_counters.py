import pytest
import torch
from torch import nn

from attnbench.counting.counters import count_torch
from attnbench.errors import CountingError


def test_two_flops_per_mac(net, size):
    raw = count_torch(net.make(), size)
    assert (raw.total, raw.factor) == (2 * net.macs, 2)
    assert sum(row.raw for row in raw.rows) == raw.total


def test_operators_without_a_formula_are_listed():
    class Vector(nn.Module):
        def forward(self, image):
            return torch.mv(image, image[0])

    raw = count_torch(Vector(), (4, 4))
    (row,) = raw.rows
    assert (row.raw, row.macs, raw.unsupported) == (0, 16, {"mv": 1})
    assert "no formula" in row.why


def test_untouched_and_silent(net, size, untouched, capfd):
    model = net.make()
    check = untouched(model)
    count_torch(model, size)
    check()
    assert capfd.readouterr() == ("", "")


def test_untouched_when_forward_raises(failing, size, untouched):
    check = untouched(failing)
    with pytest.raises(CountingError, match="no such thing"):
        count_torch(failing, size)
    check()
