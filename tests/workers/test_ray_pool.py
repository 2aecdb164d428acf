"""Trainings on a Ray cluster: a real local one of two nodes, one of them killed half-way."""

import sys
import time
from collections import Counter
from functools import partial

import psutil
import pytest
import ray

from attnbench.errors import MissingExtraError, RequestError
from attnbench.measure.accuracy import AccuracyMeter
from attnbench.measure.cost import CostMeter
from attnbench.registry.plugins import Catalog
from attnbench.runner.worker_main import MODULE, new_pool, new_worker
from attnbench.suites.case import Training
from attnbench.suites.plan import make_case
from attnbench.workers.pool import WorkerPool
from attnbench.workers.process import Limits, module_arguments
from attnbench.workers.ray_pool import RayPool, _seen, _Sent

from ..gate_plugin import gate_plugin
from ..tiny_recipe import tiny_recipe
from .minimal_worker import TASK

pytestmark = pytest.mark.alone

SMALL = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 10**8, "wait": False}
# a live node of a busy machine may be slow to answer; a dead one refuses at once
HEAD = {"include_dashboard": False, "_system_config": {"health_check_timeout_ms": 60_000}}
PATIENCE_S = 300
# of the doomed node the second task never ends; the other node goes on when that one has begun
HALF_WAY = TASK + (
    "node, number = os.environ['RAY_RAYLET_PID'], task['number']\n"
    "log = open(task['log'] + '.' + node, 'a+')\n"
    "print(number, file=log, flush=True)\n"
    "say(progress='began')\n"
    "log.seek(0)\n"
    "second = len(log.readlines()) > 1\n"
    "def is_hanging():\n"
    "    path = task['log'] + '.' + task['doomed']\n"
    "    return os.path.exists(path) and len(open(path).readlines()) > 1\n"
    "while second and (node == task['doomed'] or not is_hanging()):\n"
    "    time.sleep(0.1)\n"
    "say(ok={'square': number ** 2})\n"
    "time.sleep(600)\n"
)
ODD = TASK + (
    "if task['how'] == 'fail': say(error='no such thing')\n"
    "if task['how'] == 'abort': os.abort()\n"
    "while task['how'] == 'hang': time.sleep(1)\n"
    "say(ok=os.environ['OMP_NUM_THREADS'])\n"
)
PLUGIN = gate_plugin("from_a_file")


def python(code):
    return ("-c", code)


@pytest.fixture(scope="module")
def cluster():
    """A head; nodes are added by those who kill them."""
    from ray.cluster_utils import Cluster

    own = Cluster(initialize_head=True, head_node_args={**SMALL, **HEAD})
    own.wait_for_nodes(PATIENCE_S)
    yield own
    own.shutdown()


@pytest.fixture
def pool(cluster):
    """Makes pools that connect to the cluster by themselves."""
    yield partial(RayPool, arguments=module_arguments(MODULE), address=cluster.address)
    assert not ray.is_initialized()


def answers_of(pool, tasks):
    return {key: answer for key, answer, _ in pool.run(tasks, lambda key, text: None)}


def test_a_training_is_that_of_this_process(pool, tmp_path):
    """With a plugin file and a recipe that are sent along."""
    plugin, recipe = tmp_path / "mine.py", tmp_path / "tiny.toml"
    plugin.write_text(PLUGIN)
    recipe.write_text(tiny_recipe(flip=True))
    own = Catalog()
    own.load_entry_points()
    own.load_file(plugin)
    case = make_case(
        own, backbone="mobilenet_v1,width=0.1", module="from_a_file", placement="after:4,8"
    ).for_training(Training("synthetic,classes=6,count=96", str(recipe), seed=3), 16)
    train = {"do": "train", "case": case.to_json(), "folder": str(tmp_path / "run/of/this")}
    found = answers_of(pool(plugins=[str(plugin)]), {"train": train})
    expected = AccuracyMeter(CostMeter(own)).measure(case)
    assert found["train"]["ok"]["values"] == expected["values"]
    for key in ("correct", "curve", "recipe", "threads"):
        assert found["train"]["ok"]["training"][key] == expected["training"][key]


def test_a_dead_node_costs_only_what_ran_there(cluster, pool, tmp_path):
    doomed = cluster.add_node(**SMALL)
    cluster.wait_for_nodes(PATIENCE_S)
    raylet = str(doomed.all_processes["raylet"][0].process.pid)
    task = {"log": str(tmp_path / "log"), "doomed": raylet}
    tasks = {f"task {number}": {**task, "number": number} for number in range(7)}
    log = tmp_path / f"log.{raylet}"
    found, told, before = {}, [], None
    for key, answer, seconds in pool(arguments=python(HALF_WAY)).run(
        tasks, lambda key, text: told.append((key, text))
    ):
        assert key not in found
        assert seconds > 0
        found[key] = answer
        if before is None and log.exists() and len(log.read_text().split()) > 1:
            before = set(found)
            cluster.remove_node(doomed, allow_graceful=False)
    assert found == {f"task {number}": {"ok": {"square": number**2}} for number in range(7)}
    ended, lost = log.read_text().split()
    (other,) = [path for path in tmp_path.glob("log.*") if path != log]
    began = Counter(other.read_text().split())
    assert before is not None
    assert f"task {lost}" not in before
    # the survivor did each of the others once, those it had ended before the death too
    assert began == Counter(str(number) for number in range(7) if str(number) != ended)
    assert told
    assert set(told) <= {(key, "began") for key in tasks}


def test_limits_and_threads_are_those_of_a_worker(pool):
    own = pool(arguments=python(ODD))
    own.limits = Limits(seconds=1.5)
    found = answers_of(own, {how: {"how": how} for how in ("hang", "abort", "fail", "say")})
    assert found == {
        "hang": {"error": "did not finish within 1.5 s and was ended", "lost": True},
        "abort": {"error": "the process died (SIGABRT)", "lost": True},
        "fail": {"error": "no such thing"},
        "say": {"ok": "1"},
    }


def test_nothing_runs_after_it(cluster, tmp_path):
    mark = f"# {tmp_path}\n"
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        answers = RayPool(arguments=python(mark + ODD)).run(
            {how: {"how": how} for how in ("say", "hang")}, lambda key, text: None
        )
        assert next(answers)[:2] == ("say", {"ok": "1"})
        deadline = time.monotonic() + PATIENCE_S
        while not _running(mark) and time.monotonic() < deadline:  # until the other one does
            time.sleep(0.1)
        assert _running(mark)
        answers.close()
        assert ray.is_initialized()  # as it was before
    finally:
        ray.shutdown()
    deadline = time.monotonic() + PATIENCE_S
    while _running(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _running(mark)


def _running(mark):
    lines = [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    return [line for line in lines if mark in line]


def test_checkpoints_are_where_the_run_is_seen(tmp_path):
    here, elsewhere = tmp_path / "checkpoints" / "a", tmp_path / "no" / "checkpoints" / "a"
    assert _seen(str(here)) == str(here)
    assert _seen(str(elsewhere)) is None
    assert _seen(None) is None


def test_a_missing_cluster_is_told(monkeypatch):
    def refuse(*args, **options):
        raise ConnectionError("nobody there")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(RequestError, match=r"10\.0\.0\.9:1 .*: nobody there.*ray start --head"):
        next(
            RayPool(module_arguments(MODULE), address="10.0.0.9:1").run(
                {"a": {"do": "sing"}}, lambda key, text: None
            )
        )


def test_a_plugin_folder_is_sent_whole(tmp_path):
    files = {
        "pyproject.toml": "[project.entry-points.'attnbench.plugins']\nmine = 'sent_pkg:TABLE'\n",
        "src/sent_pkg/__init__.py": "TABLE = {'sent_mine': 'sent_pkg.deep.code:Mine'}\n",
        "src/sent_pkg/deep/code.py": "from torch.nn import Identity as Mine\n",
    }
    for name, text in files.items():
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).write_text(text)
    sent = _Sent.read(str(tmp_path / "here"))
    there = Catalog()
    there.load_file(sent.write(tmp_path / "there"))
    assert there.modules.names() == ["sent_mine"]
    assert {one: (tmp_path / "there" / one).read_text() for one in files} == files


def test_a_plugin_that_is_not_there_is_told():
    with pytest.raises(RequestError, match=r"'none\.py' cannot be read: No such file"):
        RayPool(module_arguments(MODULE), ["none.py"])


def test_without_ray_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'attnbench\[ray\]'"):
        new_pool("ray", new_worker(), [])


def test_executors():
    assert isinstance(new_pool("local", new_worker(), []), WorkerPool)
    assert isinstance(new_pool("ray", new_worker(), []), RayPool)
    with pytest.raises(RequestError, match=r"'slurm'.*Known: local, ray"):
        new_pool("slurm", new_worker(), [])
