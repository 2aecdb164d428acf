"""``fuse``: what is replaced, what is left alone, and what a broken ``fuse()`` is answered with."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import attnbench
from attnbench.errors import PluginError, RequestError
from attnbench.models.block_layers import Inserted
from attnbench.models.fuse import fuse, has_fused_form


class Doubled(nn.Module):
    """What :class:`Twice` becomes."""

    def forward(self, x):
        return x * 2


class Twice(nn.Module):
    """An attention module with an inference form."""

    def __init__(self, channels, *, result=Doubled):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))
        self.result = result

    def forward(self, x):
        return x * self.factor

    def fuse(self):
        return self.result()


class Plain(nn.Module):
    """An attention module without one."""

    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return x + 1


class Block(nn.Module):
    """A part of a backbone that happens to have a method of this name."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return self.norm(self.conv(x))

    def fuse(self):
        raise AssertionError("not an attention module")


def network(attention=Twice, **options):
    return nn.Sequential(
        Inserted(Block(), attention(8, **options)), nn.ReLU(), Inserted(nn.Identity(), Plain(8))
    )


def test_replaces_attention_modules_only_and_keeps_the_output():
    model = network()
    fused = fuse(model)
    assert [type(one) for one in fused.modules() if not list(one.children())] == [
        nn.Conv2d,
        nn.BatchNorm2d,
        Doubled,
        nn.ReLU,
        nn.Identity,
        Plain,
    ]
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(fused(x), model.eval()(x))


def test_leaves_the_model_alone():
    model = network().train()
    before = copy.deepcopy(model.state_dict())
    fused = fuse(model)
    assert all(module.training for module in model.modules())
    assert not any(module.training for module in fused.modules())
    assert isinstance(model[0].attention, Twice)
    with torch.no_grad():
        fused[0].block.conv.weight.zero_()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_takes_a_module_alone():
    assert isinstance(fuse(Twice(8)), Doubled)
    plain = Plain(8)
    copied = fuse(plain)
    assert isinstance(copied, Plain)
    assert copied is not plain


def test_says_whether_there_is_an_inference_form():
    assert has_fused_form(network())
    assert has_fused_form(Twice(8))
    assert has_fused_form(Twice)
    assert not has_fused_form(Plain(8))
    assert not has_fused_form(Plain)
    assert not has_fused_form(network(Plain))
    assert not has_fused_form(nn.Sequential(Block()))


def test_a_fuse_that_raises_is_the_plugins_fault():
    def fails():
        raise ValueError("no statistics")

    with pytest.raises(PluginError, match=r"Twice at 0\.attention: .*ValueError: no statistics"):
        fuse(network(result=fails))
    with pytest.raises(PluginError, match=r"^Twice: fuse\(\) fails"):
        fuse(Twice(8, result=fails))


def test_a_fuse_that_returns_no_module_is_the_plugins_fault():
    with pytest.raises(PluginError, match=r"Twice at 0\.attention: .*got a NoneType"):
        fuse(network(result=lambda: None))


def test_what_is_no_module_is_refused():
    with pytest.raises(RequestError, match="got a str"):
        fuse("mobilenet_v2")


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_whole_network_gives_the_same_logits(layout):
    torch.manual_seed(0)
    backbone = attnbench.create_backbone("mobilenet_v2", num_classes=10)
    model = attnbench.insert(backbone, "after:13,14,16,17", "ulsam", groups=4)
    model = model.eval().to(memory_format=layout)
    fused = fuse(model)
    x = torch.randn(1, 3, 96, 96).contiguous(memory_format=layout)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), model(x), rtol=1e-5, atol=1e-6)
    kinds = [type(one.attention).__name__ for one in fused.modules() if isinstance(one, Inserted)]
    assert kinds == ["FusedULSAM"] * 4
