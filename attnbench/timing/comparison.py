"""Result of a comparison of arms in one process: values and verdicts per arm, and a table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from attnbench.stats.latency_ratio import RatioEstimate, distribution, estimate
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from attnbench.stats.verdict import LatencyRule, Verdict, doubt_of, judge_latency, noise_floor
from attnbench.utils.html_table import html_table

if TYPE_CHECKING:
    from pandas import DataFrame


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
        facts: what was found before timing: for a model its agreement with eager mode, bytes of
            its peak memory, seconds of its export; empty for a callable.
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
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Comparison(Mapping[str, Compared]):
    """Result of a comparison: arm -> :class:`Compared`, with the baseline.

    It is that of :func:`attnbench.latency.compare` and of :func:`attnbench.measure_latency`.

    Attributes:
        baseline: name of the arm with which the others were compared.
        again: A/A estimate, the baseline against itself.
        floor: noise floor: the largest difference consistent with ``again``, as a fraction.
        trust: ``"ok"``, or a sentence with the reason why there are no verdicts.
        conditions: what the times depend on: threads, garbage collection, runtime, processor.
        failed: reason of each arm that could not be measured, by its name.
        samples: all timing samples.
    """

    def __init__(
        self,
        samples: TimingSamples,
        rule: LatencyRule,
        facts: Mapping[str, Mapping[str, Any]] | None = None,
        failed: Mapping[str, str] | None = None,
    ) -> None:
        self.failed: Mapping[str, str] = dict(failed or {})
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
        compared = {arm: _compared(samples, arm, estimates[arm], judged[arm]) for arm in arms}
        self._arms = {
            arm: replace(found, facts=(facts or {}).get(arm, {})) for arm, found in compared.items()
        }

    @property
    def conditions(self) -> Mapping[str, Any]:
        """Everything that the times depend on, besides the arms."""
        return self.samples.conditions

    def __getitem__(self, arm: str) -> Compared:
        return self._arms[arm]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arms)

    def __len__(self) -> int:
        return len(self._arms)

    def to_frame(self) -> "DataFrame":
        """Return a pandas frame with a row for each arm.

        Its columns are ``arm``, the numbers and verdicts of :class:`Compared`, the facts, and
        ``status`` and ``reason``: arms that could not be measured are among the rows.
        """
        from pandas import DataFrame

        rows: list[dict[str, Any]] = [
            {"arm": arm, "status": "ok", "reason": "", **_plain(result)}
            for arm, result in self.items()
        ]
        rows += [
            {"arm": arm, "status": "failed", "reason": why} for arm, why in self.failed.items()
        ]
        return DataFrame(rows)

    def __repr__(self) -> str:
        arms = "; ".join(
            f"{arm} {result.ratio:.4g} [{result.ratio_low:.4g}, {result.ratio_high:.4g}] "
            f"{result.verdict}"
            for arm, result in self.items()
            if arm != self.baseline
        )
        failed = "".join(f"; {arm} failed" for arm in self.failed)
        median_ms = self[self.baseline].median_ms
        return f"<Comparison with {self.baseline!r} ({median_ms:.4g} ms): {arms}{failed}>"

    def __str__(self) -> str:
        rows = [_HEAD, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        return "\n".join([*(_line(row, widths) for row in rows), *self._notes()])

    def _repr_html_(self) -> str:
        return html_table(_HEAD, self._rows(), notes=[*self._notes()])

    def _rows(self) -> Iterator[tuple[str, ...]]:
        return (_row(arm, result, self.baseline) for arm, result in self.items())

    def _notes(self) -> Iterator[str]:
        samples = self.samples
        ended = {"narrow": "intervals narrow enough"}.get(samples.stopped, samples.stopped)
        yield (
            f"{samples.rounds} rounds in {samples.sampling_s:.1f} s ({ended}), "
            f"A/A {self.again.ratio:.4f}, floor {self.floor:.1%}, one process"
        )
        if self.trust != "ok":
            yield f"No verdicts: {self.trust}"
        for arm, why in self.failed.items():
            yield f"{arm} failed: {why}"


_HEAD = ("", "ratio", "95% interval", "verdict", "median ms", "p90", "p99", "min")


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


def _plain(result: Compared) -> dict[str, Any]:
    """Return a result and its facts as the cells of a row."""
    figures = {key: value for key, value in vars(result).items() if key != "facts"}
    return figures | {key: value for key, value in result.facts.items() if key not in figures}


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
