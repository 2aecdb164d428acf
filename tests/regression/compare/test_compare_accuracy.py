"""Accuracy of two runs, paired by seed."""

import numpy as np
import pytest
from scipy import stats

from attnbench.regression.compare.compare_runs import compare

from .made import TRAINED, record, run_of

NAME = "accuracy/net/se/after:1/digits/digits"
BEFORE = [90.1, 89.7, 90.4, 90.0, 89.9]


def trained(tops, facts=None, **changes):
    training = TRAINED | (facts or {})
    records = [
        record(f"{NAME},seed={seed}", values={"top1": top, "loss": 0.3}, training=training)
        for seed, top in enumerate(tops)
    ]
    return run_of(*records, **changes)


def found(base, new, gates=None):
    ((verdict, change),) = [
        one for one in compare(base, new, gates).all() if one[1].metric == "top1"
    ]
    return verdict, change


def test_the_difference_and_its_interval_are_of_a_paired_t_test():
    moved = [-1.0, -1.2, -0.9, -1.1, -1.3]
    after = [top + step for top, step in zip(BEFORE, moved, strict=True)]
    verdict, change = found(trained(BEFORE), trained(after))
    expected = stats.ttest_rel(after, BEFORE).confidence_interval(0.95)
    assert verdict == "regressions"
    assert change.case == f"{NAME},seed=*"
    assert change.base == pytest.approx(np.mean(BEFORE))
    assert change.new == pytest.approx(np.mean(after))
    assert change.change == pytest.approx(-1.1)
    assert (change.low, change.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("moved", "gate", "verdict"),
    [
        ([1.0, 1.2, 0.9, 1.1, 1.3], 0, "improvements"),
        ([0.1, -0.1, 0.0, 0.2, -0.1], 0, "unchanged"),
        ([3.0, -2.0, 1.0, -4.0, 0.5], 0, "inconclusive"),
        ([-1.0, -1.2, -0.9, -1.1, -1.3], 0.5, "regressions"),
        ([-1.0, -1.2, -0.9, -1.1, -1.3], 1.0, "inconclusive"),
        ([-1.0, -1.2, -0.9, -1.1, -1.3], 2.0, "unchanged"),
        ([1.0, 1.2, 0.9, 1.1, 1.3], 2.0, "unchanged"),
    ],
)
def test_verdicts(moved, gate, verdict):
    after = [top + step for top, step in zip(BEFORE, moved, strict=True)]
    assert found(trained(BEFORE), trained(after), {"top1": gate})[0] == verdict


def test_what_is_inconclusive_says_what_could_have_been_seen():
    _, change = found(trained(BEFORE), trained([93.1, 87.7, 91.4, 86.0, 90.4]))
    assert change.smallest > change.high - change.change
    assert "more seeds needed" in change.reason


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_give_no_verdict(seeds):
    verdict, change = found(trained(BEFORE[:seeds]), trained([50.0] * seeds))
    assert verdict == "inconclusive"
    assert change.reason.startswith(f"no verdict: {seeds} seed")


def test_one_seed_with_the_same_value_is_unchanged():
    verdict, change = found(trained(BEFORE[:1]), trained(BEFORE[:1]))
    assert (verdict, change.reason) == ("unchanged", "the same in every seed")


def test_only_common_seeds_count_and_the_others_are_missing_or_added():
    base, new = trained(BEFORE[:3]), trained(BEFORE)
    assert [one.case for one in compare(base, new).added] == [f"{NAME},seed={n}" for n in (3, 4)]
    assert [one.case for one in compare(new, base).missing] == [f"{NAME},seed={n}" for n in (3, 4)]
    assert found(base, new)[1].base == pytest.approx(np.mean(BEFORE[:3]))


@pytest.mark.parametrize(
    ("facts", "changes", "said"),
    [
        ({"recipe": {"name": "digits", "hash": "xyz"}}, {}, "another recipe under the name digits"),
        ({"images": [1437, 999]}, {}, "images"),
        ({"device": "cuda"}, {}, "device cpu, then cuda"),
        ({}, {"versions": {"torch": "2.15.0"}}, "torch 2.14.1, then 2.15.0"),
    ],
)
def test_unlike_trainings_are_not_compared(facts, changes, said):
    verdict, change = found(trained(BEFORE), trained([50.0] * 5, facts, **changes))
    assert verdict == "incomparable"
    assert said in change.reason


def test_a_gate_that_ignores():
    runs = trained(BEFORE), trained([50.0] * 5)
    assert not list(compare(*runs, {"top1": "ignore"}).all())


def test_two_networks_are_judged_together():
    """Benjamini-Hochberg over two rows: a p-value of 0.04 alone would be a regression."""
    moved = [-0.2, -0.9, -0.2, -0.95, -0.3]
    p_value = stats.ttest_1samp(moved, 0).pvalue
    assert 0.025 < p_value < 0.05
    after = [top + step for top, step in zip(BEFORE, moved, strict=True)]
    assert found(trained(BEFORE), trained(after))[0] == "regressions"
    other = [
        record(f"accuracy/net/cbam/digits,seed={n}", values={"top1": 80.0 + n % 2})
        for n in range(5)
    ]
    other_new = [
        record(f"accuracy/net/cbam/digits,seed={n}", values={"top1": 80.5 + n / 9})
        for n in range(5)
    ]
    base = run_of(*trained(BEFORE).records.values(), *other)
    new = run_of(*trained(after).records.values(), *other_new)
    assert not compare(base, new).regressions
