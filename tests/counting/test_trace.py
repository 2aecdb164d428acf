import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from attnbench.counting.model_copies import shape_copy
from attnbench.counting.trace import trace
from attnbench.errors import CountingError

IMAGE = (1, 3, 224, 224)
WHOLE = [
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "resnet18",
    "efficientnet_b0",
    "shufflenet_v2_x1_0",
    "regnet_y_400mf",
    "vit_b_16",
    "swin_t",
    "densenet121",
    "squeezenet1_0",
]


@pytest.mark.parametrize("name", WHOLE)
def test_whole_nets_as_torch_counts_them(name):
    model = shape_copy(torchvision.models.get_model(name))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(IMAGE, device="meta"))
    assert 2 * trace(model, IMAGE).macs == counter.get_total_flops()


def test_known_figures():
    assert trace(torchvision.models.mobilenet_v2(), IMAGE).macs == 300_774_272
    assert trace(timm.create_model("mobilenetv1_100"), IMAGE).macs == 568_740_352


def test_small_nets_by_hand(net, size):
    assert trace(net.make(), size).macs == net.macs


def test_a_tiny_net_by_hand():
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5))
    got = trace(model, (1, 2, 3, 3))
    assert got.macs == 9 * 4 * 2 * 9 + 36 * 5
    assert got.totals.activations == 36 + 5
    convolution = 18 + 72 + 4 + 36
    linear = 36 + 180 + 5 + 5
    assert got.totals.bytes == 4 * (convolution + 2 * 36 + linear)
    assert [op.name for op in got.ops if op.bytes] == ["convolution", "relu", "addmm"]
    assert [call.path for call in got.calls] == ["", "0", "1", "2", "3"]
    assert got.calls[0].output == (1, 5)
    assert got.calls[1].inputs == ((1, 2, 3, 3),)
    assert (got.calls[0].first_op, got.calls[0].last_op) == (0, len(got.ops))


def test_the_same_for_real_as_on_shapes(net, size):
    from attnbench.counting.forward_pass import on_real_copy
    from attnbench.counting.trace import _traced

    model = net.make()
    real, shapes = on_real_copy(model, size, _traced), trace(model, size)
    assert (real.macs, real.totals.activations) == (shapes.macs, shapes.totals.activations)
    assert real.calls and [c.path for c in real.calls] == [c.path for c in shapes.calls]
    assert real.totals.bytes == shapes.totals.bytes


def test_totals_under_a_path():
    model = torchvision.models.mobilenet_v2()
    got = trace(model, IMAGE)
    assert got.under("") == got.totals
    assert got.under("features.1.conv.0.0").macs == 112 * 112 * 32 * 9
    assert got.under("features.1").macs == 112 * 112 * (32 * 9 + 32 * 16)
    assert got.under("features").macs + got.under("classifier").macs == got.macs
    assert got.under("nowhere").bytes == 0


def test_a_shared_module_has_two_calls():
    conv = nn.Conv2d(2, 2, 1)
    got = trace(nn.Sequential(conv, conv), (1, 2, 4, 4))
    assert [call.path for call in got.calls] == ["", "0", "0"]
    assert got.under("0").macs == got.macs == 2 * 16 * 4


def test_a_list_of_modules_counts_its_parts():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 4)])

        def forward(self, x):
            for part in self.parts:
                x = part(x)
            return x

    got = trace(Listed(), (1, 2))
    assert got.under("parts").macs == 6 + 12


def test_values_are_looked_at_for_real(by_value, size):
    assert trace(by_value, size).macs == 36 * 16 * 4


def test_dtype_and_layout_of_the_model():
    model = torchvision.models.mobilenet_v3_small().to(torch.bfloat16)
    plain = trace(torchvision.models.mobilenet_v3_small(), IMAGE)
    half = trace(model, IMAGE)
    last = trace(model.float().to(memory_format=torch.channels_last), IMAGE)
    assert half.macs == last.macs == plain.macs
    assert 2 * half.totals.bytes == plain.totals.bytes == last.totals.bytes


def test_the_model_is_untouched(untouched, net, size):
    model = net.make().train()
    check = untouched(model)
    trace(model, size)
    check()


def test_the_model_is_untouched_when_it_raises(untouched, failing, size):
    check = untouched(failing)
    with pytest.raises(CountingError, match=r"Failing .* \(1, 16, 6, 6\) .*ValueError: no such th"):
        trace(failing, size)
    check()


def test_a_wrong_size_names_the_models_own_error():
    with pytest.raises(CountingError, match=r"size \(1, 5, 8, 8\) failed with RuntimeError: "):
        trace(nn.Conv2d(3, 4, 3), (1, 5, 8, 8))


def test_models_already_on_meta():
    with torch.device("meta"):
        model = nn.Linear(2, 3)
    assert trace(model, (1, 2)).macs == 6


def test_no_parameters():
    got = trace(nn.AvgPool2d(2), (1, 2, 4, 4))
    assert (got.macs, got.totals.bytes) == (0, 4 * (32 + 8))
