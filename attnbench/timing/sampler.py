"""Sampler: all arms once per round, in random order, until the confidence intervals are narrow.

The arms share a process and, within a round, the state of the machine; a disturbance of a round
slows all its arms and cancels in their ratio.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

from attnbench.errors import AttnbenchError, RequestError, suggestion
from attnbench.stats.latency_ratio import estimate
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from attnbench.timing.clock import Clock, WallClock
from attnbench.utils.process_settings import find_changes, read_settings, restore

Call = Callable[[], object]

FEWEST = 10
"""Minimum number of rounds of a process, regardless of the budget."""
_FEWEST_MAXIMUM = 5
"""Minimum of the maximum number of rounds: fewer allow no verdict."""


@dataclass(frozen=True)
class Sampling:
    """Time budget and precision of sampling.

    Attributes:
        budget_s: seconds of sampling, after warm-up; a round that would exceed the budget by more
            than half of its duration is not begun, but :data:`FEWEST` rounds are always run.
        width: relative half-width of every arm's 95% confidence interval at which sampling stops.
            0.005 makes a 3% difference certain and determines the sign of a 1% difference.
        seed: seed of the order of the arms; ``None`` draws one.
        max_rounds: maximum number of rounds; 3,000 samples of a 1 ms arm take 10 s.
        min_sample_s: minimum duration of a sample; the arm is called repeatedly to reach it.
        warmup: maximum duration of warm-up, as a fraction of ``budget_s``; two samples of every
            arm are taken in any case.
        first_look: number of rounds before the first check of the intervals.
        look_growth: factor of the number of rounds from one check to the next, so that there are
            few: each check may stop on an interval that is narrow by chance.
    """

    budget_s: float = 5.0
    width: float = 0.005
    seed: int | None = None
    max_rounds: int = 4000
    min_sample_s: float = 1e-3
    warmup: float = 0.25
    first_look: int = 20
    look_growth: float = 1.3

    @property
    def fewest(self) -> int:
        """Return the number of rounds that are always run."""
        return min(FEWEST, self.max_rounds)

    def __post_init__(self) -> None:
        has_budget = isinstance(self.budget_s, int | float) and 0 < self.budget_s < float("inf")
        for name, is_valid, valid in (
            ("budget_s", has_budget, "a positive number of seconds"),
            ("width", self.width >= 0, "0 or more"),
            ("min_sample_s", self.min_sample_s > 0, "more than 0"),
            ("max_rounds", self.max_rounds >= _FEWEST_MAXIMUM, f"{_FEWEST_MAXIMUM} or more"),
        ):
            if not is_valid:
                raise RequestError(f"{name} is invalid: got {getattr(self, name)}. Give {valid}.")


class ArmError(AttnbenchError):
    """Exception of an arm during timing; ``arm`` is its name, the cause is chained."""

    def __init__(self, arm: str, cause: Exception) -> None:
        super().__init__(f"arm {arm!r} failed: {type(cause).__name__}: {cause}")
        self.arm = arm


def sample(
    arms: Mapping[str, Call],
    baseline: str,
    sampling: Sampling | None = None,
    *,
    clock: Clock | None = None,
    again: Call | None = None,
    throttled: Callable[[], bool] | None = None,
    report: Callable[[str], object] = str,
) -> TimingSamples:
    """Time the arms in interleaved rounds in this process.

    Args:
        arms: name -> function to time, called without arguments; includes the baseline.
        baseline: name of the arm with which the others will be compared.
        sampling: sampling settings.
        clock: clock; the wall clock by default.
        again: second copy of the baseline for the A/A arm; without it the baseline itself is
            called a second time in every round.
        throttled: called after each round; if it returns true, the round is discarded.
        report: called before the first round with a sentence, if the budget is too small for
            :data:`FEWEST` rounds: how many seconds they need, and will be given.

    Raises:
        RequestError: ``baseline`` is not an arm, or an arm has the name of the A/A arm.
        ArmError: an arm raised an exception, or changed the settings of the process.
        AttnbenchError: every round was throttled.
    """
    if baseline not in arms:
        raise RequestError(
            f"baseline is not an arm: got {baseline!r}.{suggestion(baseline, arms)} "
            f"Choose from {', '.join(arms)}."
        )
    if AGAIN in arms:
        raise RequestError(f"arm name is reserved for the A/A arm: got {AGAIN!r}. Choose another.")
    sampling = sampling or Sampling()
    session = _Session({**arms, AGAIN: again or arms[baseline]}, baseline, clock or WallClock())
    session.warm_up(sampling)
    needed_s = sampling.fewest * session.round_s
    if needed_s > sampling.budget_s:
        rounds = f"{sampling.fewest} rounds of {len(session.arms)} arms"
        more = f"more than the budget of {sampling.budget_s:g} s"
        report(f"{rounds} need about {needed_s:.1f} s, {more}")
    return session.run(sampling, throttled or (lambda: False))


class _Watch:
    """Elapsed seconds: the maximum of wall time and the time of the arms' clock.

    A device clock omits the time between calls; a simulated clock runs ahead of wall time.
    """

    def __init__(self) -> None:
        self._start = perf_counter()
        self._timed = 0.0

    def add(self, seconds: float) -> None:
        self._timed += seconds

    @property
    def seconds(self) -> float:
        return max(self._timed, perf_counter() - self._start)


@dataclass
class _Warmup:
    """Warm-up state of one arm: its times so far, in seconds per call."""

    min_sample_s: float
    seen: list[float] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """Return the estimated number of calls that fill a sample."""
        if not self.seen:
            return 1
        return max(1, math.ceil(self.min_sample_s / max(min(self.seen[-3:]), 1e-9)))

    @property
    def is_stable(self) -> bool:
        """Return whether the last three samples are no faster than the three before (within 3%)."""
        return len(self.seen) >= 6 and median(self.seen[-3:]) > 0.97 * median(self.seen[-6:-3])

    def is_enough(self, share_s: float) -> bool:
        return len(self.seen) >= 2 or (len(self.seen) == 1 and self.seen[0] > share_s)


@dataclass
class _Session:
    """Sampling state of one process."""

    arms: Mapping[str, Call]
    baseline: str
    clock: Clock
    calls: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=read_settings)
    """Settings of the process, which all arms share and none may change."""
    warmup_s: float = 0.0
    dropped: int = 0
    round_s: float = 0.0
    """Estimated seconds of a round, from the last samples of warm-up."""

    @property
    def rounds(self) -> int:
        return len(self.seconds[self.baseline])

    def time(self, arm: str, calls: int) -> float:
        try:
            return self.clock.time(self.arms[arm], calls) / calls
        except Exception as error:
            raise ArmError(arm, error) from error

    def warm_up(self, sampling: Sampling) -> None:
        """Run all arms in turn until all are stable; set the calls per sample.

        Each arm is sampled at least twice, or once if the first sample alone took more than its
        share of the time limit. After that, warm-up ends at the limit even if arms are not stable.
        """
        watch, cap_s = _Watch(), sampling.warmup * sampling.budget_s
        states = {arm: _Warmup(sampling.min_sample_s) for arm in self.arms}
        for arm, state in _in_turn(states):
            # limited growth: first times may be wrong
            calls = min(state.calls, 8 ** len(state.seen))
            state.seen.append(self.time(arm, calls))
            if len(state.seen) == 1:
                self._check_settings(arm)
            watch.add(state.seen[-1] * calls)
            share_s = cap_s / len(states)
            if watch.seconds >= cap_s and all(each.is_enough(share_s) for each in states.values()):
                break
        self.calls = {arm: state.calls for arm, state in states.items()}
        # equal for both copies of the baseline; otherwise the A/A arm would test the loop
        self.calls[AGAIN] = self.calls[self.baseline]
        self.warmup_s = watch.seconds
        self.round_s = sum(states[arm].seen[-1] * calls for arm, calls in self.calls.items())

    def run(self, sampling: Sampling, throttled: Callable[[], bool]) -> TimingSamples:
        order, arms = random.Random(sampling.seed), list(self.arms)
        self.seconds = {arm: [] for arm in self.arms}
        watch, look = _Watch(), sampling.first_look
        while not (stopped := self._ended(sampling, watch)):
            shuffled = order.sample(arms, len(arms))
            taken = {arm: self.time(arm, self.calls[arm]) for arm in shuffled}
            watch.add(sum(taken[arm] * self.calls[arm] for arm in taken))
            if throttled():
                self.dropped += 1
                continue
            for arm, seconds in taken.items():
                self.seconds[arm].append(seconds)
            if self.rounds == look:
                look = max(look + 1, round(look * sampling.look_growth))
                if self._narrow(sampling.width):
                    stopped = "narrow"
                    break
        self._check_settings()
        return self._samples(watch.seconds, stopped)

    def _check_settings(self, arm: str = "") -> None:
        """Raise an error if an arm has changed the settings of the process, and restore them."""
        changes = find_changes(self.settings, read_settings())
        restore(changes)
        for setting, (old, new) in changes.items():
            change = f"changes {setting} of the process from {old} to {new}"
            if arm:
                raise ArmError(arm, RuntimeError(f"it {change}"))
            raise AttnbenchError(f"one of {', '.join(self.arms)} {change} while it is timed")

    def _ended(self, sampling: Sampling, watch: _Watch) -> str:
        """Return the reason why sampling has ended, or the empty string."""
        begun = self.rounds + self.dropped
        # if the device stays throttled, the number of dropped rounds is limited
        if self.rounds < sampling.fewest and self.dropped < 10 * sampling.fewest:
            return ""
        if self.rounds >= sampling.max_rounds:
            return "rounds"
        next_s = watch.seconds / begun
        return "budget" if watch.seconds + next_s / 2 > sampling.budget_s else ""

    def _narrow(self, width: float) -> bool:
        samples = [self._samples(0.0, "")]
        others = (arm for arm in self.arms if arm != self.baseline)
        return all(estimate(samples, arm).half_width <= width for arm in others)

    def _samples(self, sampling_s: float, stopped: str) -> TimingSamples:
        if not self.rounds:
            raise AttnbenchError(
                f"all of {self.dropped} rounds were dropped because the device was throttled; "
                "let it cool down or lock its clocks"
            )
        seconds = {arm: tuple(taken) for arm, taken in self.seconds.items()}
        return TimingSamples(
            self.baseline, seconds, self.calls, self.warmup_s, sampling_s, stopped, self.dropped
        )


def _in_turn(states: Mapping[str, _Warmup]) -> Iterator[tuple[str, _Warmup]]:
    """Yield the arms in turn, repeatedly, until all are stable."""
    while not all(state.is_stable for state in states.values()):
        yield from states.items()
