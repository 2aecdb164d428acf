"""Projects of their own, run by pytest within pytest."""

import gc
import json
import os
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import attnbench
from attnbench.registry.plugins import catalog

from ..gate_plugin import gate_plugin

ROOT = Path(attnbench.__file__).parents[1]
PLUGIN = "attnbench.pytest_plugin"
GATE = gate_plugin(
    "gate",
    options=", *, kernel=1",
    conv="channels, channels, kernel, padding=kernel // 2",
    output="x * self.conv(x)",
)
SUITE = """
[suite]
name = "mine"
title = "Mine"

[[table]]
columns = ["label", "params"]
{extra}
[[table.row]]
module = [{modules}]
channels = 16
size = 8
"""


@pytest.fixture(scope="session", autouse=True)
def everything_imported():
    """Load what the inner runs load lazily: pytester takes back what they import, torch cannot be."""
    import tempfile

    import attnbench.pytest_plugin.collect
    import attnbench.pytest_plugin.fixture
    import attnbench.pytest_plugin.suite_options
    from attnbench.counting.cost import cost
    from attnbench.latency import compare
    from attnbench.measure.cost import CostMeter
    from attnbench.measure.latency import LatencyMeter
    from attnbench.records.latency_result import judge_timings, timing_of
    from attnbench.suites.case import Conditions
    from attnbench.suites.plan import make_case

    known = catalog()
    case = make_case(
        known, backbone=None, module="se", placement=None, channels=16, size=(8, 8)
    ).for_latency(Conditions("eager"))
    meter = LatencyMeter(CostMeter(known))
    with tempfile.TemporaryDirectory() as folder:
        meter.check(case)
        meter.ready(case, Path(folder))()
        samples = meter.sample([case], Path(folder), {"budget_s": 0.001})
    judge_timings({case: timing_of([samples[case.name]], 1)})
    compare({"a": int, "b": int}, baseline="a", budget_s=0.001)
    cost(attnbench.create_module("se", 16), (1, 16, 8, 8))


@pytest.fixture(autouse=True)
def forget_plugins():
    """Plugin files of one test must not be known to the next."""
    before = catalog().modules.entries()
    yield
    catalog().modules.restore(before)
    catalog().files.clear()


@pytest.fixture(autouse=True)
def frozen():
    """pytest collects garbage five times as it ends, and torch's objects are many."""
    gc.freeze()


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """The inner processes find this checkout; they are no workers of the outer run."""
    folders = [str(ROOT), str(ROOT / "modules"), str(ROOT / "suites"), os.environ.get("PYTHONPATH")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # each would be imported each time
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(pytester):
    """A project with a module of its own and a suite; call it to run pytest there."""
    return Project(pytester)


class Project:
    def __init__(self, pytester):
        self.pytester, self.path = pytester, pytester.path
        pytester.makepyfile(gate=GATE)
        pytester.makefile(
            ".toml",
            pyproject="[tool.attnbench]\nplugins = ['gate.py']\nbudget = 0.01\n"
            "[tool.pytest.ini_options]\nfilterwarnings = ['error']\n",
        )
        self.suite()

    def suite(self, *modules, latency=False, name="suite.toml"):
        listed = ", ".join(f'"{one}"' for one in modules or ["gate"])
        extra = 'latency = {runtimes = ["eager"]}\n' if latency else ""
        (self.path / name).write_text(SUITE.format(modules=listed, extra=extra))

    def settings(self, text):
        path = self.path / "pyproject.toml"
        path.write_text(
            path.read_text().replace("[tool.attnbench]\n", f"[tool.attnbench]\n{text}\n")
        )

    def baseline(self, cases, folder="base", **more):
        path = self.path / folder / "mine" / "records.jsonl"
        path.parent.mkdir(parents=True)
        header = {
            "format": 3,
            "suite": {},
            "suite_hash": "",
            "tables": [],
            "versions": {},
            "machine": {},
        }
        records = [
            {
                "case": case,
                "kind": case.partition("/")[0],
                "status": "ok",
                "hash": "",
                "conditions": {"module": case.split("/")[2]},
                "values": values,
                **more,
            }
            for case, values in cases.items()
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in [header, *records]))

    def __call__(self, *words):
        """Run in this process, with pytest-benchmark and ours."""
        return self.pytester.runpytest_inprocess("-p", "benchmark", "-p", PLUGIN, *words)

    def apart(self, monkeypatch, *words):
        """Run in a process of its own, with all plugins that are installed, as anybody does."""
        monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
        # there it has its name already
        installed = any(one.value == PLUGIN for one in entry_points(group="pytest11"))
        loading = [] if installed else ["-p", PLUGIN]
        return self.pytester.runpytest_subprocess(*loading, *words)
