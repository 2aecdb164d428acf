"""Head against bases of another attnbench: older copies, renamed internals, other protocols."""

import ast
import json
import os
import re
import shutil
from pathlib import Path

import pytest

import attnbench
from attnbench.errors import RequestError
from attnbench.regression.ci import bridge, checkout_process, launcher
from attnbench.regression.ci.checkout_process import SPOKEN
from attnbench.regression.ci.run import CiRequest, run_ci
from attnbench.regression.ci.timing import TimingPlan

from ...gate_plugin import gate_plugin
from ...git_repository import make_repository

ENGINE = Path(attnbench.__file__).parent
FROZEN = (Path(__file__).parent / "bridges" / "v1.py").read_text(encoding="utf-8")
BRIDGE_FILE = f"{launcher.BRIDGE.replace('.', '/')}.py"
STAND_IN = """
MODULES = {}

def register(name):
    def keep(target):
        MODULES[name] = target
        return target
    return keep
"""
SUITE = """
[suite]
name = "mine"
title = "Mine"

[[table]]
columns = ["label", "params"]

[[table.row]]
module = ["gate"]
channels = 8
size = 8
"""
GATE = gate_plugin("gate")
COSTS = ("params", "macs", "activations", "bytes", "operators")
TIMING = TimingPlan(budget_s=0.02, processes=1, pairs=1)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Call with files of base and of head: a repository with both; it is the current folder."""

    def make(base, head):
        folder = tmp_path / "project"
        write(folder, {"mine.toml": SUITE, "gate.py": GATE, **base})
        make_repository(folder)
        write(folder, head)
        monkeypatch.chdir(folder)
        return folder

    return make


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def engine(bridge_text):
    """Files of a tree whose attnbench is the stand-in, with a bridge."""
    parents = [f"{Path(*Path(BRIDGE_FILE).parts[:n])}/__init__.py"
               for n in range(2, len(Path(BRIDGE_FILE).parts))]  # fmt: skip
    return {
        "attnbench/__init__.py": STAND_IN,
        **dict.fromkeys(parents, ""),
        BRIDGE_FILE: bridge_text,
    }


def ci(folder, kinds=("cost",), plugins=("gate.py",)):
    request = CiRequest("main", ["mine.toml"], plugins, kinds=kinds, timing=TIMING)
    return run_ci(request, folder, lambda _: None).to_json()


def metrics(document, verdict):
    return {(entry["case"], entry["metric"]): entry for entry in document[verdict]}


def refusal(folder):
    with pytest.raises(RequestError) as error:
        ci(folder, plugins=())  # no plugin: nothing imports torch
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_path_of_the_bridge_is_fixed():
    # the path is part of the protocol: head imports base's bridge by it, so a move breaks every base
    assert launcher.BRIDGE == "attnbench.regression.ci.bridge"
    assert bridge.__name__ == launcher.BRIDGE


def test_a_base_with_the_bridge_of_the_first_protocol(project):
    """Head is this attnbench; it has base plan, inspect, export, and time what head cannot export."""
    wider = GATE.replace("bias=False", "bias=True")
    loose = wider.replace("return x *", "return x if float(x.sum()) > 1e9 else x *")
    folder = project(engine(FROZEN), {"gate.py": loose})
    shutil.rmtree(folder / "attnbench")
    found = ci(folder, ("cost", "latency"))
    worse, same = metrics(found, "regressions"), metrics(found, "unchanged")
    grown = worse["cost/alone/gate/8x8x8", "params"]
    assert (grown["base"], grown["new"]) == (64, 72)
    # what base does not count is not compared
    assert {metric for _, metric in {**worse, **same}} == {
        "params",
        "macs",
        "activations",
        "export",
    }
    export = worse["latency/alone/gate/8x8x8", "export"]
    assert (export["base"], export["new"]) == ("ok", "failed")
    timed = metrics(found, "inconclusive")["latency/alone/gate/8x8x8", "latency"]
    assert "1 pair of processes, because head cannot be exported" in timed["reason"]
    assert not any("not looked for" in note for note in found["notes"])


def internals():
    """Modules that the bridge imports directly or through its room, of its own attnbench.

    What plugins may import keeps its name, and so does the entry points' group.
    """
    room = BRIDGE_FILE.rpartition("/")[0]
    names = set()
    for file in (ENGINE.parent / room).glob("*.py"):
        if file.stem in ("bridge", "networks", "source_files"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    names.add(node.module)
                elif isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
    inner = {name for name in names if re.match(r"attnbench\.", name)}
    inner -= {name for name in inner if name.startswith(room.replace("/", "."))}
    return sorted(inner - {bridge.GROUP, "attnbench.errors"})


def renamed_engine(target):
    """Copy the engine, with another name for each module that its bridge imports."""
    shutil.copytree(ENGINE, target, ignore=shutil.ignore_patterns("__pycache__"))
    names = sorted(internals(), key=len, reverse=True)  # inner ones before their packages
    for name in names:
        place = target.parent / name.replace(".", "/")
        if place.is_dir():
            place.rename(f"{place}_moved")
        else:
            place.with_suffix(".py").rename(f"{place}_moved.py")
    for file in target.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        for name in names:
            text = re.sub(rf"\b{re.escape(name)}\b", f"{name}_moved", text)
        file.write_text(text, encoding="utf-8")
    return names


def test_a_base_of_which_all_internals_have_other_names(project, tmp_path, monkeypatch):
    """As attnbench measures itself: the launcher, too, is in head's tree."""
    names = renamed_engine(tmp_path / "project" / "attnbench")
    assert len(names) > 8
    folder = project({}, {"gate.py": GATE.replace("bias=False", "bias=True")})
    shutil.rmtree(folder / "attnbench")
    shutil.copytree(ENGINE, folder / "attnbench", ignore=shutil.ignore_patterns("__pycache__"))
    own = folder / checkout_process._LAUNCHER.relative_to(ENGINE.parent)
    monkeypatch.setattr(checkout_process, "_LAUNCHER", own)
    found = ci(folder, ("cost", "latency"))
    changed = {**metrics(found, "regressions"), **metrics(found, "unchanged")}
    assert {metric for case, metric in changed if case == "cost/alone/gate/8x8x8"} == set(COSTS)
    timed = metrics(found, "inconclusive")["latency/alone/gate/8x8x8", "latency"]
    assert "interleaved in 1 process" in timed["reason"]
    assert not any("not looked for" in note for note in found["notes"])
    base, head = (found["sides"][side]["tree"] for side in ("base", "head"))
    assert found["sides"]["base"]["attnbench"] == f"{base}/attnbench/__init__.py"
    assert found["sides"]["head"]["attnbench"] == f"{head}/attnbench/__init__.py"


@pytest.mark.parametrize("room", [False, True])
def test_a_base_without_a_bridge(project, git, room):
    files = engine(FROZEN)
    del files[BRIDGE_FILE]
    kept = files if room else {"attnbench/__init__.py": STAND_IN}
    folder = project(kept, engine(FROZEN))
    commit = git(folder, "rev-parse", "main")[:12]
    assert refusal(folder) == (
        f"base ({commit}): the attnbench of this tree has no bridge for attnbench ci (protocol 1 "
        "is needed); choose a newer --base, or install a newer attnbench there with --install"
    )


def test_an_installed_attnbench_without_a_bridge(project, tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    write(site, {
        "attnbench/__init__.py": STAND_IN,
        "attnbench-0.0.9.dist-info/METADATA": "Metadata-Version: 2.1\nName: attnbench\nVersion: 0.0.9\n",
    })  # fmt: skip
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    text = refusal(project({}, {}))
    assert f"attnbench 0.0.9 ({site}/attnbench/__init__.py) has no bridge" in text


@pytest.mark.parametrize(
    ("number", "way_out"),
    [("2", "run attnbench ci with a newer attnbench"), ("0", "choose a newer --base")],
)
def test_a_base_that_speaks_another_protocol(project, number, way_out):
    other = FROZEN.replace("PROTOCOL = 1", f"PROTOCOL = {number}")
    text = refusal(project(engine(other), engine(FROZEN)))
    assert re.match(r"base \([0-9a-f]{12}\): the attnbench of this tree speaks", text)
    assert f"speaks protocol {number} of attnbench ci, this attnbench only protocol 1" in text
    assert way_out in text


def test_a_head_that_speaks_another_protocol(project):
    other = FROZEN.replace("PROTOCOL = 1", "PROTOCOL = 0")
    text = refusal(project(engine(FROZEN), engine(other)))
    assert text.startswith("head (") and "speaks protocol 0" in text and "--base" not in text


def test_a_bridge_that_cannot_be_imported_says_why(project):
    text = refusal(project(engine("import nothing_of_this_name\n"), engine(FROZEN)))
    assert text.startswith("base (")
    assert text.endswith("ModuleNotFoundError: No module named 'nothing_of_this_name'")


STRANGE = """

_OPTIONAL = {"kind", "version", "foreign", "content", "name", "fused", "latency", "calls", "clock"}
_plain = answer

def answer(task, setup, failures):
    assert task["do"] != "plan" or not task.get("selected")
    return _stranger(_plain({**task, "unheard_of": 1}, setup, failures))

def _stranger(value):
    if isinstance(value, list):
        return [_stranger(item) for item in value]
    if not isinstance(value, dict) or "gate.py" in value:
        return value
    is_class = "hash" in value  # its kind is required
    kept = {key: _stranger(item) for key, item in value.items()
            if is_class or key not in _OPTIONAL}
    return {**kept, "unheard_of": [{"of": None}]}
"""


def test_unknown_keys_and_absent_optional_ones(project):
    strange = engine(FROZEN + STRANGE)
    folder = project(strange, {"gate.py": GATE.replace("bias=False", "bias=True")})
    found = ci(folder)
    grown = metrics(found, "regressions")["cost/alone/gate/8x8x8", "params"]
    assert (grown["base"], grown["new"]) == (64, 72)
    assert {metric for _, metric in metrics(found, "unchanged")} == {"macs", "activations"}
    assert any("head's plan has no content" in note for note in found["notes"])


def test_the_bridge_that_the_launcher_names_speaks_what_head_speaks():
    assert bridge.__name__ == launcher.BRIDGE
    assert bridge.PROTOCOL in SPOKEN and max(SPOKEN) == bridge.PROTOCOL


REQUIRED = {
    "facts": {
        "protocol": int,
        "attnbench": str,
        "versions": dict,
        "failures": list,
        "points": list,
    },
    "plan": {"networks": list},
    "inspect": {"classes": list, "sources": dict, "cost": dict},
    "export": None,
    "time": {"log": float},
}
NETWORK = {"backbone": None, "module": "se", "placement": None, "channels": 16, "size": [4, 4]}
OF_NETWORKS = {"backbone", "module", "placement", "channels", "size"}


def test_the_answers_have_what_protocol_1_requires(tmp_path):
    """Whatever fails here is a change of the protocol, which raises its number."""
    assert bridge.PROTOCOL == 1
    tasks = bridge.SideTasks({"own": str(tmp_path), "head": str(tmp_path)})
    words = {
        "plan": {"suite": "mine", "content": content()},
        "inspect": {"network": NETWORK},
        "export": {"network": NETWORK, "file": str(tmp_path / "x.pt2")},
        "time": {"network": NETWORK, "seconds": 0.001},
    }
    answers = {}
    for task, keys in REQUIRED.items():
        given = {"do": task, **words.get(task, {}), "unheard_of": 1}
        answers[task] = json.loads(json.dumps(tasks.answer(given)))["ok"]
        if keys is None:
            assert answers[task] is None
        else:
            assert {key: type(answers[task][key]) for key in keys} == keys
    (network,) = answers["plan"]["networks"]
    assert network.keys() >= OF_NETWORKS
    for entry in answers["inspect"]["classes"]:
        assert entry.keys() >= {"class", "file", "kind", "hash"}
    assert answers["inspect"]["cost"].keys() >= set(COSTS)
    assert (tmp_path / "x.pt2").is_file()


def content():
    row = {"module": "se", "channels": 16, "size": 4}
    table = {"columns": ["label"], "row": [row]}
    return {"suite": {"name": "mine", "title": "Mine"}, "table": [table]}


def test_kinds_of_failures(tmp_path):
    tasks = bridge.SideTasks({"own": str(tmp_path), "head": str(tmp_path)})
    assert tasks.answer({"do": "sing"}) == {"error": "unknown task 'sing'", "kind": "unknown-task"}
    unknown = tasks.answer({"do": "inspect", "network": {**NETWORK, "module": "see"}})
    assert unknown["kind"] == "unknown-name" and "see" in unknown["error"]
    failed = tasks.answer({"do": "inspect", "network": {}})
    assert failed == {"error": "KeyError: 'size'", "kind": "failed"}
