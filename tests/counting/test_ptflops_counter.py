import contextlib
import copy
import io

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from attnbench.counting.ptflops_counter import PtflopsAttribution, count
from attnbench.counting.recorder import Recorder
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


def passed(model, image, numbers=()):
    """Run `model` under a recorder; `numbers` are told to the claims after it."""
    recorder = Recorder()
    recorder.watch(model)
    claims = PtflopsAttribution(model, recorder, {nn.Conv2d, nn.ReLU})
    with torch.no_grad(), recorder:
        output = model(image)
    for kind, path, raw in numbers:
        claims.module(kind, model.get_submodule(path), (image,), output, raw)
    return claims


def model():
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU())


IMAGE = torch.zeros(1, 2, 4, 4)
MACS, BIAS = 16 * 6, 16 * 3


def test_a_number_is_split_into_product_and_bias():
    rows = passed(model(), IMAGE, [("Conv2d", "0", MACS + BIAS), ("ReLU", "1", 48)]).rows()
    assert [(row.operator, row.raw, row.macs, bool(row.why)) for row in rows] == [
        ("Conv2d", MACS, MACS, False),
        ("Conv2d bias", BIAS, 0, True),
        ("ReLU", 48, 0, True),
    ]


def test_a_wrong_number_is_left_without_a_reason():
    first, *_ = passed(model(), IMAGE, [("Conv2d", "0", MACS + BIAS + 5)]).rows()
    assert (first.raw, first.macs, first.why) == (MACS + 5, MACS, "")


def test_what_nothing_claims_is_missed():
    claims = passed(model(), IMAGE)
    assert claims.rows() == ()
    assert claims.find_missed() == {"convolution": (MACS, 1)}


def test_a_function_claims_the_next_product():
    recorder = Recorder()
    claims = PtflopsAttribution(nn.Identity(), recorder, ())
    matrix = torch.zeros(2, 2)
    with torch.no_grad(), recorder:
        claims.function("addmm", (matrix, matrix, matrix), {}, 12)
        torch.addmm(matrix, matrix, matrix)
        claims.function("F.relu", (matrix,), {}, 4)
        F.relu(matrix)
        torch.mm(matrix, matrix)
    assert [(row.operator, row.raw, row.macs) for row in claims.rows()] == [
        ("addmm", 8, 8),
        ("addmm bias", 4, 0),
        ("F.relu", 4, 0),
    ]
    assert claims.find_missed() == {"mm": (8, 1)}


def test_a_shared_module_is_summed_for_each_place():
    conv = nn.Conv2d(2, 2, 1, bias=False)
    both = nn.Sequential(nn.Sequential(conv), nn.Sequential(conv))
    rows = passed(both, IMAGE, [("Conv2d", "0.0", 64)]).rows()
    assert [(row.operator, row.raw, row.macs) for row in rows] == [
        ("Conv2d", 64, 64),
        ("Conv2d", 64, 0),
    ]
    assert "several places" in rows[1].why


def test_the_model_runs_on_a_map_of_noise_not_on_memory_that_was_never_set():
    class Kept(nn.Conv2d):
        seen: list = []  # noqa: RUF012 - shared by the copies that are counted

        def forward(self, x):
            self.seen.append(x.clone())
            return super().forward(x)

    shape = (1, 3, 6, 5)
    count(Kept(3, 2, 1), shape)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert Kept.seen
    assert all(torch.equal(x, noise) for x in Kept.seen)
