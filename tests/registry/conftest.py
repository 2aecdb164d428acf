import sys
from importlib.metadata import EntryPoint
from textwrap import dedent
from types import SimpleNamespace

import pytest

from attnbench.registry import plugins
from attnbench.registry.plugins import Catalog

MODULE = """
from torch import nn

class {name}(nn.Module):
    def __init__(self, channels, *, groups=1):
        super().__init__()
        self.scale = nn.Conv2d(channels, channels, 1, groups=groups)

    def forward(self, x):
        return x * self.scale(x)
"""


@pytest.fixture(autouse=True)
def _global_catalog_untouched(monkeypatch):
    """No test of this folder may leave anything in the catalog of the process."""
    known = plugins.catalog()
    before = known.modules.entries().keys(), list(known.failures), dict(known.files)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    assert (known.modules.entries().keys(), known.failures, known.files) == before


@pytest.fixture
def fresh(monkeypatch):
    """An empty catalog, which the decorator registers in."""
    catalog = Catalog()
    monkeypatch.setattr(plugins, "catalog", lambda: catalog)
    return catalog


@pytest.fixture
def write(tmp_path):
    """Write a plugin file; the text is a module class unless given."""

    def write(name, text=None, folder=""):
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(MODULE.format(name="Mine") if text is None else text))
        return path

    return write


@pytest.fixture
def install(monkeypatch, write, tmp_path):
    """Pretend that distributions are installed: name to the source of its module of tables."""

    def install(**sources):
        points = []
        for name, source in sources.items():
            write(f"{name}.py", source)
            point = EntryPoint(name, f"{name}:TABLE", plugins.GROUP)
            points.append(point._for(SimpleNamespace(name=f"dist-{name}")))
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(plugins, "entry_points", lambda group: points)
        catalog = Catalog()
        catalog.load_entry_points()
        return catalog

    return install
