"""Widths of the intervals of committed records, and the errors of estimates on their A/A rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from attnbench.records.latency_result import pool_sessions, timing_of
from attnbench.records.store import FILE, read_run
from attnbench.stats.hodges_lehmann import location
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from interval_rules.extrapolated import Array, interval

Samples = Mapping[str, Sequence[TimingSamples]]
"""Samples of each process, by the name of the case."""
Estimate = Callable[[Array, Array], float]
"""The logarithm of the ratio of two rows of a process's log seconds, in the same rounds."""

ESTIMATES: dict[str, Estimate] = {
    "attnbench (Hodges-Lehmann of pairs)": lambda one, two: location((two - one)[None]),
    "median of pairs": lambda one, two: float(np.median(two - one)),
    "20% trimmed mean of pairs": lambda one, two: float(stats.trim_mean(two - one, 0.2)),
    "mean of pairs": lambda one, two: float(np.mean(two - one)),
    "medians (torch.utils.benchmark, pytest-benchmark)": lambda one, two: float(
        np.median(two) - np.median(one)
    ),
    "means (timm's way)": lambda one, two: float(
        np.log(np.mean(np.exp(two)) / np.mean(np.exp(one)))
    ),
}


def read_samples(folder: Path, most: int | None) -> Samples:
    """Return the samples of a run's latency cases, of at most so many."""
    records = list(read_run(folder / FILE).records.values())
    timed = [record for record in records if record.kind == "latency" and record.samples][:most]
    return {record.case: list(map(TimingSamples.from_json, record.samples)) for record in timed}


def widths(samples: Samples) -> tuple[Array, Array]:
    """Return the widths of the intervals (of logarithms) of attnbench, and of the former rule."""
    made = {case: timing_of([one.to_json() for one in parts], 1) for case, parts in samples.items()}
    found = pool_sessions({case: timing for case, timing in made.items() if timing})
    new = np.array([2 * timing.arm.half_width for timing in found.values()])
    old = np.array([interval(samples[case], _arm(samples[case])).width for case in found])
    return new, old


def errors(samples: Samples) -> dict[str, Array]:
    """Return each estimate's mean over processes, on the A/A rounds of all sessions; truth is 0."""
    sessions = {
        tuple(one.seconds[one.baseline] for one in parts): parts for parts in samples.values()
    }
    return {
        name: np.array(
            [np.mean([_again(estimate, one) for one in parts]) for parts in sessions.values()]
        )
        for name, estimate in ESTIMATES.items()
    }


def _again(estimate: Estimate, samples: TimingSamples) -> float:
    return estimate(np.log(samples.seconds[samples.baseline]), np.log(samples.seconds[AGAIN]))


def _arm(parts: Sequence[TimingSamples]) -> str:
    names = [name for name in parts[0].seconds if name not in (parts[0].baseline, AGAIN)]
    return names[0] if names else AGAIN
