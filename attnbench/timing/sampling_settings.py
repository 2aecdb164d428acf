"""Settings of the sampler: time budget and precision."""

from __future__ import annotations

from dataclasses import dataclass

from attnbench.errors import RequestError

FEWEST = 5
"""Minimum number of rounds, regardless of the budget."""


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

    def __post_init__(self) -> None:
        if not isinstance(self.budget_s, int | float) or not 0 < self.budget_s < float("inf"):
            raise RequestError(f"budget_s must be a positive number of seconds: {self.budget_s}")
        if not self.width >= 0:
            raise RequestError(f"width must be a number, 0 or more: {self.width}")
        if not self.min_sample_s > 0:
            raise RequestError(f"min_sample_s must be more than 0: {self.min_sample_s}")
        if self.max_rounds < FEWEST:
            raise RequestError(f"max_rounds must be {FEWEST} or more: {self.max_rounds}")
