"""Other tools' counts: any change behind unchanged counts of ours, and what explains one."""

import pytest

from attnbench.records.store import read_run
from attnbench.regression.compare.accept import accept
from attnbench.regression.compare.compare_runs import compare

from .made import COST, header, record, run_of, write_run

OURS = {"params": 1000, "macs": 50_000}
BIAS = {"operator": "Conv2d bias", "why": "a bias is an addition", "macs": -100}


def report(raw=50_100, adjustments=(BIAS,), **changes):
    """The report of a counter that is reconciled with 50,000 MACs."""
    given = {"raw": raw, "unit": "MACs", "factor": 1, "adjustments": list(adjustments)}
    given |= {"macs": 50_000, "remainder": 0, "agree": True, "unsupported": {}}
    return {**given, "version": "0.7.5", "reason": "", **changes}


def counted(values=OURS, rules=None, **reports):
    ours = rules or report(50_000, (), version="")
    return record(values=values, counters={"rules": ours, **reports})


def judged(base, new, gates=None):
    """The verdict and change of ptflops, and whether the comparison fails."""
    comparison = compare(run_of(base), run_of(new), gates)
    ((verdict, change),) = [
        pair for pair in comparison.all() if pair[1].metric == "counters.ptflops"
    ]
    return verdict, change, comparison.failed()


def verdict_of(ours=OURS, gates=None, **changes):
    return judged(counted(ptflops=report()), counted(ours, ptflops=report(**changes)), gates)[0]


@pytest.mark.parametrize("raw", [50_101, 50_099])
def test_another_total_of_the_same_network_fails_whichever_way_it_moves(raw):
    verdict, change, failed = judged(counted(ptflops=report()), counted(ptflops=report(raw)))
    assert (verdict, change.base, change.new, failed) == ("regressions", 50_100, raw, True)
    assert change.change == pytest.approx(raw / 50_100 - 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adjustments": [BIAS | {"macs": -99}]}, "Conv2d bias: -100 (a bias is an addition) to -99"),
        ({"adjustments": []}, "Conv2d bias: -100 (a bias is an addition) to none"),
        ({"adjustments": [BIAS | {"why": "other"}]}, "to -100 (other)"),
        ({"adjustments": [BIAS, BIAS | {"operator": "bmm"}]}, "bmm: none to -100"),
        ({"unit": "FLOPs"}, "unit MACs, then FLOPs"),
        ({"remainder": 1}, "remainder 0, then 1"),
        ({"unsupported": {"bmm": 2}}, "calls that it cannot count: bmm none, then 2"),
    ],
)  # fmt: skip
def test_another_reason_behind_the_same_total_fails_and_is_named(changes, said):
    verdict, change, failed = judged(counted(ptflops=report()), counted(ptflops=report(**changes)))
    assert (verdict, failed) == ("regressions", True)
    assert said in change.reason


def test_a_newer_counter_explains_a_change_and_both_versions_are_named():
    verdict, change, failed = judged(
        counted(ptflops=report()), counted(ptflops=report(50_000, (), version="0.8"))
    )
    assert (verdict, failed) == ("incomparable", False)
    assert change.reason == (
        "-100; ptflops 0.7.5, then 0.8; Conv2d bias: -100 (a bias is an addition) to none; "
        "our own counts are the same"
    )
    assert verdict_of(version="0.8") == "unchanged"


def test_another_build_of_the_same_version_explains_nothing():
    assert verdict_of(raw=50_101, version="0.7.5+cpu") == "regressions"


def test_a_newer_counter_that_is_no_longer_reconciled_fails():
    lost = {"raw": 50_200, "macs": 50_100, "remainder": 100, "agree": False, "version": "0.8"}
    base, new = counted(ptflops=report()), counted(ptflops=report(**lost))
    verdict, change, failed = judged(base, new)
    assert (verdict, failed) == ("regressions", True)
    assert "ptflops 0.7.5, then 0.8" in change.reason
    assert "agree True, then False" in change.reason


@pytest.mark.parametrize(
    ("raw", "verdict"), [(40_100, "improvements"), (60_100, "regressions"), (50_100, "unchanged")]
)
def test_a_counter_follows_a_network_that_has_changed(raw, verdict):
    ours = {"params": 900, "macs": raw - 100}
    assert verdict_of(ours, raw=raw) == verdict


def test_a_counter_that_fails_is_a_regression_and_one_that_works_again_an_improvement():
    dead = report(None, (), macs=None, remainder=None, agree=False, reason="no such operator")
    verdict, change, _ = judged(counted(ptflops=report()), counted(ptflops=dead))
    assert verdict == "regressions" and "no such operator" in change.reason
    assert judged(counted(ptflops=dead), counted(ptflops=report()))[0] == "improvements"
    assert judged(counted(ptflops=dead), counted(ptflops=dead))[0] == "unchanged"


def test_a_counter_that_one_run_lacks_cannot_be_compared():
    assert judged(counted(), counted(ptflops=report()))[0] == "incomparable"
    assert judged(counted(ptflops=report()), record())[0] == "incomparable"


def test_our_own_rules_are_judged_as_counts_only():
    comparison = compare(run_of(counted()), run_of(counted(rules=report(7, ()))))
    assert {change.metric for _, change in comparison.all()} == {"params", "macs"}


@pytest.mark.parametrize(
    ("gate", "raw", "verdict"),
    [(0.1, 54_000, "unchanged"), (0.1, 46_000, "improvements"), (0.1, 60_000, "regressions")],
)
def test_a_tolerance_of_counters(gate, raw, verdict):
    moved = BIAS | {"macs": 50_000 - raw}
    gates = {"counters": gate}
    assert verdict_of(gates=gates, raw=raw, adjustments=[moved]) == verdict


def test_counters_can_be_ignored():
    comparison = compare(
        run_of(counted(ptflops=report())),
        run_of(counted(ptflops=report(1))),
        {"counters": "ignore"},
    )
    assert not comparison.failed()


def test_accept_takes_the_figure_and_keeps_the_one_before(tmp_path):
    base = write_run(tmp_path / "base", header(), counted(ptflops=report()))
    new = write_run(tmp_path / "new", header(), counted(ptflops=report(50_000, ())))
    assert accept(base, new, reason="matmul became bmm") == (COST,)
    taken = read_run(base).records[COST]
    assert taken.counters["ptflops"]["raw"] == 50_000
    assert taken.accepted["from"]["counters"] == {"rules": 50_000, "ptflops": 50_100}
    assert not compare(read_run(base), read_run(new)).failed()
