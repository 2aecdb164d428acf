"""The compiled module, once: the compiler is slow."""

import pytest
import torch

from attnbench.runtimes.registry import runtime

from .clean import Clean, assert_found, statuses


class AnotherWhenCompiled(Clean):
    def forward(self, x):
        return x if torch.compiler.is_compiling() else super().forward(x)


@pytest.mark.skipif(runtime("compile").missing() is not None, reason="needs a C++ compiler")
def test_inductor():
    before = torch._dynamo.config.recompile_limit, torch.get_num_threads()
    assert_found(AnotherWhenCompiled, "inductor", "the plain form at 1x64x14x14 in torch.compile")
    assert statuses(Clean, "inductor") == ["ok"]
    assert before == (torch._dynamo.config.recompile_limit, torch.get_num_threads())
