"""Who is asked what in which order; no process is started."""

from pathlib import Path

import pytest

from attnbench.regression.ci import timing
from attnbench.regression.ci.inspect_networks import InspectedNetwork, NetworkPair
from attnbench.regression.ci.timing import TimingPlan, time_pair

NETWORK = {
    "backbone": None, "module": "se", "placement": None, "channels": 16, "size": [7, 7],
    "fused": False, "latency": True,
}  # fmt: skip


class Process:
    """Stands for the process of a side, and writes down what it is asked."""

    def __init__(self, name, diary, answers):
        self.side = type("Side", (), {"name": name})
        self.diary, self.answers = diary, answers

    def answer(self, *, do, **task):
        self.diary.append((self.side.name, do))
        return self.answers.get(do, {"ok": {"log": {"base": 0.0, "head": 0.5}[self.side.name]}})

    def stop(self):
        self.diary.append((self.side.name, "stop"))


def run(plan, base, head):
    diary = []
    processes = Process("base", diary, base), Process("head", diary, head)
    found = time_pair(
        NetworkPair(NETWORK, InspectedNetwork(), InspectedNetwork()),
        processes,
        Path("x"),
        plan,
        str,
    )
    return found, [one for one in diary if one[1] == "time"], diary


@pytest.mark.parametrize("failing", ["base", "head"])
def test_pairs_where_one_side_cannot_be_exported(failing):
    answers = {"base": {}, "head": {}} | {failing: {"export": {"error": "no graph"}}}
    found, asked, diary = run(TimingPlan(pairs=3), answers["base"], answers["head"])
    assert found.pairs == ((0.0, 0.5),) * 3
    assert [side for side, _ in asked] == ["base", "head", "head", "base", "base", "head"]
    assert found.exports == {"base": None, "head": None} | {failing: "no graph"}
    for number, one in enumerate(diary):  # each in a fresh process, that ends with it
        if one[1] == "time":
            assert diary[number - 1] == diary[number + 1] == (one[0], "stop")


def test_an_artefact_that_cannot_be_loaded_goes_in_pairs(monkeypatch):
    monkeypatch.setattr(timing, "time_interleaved", lambda *_: ([], "unknown operator"))
    found, asked, _ = run(TimingPlan(pairs=2), {}, {})
    assert len(found.pairs) == 2 and len(asked) == 4
    assert "unknown operator" in found.exports["base"]


def test_a_side_that_fails_is_named():
    found, _, _ = run(TimingPlan(), {"export": {"error": "no"}}, {"time": {"error": "it hangs"}})
    assert (found.error, found.guilty, found.pairs) == ("it hangs", "head", ())


def test_pairs_take_what_interleaving_takes():
    assert TimingPlan(budget_s=8, processes=4, pairs=8).lone_s == 2.0
    assert TimingPlan(budget_s=0.1, processes=1, pairs=8).lone_s == 0.5
