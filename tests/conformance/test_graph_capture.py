"""Mutants that the compiler cuts into pieces, and that export with one batch only."""

from pathlib import Path

import pytest
import torch
from torch import nn

from .clean import Clean, assert_found, findings, statuses


class Branches(Clean):
    def forward(self, x):
        return super().forward(x) if x.mean() > 0 else x


class BreaksInTraining(Clean):
    def forward(self, x):
        if self.training:
            torch._dynamo.graph_break()
        return super().forward(x)


class GoesByNumPy(Clean):
    def forward(self, x):
        mean = x.detach().numpy().mean().tolist()
        return super().forward(x) * mean


class ReadsAFile(Clean):
    """Reads from outside: no graph can."""

    def forward(self, x):
        Path(__file__).read_bytes()
        return super().forward(x)


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (Branches, "is not one graph in eval at 3x32x7x9"),
        (BreaksInTraining, "is not one graph in training"),
        (GoesByNumPy, "is not one graph in eval"),
        (ReadsAFile, "is not one graph in eval"),
    ],
)
def test_breaks_are_found(mutant, text):
    assert_found(mutant, "graph", text)


def test_the_reason_of_a_break_is_one_line():
    (found,) = findings(BreaksInTraining, "graph")
    assert "graph_break" in found.reason and "\n" not in found.reason


def fixed(batch):
    """Views maps by a number of images: what a trace with a constant in it amounts to."""

    class Fixed(Clean):
        def gate(self, x):
            size = batch if x.shape[0] == batch else x.shape[0]
            return super().gate(x).view(size, -1, 1, 1)

    return Fixed


class BranchesOnTheBatch(Clean):
    def forward(self, x):
        return super().forward(x) if x.shape[0] < 5 else x


class MakesAParameterOfTheBatch(Clean):
    """Keeps what it saw of the example's batch as a number."""

    def forward(self, x):
        batch = int(torch.tensor(x.shape[0]))
        return super().forward(x).view(batch, *x.shape[1:])


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (fixed(3), "specialized it to be a constant (3)"),
        (fixed(2), "from an example of 3"),
        (BranchesOnTheBatch, "from an example of 3"),
        (MakesAParameterOfTheBatch, "from an example of 3"),
        (Branches, "cannot be exported"),
    ],
)
def test_exports_take_any_batch(mutant, text):
    assert_found(mutant, "export", text)


class FixedSize(Clean):
    """A weight for each position."""

    def __init__(self, channels, *, feature_size=None):
        super().__init__(channels)
        self.place = nn.Parameter(torch.ones(1, 1, *feature_size))

    def forward(self, x):
        return super().forward(x) * self.place


@pytest.mark.parametrize(("sound", "free"), [(Clean, True), (FixedSize, False)])
def test_sound_modules_pass(sound, free):
    assert statuses(sound, "graph") == ["ok"]
    (found,) = findings(sound, "export")
    assert found.status == "ok" and found.values["dynamic_size"] is free


def test_the_compiler_is_left_as_it_was():
    before = torch._dynamo.config.recompile_limit
    findings(Branches, "graph")
    assert torch._dynamo.config.recompile_limit == before
    calls = []

    def backend(module, _inputs):
        calls.append(module)
        return module.forward

    torch.compile(Clean(8), backend=backend)(torch.zeros(1, 8, 4, 4))
    assert len(calls) == 1
    torch._dynamo.reset()
