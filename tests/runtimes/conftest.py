"""Small networks, and the shipped runtimes with the fast ones apart."""

import pytest
import torch
from torch import nn

from attnbench.runtimes.sample_inputs import examples, randomize_weights


class Small(nn.Module):
    """A network of a few layers with everything that exporters fold: batch norm, residual, pool."""

    def __init__(self, width=8, classes=5):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU6())
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.norm(self.depthwise(x)).relu()
        return self.head(x.mean((2, 3)))


@pytest.fixture(autouse=True)
def one_thread(operators_translated_once):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def example():
    return torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def small(example):
    torch.manual_seed(0)
    return randomize_weights(Small(), 0, example)


@pytest.fixture
def pictures(example):
    return examples(example, 16)
