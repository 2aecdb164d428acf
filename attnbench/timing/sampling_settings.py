"""How long and how finely to sample."""

from __future__ import annotations

from dataclasses import dataclass

from attnbench.errors import RequestError

FEWEST = 5
"""Rounds that are run whatever the budget."""


@dataclass(frozen=True)
class Sampling:
    """How long and how finely to sample.

    Attributes:
        budget_s: seconds of sampling, after warm-up; a round that would pass it by more than
            half of itself is not begun, but :data:`FEWEST` rounds are always run.
        width: sampling stops when every arm's 95% interval is at most this far from its ratio,
            relatively. 0.005 leaves a 3% difference no doubt and gives a 1% one its sign.
        seed: of the order of the arms; ``None`` draws one.
        max_rounds: the most rounds; the samples of a 1 ms arm fill 10 s with 3,000.
        min_sample_s: an arm is called again and again until a sample takes this long.
        warmup: the most that warming up may take, as a fraction of ``budget_s``; two samples of
            every arm are taken in any case.
        first_look: rounds before the intervals are looked at for the first time.
        look_growth: each look comes at this many times the rounds of the last, so that there are
            few: each is a chance to stop on an interval that is narrow by luck.
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
