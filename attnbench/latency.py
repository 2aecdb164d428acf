"""Comparison of callables by latency: pairs, confidence intervals, an A/A control, a verdict.

    from attnbench.latency import compare
    result = compare({"a": f, "b": g}, baseline="a", budget_s=5)
    result["b"].ratio, result["b"].verdict
    print(result)

It needs no torch: an arm is any callable without arguments. A call must wait for its own work; on
an accelerator pass a ``clock`` that synchronizes.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace

from attnbench.errors import RequestError, suggestion
from attnbench.stats.verdict import LatencyRule
from attnbench.timing.clock import Clock, WallClock, single_thread_clock
from attnbench.timing.comparison import Compared, Comparison
from attnbench.timing.isolation import quiet
from attnbench.timing.sampler import ArmError, Call, Sampling, sample

__all__ = ["ArmError", "Compared", "Comparison", "LatencyRule", "Sampling", "compare"]


def compare(
    arms: Mapping[str, Call],
    *,
    baseline: str,
    budget_s: float = 5.0,
    again: Call | None = None,
    threads: int | None = None,
    sampling: Sampling | None = None,
    rule: LatencyRule | None = None,
    clock: Clock | None = None,
    throttled: Callable[[], bool] | None = None,
) -> Comparison:
    """Compare the latency of callables with a baseline, interleaved in this process.

    Args:
        arms: name -> callable without arguments to time; at least two.
        baseline: name of the arm that the others are compared with.
        budget_s: seconds of sampling after warm-up; fewer when all intervals are narrow.
        again: a second copy of the baseline for the A/A arm. Without it the baseline is called a
            second time in each round, and its data may occasionally still be in the cache.
        threads: number of processors that this process is pinned to meanwhile. By default it is
            not pinned: pinning would slow down a callable with threads of its own. With 1, the
            time in which another program has the processor is excluded, where the system reports
            it (Linux).
        sampling: the full sampling protocol; its budget is replaced by ``budget_s``.
        rule: criterion of a difference; see :class:`LatencyRule`.
        clock: clock that replaces the default one.
        throttled: called after each round; the round is discarded if it returns True.

    Raises:
        RequestError: the arms, the baseline or the budget are invalid.
        ArmError: an arm raised an exception, which is chained, or changed a setting of the
            process, such as the number of threads.
    """
    _check(arms, baseline, threads)
    sampling = replace(sampling or Sampling(), budget_s=budget_s)
    with quiet(threads) as conditions:
        clock = clock or (single_thread_clock() if threads == 1 else WallClock())
        samples = sample(arms, baseline, sampling, clock=clock, again=again, throttled=throttled)
    conditions["clock"] = type(clock).__name__
    return Comparison(replace(samples, conditions=conditions), rule or LatencyRule())


def _check(arms: Mapping[str, Call], baseline: str, threads: int | None) -> None:
    if threads is not None and threads < 1:
        raise RequestError(f"threads must be 1 or more: got {threads}.")
    if not isinstance(arms, Mapping):
        raise RequestError(
            f"arms must be a mapping from name to callable: got a {type(arms).__name__}."
        )
    for arm, call in arms.items():
        _check_arm(arm, call)
    if len(arms) < 2:
        raise RequestError(
            f"compare() needs at least two arms: got {', '.join(arms) or 'none'}. Pass a dict of "
            "name -> callable."
        )
    if baseline not in arms:
        raise RequestError(
            f"baseline is not one of the arms: got {baseline!r}."
            f"{suggestion(str(baseline), arms)} Arms: {', '.join(arms)}."
        )


def _check_arm(arm: object, call: object) -> None:
    if not isinstance(arm, str):
        raise RequestError(f"arm names must be strings: got {arm!r}.")
    if not callable(call):
        raise RequestError(
            f"arm {arm!r} must be callable: got a {type(call).__name__}. "
            "Pass a function without arguments."
        )
    if inspect.iscoroutinefunction(call) or inspect.isgeneratorfunction(call):
        raise RequestError(
            f"arm {arm!r} must not be a coroutine or generator function, whose call runs nothing. "
            "Pass a function that runs it to its end."
        )
