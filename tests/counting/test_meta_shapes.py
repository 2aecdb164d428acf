import itertools
from contextlib import suppress

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench.counting.meta_shapes import _RULES, fast_output


class Compare(TorchDispatchMode):
    """Holds every fast answer against torch's own meta kernel."""

    def __init__(self):
        super().__init__()
        self.answered = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        fast = fast_output(func, args, kwargs)
        real = func(*args, **kwargs)
        if fast is not NotImplemented:
            self.answered.append(func)
            assert describe(fast) == describe(real), func
        return real


def describe(output):
    tensors = output if isinstance(output, tuple) else (output,)
    return [(tuple(t.shape), t.dtype, t.device.type, t.stride()) for t in tensors]


def compare(function, *shapes, dtype=torch.float32):
    with torch.no_grad(), Compare() as mode:
        function(*(torch.empty(shape, device="meta", dtype=dtype) for shape in shapes))
    return mode.answered


GEOMETRIES = list(itertools.product((1, 2), (0, 1), (1, 2), (1, 4), (0, 1)))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3])
def test_convolutions(dims, kernel):
    for geometry in GEOMETRIES:
        assert convolution(dims, kernel, *geometry) == [torch.ops.aten.convolution.default], (
            geometry
        )


def convolution(dims, kernel, stride, padding, dilation, groups, bias):
    function = (F.conv1d, F.conv2d, F.conv3d)[dims - 1]
    weight = (8, 4 // groups, *[kernel] * dims)
    shapes = [(2, 4, *range(7, 7 + dims)), weight] + [(8,)] * bias
    return compare(
        lambda *tensors: function(
            *tensors, stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
        *shapes,
    )


UNARY = {
    "relu": F.relu,
    "relu_": lambda x: F.relu(x, inplace=True),
    "hardtanh": F.relu6,
    "hardtanh_": lambda x: F.relu6(x, inplace=True),
    "hardswish": F.hardswish,
    "hardswish_": lambda x: F.hardswish(x, inplace=True),
    "hardsigmoid": F.hardsigmoid,
    "hardsigmoid_": lambda x: F.hardsigmoid(x, inplace=True),
    "leaky_relu": F.leaky_relu,
    "leaky_relu_": lambda x: F.leaky_relu(x, 0.1, inplace=True),
    "elu": F.elu,
    "elu_": lambda x: F.elu(x, inplace=True),
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "mish": F.mish,
    "mish_": lambda x: F.mish(x, inplace=True),
    "silu": F.silu,
    "silu_": lambda x: F.silu(x, inplace=True),
    "softplus": lambda x: F.softplus(x, 2, 10),
    "sigmoid": torch.sigmoid,
    "sigmoid_": torch.sigmoid_,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "_softmax": lambda x: F.softmax(x, 1),
    "_safe_softmax": lambda x: torch.ops.aten._safe_softmax(x, -1),
}


DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


@pytest.mark.parametrize("name", UNARY)
def test_element_wise(name):
    for dtype, shape in itertools.product(DTYPES, [(2, 3, 4, 5), (2, 3), (3, 0)]):
        answered = compare(UNARY[name], shape, dtype=dtype)
        assert [func._overloadpacket.__name__ for func in answered] == [name], (dtype, shape)


@pytest.mark.parametrize("shape", [(2, 4, 3, 3), (2, 4), (2, 4, 3), (2, 4, 3, 3, 3)])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(shape, affine):
    extra = [(4,)] * (4 if affine else 2)
    answered = compare(lambda x, m, v, *a: F.batch_norm(x, m, v, *a), shape, *extra)
    assert answered == [torch.ops.aten.native_batch_norm.default]


@pytest.mark.parametrize("inner", [1, 2, 3])
@pytest.mark.parametrize("affine", [0, 1, 2])
def test_layer_norm(inner, affine):
    normalised = (3, 4, 5)[-inner:]
    function = lambda x, *a: F.layer_norm(x, normalised, *a)  # noqa: E731
    answered = compare(function, (2, 3, 4, 5), *[normalised] * affine)
    assert answered == [torch.ops.aten.native_layer_norm.default]


@pytest.mark.parametrize("right", [(2, 4, 3, 3), (2, 4, 1, 1), (1, 1, 3, 3), (1, 4, 3, 1)])
def test_broadcast(right):
    answered = compare(lambda a, b: (a * b, torch.add(a, b, alpha=2)), (2, 4, 3, 3), right)
    assert answered == [torch.ops.aten.mul.Tensor, torch.ops.aten.add.Tensor]


def test_addmm():
    assert compare(F.linear, (2, 3), (5, 3), (5,))[-1] == torch.ops.aten.addmm.default


REFUSED = {
    "channels": (F.conv2d, [(1, 3, 5, 5), (4, 2, 1, 1)]),
    "kernel larger than the image": (F.conv2d, [(1, 3, 2, 2), (4, 3, 5, 5)]),
    "bias size": (F.conv2d, [(1, 3, 5, 5), (4, 3, 1, 1), (5,)]),
    "zero stride": (lambda x, w: F.conv2d(x, w, stride=0), [(1, 3, 5, 5), (4, 3, 1, 1)]),
    "negative padding": (lambda x, w: F.conv2d(x, w, padding=-1), [(1, 3, 5, 5), (4, 3, 1, 1)]),
    "groups": (lambda x, w: F.conv2d(x, w, groups=2), [(1, 4, 5, 5), (3, 2, 1, 1)]),
    "layer norm size": (lambda x: F.layer_norm(x, (4,)), [(2, 3)]),
    "sizes that do not match": (torch.add, [(2, 3), (2, 4)]),
    "linear": (torch.addmm, [(5,), (2, 3), (4, 5)]),
}


@pytest.mark.parametrize(("function", "shapes"), REFUSED.values(), ids=REFUSED)
def test_wrong_sizes_are_left_to_the_real_kernel(function, shapes):
    with suppress(RuntimeError, ValueError, ZeroDivisionError), torch.no_grad(), Answer():
        function(*(torch.empty(shape, device="meta") for shape in shapes))


class Answer(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert fast_output(func, args, kwargs or {}) is NotImplemented, func
        return func(*args, **(kwargs or {}))


def test_special_layouts_and_values_take_the_real_kernel():
    last = torch.empty(1, 4, 5, 5, device="meta").to(memory_format=torch.channels_last)
    whole = torch.ones(2, 3, device="meta", dtype=torch.int64)
    weight = torch.empty(4, 4, 1, 1, device="meta")
    view = torch.empty(3, 2, device="meta").t()
    with torch.no_grad(), Answer():
        F.conv2d(last, weight)
        F.relu(last)
        F.relu(view)
        last * last
        whole + whole
        F.relu(whole)
        F.conv_transpose2d(last.contiguous(), weight)
        F.batch_norm(last.contiguous(), None, None, training=True)
        F.relu(torch.zeros(2))
        view + 1


def test_every_rule_is_tested():
    tested = {
        *UNARY,
        "convolution",
        "native_batch_norm",
        "native_layer_norm",
        "add",
        "mul",
        "addmm",
    }
    assert {func._overloadpacket.__name__ for func in _RULES} == tested
