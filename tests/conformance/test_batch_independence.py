"""Mutants that mix the images of a batch, or cannot be trained on one."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from .clean import Clean, assert_found, statuses


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
def test_sound_modules_pass(cls, check):
    assert statuses(cls, check) == ["ok"]
