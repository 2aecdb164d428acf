"""attnbench.latency: timing any callables against each other."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys

import pytest

from attnbench.errors import RequestError
from attnbench.latency import ArmError, LatencyRule, compare


class Clock:
    """Each arm returns what it takes."""

    def time(self, call, count):
        return call() * count


def steady(seconds, seed=0):
    """An arm of the same time on each call, give or take 0.01%."""
    jitter = random.Random(seed)
    return lambda: seconds * (1 + 1e-4 * jitter.gauss())


def compared(budget_s=2.0, **seconds):
    arms = {name: steady(one, seed) for seed, (name, one) in enumerate(seconds.items())}
    return compare(
        arms, baseline="a", budget_s=budget_s, clock=Clock(), again=steady(seconds["a"], 9)
    )


def test_verdicts_and_figures():
    result = compared(a=0.01, b=0.013, c=0.008, d=0.01)
    assert list(result) == ["a", "b", "c", "d"]
    assert [one.verdict for one in result.values()] == ["same", "slower", "faster", "same"]
    assert result["b"].ratio == pytest.approx(1.3, rel=1e-3)
    assert result["b"].ratio_low < 1.3 < result["b"].ratio_high
    assert result["b"].median_ms == pytest.approx(13, rel=1e-3)
    assert result["b"].min_ms <= result["b"].median_ms <= result["b"].p90_ms <= result["b"].p99_ms
    assert (result["d"].within, result["b"].within) == (0.001, None)
    assert result.trust == result["b"].trust == "ok"
    assert result.floor == result["c"].floor < 0.001


def test_the_baseline_is_exactly_itself():
    one = compared(a=0.01, b=0.02)["a"]
    assert (one.ratio, one.ratio_low, one.ratio_high, one.verdict) == (1.0, 1.0, 1.0, "same")
    assert one.median_ms == pytest.approx(10, rel=1e-3)


def test_the_result_cannot_be_changed():
    result = compared(a=0.01, b=0.02)
    with pytest.raises(TypeError):
        result["b"] = result["a"]
    with pytest.raises(AttributeError):
        result["b"].ratio = 1.0


def test_the_table_says_what_matters():
    text = str(compared(a=0.01, b=0.02, c=0.01))
    assert "slower" in text
    assert "same within 0.1%" in text
    assert "A/A 1.0000" in text
    assert "No verdicts" not in text


def test_a_copy_that_differs_withholds_verdicts():
    arms = {"a": steady(0.01), "b": steady(0.02)}
    result = compare(arms, baseline="a", budget_s=1, clock=Clock(), again=steady(0.0103))
    assert result["b"].verdict == "inconclusive"
    assert "copy" in result["b"].trust
    assert "No verdicts: The baseline differs from its own copy by +3.0%" in str(result)


def test_rule_is_the_callers():
    arms = {"a": steady(0.01), "b": steady(0.0103, 1)}
    again = steady(0.01, 2)
    found = compare(
        arms, baseline="a", budget_s=1, clock=Clock(), again=again, rule=LatencyRule(0.05, 0.05)
    )
    assert (found["b"].verdict, found["b"].within) == ("same", 0.031)  # rounded up


def test_real_callables_on_the_wall_clock():
    result = compare(
        {"a": lambda: sum(range(100)), "b": lambda: sum(range(10000))}, baseline="a", budget_s=0.05
    )
    assert result["b"].ratio > 5
    assert result["b"].pairs == result.samples.rounds >= 5
    assert result.samples.conditions["clock"] == "WallClock"


def test_conditions_are_put_back():
    affinity = os.sched_getaffinity(0)
    seen = []

    def look():
        seen.append((gc.isenabled(), len(os.sched_getaffinity(0))))

    result = compare({"a": look, "b": look}, baseline="a", budget_s=0.01, threads=1)
    assert set(seen) == {(False, 1)}
    assert gc.isenabled()
    assert os.sched_getaffinity(0) == affinity
    assert result.samples.conditions["threads"] == 1


def test_an_arm_that_fails_is_named_and_conditions_are_put_back():
    def broken():
        raise ValueError("no such kernel")

    with pytest.raises(ArmError, match=r"'b'.*ValueError: no such kernel") as caught:
        compare({"a": lambda: None, "b": broken}, baseline="a", threads=1)
    assert caught.value.arm == "b"
    assert isinstance(caught.value.__cause__, ValueError)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("arms", "options", "message"),
    [
        ({}, {}, "two"),
        ({"a": int}, {}, "two arms: got a"),
        ({"a": int, "b": 3}, {}, "'b'.*int"),
        ({"base": int, "b": int}, {"baseline": "bsae"}, "'base'"),
        ({"a": int, "b": int}, {"budget_s": 0}, "budget_s"),
        ({"a": int, "b": int}, {"budget_s": float("nan")}, "budget_s.*nan"),
        ({"a": int, "b": int}, {"threads": 0}, "threads"),
        ({"a": int, "baseline again": int}, {}, "A/A arm"),
    ],
)
def test_bad_requests(arms, options, message):
    with pytest.raises(RequestError, match=message):
        compare(arms, **{"baseline": "a", **options})


def test_needs_no_torch():
    code = "import sys, attnbench.latency; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def _coroutine():
    pass


def _generator():
    yield


@pytest.mark.parametrize(
    ("arms", "text"),
    [
        ([1, 2], "mapping|dict"),
        ({1: int, 2: int}, "name"),
        ({"a": int, "b": _coroutine}, "'b'.*coroutine"),
        ({"a": int, "b": _generator}, "'b'.*generator"),
    ],
)
def test_arms_that_would_not_be_timed(arms, text):
    with pytest.raises(RequestError, match=text):
        compare(arms, baseline="a", budget_s=0.1)
