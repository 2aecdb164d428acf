"""Modules that break the contract in their first forward pass."""

import os
import signal

from torch import nn
from torch.nn import functional as F


class Pair(nn.Module):
    """A gate that returns the map and the attention."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        gate = self.conv(x).sigmoid()
        return x * gate, gate


class Pooled(Pair):
    """A gate that returns one value for each channel."""

    def forward(self, x):
        return self.conv(x.mean((2, 3), True))


class Exits(Pair):
    """A gate that ends the process."""

    def forward(self, x):
        os._exit(7)


class Crashes(Pair):
    """A gate that crashes Python."""

    def forward(self, x):
        os.kill(os.getpid(), signal.SIGSEGV)


class CrashesBackward(Pair):
    """A gate that crashes Python in its backward pass."""

    def forward(self, x):
        y = x * self.conv(x).sigmoid()
        if y.requires_grad and not y.is_meta:
            y.register_hook(lambda gradient: os.kill(os.getpid(), signal.SIGSEGV))
        return y


class CrashesAtOnce(Pair):
    """A gate whose constructor crashes Python."""

    def __init__(self, channels):
        os.abort()


class Hangs(Pair):
    """A gate without an end."""

    def forward(self, x):
        while True:
            pass


class HalfUp(Pair):
    """A gate that fails on odd maps."""

    def forward(self, x):
        return x * F.interpolate(F.avg_pool2d(self.conv(x), 2), scale_factor=2)


class Hidden(Pair):
    """A gate whose layers are in a list that is none of its parameters."""

    def __init__(self, channels):
        super().__init__(channels)
        self.layers = [nn.Conv2d(channels, channels, 3, padding=1)]

    def forward(self, x):
        return x * self.layers[0](self.conv(x)).sigmoid()
