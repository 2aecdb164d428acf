"""Simulated machines: noise as real ones have it, and a clock that answers with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from scipy.signal import lfilter

from attnbench.stats.timing_samples import AGAIN, TimingSamples

WARM = 6  # samples of each arm that the warm-up takes of a steady arm


def correlated(rng, shape, rho=0.7):
    """Stationary autoregressive noise of order 1 and variance 1 along the last axis."""
    shocks = rng.standard_normal(shape)
    shocks[..., 1:] *= np.sqrt(1 - rho**2)
    return lfilter([1], [1, -rho], shocks, axis=-1)


def noise(kind: str, rng: np.random.Generator, arms: int, rounds: int) -> np.ndarray:
    """Log-times (arms, rounds) around 0: what a round's arms share, plus what each has alone."""
    shape = (arms, rounds)
    common = 0.03 * np.cumsum(rng.standard_normal(rounds))  # the state of the machine wanders
    match kind:
        case "normal":
            own = 0.02 * rng.standard_normal(shape)
        case "correlated":
            common = 0.1 * correlated(rng, (rounds,))
            own = 0.02 * correlated(rng, shape)
        case "drifting":
            common = np.linspace(0, 0.6, rounds) + 0.4 * (np.arange(rounds) > rounds // 2)
            own = 0.02 * rng.standard_normal(shape)
        case "lognormal":
            own = 0.05 * rng.lognormal(0, 1, shape)
        case "t2":
            own = 0.02 * rng.standard_t(2, shape)
        case "pareto":
            own = np.log1p(0.02 * rng.pareto(1.2, shape))
        case "bursts":  # another program takes the processor now and then
            own = 0.01 * rng.standard_normal(shape)
            own += (rng.random(shape) < 0.15) * rng.exponential(0.5, shape)
        case _:
            raise ValueError(kind)
    return common + own


class SimulatedClock:
    """Answers with the speed of the arm that is called, under one kind of noise."""

    def __init__(
        self, speeds: Mapping[str, float], kind: str | None = None, seed: int = 0, rounds: int = 600
    ) -> None:
        self.speeds = dict(speeds)
        self.rounds = rounds
        self.calls: list[tuple[str, int]] = []
        self._taken = dict.fromkeys(speeds, 0)
        self._noise = np.zeros((len(speeds), rounds))
        if kind:
            self._noise = noise(kind, np.random.default_rng(seed), len(speeds), rounds)
        self._row = {arm: row for row, arm in enumerate(speeds)}

    def call(self, name: str) -> Callable[[], object]:
        return lambda: name

    def arms(self) -> dict[str, Callable[[], object]]:
        return {name: self.call(name) for name in self.speeds if name != AGAIN}

    def time(self, call: Callable[[], object], count: int) -> float:
        name = str(call())
        self.calls.append((name, count))
        turn = self._taken[name] - WARM
        self._taken[name] += 1
        if turn < 0:
            return self.speeds[name] * count
        return float(
            self.speeds[name] * count * np.exp(self._noise[self._row[name], turn % self.rounds])
        )


def simulated_samples(
    kind: str, rng: np.random.Generator, rounds: int, ratio: float = 1.0, layout: float = 0.0
) -> TimingSamples:
    """One process's samples of base, A/A arm and "arm"; ``layout`` is the process's own spread."""
    logs = noise(kind, rng, 3, rounds) + layout * rng.standard_normal((3, 1))
    seconds = np.exp(logs) * np.array([[1.0], [1.0], [ratio]])
    names = ("base", AGAIN, "arm")
    return TimingSamples(
        "base",
        {name: tuple(row) for name, row in zip(names, seconds, strict=True)},
        dict.fromkeys(names, 1),
        warmup_s=0.0,
        sampling_s=float(seconds.sum()),
        stopped="budget",
    )


@pytest.fixture
def clock() -> type[SimulatedClock]:
    return SimulatedClock


@pytest.fixture
def simulate() -> Callable[..., TimingSamples]:
    return simulated_samples
