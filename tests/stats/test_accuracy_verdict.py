"""When an arm is called better, when the same, and when nothing is said."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attnbench.stats.paired_difference import DifferenceEstimate, estimate
from attnbench.stats.verdict import AccuracyRule, Verdict
from attnbench.stats.verdict import judge_accuracy as judge


def found(low, high, p_value=None, count=5):
    mean = (low + high) / 2
    if p_value is None:
        p_value = 0.5 if low <= 0 <= high else 1e-4
    return DifferenceEstimate(
        mean, low, high, (high - low) * math.sqrt(count) / 5.6, count, p_value
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict", "within"),
    [
        (0.2, 1.4, "better", None),
        (-1.4, -0.2, "worse", None),
        (0.01, 0.02, "better", None),
        (-0.1, 0.31, "same", 0.35),
        (-0.3, 0.1, "same", 0.3),
        (-0.5, 0.4, "same", 0.5),
        (-0.51, 0.4, "inconclusive", None),
        (-2, 3, "inconclusive", None),
        (-math.inf, math.inf, "inconclusive", None),
    ],
)
def test_verdict(low, high, verdict, within):
    judged = judge({"row": found(low, high, 0.9 if math.isinf(low) else None)})["row"]
    assert (judged.verdict, judged.within, judged.why) == (verdict, within, "")


def test_an_arm_that_is_the_plain_one():
    judged = judge({"identity": estimate([0.0, 0.0, 0.0], resolution=0.2)})["identity"]
    assert (judged.verdict, judged.within) == ("same", 0.0)
    assert str(judged) == "same within 0"


def test_fewer_seeds_than_the_least_have_no_verdict():
    judged = judge({"one": found(1, 2, count=1), "two": found(1, 2, count=2)})
    assert [str(one) for one in judged.values()] == [
        "no verdict: 1 seed; 3 are the least",
        "no verdict: 2 seeds; 3 are the least",
    ]
    assert (
        judge({"two": found(1, 2, count=2)}, AccuracyRule(fewest_seeds=2))["two"].verdict
        == "better"
    )


def test_withheld():
    rows = {"a": found(1, 2), "b": found(1, 2)}
    assert {str(one) for one in judge(rows, withheld="smoke test").values()} == {
        "no verdict: smoke test"
    }
    judged = judge(rows, withheld={"a": "weak baseline", "b": ""})
    assert [judged[key].verdict for key in rows] == ["none", "better"]


def test_many_rows_need_stronger_evidence_and_withheld_ones_are_no_rows():
    one = found(0.1, 2, p_value=0.03)
    others = {number: found(-1, 1, p_value=0.8) for number in range(20)}
    assert judge({"row": one})["row"].verdict == "better"
    assert judge({"row": one, **others})["row"].verdict == "inconclusive"
    withheld = dict.fromkeys(others, "smoke test")
    assert judge({"row": one, **others}, withheld=withheld)["row"].verdict == "better"


def test_rule_can_be_another():
    rule = AccuracyRule(minimum_effect=1.0, same_margin=1.12)
    assert judge({"row": found(0.2, 1.11)}, rule)["row"] == Verdict("same", within=1.12)
    assert judge({"row": found(0.9, 1.2)}, rule)["row"].verdict == "better"


def test_order_and_no_rows():
    assert judge({}) == {}
    rows = {"a": found(1, 2, count=1), "b": found(1, 2), "c": found(1, 2, count=2)}
    assert list(judge(rows)) == ["a", "b", "c"]


@pytest.mark.parametrize("values", [[1.0, 0.2, 2.4], [0.1, -0.9, 0.8, 0.2], [2.0, -3.0, 4.0]])
def test_so_many_more_seeds_end_in_a_verdict(values):
    """Rows of the same mean and standard deviation, made to the count."""
    row = estimate(values)
    judged = judge({"row": row})["row"]
    assert judged.verdict == "inconclusive"
    assert judged.more_seeds is not None
    enough = row.count + judged.more_seeds
    assert judge({"row": estimate(alike(row, enough))})["row"].verdict != "inconclusive"
    assert judge({"row": estimate(alike(row, enough - 1))})["row"].verdict == "inconclusive"


def alike(row, count):
    shape = np.linspace(-1, 1, count)
    return row.mean + row.sd * shape / np.std(shape, ddof=1)


def test_more_seeds_counts_the_other_rows():
    row = estimate([1.0, 0.2, 2.4, 0.3])
    alone = judge({"row": row})["row"].more_seeds
    others = {number: found(-1, 1, p_value=0.9) for number in range(9)}
    assert judge({"row": row, **others})["row"].more_seeds > alone >= 1


def test_more_seeds_that_cannot_be_said():
    hopeless = DifferenceEstimate(0.6, -60, 61, 100.0, 5, 0.9)
    assert judge({"row": hopeless})["row"] == Verdict("inconclusive")
    single = judge({"row": estimate([3.0])}, AccuracyRule(fewest_seeds=1))["row"]
    assert str(single) == "inconclusive"


@pytest.mark.parametrize(
    ("judgment", "words"),
    [
        (Verdict("better"), "better"),
        (Verdict("worse"), "worse"),
        (Verdict("same", within=0.3), "same within 0.3"),
        (Verdict("inconclusive", more_seeds=1), "inconclusive, about 1 more seed needed"),
        (Verdict("inconclusive", more_seeds=30), "inconclusive, about 30 more seeds needed"),
        (Verdict("inconclusive", more_seeds=479), "inconclusive, more than 30 more seeds needed"),
    ],
)
def test_text(judgment, words):
    assert str(judgment) == words


def tables(rng, tries, seeds, effects):
    """Judged tables whose rows share the plain runs, as those of an experiment do."""
    for _ in range(tries):
        plain = rng.standard_normal(seeds)
        arms = rng.standard_normal((len(effects), seeds)) + effects[:, None]
        rows = {number: estimate(arm - plain) for number, arm in enumerate(arms)}
        yield [one.verdict for one in judge(rows).values()]


def false_share(verdicts, effects):
    named = [number for number, one in enumerate(verdicts) if one in ("better", "worse")]
    return np.mean([effects[number] == 0 for number in named]) if named else 0.0


@pytest.mark.parametrize(("seeds", "real"), [(3, 0), (8, 0), (8, 4)])
def test_false_discoveries_stay_below_the_rate(seeds, real):
    effects = np.array([6.0] * real + [0.0] * (8 - real))
    judged = list(tables(np.random.default_rng(6), 500, seeds, effects))
    # 0.05 is promised; two binomial errors of 500 tables stand above it
    assert np.mean([false_share(verdicts, effects) for verdicts in judged]) <= 0.07
    if real:
        assert np.mean([verdicts[:real].count("better") for verdicts in judged]) > 0.9 * real


def test_without_the_adjustment_every_third_table_would_name_something():
    rng = np.random.default_rng(6)
    named = [
        any(
            judge({"row": estimate(arm)})["row"].verdict in ("better", "worse")
            for arm in rng.standard_normal((12, 8))
        )
        for _ in range(200)
    ]
    assert np.mean(named) > 0.3


def test_same_is_seldom_said_of_a_difference_beyond_the_margin():
    rows = np.random.default_rng(8).normal(0.52, 0.2, (2000, 6))
    judged = [judge({"row": estimate(row)})["row"].verdict for row in rows]
    assert judged.count("same") / len(rows) <= 0.035
