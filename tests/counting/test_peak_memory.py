"""Peaks of small nets, each worked by hand; U is the bytes of one (1, 4, 8, 8) fp32 map."""

import copy

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from attnbench.counting.peak_memory import peak_activations
from attnbench.errors import CountingError, RequestError

U = 4 * 8 * 8 * 4  # 1024


def peak_bytes(model, image):
    return peak_activations(model, image).bytes


class Apply(nn.Module):
    def __init__(self, forward, **parts):
        super().__init__()
        self.run = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor):
        return self.run(self, x)


def image(batch=1, channels=4, dtype=torch.float32):
    return torch.zeros(batch, channels, 8, 8, dtype=dtype)


def conv(inputs=4, outputs=4, **options):
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


def bytes_of(forward, **parts):
    return peak_bytes(Apply(forward, **parts), image())


# -- chains: an operator's input and output are live while it runs, then the input is free


def test_one_convolution_holds_input_and_output():
    assert peak_bytes(conv(4, 8), image()) == U + 2 * U


def test_a_chain_holds_two_maps_at_a_time():
    # conv: x + 2U; conv: 2U + 2U; conv: 2U + U
    net = nn.Sequential(conv(4, 8), conv(8, 8), conv(8, 4))
    assert peak_bytes(net, image()) == 4 * U


def test_relu_in_place_costs_nothing_and_out_of_place_a_copy():
    # conv: U + 2U = 3U; relu: 2U + 2U = 4U; in place: 2U
    assert peak_bytes(nn.Sequential(conv(4, 8), nn.ReLU()), image()) == 4 * U
    assert peak_bytes(nn.Sequential(conv(4, 8), nn.ReLU(inplace=True)), image()) == 3 * U


def test_dropout_in_eval_mode_is_its_input():
    net = nn.Sequential(conv(4, 8), nn.Dropout(), nn.Identity()).train()
    assert peak_bytes(net, image()) == 3 * U
    assert net.training


def test_weights_and_buffers_do_not_count():
    net = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 31, padding=15))
    assert peak_bytes(net, image()) == 2 * U


# -- what is used later stays


def test_a_residual_keeps_its_source_until_the_addition():
    # conv1: U + U; conv2: x, a, b = 3U; add: x, b, sum = 3U
    assert bytes_of(lambda m, x: x + m.b(m.a(x)), a=conv(), b=conv()) == 3 * U


def test_a_residual_added_in_place():
    # wider branch: conv1: U + 4U; conv2: x + 4U + U = 6U; in place: x + b
    net = Apply(lambda m, x: m.b(m.a(x)).add_(x), a=conv(4, 16), b=conv(16, 4))
    assert peak_bytes(net, image()) == 6 * U
    # alone it shows: conv: x + b; add_: x + b, no third map
    assert bytes_of(lambda m, x: m.a(x).add_(x), a=conv()) == 2 * U


def test_the_input_is_freed_after_its_last_use():
    # sin: x + a; cos: a + b; were the input kept, cos would hold three
    assert bytes_of(lambda m, x: x.sin().cos()) == 2 * U


def test_outputs_live_to_the_end():
    # a: x, a; b: x, a, b; c: b and c and a, which is returned = 3U; d: a, c, d = 3U
    def forward(m, x):
        a, b = x.sin(), x.cos()
        return a, b.exp().tanh()

    assert bytes_of(forward) == 3 * U


def test_an_input_that_is_returned_stays():
    # sin: x, a; cos: x, a, b
    assert bytes_of(lambda m, x: (x, x.sin().cos())) == 3 * U


def test_a_net_that_does_nothing_holds_its_input():
    assert peak_bytes(nn.Identity(), image()) == U


# -- views and copies


def test_views_are_free():
    # sin: x + a; all views of a; cos: a + b
    def forward(m, x):
        y = x.sin().flatten(2).transpose(1, 2).unsqueeze(0).expand(3, 1, 64, 4)[0]
        return y.view(1, 64, 2, 2).cos()

    assert bytes_of(forward) == 2 * U


def test_a_view_keeps_its_whole_base():
    # the slice of 1/4 keeps the whole of a
    def forward(m, x):
        part = x.sin()[:, :1]  # a view of U bytes
        e = x.exp()  # x, a, e = 3U
        return part + e  # a, e, s = 3U

    def copied(m, x):
        part = x.sin()[:, :1].clone()  # x, a, 1/4 = 2.25U
        return part + x.exp()  # exp: x, 1/4, e = 2.25U; add: 1/4, e, s = 2.25U

    assert bytes_of(forward) == 3 * U
    assert bytes_of(copied) == 2.25 * U


def test_contiguous_and_reshape_copy_only_where_they_must():
    # contiguous of a contiguous map, reshape of one: nothing. sin: x + a, cos: a + b
    assert bytes_of(lambda m, x: x.sin().contiguous().reshape(1, -1).cos_()) == 2 * U

    # a transposed map must be copied; x lives on: x, a, copy = 3U
    def copies(last):
        return lambda m, x: (last(x.sin().transpose(1, 2)), x)

    assert bytes_of(copies(lambda t: t.contiguous())) == 3 * U
    assert bytes_of(copies(lambda t: t.reshape(1, -1))) == 3 * U
    assert bytes_of(copies(lambda t: t.flatten(1))) == 3 * U
    assert bytes_of(copies(lambda t: t.transpose(1, 2).flatten(1))) == 2 * U


def test_a_cast_to_the_same_dtype_is_free():
    assert bytes_of(lambda m, x: x.sin().to(torch.float32).cos_()) == 2 * U
    # sin: x + a; to: a + 2U = 3U
    assert bytes_of(lambda m, x: x.sin().to(torch.float64)) == 3 * U


def test_writing_into_a_slice_writes_the_base():
    # y: x, y; c: x, y, c (1/4) ; copy_ into y's slice: y, c; cos: y + b
    def forward(m, x):
        y = x.sin()
        y[:, :1] = x[:, :1].exp()
        return y.cos()

    assert bytes_of(forward) == 2.25 * U


def test_channels_last_counts_the_same():
    example = image().to(memory_format=torch.channels_last)
    net = nn.Sequential(conv(4, 8), nn.ReLU())
    assert peak_bytes(net, example) == 4 * U
    # NHWC rows and columns merge, channels with them do not: x (kept), a, copy

    def flat(start):
        return Apply(lambda m, x: (x.sin().flatten(start), x))

    assert peak_bytes(flat(2), example) == 2 * U
    assert peak_bytes(flat(1), example) == 3 * U
    assert peak_bytes(flat(1), image()) == 2 * U


# -- several outputs


def test_split_and_cat():
    # chunks are views of x; sin of each half: x + 1/2; x + 1/2 + 1/2 = 2U (x's last use);
    # cat: 1/2 + 1/2 + 1 = 2U
    def forward(m, x):
        a, b = x.chunk(2, dim=1)
        return torch.cat([a.sin(), b.sin()], dim=1)

    assert bytes_of(forward) == 2 * U

    # exp after it, while the second half of x is still to come: x, 1/2, e = 1/2 more
    def later(m, x):
        a, b = x.split([1, 3], dim=1)
        first = a.sin().exp()  # sin: x, 1/4; exp: x, 1/4, 1/4
        return first + b.sin()  # sin: x, 1/4, 3/4 = 2U; add: 1/4, 3/4, 3/4 (broadcast)

    assert bytes_of(later) == 2 * U


def test_an_operator_with_two_outputs():
    # max over channels: values U/4 fp32, indices U/2 (int64): x + 3/4 U; indices are not used:
    # sub: x + 1/4 + 1 = 2.25U
    def unused(m, x):
        return x - x.max(1, keepdim=True)[0]

    assert bytes_of(unused) == 2.25 * U

    # indices used at the end: sub: x + 1/4 + 1/2 + 1 = 2.75U; float add: 1 + 1/2 + 1
    def used(m, x):
        values, indices = x.max(1, keepdim=True)
        return (x - values) + indices

    assert bytes_of(used) == 2.75 * U


# -- blocks that the zoo is made of


def test_inverted_residual():
    # 4 -> 24 -> 4 channels at 8x8, i.e. 6U inside; x is kept for the addition:
    # expand: x + 6U; bn: x + 12U = 13U; relu6 in place; depthwise, bn: 13U each;
    # project: x + 6U + U; bn: x + U + U; add: 3U
    block = torchvision.models.mobilenetv2.InvertedResidual(4, 4, 1, 6)
    assert peak_bytes(block, image()) == 13 * U


def test_inverted_residual_without_addition():
    # 4 -> 24 -> 8: x is gone when bn runs: 12U
    block = torchvision.models.mobilenetv2.InvertedResidual(4, 8, 1, 6)
    found = peak_activations(block, image())
    assert found.bytes == 12 * U
    assert (found.operator, found.path) == ("aten.batch_norm.default", "conv.0.1")


def test_se_gate():
    # pooled (1,4,1,1) is 16 bytes; down (1,1,1,1) 4 bytes, relu 4, up 16, sigmoid 16;
    # last: x + gate + product = 2U + 16
    def forward(m, x):
        return x * torch.sigmoid(m.up(F.relu(m.down(F.adaptive_avg_pool2d(x, 1)))))

    assert bytes_of(forward, down=nn.Conv2d(4, 1, 1), up=nn.Conv2d(1, 4, 1)) == 2 * U + 16


def test_attention_matrices():
    # q, k, v: flattened convolutions, 64 tokens of 4; x stays for nothing: q: 2U, k: 3U, v: 4U
    # (x, q, k, v); q^T k: v, q, k + 64*64*4 bytes (16U) = 19U; softmax: v + 16U + 16U = 33U;
    # transposed view; v @ w: v + 16U + U
    def forward(m, x):
        q, k, v = (part(x).flatten(2) for part in (m.q, m.k, m.v))
        return v @ (q.transpose(1, 2) @ k).softmax(-1).transpose(1, 2)

    assert bytes_of(forward, q=conv(), k=conv(), v=conv()) == 33 * U


def test_mobilenet_v2():
    # features.0: conv 3x224x224 + 32x112x112, bn 2 * 401,408 elements; features.2 expands
    # 16x112x112 to 96x112x112 = 1,204,224 elements, and its norm is not in place: twice that,
    # and no block input beside it (stride 2, no addition). Later ones are smaller: features.3
    # 24x56x56 + 2 * 144x56x56 = 978,432.
    net = torchvision.models.mobilenet_v2()
    found = peak_activations(net, torch.zeros(1, 3, 224, 224))
    assert found.bytes == 2 * 96 * 112 * 112 * 4 == 9_633_792
    assert (found.operator, found.path) == ("aten.batch_norm.default", "features.2.conv.0.1")


# -- what it depends on


def test_batch_and_dtype_scale():
    net = torchvision.models.mobilenetv2.InvertedResidual(4, 4, 1, 6)
    one = peak_bytes(net, image())
    assert peak_bytes(net, image(batch=5)) == 5 * one
    assert peak_bytes(net.half(), image(dtype=torch.float16)) == one / 2


def test_a_part_of_a_larger_tensor_counts_as_itself():
    assert peak_bytes(nn.Identity(), image(batch=8)[:1]) == U
    assert peak_bytes(nn.Identity(), image().expand(3, 4, 8, 8)) == 3 * U


def test_the_model_is_not_changed():
    net = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(inplace=True)).train()
    before = copy.deepcopy(net.state_dict())
    peak_bytes(net, image())
    assert net[1].training
    assert all(torch.equal(one, before[key]) for key, one in net.state_dict().items())


def test_a_model_without_values_counts_the_same():
    net = nn.Sequential(conv(4, 8), nn.ReLU()).to("meta")
    assert peak_bytes(net, image()) == 4 * U


def test_a_tensor_made_inside_counts():
    # arange 32 bytes; sin: x, 32, 32; add: x, 32, U
    assert bytes_of(lambda m, x: x + torch.arange(8.0).sin()) == 2 * U + 32


def test_a_graph_within_the_graph():
    # in bfloat16: 4 -> 16 -> 4 channels are 2U and U/2; second convolution: x, 2U, U/2 = 3.5U;
    # float: x, U/2, U; add: x, U, U
    def forward(m, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = m.b(m.a(x))
        return y.float() + x

    assert bytes_of(forward, a=conv(4, 16), b=conv(16, 4)) == 3.5 * U


# -- what cannot be


def test_a_model_that_cannot_be_exported_says_why_in_one_line():
    def forward(m, x):
        return x if x.sum().item() > 0 else -x

    with pytest.raises(
        CountingError, match=r"^Apply has no analytic peak.*\(1, 4, 8, 8\)"
    ) as caught:
        bytes_of(forward)
    assert "\n" not in str(caught.value)


def test_nonsense_is_refused():
    with pytest.raises(RequestError, match="got Identity and tuple"):
        peak_activations(nn.Identity(), (1, 2))
