"""Shards cut between sessions, never through one."""

from attnbench.registry.plugins import catalog
from attnbench.runner.select_cases import shard
from attnbench.suites.case import Conditions
from attnbench.suites.plan import make_case


def case(module, backbone="mobilenet_v2"):
    placement = "after:5" if module else None
    return make_case(catalog(), backbone=backbone, module=module, placement=placement)


def test_shards_hold_whole_sessions_and_all_cases_once():
    cost = [case(module) for module in (None, "se", "cbam")]
    timed = [
        one.for_latency(Conditions(runtime)) for runtime in ("eager", "openvino") for one in cost
    ]
    parts = [shard([*cost, *timed], f"{number}/2") for number in (1, 2)]
    assert sorted(one.name for part in parts for one in part) == sorted(
        one.name for one in [*cost, *timed]
    )
    for part in parts:
        found = [one for one in part if one.kind == "latency"]
        assert len(found) == 3
        assert len({one.conditions for one in found}) == 1
