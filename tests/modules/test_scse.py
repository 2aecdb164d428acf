"""scSE against its equations, and its channel part against SE."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.scse import SCSE
from attnbench_modules.se import SE

CARD = SCSE.card


def reference(module, image, combine):
    means = torch.stack([channel.sum() / channel.numel() for channel in image])
    hidden = (module.squeeze.weight @ means + module.squeeze.bias).clamp(min=0)
    channel = 1 / (1 + (-(module.excite.weight @ hidden + module.excite.bias)).exp())
    weights, bias = module.spatial.weight.flatten(), module.spatial.bias
    y = torch.empty_like(image)
    for i in range(image.shape[1]):
        for j in range(image.shape[2]):
            position = 1 / (1 + (-(weights @ image[:, i, j] + bias)).exp())
            for c, value in enumerate(image[:, i, j]):
                both = value * channel[c], value * position
                y[c, i, j] = max(both) if combine == "max" else sum(both)
    return y


@pytest.mark.parametrize("combine", ["max", "add"])
@pytest.mark.parametrize("reduction", [2, 4, 16])
def test_equals_the_equations(combine, reduction):
    torch.manual_seed(0)
    module = SCSE(8, reduction=reduction, combine=combine).double()
    x = 3 * torch.randn(2, 8, 3, 4, dtype=torch.double)
    with torch.no_grad():
        expected = torch.stack([reference(module, image, combine) for image in x])
        torch.testing.assert_close(module(x), expected)


def test_the_channel_part_is_se():
    module, se = SCSE(16, combine="add"), SE(16, reduction=2)
    se.load_state_dict(
        {
            key: value
            for key, value in module.state_dict().items()
            if key in ("squeeze.bias", "excite.bias")
        }
        | {
            f"{name}.weight": getattr(module, name).weight[..., None, None]
            for name in ("squeeze", "excite")
        }
    )
    torch.nn.init.zeros_(module.spatial.weight)
    torch.nn.init.constant_(module.spatial.bias, -100)  # its gate is closed
    x = torch.randn(2, 16, 5, 5)
    torch.testing.assert_close(module(x), se(x))


def test_known_counts():
    assert CARD.params(512) == 2 * 512 * 256 + 256 + 512 + 512 + 1 == 263_425
    assert CARD.macs(512, 14, 14) == 2 * 512 * 256 + 512 * 196


def test_bibtex_is_safe_for_latex():
    assert r"Channel Squeeze \& Excitation in" in CARD.paper.bibtex()
