"""Result of a comparison of arms in one process: values and verdicts per arm, and a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from attnbench.stats.latency_ratio import RatioEstimate, distribution, estimate
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from attnbench.stats.verdict import LatencyRule, Verdict, doubt_of, judge_latency, noise_floor


@dataclass(frozen=True)
class Compared:
    """Result of one arm.

    Attributes:
        ratio: its time over the baseline's; 1.0 for the baseline.
        ratio_low, ratio_high: ends of the ratio's 95% confidence interval.
        verdict: ``"slower"``, ``"faster"``, ``"same"`` or ``"inconclusive"``.
        within: for ``"same"``, the difference that can be ruled out, as a fraction; else None.
        floor: noise floor: the largest A/A difference that is consistent with the A/A arm.
        trust: ``"ok"``, or a sentence with the reason why there is no verdict.
        median_ms, p90_ms, p99_ms, min_ms: median, 90th and 99th percentile and minimum of its
            times, in milliseconds per call.
        pairs: number of rounds.
    """

    ratio: float
    ratio_low: float
    ratio_high: float
    verdict: str
    within: float | None
    floor: float
    trust: str
    median_ms: float
    p90_ms: float
    p99_ms: float
    min_ms: float
    pairs: int


class Comparison(Mapping[str, Compared]):
    """Result of :func:`attnbench.latency.compare`: arm -> :class:`Compared`, with the baseline.

    Attributes:
        baseline: name of the arm with which the others were compared.
        again: A/A estimate, the baseline against itself.
        floor: noise floor: the largest difference consistent with ``again``, as a fraction.
        trust: ``"ok"``, or a sentence with the reason why there are no verdicts.
        samples: all timing samples.
    """

    def __init__(self, samples: TimingSamples, rule: LatencyRule) -> None:
        self.baseline = samples.baseline
        self.samples = samples
        self.again: RatioEstimate = estimate([samples], AGAIN)
        self.floor = noise_floor(self.again)
        doubt = doubt_of(self.again, rule)
        self.trust = doubt or "ok"
        arms = [arm for arm in samples.seconds if arm != AGAIN]
        estimates = {arm: estimate([samples], arm) for arm in arms}
        others = {arm: (estimates[arm], self.again) for arm in arms if arm != self.baseline}
        judged = judge_latency(others, rule)
        # the baseline equals itself, regardless of noise
        judged[self.baseline] = Verdict("same", 0.0, self.floor, doubt)
        self._arms = {arm: _compared(samples, arm, estimates[arm], judged[arm]) for arm in arms}

    def __getitem__(self, arm: str) -> Compared:
        return self._arms[arm]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arms)

    def __len__(self) -> int:
        return len(self._arms)

    def __repr__(self) -> str:
        verdicts = {arm: result.verdict for arm, result in self.items()}
        return f"<Comparison with {self.baseline!r}: {verdicts}>"

    def __str__(self) -> str:
        head = ("", "ratio", "95% interval", "verdict", "median ms", "p90", "p99", "min")
        rows = [head, *(_row(arm, result, self.baseline) for arm, result in self.items())]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = [_line(row, widths) for row in rows]
        samples = self.samples
        ended = {"narrow": "intervals narrow enough"}.get(samples.stopped, samples.stopped)
        lines.append(
            f"{samples.rounds} rounds in {samples.sampling_s:.1f} s ({ended}), "
            f"A/A {self.again.ratio:.4f}, floor {self.floor:.1%}, one process"
        )
        if self.trust != "ok":
            lines.append(f"No verdicts: {self.trust}")
        return "\n".join(lines)


def _compared(samples: TimingSamples, arm: str, found: RatioEstimate, judged: Verdict) -> Compared:
    times = distribution([samples], arm)
    return Compared(
        ratio=found.ratio,
        ratio_low=found.low,
        ratio_high=found.high,
        verdict=judged.verdict,
        within=judged.within,
        floor=judged.floor,
        trust=judged.trust,
        median_ms=times.median * 1e3,
        p90_ms=times.p90 * 1e3,
        p99_ms=times.p99 * 1e3,
        min_ms=times.minimum * 1e3,
        pairs=found.pairs,
    )


def _row(arm: str, result: Compared, baseline: str) -> tuple[str, ...]:
    milliseconds = (result.median_ms, result.p90_ms, result.p99_ms, result.min_ms)
    times = tuple(f"{ms:.4g}" for ms in milliseconds)
    if arm == baseline:
        return (arm, "1", "", "baseline", *times)
    verdict = result.verdict if result.within is None else f"same within {result.within:.1%}"
    interval = f"{result.ratio_low:.4g}-{result.ratio_high:.4g}"
    return (arm, f"{result.ratio:.4g}", interval, verdict, *times)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    # names and verdicts are left-aligned, numbers right-aligned
    aligns = "<>><>>>>"
    cells = zip(row, aligns, widths, strict=True)
    return "  ".join(f"{cell:{align}{width}}" for cell, align, width in cells).rstrip()
