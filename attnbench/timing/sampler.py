"""Sampler: all arms once per round, in random order, until the confidence intervals are narrow.

The arms share a process and, within a round, the state of the machine; a disturbance of a round
slows all its arms and cancels in their ratio.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter

from attnbench.errors import AttnbenchError, RequestError, suggestion
from attnbench.stats.latency_ratio import estimate
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from attnbench.timing.clock import Clock, WallClock
from attnbench.timing.sampling_settings import FEWEST, Sampling
from attnbench.timing.warmup import warm_up

__all__ = ["FEWEST", "ArmError", "Call", "Sampling", "sample"]

Call = Callable[[], object]


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

    Raises:
        RequestError: ``baseline`` is not an arm, or an arm has the name of the A/A arm.
        ArmError: an arm raised an exception.
        AttnbenchError: every round was throttled.
    """
    if baseline not in arms:
        raise RequestError(f"the baseline {baseline!r} is no arm.{suggestion(baseline, arms)}")
    if AGAIN in arms:
        raise RequestError(f"{AGAIN!r} is the name of the A/A arm; name yours otherwise")
    sampling = sampling or Sampling()
    session = _Session({**arms, AGAIN: again or arms[baseline]}, baseline, clock or WallClock())
    session.warm_up(sampling)
    return session.run(sampling, throttled or (lambda: False))


@dataclass
class _Session:
    """Sampling state of one process."""

    arms: Mapping[str, Call]
    baseline: str
    clock: Clock
    calls: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    warmup_s: float = 0.0
    dropped: int = 0

    @property
    def rounds(self) -> int:
        return len(self.seconds[self.baseline])

    def time(self, arm: str, calls: int) -> float:
        """Return the seconds per call of an arm."""
        try:
            return self.clock.time(self.arms[arm], calls) / calls
        except Exception as error:
            raise ArmError(arm, error) from error

    def warm_up(self, sampling: Sampling) -> None:
        watch = _Watch()

        def timed(arm: str, calls: int) -> float:
            taken = self.time(arm, calls)
            watch.add(taken * calls)
            return taken

        self.calls = warm_up(
            self.arms,
            timed,
            lambda: watch.seconds,
            min_sample_s=sampling.min_sample_s,
            cap_s=sampling.warmup * sampling.budget_s,
        )
        # equal for both copies of the baseline; otherwise the A/A arm would test the loop
        self.calls[AGAIN] = self.calls[self.baseline]
        self.warmup_s = watch.seconds

    def run(self, sampling: Sampling, throttled: Callable[[], bool]) -> TimingSamples:
        order = random.Random(sampling.seed)
        self.seconds = {arm: [] for arm in self.arms}
        watch, look = _Watch(), sampling.first_look
        while not (stopped := self._ended(sampling, watch)):
            taken = self._round(order)
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
        return self._samples(watch.seconds, stopped)

    def _round(self, order: random.Random) -> dict[str, float]:
        shuffled = order.sample(list(self.arms), len(self.arms))
        return {arm: self.time(arm, self.calls[arm]) for arm in shuffled}

    def _ended(self, sampling: Sampling, watch: _Watch) -> str:
        """Return the reason why sampling has ended, or the empty string."""
        begun = self.rounds + self.dropped
        # if the device stays throttled, the number of dropped rounds is limited
        if self.rounds < FEWEST and self.dropped < 10 * FEWEST:
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
