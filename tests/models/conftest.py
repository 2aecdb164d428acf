"""MobileNets and probes that several files of this folder share."""

import pytest
import torch
from torch import nn

from attnbench.models.backbones import create_backbone

SIZE = (1, 3, 64, 64)


class Probe(nn.Module):
    """Keeps what it was given, and hands it on."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        self.seen = []

    def forward(self, x):
        self.seen.append(x.detach().clone())
        return x


def build_randomized(name):
    """Build a backbone in eval mode whose norms and signals are not at their plain start."""
    torch.manual_seed(0)
    model = create_backbone(name)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, 0.0, 0.2)
    return model.eval()


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    """These tensors are so small that threads cost more than they bring."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def backbones():
    """Backbones with randomized norms by name, each built once; tests must not change them."""
    models = {}

    def get(name):
        if name not in models:
            models[name] = build_randomized(name)
        return models[name]

    return get


@pytest.fixture(scope="session")
def image():
    return torch.randn(SIZE, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def probe():
    """The class of modules that keep what they were given."""
    return Probe
