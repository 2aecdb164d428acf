"""An editable install of head, as installers make it: base's process imports base's files."""

import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from attnbench.regression.ci import launcher
from attnbench.regression.ci.launcher import SourceTrees, foreign_modules

LAUNCHER = Path(launcher.__file__)
PROBE = """
import importlib, importlib.util, json, sys
from pathlib import Path
own, head, first, file, name, names = json.loads(sys.argv[1])
spec = importlib.util.spec_from_file_location("attnbench_launcher", file)
redirect = importlib.util.module_from_spec(spec)
sys.modules["attnbench_launcher"] = redirect
spec.loader.exec_module(redirect)
trees = redirect.SourceTrees(Path(own), Path(head))
redirect.redirect_imports(trees, first)
def place(name):
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    return module.__file__ or list(module.__path__)[0]
print(json.dumps([{each: place(each) for each in names}, redirect.foreign_modules(trees, name)]))
"""
FINDER = """
import importlib.util, sys
from pathlib import Path

MAPPING = {"mine": %r}

class Finder:
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname in MAPPING:
            folder = Path(MAPPING[fullname])
            return importlib.util.spec_from_file_location(
                fullname, folder / "__init__.py", submodule_search_locations=[str(folder)])

def install():
    sys.meta_path.append(Finder)
"""


def package(tree, value):
    """Write ``lib/mine/part.py``: on no path that the command would guess."""
    folder = tree / "lib" / "mine"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "part.py").write_text(f"VALUE = {value!r}\n")
    (tree / "lib" / "spread").mkdir()
    (tree / "lib" / "spread" / "inner.py").write_text("")


@pytest.fixture
def trees(tmp_path):
    for name in ("head", "base"):
        package(tmp_path / name, name)
    (tmp_path / "head/lib/mine/new.py").write_text("")
    (tmp_path / "site-packages").mkdir()
    return tmp_path


def imported(trees, own, names, launcher=LAUNCHER, name="attnbench_launcher", **environment):
    """What a process of a side imports, with a site folder that stands for an environment's."""
    custom = trees / "custom"
    custom.mkdir(exist_ok=True)
    site = str(trees / "site-packages")
    (custom / "sitecustomize.py").write_text(f"import site; site.addsitedir({site!r})")
    argument = json.dumps(
        [str(trees / own), str(trees / "head"), [str(trees / own)], str(launcher), name, names]
    )
    path = os.pathsep.join(filter(None, [str(custom), environment.pop("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROBE, argument],
        env={**os.environ, "PYTHONPATH": path, **environment}, cwd=trees / "head",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def path_line(trees):
    (trees / "site-packages/mine.pth").write_text(f"{trees / 'head/lib'}\n")


def finder(trees):
    (trees / "site-packages/_mine_finder.py").write_text(FINDER % str(trees / "head/lib/mine"))
    (trees / "site-packages/mine.pth").write_text("import _mine_finder; _mine_finder.install()\n")


def already_imported(trees):
    (trees / "site-packages/mine.pth").write_text(f"{trees / 'head/lib'}\nimport mine.part\n")


@pytest.mark.parametrize("side", ["base", "head"])
@pytest.mark.parametrize("editable", [path_line, finder, already_imported])
def test_each_side_imports_its_own_files(trees, editable, side):
    editable(trees)
    found, foreign = imported(trees, side, ["mine", "mine.part"])
    assert found["mine.part"] == str(trees / side / "lib/mine/part.py")
    assert found["mine"] == str(trees / side / "lib/mine/__init__.py")
    assert foreign == []


@pytest.mark.parametrize("name", ["attnbench_launcher", "another"])
def test_the_launcher_of_a_project_that_has_it_in_its_tree(trees, name):
    """It is head's on both sides; any other module from there is foreign."""
    own = shutil.copy(LAUNCHER, trees / "head")
    _, foreign = imported(trees, "base", [], own, name)
    files = {entry["class"]: entry["file"] for entry in foreign}
    assert files == ({} if name == "attnbench_launcher" else {"attnbench_launcher": str(own)})


def test_the_script_of_the_launcher_is_not_foreign(tmp_path, monkeypatch):
    """``multiprocessing`` knows it by a second name."""
    script, other = types.ModuleType("__main__"), types.ModuleType("other")
    for module in (script, other):
        module.__file__ = str(tmp_path / "head/launcher.py")
    for name, module in (("__main__", script), ("__mp_main__", script), ("other", other)):
        monkeypatch.setitem(sys.modules, name, module)
    found = foreign_modules(SourceTrees(tmp_path / "base", tmp_path / "head"), "launcher")
    assert [entry["class"] for entry in found] == ["other"]


@pytest.mark.parametrize("editable", [path_line, finder])
def test_what_only_head_has_is_not_found_at_base(trees, editable):
    editable(trees)
    found, _ = imported(trees, "base", ["mine.new"])
    assert found["mine.new"] is None


def test_a_folder_without_init_is_base_s_too(trees):
    path_line(trees)
    found, _ = imported(trees, "base", ["spread", "spread.inner"])
    assert found["spread"] == str(trees / "base/lib/spread")
    assert found["spread.inner"] == str(trees / "base/lib/spread/inner.py")


def test_a_variable_that_names_head(trees):
    found, _ = imported(trees, "base", ["mine.part"], PYTHONPATH=str(trees / "head/lib"))
    assert found["mine.part"] == str(trees / "base/lib/mine/part.py")


def test_the_probe_would_see_head_without_the_guard(trees):
    path_line(trees)
    found, _ = imported(trees, "head", ["mine.part"])
    assert found["mine.part"] == str(trees / "head/lib/mine/part.py")


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("base/lib/mine/part.py", "tree"),
        ("head/lib/mine/part.py", "foreign"),
        ("head/.venv/lib/python3.11/site-packages/torch/nn.py", "installed"),
        ("site-packages/torch/nn.py", "installed"),
        ("elsewhere/plugin.py", "beside"),
        ("own/lib/site-packages/mine/part.py", "environment"),
    ],
)
def test_where_a_file_lies(tmp_path, file, kind):
    trees = SourceTrees(tmp_path / "base", tmp_path / "head", (tmp_path / "own",))
    assert trees.kind(tmp_path / file) == kind


def test_the_standard_library_is_installed(tmp_path):
    assert SourceTrees(tmp_path / "base", tmp_path / "head").kind(json.__file__) == "installed"
