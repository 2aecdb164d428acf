"""Plugins that are not installed: packages loaded from their folder."""

import os
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from attnbench.errors import PluginError, RequestError
from attnbench.registry import plugins
from attnbench.registry.attention import find_attention
from attnbench.registry.plugin_files import classes_in, missing_class, plugin_sources
from attnbench.registry.plugins import Catalog, PluginFailure
from attnbench.suites.load import find_suite

CLASS = """
from torch import nn

from {top} import helper

class Mine(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return helper.FACTOR * x
"""
PYPROJECT = """
[project]
name = "{name}"
[project.entry-points."attnbench.plugins"]
mine = "{value}"
"""
TABLE = "MODULES = {'folder_mine': 'folder_pkg.module:Mine'}\n"


@pytest.fixture(autouse=True)
def forget_packages():
    """The packages of a test are of its own folder."""
    yield
    for name in [one for one in sys.modules if one.startswith("folder_")]:
        del sys.modules[name]


@pytest.fixture
def package(tmp_path):
    """Write a package; return its folder."""

    def write(
        root="src", *, table=TABLE, factor=2, folder="project", top="folder_pkg",
        value=None, name="Folder_Dist",
    ):  # fmt: skip
        project = tmp_path / folder
        inner = project / root / top
        inner.mkdir(parents=True, exist_ok=True)
        (project / "pyproject.toml").write_text(
            PYPROJECT.format(name=name, value=value or f"{top}:MODULES")
        )
        (inner / "__init__.py").write_text(table)
        (inner / "module.py").write_text(CLASS.format(top=top))
        (inner / "helper.py").write_text(f"FACTOR = {factor}\n")
        return project

    return write


def output(catalog, name="folder_mine"):
    """What the module makes of ones."""
    return float(find_attention(name, catalog).build(4)(torch.ones(1, 4, 2, 2)).mean())


def installed(catalog, monkeypatch, folder, name="folder-dist"):
    """Let a package of a folder be installed, not editable, in a catalog."""
    monkeypatch.syspath_prepend(folder / "src")
    point = EntryPoint("mine", "folder_pkg:MODULES", plugins.GROUP)
    point = point._for(SimpleNamespace(name=name))
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    catalog.load_entry_points()


@pytest.mark.parametrize("root", ["src", ".", "lib", "code/inner"])
def test_layouts(fresh, package, root):
    folder = package(root)
    for other in ("build/lib", ".venv/lib"):  # copies of other versions
        (folder / other / "folder_pkg").mkdir(parents=True)
    fresh.load_file(folder)
    assert fresh.modules.names() == ["folder_mine"]
    assert "folder_pkg.module" not in sys.modules  # listing imports the table alone
    assert fresh.modules.entry("folder_mine").origin == f"Folder_Dist ({folder}/pyproject.toml)"
    assert output(fresh) == 2


def test_what_else_lies_there_hides_nothing(fresh, package):
    folder = package(".")
    (folder / "json.py").write_text("raise RuntimeError('the wrong json')")
    fresh.load_file(folder)
    assert sys.path[-1] == str(folder)
    assert output(fresh) == 2


def test_taken_in_once(fresh, package, monkeypatch):
    folder = package()
    monkeypatch.chdir(folder)
    assert fresh.load_file(".") is fresh.load_file(folder) is fresh.load_file(str(folder))


def test_a_table_in_a_module_of_the_package_and_a_suite(fresh, package):
    table = "MODULES = {'folder-suite': 'folder_pkg:suite.toml'}\n"
    folder = package(value="folder_pkg.tables:Box.MODULES", table="")
    (folder / "src/folder_pkg/tables.py").write_text(f"class Box:\n    {table}")
    (folder / "src/folder_pkg/suite.toml").write_text(
        '[suite]\nname = "folder-suite"\ntitle = "T"\n'
        '[[table]]\ncolumns = ["params"]\nrow = [{backbone = "mobilenet_v2"}]\n'
    )
    fresh.load_file(folder)
    assert find_suite("folder-suite", fresh).suite.title == "T"


class TestInstalledToo:
    def test_the_same_targets_are_there_once(self, fresh, package, monkeypatch):
        folder = package()
        installed(fresh, monkeypatch, folder)
        module = sys.modules["folder_pkg"]
        fresh.load_file(folder)
        assert (fresh.modules.names(), fresh.failures) == (["folder_mine"], [])
        assert sys.modules["folder_pkg"] is module  # an editable install: nothing is imported anew
        assert output(fresh) == 2

    def test_what_is_worked_on_counts(self, fresh, package, monkeypatch):
        table = (
            "MODULES = {'folder_mine': 'folder_pkg.old:Mine', 'folder_gone': 'folder_pkg.old:G'}\n"
        )
        old = package(folder="old", factor=7, table=table)
        (old / "src/folder_pkg/module.py").rename(old / "src/folder_pkg/old.py")
        installed(fresh, monkeypatch, old)
        assert output(fresh) == 7
        fresh.load_file(package())
        assert fresh.modules.names() == ["folder_mine"]
        assert output(fresh) == 2

    def test_failures_of_the_installed_copy_are_forgotten(self, fresh, package):
        other = PluginFailure("another (another:TABLE)", "ImportError")
        fresh.failures += [PluginFailure("folder-dist (folder_pkg:MODULES)", "SyntaxError"), other]
        fresh.load_file(package())
        assert fresh.failures == [other]

    def test_a_name_of_another_distribution(self, fresh, package, monkeypatch):
        installed(fresh, monkeypatch, package(folder="old", factor=7), name="somebody")
        folder = package(
            top="folder_two", table="MODULES = {'folder_mine': 'folder_two.module:Mine'}\n"
        )
        with pytest.raises(
            PluginError, match=r"registered twice: by somebody .* and by Folder_Dist"
        ):
            fresh.load_file(folder)
        assert output(fresh) == 7  # the one that was there stays


WRONG = {
    "no TOML": ("[project", "pyproject.toml cannot be read"),
    "no entry points": ("[project]\nname = 'x'", r'names no plugins\. Add \[project\.entry-points\.'),
    "of another kind": ("[project]\nentry-points = 3", "names no plugins"),
    "no target": (PYPROJECT.format(name="x", value="folder_pkg"), "mine must be a text like 'my_pack"),
    "nowhere": (PYPROJECT.format(name="x", value="folder_no:T"), "the package 'folder_no' of .* is not in "),
    "no table": (PYPROJECT.format(name="x", value="folder_pkg:TABEL"), "has no attribute 'TABEL'"),
    "no such module": (PYPROJECT.format(name="x", value="folder_pkg.a:T"), r"No module named 'folder_pkg\.a'"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=WRONG)
def test_wrong_pyproject(fresh, package, text, told):
    folder = package()
    (folder / "pyproject.toml").write_text(text)
    with pytest.raises(PluginError, match=told) as caught:
        fresh.load_file(folder)
    assert f"{folder}/pyproject.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("MODULES = ['a']", "the entry point is a list, not a table of names"),
        ("MODULES = {'ok': 'a:B', 'bad': 3}", "entry 'bad' of the table: it must be"),
        ("x = 1\nraise KeyError('k')", r"folder_pkg/__init__\.py:2: KeyError"),
        ("x = 1\nx = = 2", r"folder_pkg/__init__\.py:2: SyntaxError"),
        ("raise SystemExit(3)", r"__init__\.py:1: SystemExit: 3"),
    ],
)
def test_failing_table_leaves_nothing_behind(fresh, package, table, told):
    fresh.add_table({"kept": "kept_code:Kept"}, "Folder.Dist (an installed copy)")
    before, path = fresh.modules.entries(), list(sys.path)
    folder = package(table=table)
    with pytest.raises(PluginError, match=told):
        fresh.load_file(folder)
    assert (fresh.modules.entries(), fresh.files, sys.path) == (before, {}, path)
    assert "folder_pkg" not in sys.modules
    (folder / "src/folder_pkg/__init__.py").write_text(f"# repaired, and longer\n{TABLE}")
    fresh.load_file(folder)
    assert fresh.modules.names() == ["folder_mine"]


def test_folder_without_a_project(fresh, tmp_path):
    with pytest.raises(
        PluginError, match=r"has no pyproject\.toml\. Name a \.py file, or make a pack"
    ):
        fresh.load_file(tmp_path)


def test_registered_elsewhere_meanwhile(package):
    """Two catalogs of one process share the modules."""
    one, other = Catalog(), Catalog()
    folder = package()
    one.load_file(folder)
    other.load_file(folder)
    assert one.modules.get("folder_mine") is other.modules.get("folder_mine")


def test_files_of_a_plugin(package, tmp_path):
    folder = package()
    for name in (
        "src/folder_pkg/__pycache__/a.pyc",
        "src/folder_pkg/data/t.toml",
        "src/other/b.py",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    inner = ("__init__.py", "data/t.toml", "helper.py", "module.py")
    assert list(plugin_sources(folder)) == [
        "pyproject.toml",
        *(f"src/folder_pkg/{one}" for one in inner),
    ]
    file = tmp_path / "my.py"
    assert plugin_sources(file) == {"my.py": file}


def test_a_file_whose_name_is_no_text(tmp_path):
    path = tmp_path / os.fsdecode(b"m\xff.py")
    path.write_text("VALUE = 3\n")
    assert Catalog().load_file(path).VALUE == 3


def test_an_exception_of_its_own_base(tmp_path):
    (tmp_path / "pp.py").write_text("class E(BaseException): pass\nraise E('hey')\n")
    with pytest.raises(PluginError, match=r"pp.py:2 fails: E: hey$"):
        Catalog().load_file(tmp_path / "pp.py")
    (tmp_path / "pq.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        Catalog().load_file(tmp_path / "pq.py")


def test_a_library_without_address_space_is_no_fault_of_the_file(tmp_path):
    (tmp_path / "pp.py").write_text(
        "raise ImportError('libx.so: failed to map segment from shared object')\n"
    )
    with pytest.raises(PluginError, match=r"^library cannot be imported: libx.* ulimit -v$"):
        Catalog().load_file(tmp_path / "pp.py")


SEVERAL = """
from torch import nn
import torch

class Gate(nn.Module): ...
class _Helper(nn.Module): ...
class Wider(Gate): ...
class Other(torch.nn.Module): ...
raise SystemExit("never run")
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SEVERAL,
            "m.py is a file, and a module is a class in it. Write m.py:Gate, or :Wider, or :Other",
        ),
        ("class Plain: ...", "m.py is a file, and a module is a class in it. Write m.py:Plain"),
        ("def make(channels): ...", "m.py has no class. Write FILE.py:NAME of a class or factory"),
        (None, "module file 'm.py' does not exist"),
    ],
)
def test_a_file_without_a_class_lists_its_classes(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("m.py").write_text(text)
    assert str(missing_class("m.py")) == message
    with pytest.raises(RequestError) as raised:
        find_attention("m.py,reduction=4")
    assert str(raised.value) == message


@pytest.mark.parametrize("content", [b"def (:", b"\xff\xfe", b"a\0b"])
def test_a_file_that_is_no_python_is_named(content, tmp_path):
    (tmp_path / "m.py").write_bytes(content)
    with pytest.raises(PluginError, match=r"m\.py"):
        classes_in(tmp_path / "m.py")
