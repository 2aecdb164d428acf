"""What the cards say of timm's layers: where they agree with ours, and where they do not."""

from __future__ import annotations

import inspect

import pytest
import torch
from attnbench_modules.cbam import CBAM
from attnbench_modules.non_local import NonLocal
from attnbench_modules.se import SE
from timm.layers import create_attn, get_attn

CbamModule, NonLocalAttn, SEModule = get_attn("cbam"), get_attn("nl"), get_attn("se")

SHAPE = (3, 64, 7, 9)


def moved(module):
    """Move all parameters and statistics off their start, so that nothing hides behind a zero."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for name, buffer in module.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
            elif name.endswith("running_mean"):
                buffer.normal_(std=0.1)
    return module.double()


def copied(ours, theirs, **layers):
    """Give ``theirs`` the weights of ``ours``: our layer's name to theirs, dots as ``__``."""
    for own, other in layers.items():
        source = ours.get_submodule(own.replace("__", "."))
        theirs.get_submodule(other).load_state_dict(source.state_dict())
    return theirs.double()


def assert_equal(ours, theirs):
    x = torch.randn(SHAPE, dtype=torch.double)
    for training in (False, True):  # training first would move statistics by their momentum
        torch.testing.assert_close(
            ours.train(training)(x), theirs.train(training)(x), atol=1e-12, rtol=1e-12
        )


def assert_different(ours, theirs):
    x = torch.randn(SHAPE, dtype=torch.double)
    assert (ours.eval()(x) - theirs.eval()(x)).abs().max() > 1e-3


def test_se_is_timms_at_the_same_width():
    ours = moved(SE(64))
    theirs = SEModule(64, rd_channels=4)
    assert_equal(ours, copied(ours, theirs, squeeze="fc1", excite="fc2"))


def test_timms_se_rounds_to_the_nearest_multiple_of_eight():
    widths = {channels: SEModule(channels).fc1.out_channels for channels in (16, 64, 160, 512)}
    assert widths == {16: 8, 64: 8, 160: 8, 512: 32}
    assert [SE(channels).squeeze.out_channels for channels in widths] == [1, 4, 10, 32]


def cbams(**options):
    ours = moved(CBAM(64))
    theirs = CbamModule(64, **options)
    layers = {"mlp__0": "channel.fc1", "mlp__2": "channel.fc2", "spatial__1": "spatial.conv.bn"}
    copied(ours, theirs, **layers, spatial__0="spatial.conv.conv")
    return ours, theirs


def test_cbam_is_timms_with_biases_and_the_kernel_swapped():
    ours, theirs = cbams(mlp_bias=True)
    assert_different(ours, theirs)
    kernel = theirs.spatial.conv.conv.weight
    kernel.data = kernel.data.flip(1)
    assert_equal(ours, theirs)


def test_timms_cbam_has_no_biases_another_width_and_momentum():
    theirs = CbamModule(24)
    assert theirs.channel.fc1.bias is theirs.channel.fc2.bias is None
    assert (theirs.channel.fc1.out_channels, CBAM(24).mlp[0].out_channels) == (2, 1)
    assert (theirs.spatial.conv.bn.momentum, CBAM(24).spatial[1].momentum) == (0.1, 0.01)


def non_locals(use_scale):
    ours = moved(NonLocal(64, reduction=8, scale=use_scale))
    theirs = NonLocalAttn(64, use_scale=use_scale)
    return ours, copied(ours, theirs, theta="t", phi="p", g="g", out="z", norm="norm")


def test_non_local_is_timms_without_the_scale():
    assert_equal(*non_locals(use_scale=False))


def test_timms_non_local_divides_by_the_root_of_all_channels():
    ours, theirs = non_locals(use_scale=True)
    assert_different(ours, theirs)
    for parameter in theirs.t.parameters():
        parameter.data *= (64 / 8) ** 0.5  # takes its sqrt(C) to our sqrt(d)
    assert_equal(ours, theirs)


def test_timms_non_local_is_narrower():
    widths = {channels: NonLocalAttn(channels).t.out_channels for channels in (16, 64, 96, 512)}
    assert widths == {16: 8, 64: 8, 96: 16, 512: 64}
    assert [NonLocal(channels).theta.out_channels for channels in widths] == [8, 32, 48, 256]


@pytest.mark.parametrize("name", ["ulsam", "bam", "double_attention", "a2", "identity"])
def test_timm_has_none_of_the_others(name):
    with pytest.raises(AssertionError, match="Invalid attn module"):
        get_attn(name)


def test_timm_leaves_attention_out_where_it_is_none():
    assert create_attn(None, 64) is None


def test_timms_bottleneck_is_self_attention():
    documentation = inspect.getmodule(get_attn("bottleneck")).__doc__
    assert "Bottleneck Transformers" in documentation
    assert "num_heads" in inspect.signature(get_attn("bottleneck")).parameters
