"""Data sets made for a test: small image files, and a root of their own."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty folder that stands for the folder of all data sets."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("ATTNBENCH_DATA", str(folder))
    return folder


@pytest.fixture
def picture():
    """Write an image file of one colour, and the folders above it; return its path."""

    def write(path, colour=(200, 30, 60), size=(9, 7), mode="RGB", **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, colour).save(path, **options)
        return path

    return write


@pytest.fixture
def truncated(picture):
    """Write an image file that ends half-way."""

    def write(path):
        random = np.random.RandomState(0).randint(0, 256, (40, 40, 3)).astype(np.uint8)
        picture(path)
        Image.fromarray(random).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return write
