import contextlib
import copy
import io

import pytest
import timm
import torch
import torchvision

from attnbench.counting.ptflops_counter import count
from attnbench.errors import CountingError


def plain(model, size):
    from ptflops import get_model_complexity_info

    with contextlib.redirect_stdout(io.StringIO()):
        total, _ = get_model_complexity_info(
            copy.deepcopy(model), size[1:], print_per_layer_stat=False, as_strings=False
        )
    for name in ("matmul", "mm", "bmm", "addmm", "mul", "add"):
        if name in vars(torch.Tensor):  # what ptflops leaves behind
            delattr(torch.Tensor, name)
    return total


def test_what_ptflops_itself_says_is_kept(net, size):
    model = net.make()
    raw = count(model, size)
    assert raw.total == plain(model, size)
    assert sum(row.raw for row in raw.rows) == raw.total
    assert raw.factor == 1


@pytest.mark.parametrize(
    "model",
    [torchvision.models.mobilenet_v3_small, lambda: timm.create_model("vit_tiny_patch16_224")],
)
def test_whole_nets(model):
    model, size = model(), (1, 3, 224, 224)
    assert count(model, size).total == plain(model, size)


def tables():
    from ptflops import pytorch_ops

    return [
        dict(table)
        for table in (
            pytorch_ops.MODULES_MAPPING,
            pytorch_ops.FUNCTIONAL_MAPPING,
            pytorch_ops.TENSOR_OPS_MAPPING,
        )
    ]


def test_untouched_and_silent(net, size, untouched, capfd):
    model, before = net.make(), tables()
    check = untouched(model)
    count(model, size)
    check()
    assert tables() == before
    assert capfd.readouterr() == ("", "")


def test_untouched_when_forward_raises(failing, size, untouched, capfd):
    check, before = untouched(failing), tables()
    with pytest.raises(CountingError, match="no such thing"):
        count(failing, size)
    check()
    assert tables() == before
    assert capfd.readouterr() == ("", "")


def test_untouched_when_interrupted(size, untouched):
    class Interrupted(torch.nn.Conv2d):
        def forward(self, image):
            raise KeyboardInterrupt

    model, before = Interrupted(16, 4, 1), tables()
    check = untouched(model)
    with pytest.raises(KeyboardInterrupt):
        count(model, size)
    check()
    assert tables() == before


def test_missed_functions_are_listed():
    class Functional(torch.nn.Linear):
        """A subclass: ptflops looks at the exact type."""

    raw = count(Functional(16, 4), (1, 16))
    assert raw.total == 0
    (row,) = raw.rows
    assert (row.operator, row.macs, raw.unsupported) == ("addmm", 64, {"addmm": 1})
    assert "outside" in row.why
