"""Verdicts from made-up samples, of which the truth is known."""

import math
import random

import pytest
from scipy import stats

from attnbench.regression.ci.inspect_networks import InspectedNetwork, NetworkPair
from attnbench.regression.ci.timing import TimedPair
from attnbench.regression.ci.verdict import (
    COSTS,
    compare_sides,
    estimate_pairs,
    estimate_ratio,
    share_spreads,
)
from attnbench.regression.compare.gates import Gates
from attnbench.stats.timing_samples import AGAIN, TimingSamples

NETWORK = {
    "backbone": None, "module": "se", "placement": None, "channels": 16, "size": [7, 7],
    "fused": False, "latency": True,
}  # fmt: skip
COST, TIME = "cost/alone/se/16x7x7", "latency/alone/se/16x7x7"
FIGURES = {"params": 100, "macs": 1000, "activations": 50, "bytes": 4000, "operators": 9}


def inspected(source="a", **changed):
    return InspectedNetwork((), {"se.py": source}, {**FIGURES, **changed})


def interleaved(ratio, processes=3, noise=0.01, again=1.0, rounds=60):
    """Samples of processes whose rounds share their drift."""
    draw = random.Random(7)
    found = []
    for _ in range(processes):
        drift = [math.exp(draw.gauss(0, 0.1)) for _ in range(rounds)]
        times = {
            arm: tuple(factor * one * math.exp(draw.gauss(0, noise)) for one in drift)
            for arm, factor in (("base", 1e-3), (AGAIN, again * 1e-3), ("head", ratio * 1e-3))
        }
        found.append(TimingSamples("base", times, dict.fromkeys(times, 1), 0.1, 1.0, "budget"))
    return TimedPair(tuple(found), exports={"base": None, "head": None})


def in_pairs(ratio, count=8, noise=0.03):
    draw = random.Random(3)
    logs = [(draw.gauss(0, noise), math.log(ratio) + draw.gauss(0, noise)) for _ in range(count)]
    return TimedPair(pairs=tuple(logs), exports={"base": "no graph", "head": "no graph"})


def verdict_of(timed, gates=None):
    found = compare_sides([], {TIME: timed}, Gates(gates or {}))
    ((verdict, change),) = [(name, one) for name, one in found.all() if one.metric == "latency"]
    return verdict, change


@pytest.mark.parametrize("metric", COSTS)
@pytest.mark.parametrize(("more", "verdict"), [(1, "regressions"), (-1, "improvements")])
def test_one_more_or_less_of_what_is_counted(metric, more, verdict):
    pair = NetworkPair(NETWORK, inspected(), inspected("b", **{metric: FIGURES[metric] + more}))
    found = compare_sides([pair], {}, Gates({}))
    (change,) = getattr(found, verdict)
    assert (change.case, change.metric, change.base, change.new) == (
        COST, metric, FIGURES[metric], FIGURES[metric] + more)  # fmt: skip
    assert change.change == pytest.approx(more / FIGURES[metric])
    assert len(found.unchanged) == len(COSTS) - 1


@pytest.mark.parametrize(
    ("gate", "verdict"), [(0.01, "unchanged"), (0.009, "regressions"), ("ignore", None)]
)
def test_a_gate_lets_a_change_pass(gate, verdict):
    pair = NetworkPair(NETWORK, inspected(), inspected("b", params=101))
    found = [name for name, one in compare_sides([pair], {}, Gates({"params": gate})).all()
             if one.metric == "params"]  # fmt: skip
    assert found == ([verdict] if verdict else [])


def test_untouched_is_the_same_sources_and_costs():
    assert NetworkPair(NETWORK, inspected(), inspected()).untouched
    assert not NetworkPair(NETWORK, inspected(), inspected("b")).untouched
    assert not NetworkPair(NETWORK, inspected(), inspected(macs=1001)).untouched
    assert not NetworkPair(NETWORK, inspected(), InspectedNetwork(error="no")).untouched
    # a change that no source shows is still found
    found = compare_sides([NetworkPair(NETWORK, inspected(), inspected(macs=1001))], {}, Gates({}))
    assert [one.metric for one in found.regressions] == ["macs"]


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        (inspected(), InspectedNetwork(error="broken"), "regressions"),
        (InspectedNetwork(error="broken"), inspected(), "improvements"),
        (InspectedNetwork(error="unknown module", unknown=True), inspected(), "added"),
        (InspectedNetwork(error="broken"), InspectedNetwork(error="broken"), "unchanged"),
    ],
)
def test_what_cannot_be_built(base, head, verdict):
    ((found, change),) = compare_sides([NetworkPair(NETWORK, base, head)], {}, Gates({})).all()
    assert (found, change.metric) == (verdict, "status")
    assert verdict == "added" or "broken" in change.reason


def test_a_case_that_only_base_has_is_missing():
    found = compare_sides([], {}, Gates({}), missing=["cost/alone/gone/16x7x7"])
    assert found.failed() and not found.failed(allow_missing=True)


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(1.05, "regressions"), (0.95, "improvements"), (1.0, "unchanged")]
)
def test_interleaved_processes(ratio, verdict):
    found, change = verdict_of(interleaved(ratio))
    assert found == verdict
    assert change.new == pytest.approx(ratio, rel=0.01)
    assert change.low < ratio - 1 < change.high
    assert "interleaved in 3 processes" in change.reason


@pytest.mark.parametrize("processes", [1, 2])
def test_one_or_two_processes_are_too_few(processes):
    found, change = verdict_of(interleaved(1.5, processes))
    assert found == "inconclusive"
    assert change.reason.startswith("3 processes are the least; ")


def test_a_change_that_the_gate_lets_pass():
    assert verdict_of(interleaved(1.05), {"latency": 0.1})[0] == "unchanged"


def test_noise_is_inconclusive_and_says_what_would_have_been_seen():
    found, change = verdict_of(interleaved(1.0, noise=0.4, rounds=8))
    assert found == "inconclusive" and change.smallest > 0.05


def test_a_large_change_is_found_where_the_machine_is_noisy():
    assert verdict_of(interleaved(10, noise=0.4, rounds=12))[0] == "regressions"


def laid_out(ratio, draw, layout=0.006):
    """Processes in which each arm has a place in memory, and calls with hardly any noise."""
    found = []
    for _ in range(3):
        arms = (("base", 1e-3), (AGAIN, 1e-3), ("head", ratio * 1e-3))
        times = {
            arm: tuple(place * (1 + draw.gauss(0, 1e-4)) for _ in range(20))
            for arm, seconds in arms
            for place in [seconds * math.exp(draw.gauss(0, layout))]
        }
        found.append(TimingSamples("base", times, dict.fromkeys(times, 1), 0.1, 1.0, "budget"))
    return TimedPair(tuple(found), exports={"base": None, "head": None})


def test_one_of_many_networks_is_found():
    """Alone, three processes are too few to be sure of one network in thirty."""
    found = []
    for seed in range(10):
        draw = random.Random(seed)
        times = {f"latency/{n}": laid_out(1.05 if n == 7 else 1.0, draw) for n in range(30)}
        judged = compare_sides([], times, Gates({}))
        found += [one.case for one in (*judged.regressions, *judged.improvements)]
    assert set(found) == {"latency/7"} and len(found) >= 9


def test_the_noise_of_rows_that_were_timed_alike():
    draw = random.Random(0)
    alone = {n: estimate_ratio(laid_out(1.05, draw)) for n in range(12)}
    for name, one in share_spreads(alone).items():
        own, ratio = alone[name].ratio, one.ratio
        assert ratio.ratio == own.ratio and ratio.freedom > own.freedom
        assert ratio.error >= own.error * (1 - 1e-9)
        student = stats.t(ratio.freedom)
        assert ratio.p_value == pytest.approx(2 * student.sf(math.log(own.ratio) / ratio.error))
        assert math.log(ratio.high / own.ratio) == pytest.approx(student.ppf(0.975) * ratio.error)


def test_pairs_of_processes_say_nothing_of_interleaved_ones():
    alone = {n: estimate_ratio(in_pairs(1.1)) for n in range(6)}
    assert share_spreads(alone) == alone


def test_a_copy_of_base_that_differs_from_it_is_no_witness():
    found, change = verdict_of(interleaved(1.05, again=1.2))
    assert found == "inconclusive" and "differs from its own copy" in change.reason


@pytest.mark.parametrize(
    ("ratio", "count", "verdict"),
    [(1.3, 8, "regressions"), (0.7, 8, "improvements"), (1.3, 7, "inconclusive"),
     (1.02, 8, "inconclusive"), (2.0, 1, "inconclusive")],
)  # fmt: skip
def test_pairs_of_processes(ratio, count, verdict):
    found, change = verdict_of(in_pairs(ratio, count))
    assert found == verdict
    assert "cannot be exported (no graph)" in change.reason


def test_a_pair_is_one_observation():
    """Against scipy's t test of the same differences."""
    values = [0.02, 0.05, -0.01, 0.04, 0.03, 0.06, 0.00, 0.02]
    found = estimate_pairs(values)
    expected = stats.ttest_1samp(values, 0)
    low, high = expected.confidence_interval(0.95)
    assert found.ratio == pytest.approx(math.exp(sum(values) / 8))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert found.p_value == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [(None, "no graph", "regressions"), ("no graph", None, "improvements"),
     (None, None, "unchanged")],
)  # fmt: skip
def test_what_can_no_longer_be_exported(base, head, verdict):
    timed = TimedPair(pairs=in_pairs(1.0).pairs, exports={"base": base, "head": head})
    found = [name for name, one in compare_sides([], {TIME: timed}, Gates({})).all()
             if one.metric == "export"]  # fmt: skip
    assert found == [verdict]


@pytest.mark.parametrize(("side", "verdict"), [("head", "regressions"), ("base", "improvements")])
def test_a_side_that_fails_while_it_is_timed(side, verdict):
    found, change = verdict_of(TimedPair(exports={}, error="out of memory", guilty=side))
    assert found == verdict and "out of memory" in change.reason


def test_nothing_is_to_be_accepted():
    pair = NetworkPair(NETWORK, inspected(), inspected("b", params=101))
    found = compare_sides([pair], {}, Gates({}))
    from attnbench.regression.compare.report import markdown_blocks, text_blocks

    shown = [*text_blocks(found), *markdown_blocks(found)]
    assert len(shown) > 4 and "attnbench accept" not in str(shown)
    assert "accept" not in found.to_json()["regressions"][0]
