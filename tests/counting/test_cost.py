import json

import pytest
import timm
import torch
import torchvision
from torch import nn

from attnbench.counting.cost import cost, count_torch
from attnbench.errors import CountingError, RequestError


def test_known_figures():
    got = cost(torchvision.models.mobilenet_v2())
    assert (got.params, got.trainable, got.macs) == (3_504_872, 3_504_872, 300_774_272)
    assert cost(timm.create_model("mobilenetv1_100")).params == 4_231_976


def test_one_image_whatever_the_batch():
    model = nn.Conv2d(3, 4, 3)
    one, many = cost(model, (1, 3, 8, 8)), cost(model, (32, 3, 8, 8))
    assert one.to_dict() == many.to_dict()
    assert one.macs == 36 * 4 * 27


def test_frozen_and_shared_parameters():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    model[0].bias.requires_grad_(False)
    got = cost(model, (1, 4))
    assert (got.params, got.trainable) == (16 + 4 + 4, 16 + 4)


def test_counters_are_computed_when_read_and_once(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "attnbench.counting.cost.count_all", lambda *args: calls.append(args) or {"rules": None}
    )
    got = cost(nn.Linear(4, 4), (1, 4))
    assert "counters" not in got.to_dict()
    assert not calls
    assert got.counters is got.counters
    assert len(calls) == 1


def test_json_keys():
    got = cost(nn.Conv2d(3, 4, 3), (1, 3, 8, 8)).to_dict(counters=True)
    assert json.loads(json.dumps(got)) == got
    assert list(got) == [
        "params",
        "trainable",
        "macs",
        "activations",
        "bytes",
        "operators",
        "uncounted",
        "counters",
    ]
    assert list(got["counters"]) == ["rules", "fvcore", "ptflops", "torch"]
    for report in got["counters"].values():
        assert report.keys() >= {"raw", "unit", "adjustments", "macs", "agree", "unsupported"}
    (part,) = got["counters"]["ptflops"]["adjustments"]
    assert part.keys() == {"operator", "why", "macs"}
    assert part["macs"] == -4 * 36


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        return x + self.norm(self.conv(x)).flatten(2).unflatten(2, (8, 8)).sigmoid()


def test_operators_are_those_that_move_data():
    # convolution, norm, sigmoid, addition; the two views are free
    assert cost(Residual(), (1, 4, 8, 8)).operators == 4


def test_lazy_parameters_are_refused():
    with pytest.raises(CountingError, match=r"'weight' is lazy .* run the model once first"):
        cost(nn.LazyLinear(4), (1, 4))


def test_bad_size():
    with pytest.raises(RequestError, match="input size"):
        cost(nn.Linear(4, 4), (1, 0))


def test_repr():
    # the input and the weights are read, the output is written: 4 + 20 + 4 numbers of 4 bytes
    assert repr(cost(nn.Linear(4, 4), (1, 4))) == (
        "Cost(params=20, trainable=20, macs=16, activations=4, bytes=112, operators=1, "
        "input_size=(1, 4))"
    )


def test_a_frame_has_a_row_for_each_metric():
    found = cost(nn.Linear(4, 4), (1, 4))
    frame = found.to_frame()
    assert list(frame.columns) == ["metric", "value", "unit"]
    assert dict(zip(frame.metric, frame.value, strict=True)) == {
        "params": 20, "trainable": 20, "macs": 16, "activations": 4, "bytes": 112, "operators": 1,
    }  # fmt: skip
    assert frame.value.dtype == "int64"


def test_html_has_the_numbers_with_separators():
    html = cost(nn.Conv2d(3, 64, 3, bias=False), (1, 3, 66, 66))._repr_html_()
    assert "7,077,888" in html  # 64 x 64 x 64 x 27
    assert "Cost at 1x3x66x66" in html


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
