"""How often the interval of a latency ratio holds the truth, in simulated sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from attnbench.stats.latency_ratio import estimate, shrink_session
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from attnbench.stats.verdict import judge_latency
from interval_rules.extrapolated import interval

NOISES = ("normal", "lognormal", "gamma", "t3")
CORRELATIONS = (0.0, 0.4, 0.8)
ROUNDS = (5, 20)
_SESSIONS = ((1, 1), (2, 1), (3, 1), (3, 7), (4, 40), (8, 3))
"""Numbers of processes and arms."""
_NOISE, _LAYOUT, _WARM_UP = 0.02, 0.005, 60


@dataclass
class Coverage:
    """Counts of one kind of session.

    Attributes:
        held: intervals that hold the truth, by the rule of attnbench and by the former one.
        widths: sums of their widths.
        claimed: rows whose verdict is a difference, where there is none.
    """

    processes: int
    arms: int
    noise: str
    rows: int = 0
    held: tuple[int, int] = (0, 0)
    widths: tuple[float, float] = (0.0, 0.0)
    claimed: int = 0


def coverages(tries: int, seed: int = 0) -> Iterator[Coverage]:
    """Yield the counts of every kind of session, of about so many rows each."""
    rng = np.random.default_rng(seed)
    for processes, arms in _SESSIONS:
        for noise in NOISES:
            found = Coverage(processes, arms, noise)
            for number in range(-(-tries // arms)):
                rounds = int(rng.integers(ROUNDS[0], ROUNDS[1] + 1))
                correlation = CORRELATIONS[number % len(CORRELATIONS)]
                _add(found, list(_session(rng, found, rounds, correlation)))
            yield found


def _session(
    rng: np.random.Generator, kind: Coverage, rounds: int, correlation: float
) -> Iterator[TimingSamples]:
    """Yield processes of equal networks; one process has the interval of its own layout."""
    names = ["base", AGAIN, *(f"arm {number}" for number in range(kind.arms))]
    layout = _LAYOUT if kind.processes > 1 else 0.0
    for _ in range(kind.processes):
        shape = (len(names), _WARM_UP + rounds)
        shocks = _drawn(rng, kind.noise, shape) * np.sqrt(1 - correlation**2)
        own = lfilter([1], [1, -correlation], shocks, axis=-1)[:, _WARM_UP:]
        logs = _NOISE * own + layout * rng.standard_normal((len(names), 1))
        seconds = {name: tuple(np.exp(row)) for name, row in zip(names, logs, strict=True)}
        yield TimingSamples("base", seconds, dict.fromkeys(names, 1), 0.0, 1.0, "budget")


def _drawn(rng: np.random.Generator, noise: str, shape: tuple[int, int]) -> np.ndarray:
    match noise:
        case "lognormal":
            return rng.lognormal(0, 0.8, shape)
        case "gamma":
            return rng.gamma(1, 1, shape)
        case "t3":
            return rng.standard_t(3, shape) / np.sqrt(3)
    return rng.standard_normal(shape)


def _add(kind: Coverage, samples: list[TimingSamples]) -> None:
    arms = [f"arm {number}" for number in range(kind.arms)]
    rows = shrink_session({arm: estimate(samples, arm) for arm in arms})
    former = [interval(samples, arm) for arm in arms]
    again = estimate(samples, AGAIN)
    judged = judge_latency({arm: (row, again) for arm, row in rows.items()})
    kind.rows += len(rows)
    kind.held = (
        kind.held[0] + sum(row.low <= 1 <= row.high for row in rows.values()),
        kind.held[1] + sum(found.low <= 0 <= found.high for found in former),
    )
    kind.widths = (
        kind.widths[0] + sum(2 * row.half_width for row in rows.values()),
        kind.widths[1] + sum(found.width for found in former),
    )
    kind.claimed += sum(found.verdict in ("slower", "faster") for found in judged.values())
