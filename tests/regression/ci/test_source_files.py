"""Sources of a class: its own file and what it imports of the tree, wherever that is."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

from attnbench.records import source_files as records_source_files
from attnbench.regression.ci import source_files
from attnbench.regression.ci.launcher import SourceTrees

FILES = {
    "plug.py": "import thepack.top\nimport json, numpy\nclass Plug(thepack.top.Top): pass\n",
    "thepack/__init__.py": "from thepack import unrelated\nFLAG = 1\n",
    "thepack/top.py": "from . import deep\nfrom .sub.inner import value\nclass Top: pass\n",
    "thepack/deep.py": "def late():\n    from thepack.lazy import thing\n    return thing\n",
    "thepack/lazy.py": "thing = 1\n",
    "thepack/sub/__init__.py": "",
    "thepack/sub/inner.py": "from thepack import FLAG\nvalue = FLAG\n",
    "thepack/unrelated.py": "",
    "thepack/never.py": "",
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    for each in (source_files.imported_files, source_files._file, source_files.hash_file):
        each.cache_clear()
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] in ("plug", "thepack")]:
        del sys.modules[name]


def test_what_a_class_depends_on(tree):
    trees = SourceTrees(tree.resolve(), tree.resolve())
    plug = importlib.import_module("plug")
    classes = source_files.classes_of([plug.Plug()], trees)
    assert [(one["class"], one["kind"]) for one in classes] == [
        ("plug:Plug", "tree"), ("thepack.top:Top", "tree")]  # fmt: skip
    found = source_files.source_hashes_of([one["file"] for one in classes], trees)
    # the package's own file, because inner.py takes FLAG from it; and what that imports
    assert set(found) == set(FILES) - {"thepack/never.py", "thepack/sub/__init__.py"}


def test_a_package_s_file_counts_only_where_it_is_asked(tree):
    trees = SourceTrees(tree.resolve(), tree.resolve())
    importlib.import_module("thepack.deep")
    found = source_files.source_hashes_of([str(tree / "thepack/deep.py")], trees)
    assert set(found) == {"thepack/deep.py", "thepack/lazy.py"}


def test_another_content_is_another_hash(tree):
    trees = SourceTrees(tree.resolve(), tree.resolve())
    before = source_files.source_hashes_of([str(tree / "thepack/lazy.py")], trees)
    (tree / "thepack/lazy.py").write_text("thing = 2\n")
    source_files.hash_file.cache_clear()
    after = source_files.source_hashes_of([str(tree / "thepack/lazy.py")], trees)
    assert before.keys() == after.keys() and before != after


def test_an_attnbench_outside_the_trees_is_not_followed(tree):
    (tree / "plug.py").write_text("import attnbench.cards, thepack.lazy\n")
    trees = SourceTrees(tree.resolve(), tree.resolve())
    found = source_files.source_hashes_of([str(tree / "plug.py")], trees)
    assert set(found) == {"plug.py", "thepack/lazy.py"}


def test_functions_and_files_of_plugins(tree):
    trees = SourceTrees(tree.resolve(), tree.resolve())
    deep = importlib.import_module("thepack.deep")
    (one,) = source_files.classes_of([deep.late], trees)
    assert one["class"] == "thepack.deep:late" and one["file"].endswith("deep.py")
    named = type("Gate", (), {"__module__": "attnbench_plugin_my_file_0123abcd"})
    assert source_files.classes_of([named()], trees)[0]["class"] == "my_file.py:Gate"


def test_the_imports_are_read_by_the_standard_library_alone():
    tree = ast.parse(Path(records_source_files.__file__).read_bytes())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [
        getattr(node, "module", None) or alias.name for node in imported for alias in node.names
    ]
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
