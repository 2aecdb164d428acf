"""Inference forms against the plain forms in eval; a module that gains ``fuse()`` is tested too."""

from __future__ import annotations

import copy
import io
import itertools
import pickle

import pytest
import torch
from attnbench_modules.ulsam import ULSAM
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from .table import NAMES, cases, create, load

SIZES = ((7, 7), (14, 14), (9, 5), (1, 1), (1, 7), (7, 1), (2, 2), (3, 2))
TOLERANCE = {
    torch.float64: (1e-11, 1e-12),
    torch.float32: (1e-5, 1e-5),
    torch.bfloat16: (6e-2, 6e-2),
    torch.float16: (1e-2, 1e-2),
}


NAMED = [name for name in NAMES if hasattr(load(name), "fuse")]
every_module = pytest.mark.parametrize("name", NAMED)
every_case = cases(NAMED)


def build(name, options=None, channels=32, size=(7, 9)):
    """Build a module in eval, away from its start, with batch norms of either sign."""
    module = create(name, options, channels, size).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    for norm in norms(module):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.3, 3)
    return module


def norms(module):
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


def assert_same(fused, plain, x):
    with torch.no_grad():
        given = x.clone(memory_format=torch.preserve_format)
        actual, expected = fused(x), plain(x)
    what = f"{x.dtype}, {tuple(x.shape)}, strides {x.stride()}"
    assert torch.equal(x, given), what
    assert actual.dtype == expected.dtype, what
    for layout in (torch.contiguous_format, torch.channels_last):
        same = actual.is_contiguous(memory_format=layout)
        assert same == expected.is_contiguous(memory_format=layout), what
    rtol, atol = TOLERANCE[x.dtype]
    torch.testing.assert_close(
        actual,
        expected,
        rtol=rtol,
        atol=atol * max(1.0, expected.abs().max().item()),
        msg=lambda text: f"{what}: {text}",
    )


# --- the same output --------------------------------------------------------------------------


LIGHT = {
    "eca",
    "effective_se",
    "ela",
    "fca",
    "gct",
    "identity",
    "mca",
    "mlca",
    "scse",
    "sge",
    "shuffle",
    "simam",
}
"""Without an inference form: there is nothing to fold and no pass to save."""


def test_heavy_modules_have_an_inference_form():
    assert set(NAMES) - LIGHT == set(NAMED)


@every_case
def test_equals_the_plain_form(name, options):
    for size in SIZES:
        built = build(name, options, size=size)
        for dtype in TOLERANCE:
            if dtype.itemsize > 2 or size in SIZES[:3]:
                plain = copy.deepcopy(built).to(dtype)
                assert_same_in_both_layouts(plain.fuse(), plain, size, dtype)


def assert_same_in_both_layouts(fused, plain, size, dtype):
    batches = (1, 3) if dtype == torch.float64 else (2,)
    for layout, batch in itertools.product((torch.contiguous_format, torch.channels_last), batches):
        x = torch.randn(batch, 32, *size).to(dtype).contiguous(memory_format=layout)
        assert_same(fused, plain, x)


@every_module
def test_equals_the_plain_form_on_large_maps(name):
    plain = build(name, channels=24, size=(56, 56))
    fused = plain.fuse()
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 24, 56, 56).contiguous(memory_format=layout)
        assert_same(fused, plain, x)


@every_module
def test_takes_maps_that_are_not_contiguous(name):
    plain = build(name).double()  # sums in another order: single precision differs by its roundings
    fused = plain.fuse()
    wide = torch.randn(4, 64, 7, 18, dtype=torch.double)
    for x in (wide[:, ::2, :, ::2], wide[::2, 32:, :, 3:12], wide[:, :32, :, :9].transpose(2, 3)):
        with torch.no_grad():
            torch.testing.assert_close(fused(x), plain(x))


@cases([name for name in NAMED if norms(load(name)(32))])
def test_folds_extreme_statistics(name, options):
    plain = build(name, options).double()
    for norm in norms(plain):
        with torch.no_grad():
            norm.running_var[::3] = 1e-9
            norm.running_var[1::3] = 1e5
            norm.weight[::5] = 0
            norm.bias[::4] = 3
            norm.weight[1::4] *= -1
    x = torch.randn(2, 32, 7, 9, dtype=torch.double)
    assert_same(plain.fuse(), plain, x)
    # in single precision neither form may stray further from the truth than a few roundings
    exact, single = plain(x), copy.deepcopy(plain).float()
    error = (single.fuse()(x.float()) - exact).abs().max()
    bound = (single(x.float()) - exact).abs().max()
    assert error <= 3 * bound + 1e-6 * exact.abs().max()


@every_module
def test_values_that_are_not_finite_spread_no_further(name):
    plain = build(name).double()
    for value in (float("inf"), float("-inf"), float("nan")):
        x = torch.randn(2, 32, 7, 9, dtype=torch.double)
        x[0, 3, 2, 8] = value
        with torch.no_grad():
            actual, expected = plain.fuse()(x), plain(x)
        assert torch.equal(actual[1].isfinite(), expected[1].isfinite())
        torch.testing.assert_close(actual[1], expected[1])


@every_module
def test_gradient_of_the_input_is_that_of_the_plain_form(name):
    plain = build(name).double()
    leaves = [torch.randn(2, 32, 7, 9, dtype=torch.double, requires_grad=True)]
    leaves.append(leaves[0].detach().clone().requires_grad_())
    for module, leaf in zip((plain.fuse(), plain), leaves, strict=True):
        (module(leaf) ** 3).sum().backward()
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad)


# --- the form itself --------------------------------------------------------------------------


MORE = {"ema": lambda plain: 9 * plain.conv3x3.in_channels + 1}
"""Parameters that an inference form has on top: EMA's 3x3 convolution has one plane more."""


@every_case
def test_has_no_batch_norm_nothing_to_train_and_few_parameters(name, options):
    plain = build(name, options)
    fused = plain.fuse()
    assert not fused.training
    assert not norms(fused)
    assert not any(p.requires_grad for p in fused.parameters())
    counts = [sum(p.numel() for p in one.parameters()) for one in (fused, plain)]
    assert counts[0] <= counts[1] + MORE.get(name, lambda _: 0)(plain)


@every_module
def test_shares_nothing_with_the_plain_form_and_leaves_it_alone(name):
    plain = build(name).train()
    before = copy.deepcopy(plain.state_dict())
    fused = plain.fuse()
    x = torch.randn(2, 32, 7, 9)
    expected = fused(x)
    assert plain.training
    assert all(torch.equal(value, before[key]) for key, value in plain.state_dict().items())
    with torch.no_grad():
        for tensor in plain.state_dict().values():
            tensor.zero_()
    assert torch.equal(fused(x), expected)


@every_module
def test_exports_with_any_batch_size(name):
    plain = build(name)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        plain.fuse(), (torch.randn(2, 32, 7, 9),), dynamic_shapes=({0: batch},), strict=False
    )
    x = torch.randn(5, 32, 7, 9)
    torch.testing.assert_close(program.module()(x), plain(x), rtol=1e-5, atol=1e-5)


@every_module
def test_is_one_graph_to_the_compiler(name):
    plain, layout = build(name), torch.channels_last
    torch._dynamo.reset()
    compiled = torch.compile(plain.fuse(), backend="eager", fullgraph=True)
    for batch in (1, 3):  # the second is any other
        x = torch.randn(batch, 32, 7, 9).contiguous(memory_format=layout)
        assert_same(compiled, plain, x)


@every_module
def test_deepcopy_pickle_and_state_dict(name):
    fused = build(name).fuse()
    x = torch.randn(2, 32, 7, 9)
    saved = io.BytesIO()
    torch.save(fused.state_dict(), saved)
    saved.seek(0)
    fresh = build(name).fuse()  # of the same size, with weights that are not the module's
    with torch.no_grad():
        for tensor in fresh.state_dict().values():
            tensor.zero_()
    fresh.load_state_dict(torch.load(saved, weights_only=True))
    for same in (fresh, copy.deepcopy(fused), pickle.loads(pickle.dumps(fused))):
        assert torch.equal(same(x), fused(x))


# --- ULSAM ------------------------------------------------------------------------------------


class Subspaces(nn.Module):
    """The released structure in plain layers: one small network a subspace, in a loop."""

    def __init__(self, plain):
        super().__init__()
        self.parts = nn.ModuleList()
        for i in range(plain.groups):
            width = plain.depthwise.out_channels // plain.groups
            layers = (
                nn.Conv2d(width, width, 1, groups=width),
                nn.BatchNorm2d(width),
                nn.Conv2d(width, 1, 1),
                nn.BatchNorm2d(1),
            )
            whole = (
                plain.depthwise,
                plain.depthwise_norm,
                plain.pointwise,
                plain.pointwise_norm,
            )
            for layer, source in zip(layers, whole, strict=True):
                size = len(layer.bias)
                state = {
                    key: value[i * size : (i + 1) * size] if value.ndim else value
                    for key, value in source.state_dict().items()
                }
                layer.load_state_dict(state)
            self.parts.append(nn.ModuleList(layers).to(plain.depthwise.weight.dtype))
        self.eval()

    def forward(self, x):
        outputs = []
        for (first, norm, second, last), part in zip(
            self.parts, x.chunk(len(self.parts), dim=1), strict=True
        ):
            features = nn.functional.max_pool2d(norm(first(part)).relu(), 3, 1, 1)
            scores = last(second(features)).relu()
            weights = scores.flatten(1).softmax(1).reshape(scores.shape)
            outputs.append(part * weights + part)
        return torch.cat(outputs, dim=1)


@pytest.mark.parametrize("groups", [1, 4, 16, 64])
@pytest.mark.parametrize("size", [(14, 14), (7, 7), (1, 6), (6, 1), (2, 2), (1, 1)])
def test_ulsam_equals_the_released_structure(groups, size):
    plain = build("ulsam", {"groups": groups}, channels=64, size=size)
    reference, fused = Subspaces(plain), plain.fuse()
    x = 3 * torch.randn(2, 64, *size)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), reference(x), rtol=1e-5, atol=1e-6)


class Operators(TorchDispatchMode):
    """Notes the operators that run."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_ulsam_runs_neither_pool_nor_convolution_nor_norm(layout):
    fused = build("ulsam").fuse()
    x = torch.randn(1, 32, 14, 14).contiguous(memory_format=layout)
    with torch.no_grad(), Operators() as operators:
        fused(x)
    assert "aten.addcmul.default" in operators.seen
    slow = [name for name in operators.seen if any(w in name for w in ("pool", "conv", "norm"))]
    assert slow == []


def test_ulsam_keeps_only_live_parameters():
    fused = ULSAM(512, groups=16).fuse()
    assert sum(p.numel() for p in fused.parameters()) == 3 * 512 + 16
