"""Mutants that write to their input, remember in eval, mix the images of a batch, or need several."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from .clean import Clean, assert_found, statuses


class InPlaceRelu(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.first = nn.ReLU(inplace=True)

    def forward(self, x):
        return super().forward(self.first(x))


class ThroughData(Clean):
    def forward(self, x):
        x.data.mul_(0.5)
        return super().forward(x)


class PutsItBack(Clean):
    def forward(self, x):
        x.mul_(2)
        y = super().forward(x)
        x.div_(2)
        return y


class OnlyInTraining(Clean):
    def forward(self, x):
        return super().forward(x.add_(1) if self.training else x)


class TurnsTheInput(Clean):
    def forward(self, x):
        y = super().forward(x)
        x.transpose_(2, 3)
        return y


class InPlaceOnTheLeaf(Clean):
    def forward(self, x):
        return super().forward(x[:, :, :, :].mul_(1) if x.requires_grad else x)


class BackwardInForward(Clean):
    def forward(self, x):
        y = super().forward(x)
        if x.requires_grad:
            y.sum().backward(retain_graph=True)
        return y


class StopsTheInput(Clean):
    def forward(self, x):
        y = super().forward(x)
        x.requires_grad = False
        return y


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (InPlaceRelu, "in eval forward changes its input by"),
        (ThroughData, "in training forward changes its input by"),
        (PutsItBack, "writes to its input and puts it back"),
        (OnlyInTraining, "in training forward changes"),
        (TurnsTheInput, "in eval forward turns its input from (3, 32, 7, 9)"),
        (InPlaceOnTheLeaf, "an input that is a leaf raises RuntimeError"),
        (BackwardInForward, "after forward alone the input has a gradient"),
    ],
)
def test_changed_inputs_are_found(mutant, text):
    assert_found(mutant, "input_kept", text)


class DropsInEval(Clean):
    def forward(self, x):
        return super().forward(F.dropout(x, 0.1))


class CountsCalls(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


class KeepsTheGate(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.last = None

    def forward(self, x):
        self.last = self.gate(x)
        return x * self.last


class KeepsTheGateInADict(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.seen = {"gate": torch.zeros(())}

    def forward(self, x):
        self.seen["gate"] = self.gate(x)
        return x * self.seen["gate"]


class RunningMeanInEval(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        self.mean.lerp_(x.mean((0, 2, 3), keepdim=True).detach(), 0.1)
        return super().forward(x - self.mean)


class TurnsWithTheSize(Clean):
    """Goes another way once it has seen another shape than the last one."""

    def __init__(self, channels):
        super().__init__(channels)
        self.shape, self.scale = None, 1.0

    def forward(self, x):
        if self.shape not in (None, x.shape):
            self.scale /= 2
        self.shape = x.shape
        return super().forward(x) * self.scale


class OtherEachBuild(Clean):
    built = 0

    def __init__(self, channels):
        super().__init__(channels)
        type(self).built += 1
        self.scale = type(self).built

    def forward(self, x):
        return super().forward(x) * self.scale


class TableForASize(Clean):
    """Sound: what it keeps depends on the size alone."""

    def __init__(self, channels):
        super().__init__(channels)
        self.table = torch.zeros(())

    def forward(self, x):
        if self.table.shape != x.shape[2:]:
            self.table = torch.ones(x.shape[2:], dtype=x.dtype)
        return super().forward(x) * self.table


class FreshTable(Clean):
    """Sound, and made at the first call."""

    table = None

    def forward(self, x):
        if self.table is None or self.table.shape != x.shape[2:]:
            self.table = torch.ones(x.shape[2:], dtype=x.dtype)
        return super().forward(x) * self.table


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (DropsInEval, "the same map gives another output in eval"),
        (CountsCalls, "eval changes calls"),
        (KeepsTheGate, "eval keeps something of the map it saw last in last"),
        (KeepsTheGateInADict, "eval keeps something of the map it saw last in seen['gate']"),
        (RunningMeanInEval, "eval changes mean"),
        (TurnsWithTheSize, "after other maps the same map gives another output"),
        (OtherEachBuild, "two instances of one seed give different outputs"),
    ],
)
def test_memory_is_found(mutant, text):
    assert_found(mutant, "determinism", text)


class PutsItselfInEval(Clean):
    def forward(self, x):
        self.relu.eval()
        return super().forward(x)


class KeepsEveryMap(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.seen = []

    def forward(self, x):
        self.seen.append(x)
        return super().forward(x)


def test_a_list_that_grows_is_found():
    assert_found(KeepsEveryMap, "determinism", "keeps something of the map it saw last in seen")


def test_a_changed_mode_is_found():
    assert_found(PutsItselfInEval, "determinism", "in training changes the mode of relu")


@pytest.mark.parametrize("cls", [Clean, FreshTable, TableForASize])
@pytest.mark.parametrize("check", ["input_kept", "determinism"])
def test_sound_modules_pass(cls, check):
    assert statuses(cls, check) == ["ok"]


class SplitsTheBatch(Clean):
    """Cuts dimension 0 instead of the channels, as an early public ULSAM did."""

    def forward(self, x):
        return torch.cat([part * self.gate(part).mean(0, keepdim=True) for part in x.chunk(2, 0)])


class SoftmaxOverTheBatch(Clean):
    def forward(self, x):
        return x * self.excite(self.relu(self.squeeze(x.mean((2, 3), keepdim=True)))).softmax(0)


class MeanOverTheBatchInTraining(Clean):
    def forward(self, x):
        gate = self.gate(x)
        return x * (gate.mean(0, keepdim=True) if self.training else gate)


class NormOnThePooledVector(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.norm = nn.BatchNorm2d(channels)

    def gate(self, x):
        return self.norm(super().gate(x))


class VarianceOverTheBatch(Clean):
    def forward(self, x):
        return x * self.gate(x / x.std((0, 2, 3), keepdim=True)) / x.mean((1, 2, 3)).std()


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (SplitsTheBatch, "in eval"),
        (SoftmaxOverTheBatch, "in eval"),
        (MeanOverTheBatchInTraining, "in training"),
    ],
)
def test_mixing_images_is_found(mutant, text):
    assert_found(mutant, "batch_independence", text)


@pytest.mark.parametrize(
    ("mutant", "text"),
    [(NormOnThePooledVector, "raises ValueError"), (VarianceOverTheBatch, "not finite")],
)
def test_training_on_one_image_is_tried(mutant, text):
    assert_found(mutant, "batch_one", text)


class SpectralNorm(Clean):
    """Takes a step of its power iteration with each call in training, whatever the batch."""

    def __init__(self, channels):
        super().__init__(channels)
        spectral_norm(self.squeeze)


@pytest.mark.parametrize("check", ["batch_independence", "batch_one"])
@pytest.mark.parametrize("cls", [Clean, SpectralNorm])
def test_modules_with_independent_images_pass(cls, check):
    assert statuses(cls, check) == ["ok"]
