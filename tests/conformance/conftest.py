"""Projects of plugin authors, run by pytest within pytest."""

import gc
import os
from importlib import import_module
from pathlib import Path

import pytest

import attnbench
from attnbench.registry.plugins import catalog

ROOT = Path(attnbench.__file__).parents[1]


@pytest.fixture(scope="session")
def everything_imported():
    """Load what the inner runs load lazily: pytester takes back what they import, torch cannot be."""
    from attnbench.conformance.checks import CHECKS
    from attnbench.conformance.examine import examine

    attention = import_module("attnbench.registry.attention").find_attention("se")
    examine(attention, [CHECKS["batch_one"]])
    import_module("attnbench.testing")


@pytest.fixture
def project(pytester, everything_imported, monkeypatch):
    """A project with warnings as errors; call it with the text of a test file and pytest's words."""
    folders = [str(ROOT), str(ROOT / "modules"), str(ROOT / "suites"), os.environ.get("PYTHONPATH")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    pytester.makefile(".toml", pyproject="[tool.pytest.ini_options]\nfilterwarnings = ['error']\n")
    known = catalog()
    before, files = known.modules.entries(), dict(known.files)
    gc.freeze()  # pytest collects garbage five times as it ends, and torch's objects are many

    def run(text, *words):
        pytester.makepyfile(test_it=text)
        return pytester.runpytest_inprocess(*words)

    yield run
    known.modules.restore(before)
    known.files.clear()
    known.files.update(files)
