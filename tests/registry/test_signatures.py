import functools
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import nn

from attnbench.errors import PluginError, RequestError
from attnbench.registry.attention import from_callable
from attnbench.registry.plugins import register
from attnbench.registry.signatures import signature_of


def widths(**parameters):
    """Return a factory with these parameters; ``...`` stands for a required one."""
    named = [name if value is ... else f"{name}={value!r}" for name, value in parameters.items()]
    return eval(f"lambda {', '.join(named)}: None")


def width_of(factory):
    found = signature_of(factory)
    return found.width.name if found.width else found.doubtful and f"{found.doubtful}?"


class Bare(nn.Module):
    """A gate without a constructor."""

    def forward(self, x):
        return x * x.mean((2, 3), True).sigmoid()


class Plain(Bare):
    def __init__(self, e_lambda=1e-4):
        super().__init__()


class Inherited(Plain):
    """A gate whose constructor is its parent's."""


NAMES = [
    "channels",
    "channel",
    "in_channels",
    "inplanes",
    "in_planes",
    "planes",
    "dim",
    "c",
    "c1",
    "ch",
    "inp",
    "in_dim",
    "in_features",
    "num_channels",
    "n_feats",
    "gate_channels",
    "embed_dim",
    "width",
    "inChannels",
    "nf",
    "d_model",
]
OTHERS = [
    "kernel_size",
    "k_size",
    "reduction",
    "reduction_ratio",
    "groups",
    "num_heads",
    "dilation",
    "stride",
    "padding",
    "dim_head",
    "ch_per_group",
    "window_size",
    "size",
    "k",
    "r",
]


class TestWidth:
    @pytest.mark.parametrize("name", NAMES)
    def test_a_usual_name_with_a_default(self, name):
        assert width_of(widths(**{name: 512})) == name
        assert width_of(widths(**{name: None})) == name

    @pytest.mark.parametrize("name", OTHERS)
    def test_a_usual_name_of_something_else(self, name):
        assert width_of(widths(**{name: 8})) == ""

    @pytest.mark.parametrize("name", [*NAMES, "n", "size", "h", "whatever"])
    def test_a_required_first_parameter(self, name):
        assert width_of(widths(**{name: ..., "other": 3})) == name

    @pytest.mark.parametrize("default", [False, "sum", 0.5, (3, 5), [3], nn.ReLU])
    def test_a_default_that_is_no_number(self, default):
        assert width_of(lambda n=default: None) == width_of(lambda channels=default: None) == ""

    @pytest.mark.parametrize(
        "annotation",
        [bool, float, "str", list[int], Callable[[], nn.Module], nn.Module, torch.Tensor,
         Literal["a"], bool | None, type[nn.Module]],
    )  # fmt: skip
    def test_an_annotation_that_says_otherwise(self, annotation):
        def factory(first, other=2):
            return None

        factory.__annotations__["first"] = annotation
        assert width_of(factory) == ""
        factory.__annotations__["first"] = int | None
        assert width_of(factory) == "first"

    @pytest.mark.parametrize(
        ("factory", "width"),
        [
            (Bare, ""),
            (Plain, ""),
            (Inherited, ""),
            (lambda: None, ""),
            (lambda **kwargs: None, ""),
            (lambda *args, **kwargs: None, "args"),
            (lambda *, channels: None, "channels"),
            (lambda *, reduction=4: None, ""),
            (lambda *, reduction=4, dim=64: None, "dim"),
            (lambda kernel_size, channels: None, "channels"),
            (lambda level, channels: None, "channels"),
            (lambda c1, c2: None, "c1"),
            (functools.partial(lambda dim, reduction=4: None, 64), ""),
            (functools.partial(lambda reduction, dim: None, 4), "dim"),
            (lambda n=7: None, "n?"),
            (lambda dim=1: None, "dim?"),
            (lambda input_size=64: None, "input_size?"),
        ],
    )
    def test_forms_of_factories(self, factory, width):
        assert width_of(factory) == width


class Recording(Bare):
    """A gate that keeps its arguments."""

    def __init__(self, *given):
        super().__init__()
        self.given = given


def kernel(kernel_size=7):
    return Recording(kernel_size)


def doubtful(n=7):
    return Recording(n)


def second(c1, c2, ratio=4):
    return Recording(c1, c2, ratio)


def late(kernel_size, channels):
    return Recording(kernel_size, channels)


def anything(*args, **kwargs):
    return Recording(args, kwargs)


def mode(channels, mode="sum", parts=(1, 2)):
    return Recording(channels, mode, parts)


class TestBuild:
    @pytest.mark.parametrize(
        ("factory", "options", "given", "canonical"),
        [
            (kernel, {}, (7,), "kernel"),
            (kernel, {"kernel_size": 5}, (5,), "kernel,kernel_size=5"),
            (doubtful, {"n": 7}, (7,), "doubtful,n=7"),
            (doubtful, {"n": "channels"}, (16,), "doubtful,n=channels"),
            (second, {"c2": 8}, (16, 8, 4), "second,c2=8"),
            (second, {"c2": "channels", "ratio": 4}, (16, 16, 4), "second,c2=channels"),
            (second, {"c1": "channels", "c2": 8}, (16, 8, 4), "second,c2=8"),
            (second, {"c1": 4, "c2": 8}, (4, 8, 4), "second,c1=4,c2=8"),
            (late, {"kernel_size": 3}, (3, 16), "late,kernel_size=3"),
            (anything, {"dim": "channels"}, ((), {"dim": 16}), "anything,dim=channels"),
            (anything, {"k": [1, "channels"]}, ((16,), {"k": [1, 16]}), "anything,k=[1,channels]"),
            (mode, {"mode": "channels"}, (16, "channels", (1, 2)), "mode,mode=channels"),
            (mode, {"parts": [3, 4]}, (16, "sum", (3, 4)), "mode,parts=(3,4)"),
            (mode, {"parts": [1, 2]}, (16, "sum", (1, 2)), "mode"),
        ],
    )
    def test_the_width_and_the_options_reach_their_parameters(
        self, factory, options, given, canonical
    ):
        attention = from_callable(factory, options)
        assert attention.build(16, (4, 4)).given == given
        assert str(attention.spec) == canonical

    @pytest.mark.parametrize(
        ("factory", "options", "message"),
        [
            (
                second,
                {"ratio": 2},
                "second needs a value for c2: got 'second,ratio=2'. "
                "Write second,c2=channels,ratio=2",
            ),
            (
                lambda channels, shape, out_dim: None,
                {},
                "<lambda> needs a value for shape and out_dim: got '<lambda>'. "
                "Write <lambda>,out_dim=channels,shape=VALUE",
            ),
            (
                doubtful,
                {},
                "doubtful: n=7 may be its number of channels or not: got 'doubtful'. "
                "Write doubtful,n=channels, or doubtful,n=7 if it is not",
            ),
        ],
    )
    def test_a_missing_value_is_refused_with_the_spec_to_write(self, factory, options, message):
        with pytest.raises(RequestError) as caught:
            from_callable(factory, options)
        assert str(caught.value) == message

    def test_the_width_of_the_contract_is_no_option(self):
        with pytest.raises(RequestError, match="no option 'channels'"):
            from_callable(mode, {"channels": 3})
        assert str(from_callable(mode, {"channels": "channels"}).spec) == "mode"


def test_a_registered_module_that_needs_a_value_is_in_no_selection(fresh):
    register("two_widths")(second)
    register("gate")(Plain)
    assert [*fresh.loadable_modules()] == ["gate"]
    (failure,) = fresh.failures
    assert "two_widths,c2=VALUE" in failure.reason


def test_a_function_of_a_library_is_never_called(monkeypatch):
    called = []
    monkeypatch.setattr("os._exit", called.append)
    with pytest.raises(PluginError, match="built-in"):
        from_callable(called.append, {})
    assert called == []
