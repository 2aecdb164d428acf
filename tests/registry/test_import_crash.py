"""A plugin that ends Python while it is imported is named, and the command goes on."""

import sys

import pytest

from attnbench.errors import PluginError
from attnbench.registry.plugins import Catalog, find_target
from attnbench.utils.forked_trial import trials

ABORT = "import os\nos.abort()\n"


@pytest.fixture(autouse=True)
def tried(tmp_path, monkeypatch):
    """Plugins are imported as in a command, from the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with trials():
        yield


def test_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(f"import mine_helper\n{ABORT}")
    (tmp_path / "mine_helper.py").write_text("import os\n\nos._exit(0)\n")
    catalog = Catalog()
    with pytest.raises(PluginError) as raised:
        catalog.load_file("mine.py")
    text = "plugin file mine.py ends Python during its import: got exit status 0"
    assert str(raised.value) == text
    (tmp_path / "mine_helper.py").write_text("")
    with pytest.raises(PluginError, match=r"got SIGABRT at mine\.py:3$"):
        find_target(catalog, "mine.py:Gate")


def test_a_module_of_the_import_path(tmp_path):
    (tmp_path / "mine_module.py").write_text(ABORT)
    with pytest.raises(PluginError, match=r"^mine_module ends .* got SIGABRT at mine_module\.py:2"):
        find_target(Catalog(), "mine_module:Gate")


def test_a_package_of_a_folder(tmp_path):
    (tmp_path / "mine_package").mkdir()
    (tmp_path / "mine_package" / "__init__.py").write_text(ABORT)
    (tmp_path / "pyproject.toml").write_text(
        '[project.entry-points."attnbench.plugins"]\nmine = "mine_package:MODULES"\n'
    )
    with pytest.raises(PluginError, match=r"^plugin folder .* ends Python .*__init__\.py:2"):
        Catalog().load_file(tmp_path)


def test_a_lazy_target(tmp_path):
    (tmp_path / "mine_lazy.py").write_text(ABORT)
    catalog = Catalog()
    catalog.add_table({"mine": "mine_lazy:Gate"}, "mine 1.0 (mine:MODULES)")
    with pytest.raises(PluginError, match=r"^module 'mine' of mine 1\.0 .* at mine_lazy\.py:2"):
        catalog.modules.get("mine")


def test_one_that_survives_is_imported_once(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import os\npid = os.fork()\nif not pid: os._exit(7)\n_, end = os.waitpid(pid, 0)\n"
        "print('imported')\n"
    )
    assert Catalog().load_file("mine.py").end == 7 * 256
    assert not [name for name in sys.modules if name == "mine"]
