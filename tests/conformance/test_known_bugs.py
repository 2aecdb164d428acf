"""The shapes of bugs that published implementations of attention modules had or have, in our words.

Each is a module of its own kind, not a mutant of one: what a user would bring.
"""

import pytest
import torch
from torch import nn

from .clean import assert_found


class Subspaces(nn.Module):
    """Maps over subspaces, one each: what the first public ULSAM was meant to be."""

    def __init__(self, channels, groups=4):
        super().__init__()
        size = channels // groups
        self.groups = groups
        self.depthwise = nn.ModuleList(nn.Conv2d(size, size, 1, groups=size) for _ in range(groups))
        self.norms = nn.ModuleList(nn.BatchNorm2d(size) for _ in range(groups))
        self.pool = nn.MaxPool2d(3, 1, 1)
        self.point = nn.ModuleList(nn.Conv2d(size, 1, 1) for _ in range(groups))

    def features(self, part, i):
        return self.pool(self.norms[i](self.depthwise[i](part)).relu())

    def weighed(self, part, i):
        scores = self.point[i](self.features(part, i))
        return part + part * scores.flatten(2).softmax(2).view_as(scores)

    def forward(self, x):
        return torch.cat([self.weighed(p, i) for i, p in enumerate(x.chunk(self.groups, 1))], 1)


class PoolsTheInput(Subspaces):
    """The pooling takes the input, so that the depthwise layer and its norm do nothing."""

    def features(self, part, i):
        return self.pool(part)


class SplitsTheBatch(nn.Module):
    """Cuts the images of a batch, not the channels, into parts, each with a map of its own."""

    def __init__(self, channels):
        super().__init__()
        self.point = nn.ModuleList(nn.Conv2d(channels, 1, 1) for _ in range(2))

    def forward(self, x):
        parts = x.chunk(2, 0)
        return torch.cat([p * self.point[i](p).sigmoid() for i, p in enumerate(parts)])


class DoubleAttentionOverTheBatch(nn.Module):
    """Gathers with a softmax that was left to choose its dimension: over the images."""

    def __init__(self, channels):
        super().__init__()
        self.maps, self.gather, self.scatter = (nn.Conv2d(channels, channels, 1) for _ in range(3))

    def forward(self, x):
        gather = self.gather(x).flatten(2).softmax(0)
        scatter = self.scatter(x).flatten(2).softmax(1)
        return (self.maps(x).flatten(2) @ gather.transpose(1, 2) @ scatter).view_as(x) + x


class UndefinedName(nn.Module):
    """The constructor stores a name that nobody defined."""

    def __init__(self, channels):
        super().__init__()
        self.activation = gate_activation  # noqa: F821

    def forward(self, x):
        return x


class StarredTwiceTooFew(nn.Module):
    """Hands a dictionary on with one star: its keys become sizes."""

    def __init__(self, channels, bias=True):
        super().__init__()
        more = {"bias": bias}
        self.conv = nn.Conv2d(channels, channels, 1, *more)

    def forward(self, x):
        return x * self.conv(x).sigmoid()


class NormOfAVector(nn.Module):
    """Norms what was pooled to one value a channel: one image has no variance."""

    def __init__(self, channels):
        super().__init__()
        self.linear, self.norm = nn.Linear(channels, channels), nn.BatchNorm1d(channels)

    def forward(self, x):
        gate = self.norm(self.linear(x.mean((2, 3)))).sigmoid()
        return x * gate[:, :, None, None]


class DividesByTheOthers(nn.Module):
    """A variance over N - 1 positions, of a map that has one."""

    def forward(self, x):
        squares = (x - x.mean((2, 3), keepdim=True)).square()
        others = x.shape[2] * x.shape[3] - 1
        return x * (squares / (squares.sum((2, 3), keepdim=True) / others + 1e-4)).sigmoid()

    def __init__(self, channels):
        super().__init__()


class FixedDevice(nn.Module):
    """Makes its mask where it was written, whatever the map is on."""

    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return x * torch.ones(1, x.shape[1], 1, 1, device="cpu", dtype=x.dtype)


class DetachedScale(nn.Module):
    """Weighs channels by the data of a norm's weight, which so never learns from it."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        share = self.norm.weight.data.abs() / self.norm.weight.data.abs().sum()
        return x * (self.norm(x) * share[:, None, None]).sigmoid()


class FixedGroups(nn.Module):
    """64 groups, which few of a MobileNet's widths can be cut into."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(64, 1, 1, 1))

    def forward(self, x):
        return (x.unflatten(1, (64, -1)) * self.weight.sigmoid()).flatten(1, 2)


@pytest.mark.parametrize(
    ("module", "check", "text"),
    [
        (PoolsTheInput, "gradients", "gets no gradient: never used"),
        (SplitsTheBatch, "batch_independence", "depends on the others of its batch"),
        (DoubleAttentionOverTheBatch, "batch_independence", "depends on the others of its batch"),
        (UndefinedName, "contract", "gate_activation"),
        (StarredTwiceTooFew, "contract", "cannot be run"),
        (NormOfAVector, "batch_one", "training on one image raises"),
        (DividesByTheOthers, "maps", "1x1"),
        (FixedDevice, "device", "device"),
        (DetachedScale, "gradients", "wrong gradient"),
        (FixedGroups, "widths", "widths do not work"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_is_found(module, check, text):
    assert_found(module, check, text)
