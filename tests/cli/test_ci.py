"""``attnbench ci`` in small repositories: base is really base, and what was planted is found."""

import os
from pathlib import Path

import pytest

from ..gate_plugin import HEAD, gate_class, gate_plugin
from ..git_repository import git, make_repository

SUITE = """
[suite]
name = "mine"
title = "Mine"

[[table]]
columns = ["label", "params"]

[[table.row]]
module = [{modules}]
channels = {channels}
size = 8
"""
GATE = gate_class()
FLAT = (
    HEAD
    + """
@attnbench.register("growing")
class Growing(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.convs = nn.Sequential(*[nn.Conv2d(channels, channels, 3, padding=1) for _ in range(1)])

    def forward(self, x):
        return x + self.convs(x)
"""
)
STILL = gate_plugin("still")
GONE = gate_plugin("gone", facts='family="control"')
SELECTING = """
[[table.row]]
module = "@family:control"
channels = 32
size = 8
"""
LOOSE = (
    HEAD
    + """
@attnbench.register("loose")
class Loose(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        if float(x.sum()) > 1e9:  # a choice that depends on values: no graph holds it
            return x
        return x * self.scale
"""
)
OUTER = (
    HEAD
    + """
from mine.gates import Gate

@attnbench.register("outer")
class Outer(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gate = Gate(channels)

    def forward(self, x):
        return self.gate(x)
"""
)
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

sys.meta_path.append(Finder)
"""


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def project(tmp_path, monkeypatch, attnbench):
    """Return what makes a repository of some files, committed, and is inside it from then on."""

    def make(files, modules, channels=8):
        folder = tmp_path / "project"
        quoted = ", ".join(f'"{name}"' for name in modules)
        write(folder, {**files, "mine.toml": SUITE.format(modules=quoted, channels=channels)})
        make_repository(folder)
        monkeypatch.chdir(folder)
        return folder

    return make


def editable(tmp_path, monkeypatch, package):
    """Install a package as editable installs are made: a finder, and the entry point's metadata."""
    site, custom = tmp_path / "site-packages", tmp_path / "custom"
    information = "[attnbench.plugins]\nmine = mine:TABLE\n"
    write(site, {
        "_mine_finder.py": FINDER % str(package),
        "mine.pth": "import _mine_finder\n",
        "mine-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: mine\nVersion: 1\n",
        "mine-1.dist-info/entry_points.txt": information,
    })  # fmt: skip
    write(custom, {"sitecustomize.py": f"import site; site.addsitedir({str(site)!r})"})
    paths = [str(custom), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def metrics(document, verdict):
    return {(one["case"], one["metric"]): one for one in document[verdict]}


def classes(document, side):
    return {one["class"]: one for one in document["sides"][side]["classes"]}


def test_an_editable_install_and_a_plugin_beside_the_checkout(
    project, attnbench, tmp_path, monkeypatch
):
    folder = project(
        {
            "src/mine/__init__.py": 'TABLE = {"gate": "mine.gates:Gate", "plain": "mine.plain:Gate"}\n',
            "src/mine/gates.py": HEAD + GATE,
            "src/mine/plain.py": HEAD + GATE,
        },
        ["gate", "plain", "outer"],
    )
    editable(tmp_path, monkeypatch, folder / "src/mine")
    write(tmp_path, {"beside/outer.py": OUTER})
    write(folder, {"src/mine/gates.py": HEAD + GATE.replace("bias=False", "bias=True")})
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    done = attnbench("ci", "--base", "main", "--suite", "mine.toml", "--plugin",
                     "../beside/outer.py", "--only", "cost", "--json")  # fmt: skip
    assert done.status == 1, done.err
    found = metrics(done.json, "regressions")
    for name in ("gate", "outer"):  # 8 x 8 weights, and now 8 biases
        grown = found[f"cost/alone/{name}/8x8x8", "params"]
        assert (grown["base"], grown["new"]) == (64, 72)
    assert done.json["untouched"] == ["cost/alone/plain/8x8x8"]
    assert done.json["ok"] is False and "accept" not in grown

    base, head = classes(done.json, "base"), classes(done.json, "head")
    assert base["mine.gates:Gate"]["kind"] == head["mine.gates:Gate"]["kind"] == "tree"
    assert base["mine.gates:Gate"]["file"] == head["mine.gates:Gate"]["file"] == "src/mine/gates.py"
    assert base["mine.gates:Gate"]["hash"] != head["mine.gates:Gate"]["hash"]
    assert base["mine.plain:Gate"]["hash"] == head["mine.plain:Gate"]["hash"]
    assert base["outer.py:Outer"] == head["outer.py:Outer"]
    assert base["outer.py:Outer"]["kind"] == "beside"
    assert done.json["sides"]["head"]["tree"] == str(folder.resolve())
    assert not Path(done.json["sides"]["base"]["tree"]).exists()
    assert any("in no commit" in note for note in done.json["notes"])
    assert "64 | 72" in summary.read_text()


def test_times_what_changed_and_only_that(project, attnbench):
    folder = project(
        {"growing.py": FLAT, "still.py": STILL, "loose.py": LOOSE, "gone.py": GONE},
        ["growing", "still", "loose", "fresh"],
        channels=32,
    )  # fmt: skip
    (folder / "mine.toml").write_text((folder / "mine.toml").read_text() + SELECTING)
    write(folder, {
        "gone.py": GONE.replace("@attnbench", "# @attnbench"),
        "growing.py": FLAT.replace("range(1)", "range(24)"),
        "loose.py": LOOSE.replace("1e9", "2e9"),
        "fresh.py": STILL.replace("still", "fresh"),
    })  # fmt: skip
    plugins = [word for name in ("growing", "still", "loose", "fresh", "gone")
               for word in ("--plugin", f"{name}.py")]  # fmt: skip
    done = attnbench("ci", "--base", "main", "--suite", "mine.toml", *plugins, "--json",
                     "--budget", "0.3", "--processes", "3", "--pairs", "1")  # fmt: skip
    assert done.status == 1, done.err
    found = metrics(done.json, "regressions")
    one = 32 * 32 * 9 + 32
    grown = found["cost/alone/growing/32x8x8", "params"]
    assert (grown["base"], grown["new"]) == (one, 24 * one)
    multiplied = found["cost/alone/growing/32x8x8", "macs"]
    assert (multiplied["base"], multiplied["new"]) == tuple(n * 32 * 32 * 9 * 64 for n in (1, 24))

    assert ("latency/alone/growing/32x8x8", "latency") in found, done.out
    slower = found["latency/alone/growing/32x8x8", "latency"]
    assert slower["new"] > 3 and 0.5 < slower["low"] < slower["change"] < slower["high"]
    assert "interleaved in 3 processes" in slower["reason"]
    assert done.json["untouched"] == ["cost/alone/still/32x8x8", "cost/alone/identity/32x8x8"]
    assert "latency/alone/still" not in done.err

    pair = metrics(done.json, "inconclusive")["latency/alone/loose/32x8x8", "latency"]
    assert "8 pairs are the least; 1 pair of processes" in pair["reason"]
    assert "cannot be exported" in pair["reason"]
    both = metrics(done.json, "unchanged")["latency/alone/loose/32x8x8", "export"]
    assert (both["base"], both["new"]) == ("failed", "failed")
    assert metrics(done.json, "added").keys() == {("cost/alone/fresh/32x8x8", "status")}
    assert metrics(done.json, "missing").keys() == {("cost/alone/gone/32x8x8", "status")}
    assert any("fresh.py" in note for note in done.json["notes"])


def test_a_class_from_outside_its_tree_is_an_error(project, attnbench, tmp_path, monkeypatch):
    """The package is installed as a copy, and nothing says where the repository has it."""
    folder = project({"lib/mine/gates.py": HEAD + GATE, "lib/mine/__init__.py": ""}, ["outer"])
    write(tmp_path, {"beside/outer.py": OUTER})
    write(tmp_path / "site-packages/mine", {"gates.py": HEAD + GATE, "__init__.py": ""})
    monkeypatch.setenv(
        "PYTHONPATH",
        os.pathsep.join([str(tmp_path / "site-packages"), os.environ.get("PYTHONPATH", "")]),
    )
    words = ("ci", "--base", "main", "--suite", "mine.toml", "--plugin", "../beside/outer.py",
             "--only", "cost")  # fmt: skip
    done = attnbench(*words)
    assert done.status == 2
    assert "mine.gates:Gate" in done.err and str(tmp_path / "site-packages") in done.err
    assert "--source" in done.err and "Traceback" not in done.err
    write(folder, {"lib/mine/gates.py": HEAD + GATE.replace("1, bias=False", "3, padding=1")})
    done = attnbench(*words, "--source", "lib", "--format", "md")
    assert done.status == 1, done.err
    assert "| `cost/alone/outer/8x8x8` | params | 64 | 584 |" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--base", "main"], "--suite"),
        (["--base", "nonsense", "--suite", "mine.toml"], "'nonsense'"),
        (["--base", "main", "--suite", "no.toml"], "no.toml"),
        (["--base", "main", "--suite", "mine.toml", "--only", "size"], "cost, latency"),
        (["--base", "main", "--suite", "mine.toml", "--budget", "0"], "--budget"),
        (["--base", "main", "--suite", "mine.toml", "--source", "lib"], "'lib'"),
        (["--base", "main", "--suite", "mine.toml", "--plugin", "x.py"], "x.py"),
        (["--base", "main", "--suite", "mine.toml", "--format", "tex"], "'tex'"),
        (["--base", "main", "--suite", "mine.toml", "--install", "echo no; exit 3"], "exit 3"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_a_line(project, attnbench, words, said):
    project({"still.py": STILL}, ["still"])
    done = attnbench("ci", *words)
    assert done.status == 2, done.err
    last = done.err.strip().splitlines()[-1]
    assert said in last and "Traceback" not in done.err


def test_a_base_whose_attnbench_has_no_bridge(project, attnbench):
    folder = project({"attnbench/__init__.py": ""}, ["still"])
    done = attnbench("ci", "--base", "main", "--suite", "mine.toml")
    commit = git(folder, "rev-parse", "main")[:12]
    assert done.status == 2 and done.out == ""
    (line,) = [line for line in done.err.splitlines() if "bridge" in line]
    assert line.startswith(f"attnbench: base ({commit})")
    assert done.err.rstrip().endswith(line) and "Traceback" not in done.err


@pytest.mark.parametrize("text", ["", "raise ValueError(1)\n"])
def test_a_file_of_base_that_hides_the_package(project, attnbench, text):
    folder = project({"attnbench.py": text, "still.py": STILL}, ["still"])
    (folder / "attnbench.py").unlink()
    words = (
        "ci",
        "--base",
        "main",
        "--suite",
        "mine.toml",
        "--plugin",
        "still.py",
        "--only",
        "cost",
    )
    done = attnbench(*words)
    commit = git(folder, "rev-parse", "main")[:12]
    assert done.status == 2 and done.out == ""
    assert done.err.splitlines()[-1] == (
        f"attnbench: base ({commit}): a file of this tree hides the package attnbench: got "
        "attnbench.py. Choose another --base, or name the folder of your packages with --source"
    )


def test_outside_a_checkout(attnbench):
    done = attnbench("ci", "--base", "main", "--suite", "quick")
    assert done.status == 2
    assert "git" in done.err


def test_gates_of_the_settings_hold(project, attnbench):
    gate = '[tool.attnbench.gates]\nlatency = "exact"\n'
    project({"still.py": STILL, "pyproject.toml": gate}, ["still"])
    done = attnbench("ci", "--base", "main", "--suite", "mine.toml")
    assert done.status == 2
    assert "latency" in done.err and "exact" in done.err


def test_a_plugin_that_base_could_not_load_and_one_that_draws_its_shape(project, attnbench):
    drawn = STILL.replace('"still"', '"drawn"').replace(
        "import torch\n", "import random\nimport torch\n"
    )
    drawn = drawn.replace(
        "channels, 1, bias=False", "channels, random.choice([1, 3, 5, 7]), padding='same'"
    )
    files = {"still.py": "import nothing_of_this_name\n" + STILL, "drawn.py": drawn}
    folder = project(files, ["still", "drawn"])
    write(folder, {"still.py": STILL, "drawn.py": drawn + "# a comment\n"})
    words = ("ci", "--base", "main", "--suite", "mine.toml", "--only", "cost", "--json")
    done = attnbench(*words, "--plugin", "still.py", "--plugin", "drawn.py")
    assert done.status == 0, done.err
    (one,) = done.json["improvements"]
    assert one["case"] == "cost/alone/still/8x8x8"
    assert (one["base"], one["new"]) == ("failed", "ok")
    assert "nothing_of_this_name" in one["reason"]
    assert done.json["added"] == []
    same = {metric for case, metric in metrics(done.json, "unchanged") if "/drawn/" in case}
    assert same >= {"params", "macs"}


PACKAGE = """
[project]
name = "mine"
[project.entry-points."attnbench.plugins"]
mine = "mine:TABLE"
[tool.attnbench]
plugins = ["."]
"""


def test_a_package_that_is_installed_nowhere(project, attnbench):
    """The settings name its folder: each side takes in its own tree's."""
    files = {
        "pyproject.toml": PACKAGE,
        "src/mine/__init__.py": 'TABLE = {"gate": "mine.gates:Gate", "plain": "mine.plain:Gate"}\n',
        "src/mine/gates.py": HEAD + GATE,
        "src/mine/plain.py": HEAD + GATE,
    }
    folder = project(files, ["gate", "plain"])
    write(folder, {"src/mine/gates.py": HEAD + GATE.replace("bias=False", "bias=True")})
    words = ("ci", "--base", "main", "--suite", "mine.toml", "--only", "cost", "--json")
    done = attnbench(*words)
    assert done.status == 1, done.err
    grown = metrics(done.json, "regressions")["cost/alone/gate/8x8x8", "params"]
    assert (grown["base"], grown["new"]) == (64, 72)
    assert done.json["untouched"] == ["cost/alone/plain/8x8x8"]
    write(folder, {"src/mine/__init__.py": "TABLE = None\n"})
    done = attnbench(*words)
    assert done.status == 2
    assert "NoneType" in done.err


def test_a_plugin_in_a_submodule_is_refused(project, attnbench):
    folder = project({"lib/still.py": STILL}, ["still"])
    write(folder, {"lib/.git": "gitdir: ../.git/modules/lib"})
    done = attnbench("ci", "--base", "main", "--suite", "mine.toml", "--plugin", "lib/still.py")
    assert done.status == 2
    assert "lib/still.py" in done.err and "submodule" in done.err
