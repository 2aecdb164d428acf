"""Squeeze-and-excitation against its two equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.se import SE

CARD = SE.card


def reference(module, image):
    z = torch.stack([channel.sum() / channel.numel() for channel in image])
    hidden = module.squeeze.weight[:, :, 0, 0] @ z
    hidden = (hidden + module.squeeze.bias if module.squeeze.bias is not None else hidden).relu()
    gate = module.excite.weight[:, :, 0, 0] @ hidden
    gate = gate + module.excite.bias if module.excite.bias is not None else gate
    return torch.stack([x / (1 + (-g).exp()) for x, g in zip(image, gate, strict=True)])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("reduction", [2, 16])
def test_equals_the_equations(bias, reduction):
    torch.manual_seed(0)
    module = SE(12, reduction=reduction, bias=bias).double()
    x = torch.randn(2, 12, 3, 5, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


def test_known_counts():
    assert CARD.params(512) == 33_312
    assert CARD.params(512, bias=False) == 32_768
    assert CARD.macs(512, 14, 14) == CARD.macs(512, 1, 1) == 32_768
    assert CARD.printed.params(512) == CARD.printed.macs(512, 14, 14) == 32_768


def test_fewer_channels_than_the_reduction_leave_one_hidden_channel():
    assert SE(8).squeeze.out_channels == 1
    assert CARD.params(8) == 2 * 8 + 1 + 8


def test_bad_reduction_is_refused():
    with pytest.raises(ValueError, match=r"SE\(channels=16, reduction=0.*1 or more"):
        SE(16, reduction=0)
