import dataclasses
import functools
import warnings

import pytest
import timm
import torch
import torchvision
from torch import nn

from attnbench.counting.cost import COUNTERS, count_all
from attnbench.counting.reconcile import RawCount, RawCounts, reconcile
from attnbench.counting.trace import trace

IMAGE = (1, 3, 224, 224)
NETS = [
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "resnet18",
    "efficientnet_b0",
    "shufflenet_v2_x1_0",
    "regnet_y_400mf",
    "vit_b_16",
    "swin_t",
    "timm:mobilenetv1_100",
    "timm:vit_tiny_patch16_224",
]


@functools.cache
def whole(name):
    kind, _, rest = name.rpartition(":")
    model = timm.create_model(rest) if kind else torchvision.models.get_model(rest)
    got = trace(model, IMAGE)
    return got, count_all(model, IMAGE, got)


def explained(report):
    assert not report.reason
    whole_macs, rest = divmod(report.raw, report.factor)
    assert not rest
    assert whole_macs + sum(part.macs for part in report.adjustments) == report.macs
    assert all(part.macs and part.why and part.operator for part in report.adjustments)


@pytest.mark.parametrize("name", NETS)
def test_all_agree_on_whole_nets(name):
    got, reports = whole(name)
    for report in reports.values():
        explained(report)
        assert report.agree, report
        assert (report.macs, report.remainder) == (got.macs, 0)


def test_all_agree_on_small_nets(net, size):
    model = net.make()
    reports = count_all(model, size, trace(model, size))
    for name, report in reports.items():
        explained(report)
        assert report.agree, (name, report)
        assert report.macs == net.macs


def test_mobilenet_v2_as_the_tools_print_it():
    _, reports = whole("mobilenet_v2")
    assert {name: report.raw for name, report in reports.items()} == {
        "rules": 300_774_272,
        "fvcore": 314_193_216,
        "ptflops": 320_300_008,
        "torch": 601_548_544,
    }
    parts = {part.operator: part.macs for part in reports["fvcore"].adjustments}
    assert parts == {"batch_norm": -2 * 6_678_112, "adaptive_avg_pool2d": -1280 * 7 * 7}
    assert reports["fvcore"].unsupported["hardtanh_"] == 35


def test_attention_that_fvcore_misses_is_added():
    _, reports = whole("vit_b_16")
    assert reports["fvcore"].unsupported["scaled_dot_product_attention"] == 12
    (part,) = [p for p in reports["fvcore"].adjustments if "attention" in p.operator]
    assert part.macs == 12 * 2 * 197 * 197 * 768
    assert "no handle" in part.why


class Applied(nn.Module):
    def __init__(self, run, part=None):
        super().__init__()
        self.run, self.part, self.weight = run, part, nn.Parameter(torch.ones(8, 8))

    def forward(self, image):
        return self.run(self, image)


def product(image: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.matmul(image, weight).relu()


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecated, and in use
    scripted = torch.jit.script(product)


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, weight):
        return image @ weight


SEQUENCE = (1, 5, 8)
ONE_PRODUCT = 5 * 8 * 8
NO_HANDLE = {
    "tensordot": (lambda m, x: torch.tensordot(x, m.weight, 1), ONE_PRODUCT),
    "scripted": (lambda m, x: scripted(x, m.weight), ONE_PRODUCT),
    "autograd function": (lambda m, x: Product.apply(x, m.weight), ONE_PRODUCT),
    "inner": (lambda m, x: torch.inner(x, m.weight), ONE_PRODUCT),
    "multi_dot": (lambda m, x: torch.linalg.multi_dot([x[0], m.weight]), ONE_PRODUCT),
    "in place": (lambda m, x: x.clone().baddbmm_(x, m.weight[None]), ONE_PRODUCT),
    "inference mode": (
        lambda m, x: torch.inference_mode()(torch.matmul)(x, m.weight),
        ONE_PRODUCT,
    ),
    "cdist": (lambda m, x: torch.cdist(x, m.weight), ONE_PRODUCT),
    "einsum of three": (
        lambda m, x: torch.einsum("bij,jk,kl->bil", x, m.weight, m.weight),
        2 * ONE_PRODUCT,
    ),
}
RECURRENT = {
    "rnn": (nn.RNN(8, 4, batch_first=True), 5 * (8 * 4 + 4 * 4)),
    "gru": (nn.GRU(8, 4, batch_first=True), 5 * 3 * (8 * 4 + 4 * 4)),
    "gru without a bias": (nn.GRU(8, 4, bias=False), 5 * 3 * (8 * 4 + 4 * 4)),
    "lstm": (nn.LSTM(8, 4, 2, batch_first=True), 5 * 4 * (8 * 4 + 4 * 4 + 2 * 4 * 4)),
    "two directions and projections": (
        nn.LSTM(8, 4, 2, bidirectional=True, proj_size=3, batch_first=True),
        5 * 2 * (4 * 4 * (8 + 3) + 4 * 3 + 4 * 4 * (6 + 3) + 4 * 3),
    ),
}


@pytest.mark.parametrize(("run", "macs"), NO_HANDLE.values(), ids=NO_HANDLE)
def test_products_without_a_handle_agree(run, macs):
    model = Applied(run)
    got = trace(model, SEQUENCE)
    assert got.macs == macs
    for name, report in count_all(model, SEQUENCE, got).items():
        explained(report)
        assert report.agree, (name, report)


@pytest.mark.parametrize(("part", "macs"), RECURRENT.values(), ids=RECURRENT)
def test_recurrent_layers_agree(part, macs):
    model = Applied(lambda m, x: m.part(x)[0], part)
    got = trace(model, SEQUENCE)
    assert got.macs == macs
    for name, report in count_all(model, SEQUENCE, got).items():
        explained(report)
        assert report.agree, (name, report)


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_recurrent_cells_and_sequences_without_a_batch_agree(kind):
    cell = kind(8, 4)
    layer = getattr(nn, kind.__name__.removesuffix("Cell"))(8, 4)
    for part in (cell, layer):
        model = Applied(lambda m, x: m.part(x[0])[0], part)
        for report in count_all(model, SEQUENCE, trace(model, SEQUENCE)).values():
            explained(report)
            assert report.agree, report


def test_deformable_convolution_agrees():
    part = torchvision.ops.DeformConv2d(8, 4, 3, padding=1, groups=2)
    model = Applied(
        lambda m, x: m.part(x, x.repeat(1, 3, 1, 1)[:, :18], x[:, :1].repeat(1, 9, 1, 1)), part
    )
    size = (1, 8, 5, 6)
    got = trace(model, size)
    assert got.macs == 30 * 4 * 4 * 9
    for name, report in count_all(model, size, got).items():
        explained(report)
        assert report.agree, (name, report)


@pytest.fixture
def answer(size):
    model = nn.Sequential(nn.Conv2d(16, 4, 1), nn.BatchNorm2d(4))
    got = trace(model, size)
    return got, {name: count(model, size) for name, count in COUNTERS.items()}


@pytest.mark.parametrize("name", COUNTERS)
@pytest.mark.parametrize("planted", [1, -1, 1000])
def test_a_planted_discrepancy_is_not_explained_away(answer, name, planted):
    got, raws = answer
    assert reconcile(raws[name], got).agree
    off = dataclasses.replace(raws[name], total=raws[name].total + planted * raws[name].factor)
    report = reconcile(off, got)
    assert not report.agree
    assert report.remainder == planted
    explained(report)


@pytest.mark.parametrize("name", COUNTERS)
def test_an_operator_counted_wrongly_is_not_explained_away(answer, name):
    got, raws = answer
    raw = raws[name]
    rows = list(raw.rows)
    at = next(i for i, row in enumerate(rows) if row.macs)
    rows[at] = dataclasses.replace(rows[at], raw=rows[at].raw + 2 * raw.factor)
    off = dataclasses.replace(raw, rows=tuple(rows), total=raw.total + 2 * raw.factor)
    report = reconcile(off, got)
    assert (report.agree, report.remainder) == (False, 2)


def test_half_a_mac_does_not_agree(answer):
    got, raws = answer
    off = dataclasses.replace(raws["torch"], total=raws["torch"].total + 1)
    assert not reconcile(off, got).agree


def test_only_known_reasons_adjust_and_they_sum_up_by_operator(answer):
    got, _ = answer
    rows = (
        RawCount("a", 10, 4, "known"),
        RawCount("a", 6, 4, "known"),
        RawCount("b", 9, 1),
        RawCount("c", 2, 1, "no"),
    )
    report = reconcile(RawCounts("1", "unit", 2 * got.macs, rows, {}, 2), got)
    assert report.adjustments == ()  # "a": -1 + 1; "c": equal; "b": no reason
    report = reconcile(RawCounts("1", "unit", got.macs, rows, {}), got)
    assert [dataclasses.astuple(part) for part in report.adjustments] == [
        ("a", "known", -8),
        ("c", "no", -1),
    ]
    assert (report.remainder, report.agree) == (-9, False)


def test_a_tool_that_fails_says_why(failing, size, monkeypatch):
    got = trace(nn.Conv2d(16, 4, 1), size)
    reports = count_all(failing, size, got)
    assert reports["rules"].agree
    for name in COUNTERS:
        report = reports[name]
        assert (report.raw, report.macs, report.agree) == (None, None, False)
        assert report.reason.endswith(": no such")


def test_counters_are_the_documented_ones():
    assert list(COUNTERS) == ["fvcore", "ptflops", "torch"]
