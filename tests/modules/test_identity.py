from __future__ import annotations

import torch
from attnbench_modules.identity import Identity


def test_returns_its_input_and_costs_nothing():
    x = torch.randn(2, 8, 3, 5)
    module = Identity(8)
    assert module(x) is x
    assert list(module.state_dict()) == []
    assert (Identity.card.params(512), Identity.card.macs(512, 14, 14)) == (0, 0)
    assert Identity.card.official == {}
