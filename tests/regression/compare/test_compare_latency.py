"""Overheads of two runs: verdicts, and how often they are wrong on simulated machines."""

import numpy as np
import pytest

from attnbench.regression.compare.compare_runs import compare
from attnbench.stats.timing_samples import AGAIN

from .made import ARM, MACHINE, PLAIN, RUNTIME, SUITE, record, run_of, samples


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def arm(taken, **changes):
    return run_of(record(ARM, samples=taken), **changes)


def overhead(base, new, gates=None):
    ((verdict, change),) = [
        one for one in compare(base, new, gates).all() if one[1].metric == "overhead"
    ]
    return verdict, change


def test_a_slower_module_is_a_regression_with_its_interval(rng):
    verdict, change = overhead(arm(samples(rng, 1.05)), arm(samples(rng, 1.155)))
    assert verdict == "regressions"
    assert change.base == pytest.approx(1.05, rel=0.015)
    assert change.new == pytest.approx(1.155, rel=0.015)
    assert change.change == pytest.approx(0.1, abs=0.02)
    assert 0.01 < change.low < change.change < change.high < 0.2


def test_a_faster_one_is_an_improvement(rng):
    verdict, change = overhead(arm(samples(rng, 1.155)), arm(samples(rng, 1.05)))
    assert verdict == "improvements"
    assert change.high < -0.01


def test_slower_plain_and_arm_alike_is_unchanged(rng):
    slow = samples(rng, 1.05)
    for one in slow:
        one["seconds"] = {name: [3 * t for t in row] for name, row in one["seconds"].items()}
    assert overhead(arm(samples(rng, 1.05)), arm(slow))[0] == "unchanged"


def test_the_same_record_is_unchanged_however_noisy(rng):
    taken = samples(rng, 1.05, processes=1, noise=0.5)
    verdict, change = overhead(arm(taken), arm(taken, machine={"processor": "other"}))
    assert (verdict, change.reason, change.change) == ("unchanged", "the same measurement", 0)


def test_noise_is_inconclusive_and_says_what_could_have_been_seen(rng):
    runs = [arm(samples(rng, 1.05, layout=0.02)) for _ in range(2)]
    verdict, change = overhead(*runs)
    assert verdict == "inconclusive"
    assert change.smallest > change.high - change.change > 0.01


@pytest.mark.parametrize("few", [1, 2])
@pytest.mark.parametrize("side", ["BASE", "NEW"])
def test_too_few_processes_are_no_regression(rng, few, side):
    counts = (few, 3) if side == "BASE" else (3, few)
    runs = [
        arm(samples(rng, ratio, processes=count))
        for ratio, count in zip((1.0, 1.3), counts, strict=True)
    ]
    verdict, change = overhead(*runs)
    assert verdict == "inconclusive"
    assert change.reason.startswith(f"{side} has {few} process")


def test_a_copy_of_the_plain_network_that_differs_forbids_a_verdict(rng):
    broken = samples(rng, 1.3)
    for one in broken:
        one["seconds"][AGAIN] = [1.05 * t for t in one["seconds"][AGAIN]]
    verdict, change = overhead(arm(samples(rng, 1.0)), arm(broken))
    assert verdict == "inconclusive"
    assert change.reason.startswith("NEW: The baseline differs from its own copy by")


def test_plain_networks_have_no_overhead(rng):
    run = run_of(record(PLAIN, samples=[_without_arm(one) for one in samples(rng)]))
    assert {one.metric for _, one in compare(run, run).all()} == {"peak_bytes", "output"}


def _without_arm(process):
    kept = {name: row for name, row in process["seconds"].items() if name != ARM}
    return process | {"seconds": kept, "calls": dict.fromkeys(kept, 1)}


@pytest.mark.parametrize(
    ("changes", "runtime", "said"),
    [
        ({"machine": MACHINE | {"processor": "Xeon"}}, {}, "processor EPYC, then Xeon"),
        ({}, {"isa": "AVX2"}, "isa AVX512, then AVX2"),
        ({}, {"device": {"title": "H100"}}, "device EPYC, then H100"),
        ({}, {"versions": {"torch": "2.15.0"}}, "torch 2.14.1, then 2.15.0"),
        ({"suite": {"suite": SUITE["suite"] | {"version": 2}}}, {}, "suite version 1, then 2"),
    ],
)
def test_unlike_runs_are_not_compared(rng, changes, runtime, said):
    base = arm(samples(rng, 1.0))
    new = run_of(record(ARM, samples=samples(rng, 2.0), runtime=RUNTIME | runtime), **changes)
    verdict, change = overhead(base, new)
    assert verdict == "incomparable"
    assert said in change.reason


def test_gates_of_the_overhead(rng):
    base, new = arm(samples(rng, 1.0)), arm(samples(rng, 1.1))
    assert overhead(base, new, {"overhead": 0.05})[0] == "regressions"
    assert overhead(base, new, {"overhead": 0.2})[0] == "unchanged"
    assert not [
        one
        for _, one in compare(base, new, {"overhead": "ignore"}).all()
        if one.metric == "overhead"
    ]


def simulated(rng, ratios, layout):
    """A run of several modules; the machine's layouts differ by ``layout`` in each process."""
    taken = {f"latency/net/m{n}/onnxruntime": samples(rng, one, rounds=30, layout=layout)
             for n, one in enumerate(ratios)}  # fmt: skip
    return run_of(*(record(case, samples=one) for case, one in taken.items()))


def test_runs_compared_with_their_like_raise_no_false_alarms():
    rng = np.random.default_rng(11)
    alarms = 0
    for layout in rng.uniform(0.005, 0.02, 200):
        base, new = (simulated(rng, (1.02, 1.3), layout) for _ in range(2))
        alarms += bool(compare(base, new).regressions)
    assert alarms <= 2


def test_a_planted_slowdown_of_5_percent_is_found_and_nothing_else():
    rng = np.random.default_rng(12)
    found = others = 0
    tries = 100
    for layout in rng.uniform(0.003, 0.005, tries):  # as measured of eager and ONNX Runtime
        base = simulated(rng, (1.05, 1.02, 1.3, 1.1), layout)
        new = simulated(rng, (1.05 * 1.05, 1.02, 1.3, 1.1), layout)
        cases = {one.case for one in compare(base, new).regressions}
        found += "latency/net/m0/onnxruntime" in cases
        others += len(cases - {"latency/net/m0/onnxruntime"})
    assert found >= 0.95 * tries
    assert others <= 1
