"""Small site maps, an image, and a look at what a figure shows."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from attnbench.reports.figures.activations import SiteMap


@pytest.fixture
def photo():
    """A picture of smooth colour ramps, uint8 (3, H, W), wider than high."""
    down, across = torch.meshgrid(torch.arange(24), torch.arange(32), indexing="ij")
    return torch.stack([down * 10, across * 7, (down + across) * 4]).to(torch.uint8)


@pytest.fixture
def make_site():
    """Return a SiteMap of C×h×w noise and what a function makes of it."""

    def make(shape=(4, 3, 5), change=lambda x: 0.5 * x, path="features.13"):
        x = np.random.default_rng(0).normal(size=shape)
        return SiteMap(path, x, change(x))

    return make


@pytest.fixture
def texts():
    """Return all text of a figure after drawing it, whichever part it stands in."""
    from matplotlib.text import Text

    def find(figure):
        figure.canvas.draw()
        return [one.get_text() for one in figure.findobj(Text) if one.get_text()]

    return find


@pytest.fixture
def colours():
    """Return how many colours a figure has as pixels."""

    def count(figure):
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=50)
        with Image.open(data) as image:
            return len(image.convert("RGB").getcolors(maxcolors=1 << 24))

    return count
