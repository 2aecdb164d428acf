import copy

import pytest
import torch
from torch import nn

from attnbench.datasets.dataset import Data, in_memory
from attnbench.training.recipe import Recipe

CLASSES = tuple("abcdefg")


@pytest.fixture(autouse=True)
def _one_thread():
    """Results of a training depend on the number of threads; none of ours may change it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def recipe():
    """Build a recipe of 8x8 images, two epochs, batches of 16, unless told otherwise."""

    def build(**changes):
        base = {
            "name": "tiny",
            "title": "tiny",
            "source": "tests",
            "size": 8,
            "epochs": 2,
            "batch_size": 16,
            "mean": [0.5, 0.4, 0.3],
            "std": [0.2, 0.25, 0.3],
            "workers": 0,
            "optimizer": {"lr": 0.05},
        }
        return Recipe.model_validate(base | changes)

    return build


def samples(count, channels=3, side=8, seed=0, classes=CLASSES):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, channels, side, side), generator=generator)
    targets = torch.arange(count) % len(classes)
    # a class is a brightness of its own, so that there is something to learn
    images = (images // 2 + 16 * targets.view(-1, 1, 1, 1)).to(torch.uint8)
    return in_memory(images, targets, classes)


@pytest.fixture
def split():
    return samples


@pytest.fixture
def data():
    """40 images for training, 20 for testing, seven classes."""
    return Data("tiny", samples(40), samples(20, seed=1))


class Tiny(nn.Sequential):
    """A few hundred parameters: convolution, norm, depthwise, dropout, head."""

    def __init__(self, norm=True, dropout=0.0):
        super().__init__(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=not norm),
            nn.BatchNorm2d(8) if norm else nn.Identity(),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=not norm),
            nn.BatchNorm2d(8) if norm else nn.Identity(),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(8, len(CLASSES)),
        )


@pytest.fixture
def network():
    """Build a network; always with the same weights."""

    def build(**options):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            return Tiny(**options)

    return build


@pytest.fixture
def state():
    """Return a copy of a network's weights and buffers."""
    return lambda model: copy.deepcopy(model.state_dict())
