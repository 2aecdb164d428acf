"""Trainings on a Ray cluster: a real local one of two nodes, one of them killed half-way."""

import time
from collections import Counter
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from attnbench.errors import RequestError
from attnbench.plugins import catalog
from attnbench.running.executors import pool_of
from attnbench.running.process import Worker
from attnbench.running.ray_pool import RayPool, do_task
from attnbench.running.wire import case_to_json
from attnbench.suites.cases import make_case


@pytest.fixture(scope="module")
def cluster():
    own = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 10**8, "include_dashboard": False},
    )
    own.add_node(num_cpus=1, object_store_memory=10**8)
    ray.init(address=own.address, log_to_driver=False)
    yield own
    ray.shutdown()
    own.shutdown()


def slowly(task, files):
    """A task that leaves a line when it begins and one when it ends."""
    log = Path(task["log"])
    node = ray.get_runtime_context().get_node_id()
    with log.open("a") as file:
        file.write(f"began {task['number']} {node}\n")
    time.sleep(1.0)
    with log.open("a") as file:
        file.write(f"ended {task['number']} {node}\n")
    return {"ok": {"square": task["number"] ** 2}}


def counting(module):
    case = make_case(catalog(), backbone="mobilenet_v2", module=module, placement="after:5")
    return {"do": "cost", "case": case_to_json(case)}


def test_tasks_give_what_a_worker_gives_and_mistakes_are_answers(cluster, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "import attnbench\nfrom torch import nn\n\n\n"
        "@attnbench.register('from_a_file')\nclass Mine(nn.Module):\n"
        "    def __init__(self, channels):\n        super().__init__()\n"
        "        self.gate = nn.Conv2d(channels, channels, 1)\n\n"
        "    def forward(self, x):\n        return x * self.gate(x).sigmoid()\n"
    )
    case = {**counting("se")["case"], "module": "from_a_file"}
    tasks = {"se": counting("se"), "mine": {"do": "cost", "case": case}, "bad": {"do": "sing"}}
    answers = {key: answer for key, answer, _ in RayPool([str(plugin)]).run(tasks, print)}
    assert answers["se"] == do_task(counting("se"), [])
    assert answers["mine"]["ok"]["values"]["delta_params"] > 0
    assert "unknown task 'sing'" in answers["bad"]["error"]


def test_a_dead_node_costs_only_what_ran_there(cluster, tmp_path):
    doomed = cluster.add_node(num_cpus=1, object_store_memory=10**8)
    cluster.wait_for_nodes()
    log = tmp_path / "log.txt"
    tasks = {number: {"number": number, "log": str(log)} for number in range(8)}
    found = {}
    for key, answer, _ in RayPool(do=slowly).run(tasks, print):
        found[key] = answer
        if len(found) == 3:  # half-way: others are running, some of them there
            cluster.remove_node(doomed, allow_graceful=False)
    assert found == {number: {"ok": {"square": number**2}} for number in tasks}
    lines = [line.split() for line in log.read_text().splitlines()]
    began = Counter(number for word, number, _ in lines if word == "began")
    ended = Counter(number for word, number, _ in lines if word == "ended")
    assert set(ended) == {str(number) for number in tasks}
    # what had ended was never begun again; only what ran on the dead node was
    assert sum(began.values()) - len(tasks) <= 1
    assert max(ended.values()) == 1


def test_an_executor_of_another_name_is_told():
    with pytest.raises(RequestError, match="neither local nor ray"):
        pool_of("slurm", Worker(), [])
